"""Knows the one script that takes a whole sample set of one process in one round trip; `observation.py` reads it.

Who runs it and what the set proves is `deploy/memory`'s; who stands behind the PID and what kernel it is, `identity.py`
and `kernel.py` ask within the same script.
"""

from __future__ import annotations

from dataclasses import dataclass

from deploy.board_shell import cost, identity, kernel
from deploy.board_shell.finding import EXECUTABLES, INSTANCES, Finding, finding_text
from deploy.board_shell.framing import Framing
from deploy.board_shell.proc_files import ABSENT, FUNCTIONS, UNREADABLE
from deploy.board_shell.quoting import quote_path
from deploy.board_shell.shell_functions import HASH, MANAGER, MEMORY_CGROUP, SOFT_LIMITS_OF
from deploy.model.layout import Layout
from deploy.model.reading import Process
from deploy.transport.protocol import Script


@dataclass(frozen=True, slots=True)
class Pace:
    """How a set is taken: until `steady` samples in a row stay within `tolerance_kib` of the first of them, or until
    `settle_s` seconds or `most` samples are over.

    A board that is too slow for `steady` samples in `settle_s` gets up to `_PATIENCE` times as long for them.
    """

    steady: int = 10
    interval_s: float = 0.3
    tolerance_kib: int = 64
    settle_s: int = 20
    most: int = 60


_PATIENCE = 3
"""On one slow, busy core a look can take seconds; fewer looks than a verdict needs would be no verdict at all."""

_LOOP = """\
case $pid in '' | *[!0-9]*) pid= ;; esac
cgroup=$(memory_cgroup "${pid:-none}")
pages() {
    if [ -e "/proc/$pid/smaps_rollup" ]; then
        echo 'from: smaps_rollup'
        wanted=
        { while read -r key value rest; do
            case $key in
            Rss: | Pss: | Pss_Anon: | Private_* | LazyFree:) ;;
            AnonHugePages:) wanted="$wanted$key $value kB"; break ;;
            *) continue ;;
            esac
            wanted="$wanted$key $value kB
"
        done <"/proc/$pid/smaps_rollup"; } 2>/dev/null
        [ -n "$wanted" ] || return UNREADABLE
        printf '%s\\n' "$wanted"
    elif [ -e "/proc/$pid/smaps" ]; then
        echo 'from: smaps'
        wanted='/^Rss:/p;/^Pss:/p;/^Pss_Anon:/p;/^Private_/p;/^LazyFree:/p;/^AnonHugePages:/p'
        { sed -n "$wanted" "/proc/$pid/smaps" || return UNREADABLE; } 2>/dev/null
    else return ABSENT; fi
}
figures() {
    rss= seen= status=
    [ -e "/proc/$pid/status" ] || return ABSENT
    { while read -r key value rest; do
        seen=1
        case $key in
        VmRSS:) rss=$value ;;
        VmHWM: | RssAnon: | RssFile: | RssShmem: | VmSwap: | HugetlbPages: | NSpid:) ;;
        Threads:) break ;; # behind it stands nothing of these
        *) continue ;;
        esac
        status="$status$key $value $rest
"
    done <"/proc/$pid/status"; } 2>/dev/null
    [ -n "$seen" ] || return UNREADABLE
    printf '%s' "$status"
}
first_line() { [ -r "$1" ] && read -r line <"$1" && printf '%s %s\\n' "$2" "$line"; }
group() {
    first_line "$cgroup/memory.current" current || first_line "$cgroup/memory.usage_in_bytes" current
    first_line "$cgroup/memory.peak" peak || first_line "$cgroup/memory.max_usage_in_bytes" peak
}
nap() { sleep INTERVAL 2>/dev/null || sleep 1; }
read -r now rest </proc/uptime
until_s=$((${now%%.*} + SETTLE)) last_s=$((${now%%.*} + PATIENCE * SETTLE))
i=0 same=0 anchor=
"""
"""A look starts no program but `sleep`: what the shell reads by itself, a byte at a time, is there sooner than `cat`,
and on a board with one slow core the looks would otherwise be most of what it does."""


