"""Knows the questions that tell who stands behind a PID, and what their answers mean.

Whether the answers prove anything is left to `deploy/memory/evidence.py`. Of an environment only the three names of the
soft limits are asked for, and of an argument list only the base name of its first word: the rest may hold secrets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.board_shell.framing import Answers, Framing
from deploy.board_shell.proc_files import ABSENT, number, parse_stat
from deploy.board_shell.shell_functions import BY_LINE
from deploy.errors import BadAnswer
from deploy.model.limits import SOFT_LIMITS
from deploy.model.reading import Process

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")

# e_ident, e_type and e_machine of an ELF header: elf(5).
_ELF_BYTES = 20


@dataclass(frozen=True, slots=True)
class Identity:
    """Who stands behind the PID at one moment. Every `…_fault` is "" or says why there is no answer."""

    process: Process | None
    """None where no such process exists."""
    state: str
    parent: int
    comm: str
    exe: str
    exe_fault: str
    sha256: str
    """Of /proc/PID/exe, read through the link, so that a file replaced under a running process can't stand in."""
    sha256_fault: str
    elf: bytes
    """The first 20 bytes of /proc/PID/exe; b"" where the board has neither od nor hexdump."""
    argv0: str
    """The base name of the first word of its argument list."""
    environment: tuple[tuple[str, str], ...]
    """The soft limits in /proc/PID/environ in order; a name set twice stands twice."""
    environment_fault: str
    recorded: Process | None
    """The process that the pid file names; None without one."""
    supervisor: Process | None
    """The process that the supervisor's pid file names; None without one."""
    supervisor_runs: bool
    """Whether a process with the supervisor's PID and start ticks is there."""
    manager: str
    """The service manager that keeps it, by its cgroup or its parent; "" for none that we know."""

    def soft_limit(self, name: str) -> str | None:
        """The value of a soft limit; None where it is not set, or set twice and not alike."""
        values = {value for key, value in self.environment if key == name}
        return values.pop() if len(values) == 1 else None


_ARGV0 = f"""\
line=
file="/proc/${{pid:-none}}/cmdline"
[ ! -r "$file" ] || line=$({BY_LINE} <"$file")
line=${{line%%
*}}
id_argv=${{line##*/}}
printf '%s\\n' "$id_argv\""""

_FIRST_HASH = """\
{ command exec 9<"/proc/${pid:-none}/exe"; } 2>/dev/null && id_open=1 || id_open=
id_sha=$(hash_of "/proc/${pid:-none}/exe"); id_shown=$?
id_elf=
[ "$id_shown" -eq 0 ] && printf '%s\\n' "$id_sha\""""
"""The file stays open to the end: no other one can get its inode meanwhile, by which it is known again."""

_SAME_FILE = '[ -n "$id_open" ] && [ /proc/self/fd/9 -ef "/proc/${pid:-none}/exe" ]'
"""Whether the process still executes the file that was hashed first. Nobody can write to one that is executed
(ETXTBSY, execve(2)), so that hashing it again, which slow boards feel for a second, would tell nothing new."""


