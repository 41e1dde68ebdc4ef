"""Knows how a process is found that nobody wrote a PID down for: by its executable, its name, or its service.

It is asked within the script that samples it, so that no other process can take the PID in between. What it means to
find none, or several, is `deploy/memory/evidence.py`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.board_shell.quoting import quote

WAYS = ("exe", "name", "unit")

_COMM_LENGTH = 15
"""The kernel keeps so many bytes of a process's name (TASK_COMM_LEN, proc_pid_comm(5))."""

PARENTS = """\
parents_of() {
    p_at=$1
    while [ "${p_at:-0}" -gt 0 ]; do
        echo "$p_at"
        p_at=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$p_at/status" 2>/dev/null)
    done | tr '\\n' ' '
}
"""
"""parents_of PID: that process and those it runs under, up to init, in one line."""

_UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]{1,200}")

EXECUTABLES = """\
executables() { ls -l /proc/[0-9]*/exe 2>/dev/null | sed -n 's|^[^/]* /proc/\\([0-9]*\\)/exe -> |\\1 |p'; }
"""
"""executables: a line of PID and path for every process that this login may look at, by one walk over /proc."""

INSTANCES = """\
for i_exe in /proc/[0-9]*/exe; do
    [ "$i_exe" -ef "/proc/${pid:-none}/exe" ] || continue
    i_pid=${i_exe#/proc/} i_pid=${i_pid%/exe}
    [ "$i_pid" = "$pid" ] || echo "$i_pid"
done"""
"""sh: the PIDs of the other processes that execute the same file as $pid."""

_BY_EXE = """\
executables | while read -r f_pid f_path; do
    case $f_path in "$wanted" | "$wanted (deleted)" | */"$wanted" | */"$wanted (deleted)") echo "$f_pid" ;; esac
done"""

_BY_NAME = "grep -xlFe \"$wanted\" /proc/[0-9]*/comm 2>/dev/null | sed 's|/proc/||;s|/comm||'"

# A service that systemd does not keep notes its process in a file, by a custom as old as init scripts.
_BY_UNIT = """\
if [ -d /run/systemd/system ]; then systemctl show -p MainPID -- "$wanted" 2>/dev/null | sed -n 's/^MainPID=//p'
else
    for f in "/run/$wanted.pid" "/var/run/$wanted.pid" "/run/$wanted/$wanted.pid" "/var/run/$wanted/$wanted.pid"; do
        [ ! -r "$f" ] || { read -r f_pid f_rest <"$f"; echo "$f_pid"; }
    done
fi | grep -vx 0 | sort -u"""

_QUESTIONS = {"exe": _BY_EXE, "name": _BY_NAME, "unit": _BY_UNIT}


@dataclass(frozen=True, slots=True)
class Finding:
    """What to look for: `way` is one of WAYS; `what` a path or its last part, a name, a service."""

    way: str
    what: str

    def __str__(self) -> str:
        return f"--{self.way} {self.what}"

    @property
    def fault(self) -> str:
        """Why nothing can be found so, as a clause; "" where something can."""
        if not self.what or any(ord(character) < 32 for character in self.what):
            return "is empty, or no name"
        if self.way == "unit" and not _UNIT.fullmatch(self.what):
            return "is no name of a service"
        if self.way == "name" and "/" in self.what:
            return "is a path: --exe takes one"
        return ""

    def fits(self, exe: str, comm: str) -> bool:
        """Whether a process of that executable and name is what was looked for.

        Looking is sh on lines, which a path with a newline in it may deceive; `exe` and `comm` were asked of one PID.
        """
        if self.way == "exe":
            return f"/{exe.removesuffix(' (deleted)')}".endswith(f"/{self.what}")
        # /proc/PID/stat writes a backslash as two (fs/proc/array.c, proc_task_name)
        return self.way != "name" or comm.replace("\\\\", "\\") == _cut(self.what)


def _cut(name: str) -> str:
    """`name` as the kernel keeps it."""
    return name.encode()[:_COMM_LENGTH].decode("utf-8", "ignore")


def finding_text(finding: Finding) -> str:
    """sh: sets $pid where just one process fits, and $found to the PIDs of all that do.

    The asking shell is none of them, nor is what it runs under, up to init: the login that asks is not the process that
    is asked about, though a name may fit both (sshd, a shell). Needs EXECUTABLES.
    """
    wanted = _cut(finding.what) if finding.way == "name" else finding.what
    return f"""\
{PARENTS}wanted={quote(wanted)}
read -r f_own f_rest </proc/self/stat # the script may run in a subshell, of which $$ is the parent
found= above=" $(parents_of "$f_own") "
for f in $(
{_QUESTIONS[finding.way]}
); do
    case $above in *" $f "*) continue ;; esac
    [ ! -e "/proc/$f/stat" ] || found="$found $f"
done
set -- $found
[ $# -eq 1 ] && pid=$1 || pid=
"""