def sampling_script(
    framing: Framing, layout: Layout, pid: int | None, pace: Pace, finding: Finding | None = None
) -> Script:
    """Who, then samples until steady, then who again, all in one round trip. It changes nothing on the board.

    `pid` None asks for the process that `finding` finds, or without one for what the pid file under `layout` names.
    """
    named = f"pid={pid}\n" if pid is not None else 'pid= rest=\n[ ! -r "$pid_file" ] || read -r pid rest <"$pid_file"\n'
    loop = (
        _LOOP.replace("UNREADABLE", str(UNREADABLE))
        .replace("ABSENT", str(ABSENT))
        .replace("INTERVAL", f"{pace.interval_s:g}")
        .replace("PATIENCE", str(_PATIENCE))
        .replace("SETTLE", str(pace.settle_s))
    )
    text = [
        FUNCTIONS,
        HASH,
        MANAGER,
        MEMORY_CGROUP,
        SOFT_LIMITS_OF,
        EXECUTABLES,
        f"pid_file={quote_path(layout.pid_file)}\n",
        f"supervisor_pid_file={quote_path(layout.supervisor_pid_file)}\n",
        finding_text(finding) if finding else named,
        loop,
        framing.here("pid", 'printf "%s\\n" "$pid"'),
        framing.here("found", 'printf "%s\\n" "$found"') if finding else "",
        framing.here("instances", INSTANCES),
        kernel.questions(framing),
        framing.here(
            "ceiling", 'first_line "$cgroup/memory.max" max || first_line "$cgroup/memory.limit_in_bytes" max'
        ),
        identity.questions(framing, "before"),
        f'while [ -n "$pid" ] && [ "$i" -lt {pace.most} ]; do\n',
        '[ "$i" -eq 0 ] || nap\ni=$((i + 1))\n',
        framing.here("at", 'read -r now rest </proc/uptime; printf "%s %s\\n" "$now" "$rest"'),
        framing.here("stat", 'told "/proc/$pid/stat"'),
        framing.here("status", "figures"),
        framing.here("pages", "pages"),
        framing.here("group", '[ -z "$cgroup" ] || group'),
        framing.here("available", "lines_of /proc/meminfo MemAvailable:"),
        # Of the very text that was sent, so that the board ends where the controller finds the same samples steady.
        "case $rss in '' | *[!0-9]*) break ;; esac\n",
        f'if [ -n "$anchor" ] && [ $((rss - anchor)) -le {pace.tolerance_kib} ] && '
        f"[ $((anchor - rss)) -le {pace.tolerance_kib} ]; then same=$((same + 1)); else anchor=$rss same=1; fi\n",
        f'[ "$same" -lt {pace.steady} ] || break\n',
        f'[ "$i" -lt {pace.steady} ] && end_s=$last_s || end_s=$until_s\n',
        'read -r now rest </proc/uptime\n[ "${now%%.*}" -lt "$end_s" ] || break\n',
        "done\n",
        identity.questions(framing, "after"),
        framing.here("clock_after", kernel.CLOCK),
        framing.here("cost", cost.OWN_QUESTION),
    ]
    return Script(
        title="sample the process's memory until it is steady, and ask who it is",
        text=framing.at_once("".join(text)),
        changes=False,
        deadline_s=_PATIENCE * pace.settle_s + 40.0,
    )


def reset_peak_script(process: Process) -> Script:
    """Set VmHWM back to what is resident now: 5 into clear_refs (proc(5); since Linux 4.0, owner or root only).

    Ends with status 3 where the process is another one by now, or this login may not.
    """
    return Script(
        title="set the peak back before the load",
        text=(
            f'set -- "$(cat /proc/{process.pid}/stat 2>/dev/null)"\n'
            "set -- ${1##*) }\n"
            f'[ "${{20}}" = {process.start_ticks} ] || exit {UNREADABLE}\n'
            f"{{ echo 5 >/proc/{process.pid}/clear_refs; }} 2>/dev/null || exit {UNREADABLE}\n"
        ),
    )