def questions(framing: Framing, when: str) -> str:
    """sh text that asks for the identity of process $pid. `when` goes into the names; "after" comes second.

    Needs the functions of `proc_files`, HASH, MANAGER, SOFT_LIMITS_OF, and $pid, $pid_file, $supervisor_pid_file.
    """
    # Without a PID, /proc//stat would be the whole machine's: there is no process "none".
    first = when != "after"
    elf = f'hex_of "/proc/${{pid:-none}}/exe" {_ELF_BYTES}'
    again = (
        f'if {_SAME_FILE} && [ -n "$id_sha" ]; then printf "%s\\n" "$id_sha"; '
        'else hash_of "/proc/${pid:-none}/exe"; fi'
    )
    asked = {
        "stat": 'told "/proc/${pid:-none}/stat"',
        "exe": 'target_of "/proc/${pid:-none}/exe"',
        "sha": _FIRST_HASH if first else again,
        "elf": f'id_elf=$({elf}) && printf "%s\\n" "$id_elf"'
        if first
        else f'if {_SAME_FILE} && [ -n "$id_elf" ]; then printf "%s\\n" "$id_elf"; else {elf}; fi',
        # Both are asked for once a set: nothing is concluded from how they look at its end.
        "argv": _ARGV0 if first else 'printf "%s\\n" "$id_argv"',
        "environ": 'id_environ=$(soft_limits_of "${pid:-none}"); id_told=$?\n'
        'printf "%s\\n" "$id_environ"; (exit "$id_told")'
        if first
        else 'printf "%s\\n" "$id_environ"; (exit "$id_told")',
        "recorded": 'told "$pid_file"',
        "supervisor": 'told "$supervisor_pid_file"',
        "supervising": 's_pid=\n{ read -r s_pid s_rest <"$supervisor_pid_file"; } 2>/dev/null\n'
        "case $s_pid in '' | *[!0-9]*) false ;;\n"
        '*) told "/proc/$s_pid/stat" ;; esac',
        "manager": 'manager_of "${pid:-none}" "${pid_file%/run/*}"',
    }
    return "".join(framing.here(f"{when}_{name}", commands) for name, commands in asked.items())


def parse(answers: Answers, when: str) -> Identity:
    """The identity in the sections that `questions` asked for. Raises BadAnswer."""
    stat_text = answers.after_success(f"{when}_stat")
    stat = parse_stat(stat_text) if stat_text is not None else None
    exe, exe_fault = _answer(answers, f"{when}_exe", "/proc/PID/exe")
    sha256, sha256_fault = _answer(answers, f"{when}_sha", "the hash of /proc/PID/exe")
    if sha256_fault or not sha256:
        sha256_fault = "this login may not read /proc/PID/exe, or its file could not be hashed or read back"
    elif not _SHA256.fullmatch(sha256):
        raise BadAnswer("the board's SHA-256 is not 64 hex digits", detail=sha256[:80])
    environment_text, environment_fault = _answer(answers, f"{when}_environ", "/proc/PID/environ")
    supervisor = _recorded(answers, f"{when}_supervisor")
    supervising = answers.after_success(f"{when}_supervising")
    supervising_stat = parse_stat(supervising) if supervising else None
    return Identity(
        process=Process(stat.pid, stat.start_ticks) if stat else None,
        state=stat.state if stat else "",
        parent=stat.parent if stat else 0,
        comm=stat.comm if stat else "",
        exe=exe,
        exe_fault=exe_fault,
        sha256=sha256,
        sha256_fault=sha256_fault,
        elf=_hex(answers.after_success(f"{when}_elf") or ""),
        argv0=(answers.text(f"{when}_argv").split() or [""])[0][:64],
        environment=_environment(environment_text),
        environment_fault=environment_fault,
        recorded=_recorded(answers, f"{when}_recorded"),
        supervisor=supervisor,
        supervisor_runs=bool(
            supervisor
            and supervising_stat
            and (supervising_stat.pid, supervising_stat.start_ticks) == (supervisor.pid, supervisor.start_ticks)
            and supervising_stat.state not in "ZX"
        ),
        manager=(answers.after_success(f"{when}_manager") or "").strip(),
    )


def _answer(answers: Answers, name: str, what: str) -> tuple[str, str]:
    section = answers.section(name)
    if section.exit_status == 0:
        return section.stripped, ""
    return "", f"the board has no {what}" if section.exit_status == ABSENT else f"this login may not read {what}"


def _recorded(answers: Answers, name: str) -> Process | None:
    text = answers.after_success(name)
    if not text:
        return None
    words = text.split()
    if len(words) != 2:
        raise BadAnswer("a pid file does not hold a PID and start ticks", detail=text[:80])
    return Process(number(words[0], "pid file"), number(words[1], "pid file"))


def _environment(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (line.partition("=") for line in text.split("\n") if "=" in line)
    return tuple((name, value.replace("\x01", "\n")) for name, _, value in pairs if name in SOFT_LIMITS)


def _hex(text: str) -> bytes:
    digits = "".join(text.split()).lower()
    if not _HEX.fullmatch(digits):
        raise BadAnswer("the board's hex dump is not one", detail=text[:80])
    return bytes.fromhex(digits)
