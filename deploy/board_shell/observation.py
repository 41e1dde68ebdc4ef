"""Knows what the answer to `samples.py`'s script holds, and how it is read: facts only, in the order they were seen.

What a set proves is `deploy/memory`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from deploy.board_shell import cost, identity, kernel
from deploy.board_shell.framing import Answers, Framing
from deploy.board_shell.framing import parse as parse_frames
from deploy.board_shell.identity import Identity
from deploy.board_shell.kernel import Kernel
from deploy.board_shell.proc_files import ABSENT, kib, number, parse_stat, parse_status, sum_smaps, uptime_s
from deploy.errors import BadAnswer
from deploy.model.reading import Process, Sample

_MOST_FOUND = 1000


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
