"""Knows how a host is asked about the gateway that runs on it, and how the answer is read."""

from __future__ import annotations

from deploy.board_shell.proc_files import is_number, number
from deploy.board_shell.shell_functions import HASH, MANAGER, MEMORY_CGROUP, RUNNING, SOFT_LIMITS_OF
from deploy.model.facts import Running
from deploy.model.limits import SOFT_LIMITS
from deploy.model.reading import Process

_NO_LIMIT = 1 << 60

RUNNING_NEEDS = HASH + RUNNING + MANAGER + MEMORY_CGROUP + SOFT_LIMITS_OF
"""The sh functions that RUNNING_QUESTION calls."""

RUNNING_QUESTION = """\
running() {
    [ -n "$pid" ] || return 0
    take_ticks "$pid"
    printf 'pid %s\\nticks %s\\n' "$pid" "$ticks"
    if [ -n "$current_hash" ] && [ "/proc/$pid/exe" -ef "$prefix/current/$name" ]; then
        h=$current_hash f=$current_at/$name
    else h=$(hash_of "/proc/$pid/exe") f=$(readlink "/proc/$pid/exe"); fi
    printf 'exe %s\\nsha256 %s\\n' "$f" "$h"
    { take_running "$prefix/run/supervisor.pid" || manager_of "$pid" "$prefix" >/dev/null; } && echo supervised
    if g=$(memory_cgroup "$pid"); then
        h=
        { read -r h <"$g/memory.max" || read -r h <"$g/memory.limit_in_bytes"; } 2>/dev/null
        printf 'hard %s\\n' "$h"
    fi
    u= n=
    { while read -r key real rest; do
        case $key in Uid:) u=$real; break ;; esac
    done <"/proc/$pid/status"; } 2>/dev/null
    { while IFS=: read -r who x id rest; do
        [ "$id" != "$u" ] || { n=$who; break; }
    done </etc/passwd; } 2>/dev/null
    printf 'user %s\\n' "${n:-$u}"
    soft_limits_of "$pid"
}
running"""
"""About the process in $pid; needs RUNNING_NEEDS and the variables $prefix, $name and $current_hash.

Where the very file that it executes was hashed already ($current_hash), once is enough: slow boards feel it. That lies
in $current_at then.
"""


def _hard(text: str) -> int | None:
    """The kernel writes "max", or a number near 2**63, for no limit (cgroups(7); memory.rst of version 1)."""
    if not is_number(text) or int(text) > _NO_LIMIT:
        return None
    return int(text)


def parse_running(text: str) -> Running | None:
    """The answer to RUNNING_QUESTION; None where no gateway runs. Raises BadAnswer."""
    if not text.strip():
        return None
    found: dict[str, str] = {}
    limits: dict[str, str] = {}
    for line in text.split("\n"):
        key, _, value = line.partition(" ")
        name, equals, setting = line.partition("=")
        if equals and name in SOFT_LIMITS:
            limits[name] = setting
        else:
            found[key] = value
    if not found.get("ticks"):
        return None  # it ended between two lines of the script
    return Running(
        process=Process(number(found.get("pid", ""), "gateway's PID"), number(found["ticks"], "gateway's start")),
        exe_path=found.get("exe", ""),
        exe_sha256=found.get("sha256", ""),
        limits=limits,
        supervised="supervised" in found,
        hard_bytes=_hard(found.get("hard", "")),
        user=found.get("user", ""),
    )
