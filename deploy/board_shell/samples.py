"""Knows the one script that takes a whole sample set of one process in one round trip, and how to read its answer.

Who runs it and what the set proves is `deploy/memory`'s; who stands behind the PID and what kernel it is, `identity.py`
and `kernel.py` ask within the same script.
"""

from __future__ import annotations

from dataclasses import dataclass

from deploy.board_shell import cost, identity, kernel
from deploy.board_shell.finding import EXECUTABLES, INSTANCES, Finding, finding_text
from deploy.board_shell.framing import Answers, Framing
from deploy.board_shell.framing import parse as parse_frames
from deploy.board_shell.identity import Identity
from deploy.board_shell.kernel import Kernel
from deploy.board_shell.proc_files import (
    ABSENT,
    FUNCTIONS,
    UNREADABLE,
    kib,
    number,
    parse_stat,
    parse_status,
    sum_smaps,
    uptime_s,
)
from deploy.board_shell.quoting import quote_path
from deploy.board_shell.shell_functions import HASH, MANAGER, MEMORY_CGROUP, SOFT_LIMITS_OF
from deploy.errors import BadAnswer
from deploy.model.layout import Layout
from deploy.model.reading import Process, Sample
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


@dataclass(frozen=True, slots=True)
class Missed:
    """A look that found no memory figures; `why` is a clause such as "it was gone"."""

    at_s: float
    process: Process | None
    state: str
    why: str


@dataclass(frozen=True, slots=True)
class Observation:
    """One sample set with what was asked before and after it: facts only, in the order in which they were seen."""

    pid: int | None
    """None where no PID was given and no pid file names one."""
    before: Identity
    after: Identity
    looks: tuple[Sample | Missed, ...]
    kernel: Kernel
    page_walk: str
    """Where the page tables were read: "smaps_rollup", "smaps" (its entries added up), "absent" or "unreadable"."""
    found: tuple[int, ...]
    """The PIDs of all that were found, where one was looked for."""
    instances: tuple[int, ...]
    """The PIDs of other processes that execute the same file."""
    clock_jump_s: float
    """How much further than the uptime the board's clock went from the first question to the last."""
    ceiling: str
    """The memory ceiling of the process's own cgroup as the kernel gives it ("max", bytes), "" without one."""
    cost: cost.Cost | None = None
    """What looking has taken of the board; None where it is not told."""


_MOST_FOUND = 1000

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
        f'[ "$i" -ge {pace.steady} ] || until_s=$last_s\n',
        'read -r now rest </proc/uptime\n[ "${now%%.*}" -lt "$until_s" ] || break\n',
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


def parse_observation(framing: Framing, stdout: bytes) -> Observation:
    """The sample set that `sampling_script` brought back. Raises BadAnswer; a process that is gone is a value."""
    answers = parse_frames(framing, stdout)
    pid = answers.text("pid")
    found = next((section.stripped for section in answers if section.name == "found"), "")
    ceiling = answers.after_success("ceiling")
    looks, walks = _looks(answers)
    return Observation(
        pid=number(pid, "PID") if pid else None,
        before=identity.parse(answers, "before"),
        after=identity.parse(answers, "after"),
        looks=looks,
        kernel=kernel.parse(answers),
        page_walk=next((walk for walk in ("unreadable", "absent", "smaps", "smaps_rollup") if walk in walks), "absent"),
        found=_pids(found),
        instances=_pids(answers.text("instances")),
        clock_jump_s=kernel.clock_jump_s(answers),
        ceiling=ceiling.partition(" ")[2] if ceiling else "",
        cost=cost.parse(answers.after_success("cost")) if "cost" in answers else None,
    )


def _pids(text: str) -> tuple[int, ...]:
    return tuple(number(word, "PID") for word in text.split()[:_MOST_FOUND])


def _looks(answers: Answers) -> tuple[tuple[Sample | Missed, ...], set[str]]:
    """The loop's sections, six a round, in the order in which they were asked."""
    order = ("at", "stat", "status", "pages", "group", "available")
    sections = [section for section in answers if section.name in order]
    looks: list[Sample | Missed] = []
    walks: set[str] = set()
    for start in range(0, len(sections), len(order)):
        turn = sections[start : start + len(order)]
        if tuple(section.name for section in turn) != order:
            raise BadAnswer("the board's answers to a sample are not in order")
        text = {section.name: section.stripped if section.exit_status == 0 else None for section in turn}
        at_s = uptime_s(text["at"] or "")
        look = _look(at_s, text)
        looks.append(look)
        if isinstance(look, Sample):
            source = (text["pages"] or "").partition("\n")[0].removeprefix("from: ")
            unread = "absent" if turn[3].exit_status == ABSENT else "unreadable"
            walks.add(source if source in ("smaps_rollup", "smaps") and look.rollup_rss_kib is not None else unread)
    return tuple(looks), walks


def _look(at_s: float, text: dict[str, str | None]) -> Sample | Missed:
    if text["stat"] is None or text["status"] is None:
        return Missed(at_s, None, "", "it was gone")
    stat, status = parse_stat(text["stat"]), parse_status(text["status"])
    process = Process(stat.pid, stat.start_ticks)
    rss, hwm = kib(status, "VmRSS"), kib(status, "VmHWM")
    if rss is None:
        why = (
            "it had ended and nobody had waited for it (a zombie)"
            if stat.state in "ZX"
            else "it had no memory of its own"
        )
        return Missed(at_s, process, stat.state, why)
    if hwm is None:
        return Missed(at_s, process, stat.state, "this kernel gives no VmHWM")
    pages = sum_smaps(text["pages"] or "")
    group = dict(line.split(" ", 1) for line in (text["group"] or "").split("\n") if " " in line)
    private = [size for key, size in pages.items() if key.startswith("Private_")]
    return Sample(
        at_s=at_s,
        process=process,
        state=stat.state,
        vm_rss_kib=rss,
        vm_hwm_kib=hwm,
        rss_anon_kib=kib(status, "RssAnon"),
        rss_file_kib=kib(status, "RssFile"),
        rss_shmem_kib=kib(status, "RssShmem"),
        vm_swap_kib=kib(status, "VmSwap"),
        threads=stat.threads,
        cpu_ticks=stat.cpu_ticks,
        rollup_rss_kib=pages.get("Rss"),
        pss_kib=pages.get("Pss"),
        pss_anon_kib=pages.get("Pss_Anon"),
        private_kib=sum(private) if private else None,
        lazy_free_kib=pages.get("LazyFree"),
        huge_kib=pages.get("AnonHugePages"),
        hugetlb_kib=kib(status, "HugetlbPages"),
        cgroup_current_kib=_bytes_as_kib(group, "current"),
        cgroup_peak_kib=_bytes_as_kib(group, "peak"),
        mem_available_kib=kib(parse_status(text["available"] or ""), "MemAvailable"),
        pid_namespaces=len(status["NSpid"].split()) if "NSpid" in status else None,
    )


def _bytes_as_kib(group: dict[str, str], key: str) -> int | None:
    return number(group[key].strip(), f"cgroup {key}") // 1024 if key in group else None
