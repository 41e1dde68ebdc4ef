"""Knows how a bench is taken: membench on the board, which stops where it reads each of its five phases, and is looked
at there as any process is; once more when it runs on.

The gateway's message path runs in it without a network and without TLS: what it says of a gateway is its path's share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.board_shell.bench import PHASES, Told, ToldPhase, go_on_script, parse_told, told_script
from deploy.board_shell.framing import Framing
from deploy.board_shell.observation import Observation
from deploy.board_shell.samples import Pace
from deploy.errors import NotMeasured
from deploy.memory.evidence import one_line
from deploy.memory.idle import reading_of
from deploy.memory.kernel_proof import lag_kib
from deploy.memory.live import GLANCE
from deploy.memory.sampling import observe
from deploy.memory.subject import Subject
from deploy.model.reading import Evidence, Phase, Reading, Sample
from deploy.steps.asking import must
from deploy.transport.protocol import Transport

MOVES_KIB = 64
"""What it may take between its own look at itself and its stop: the code that stops it, with what lies around (a fault
maps 64 KiB: fault_around_bytes in mm/memory.c)."""

_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Work:
    """What the bench is to do: so many messages of these kinds by turns, each phase within `deadline_s` seconds."""

    messages: int = 1000
    kinds: tuple[str, ...] = ("short",)
    deadline_s: float = 120.0

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of the program's command line."""
        return ("--hold", "--burst", str(self.messages), "--kinds", ",".join(self.kinds))


def bench_reading(
    transport: Transport,
    subject: Subject,
    work: Work,
    *,
    circumstances: dict[str, str],
    progress: Callable[[int, int], None],
    note: Callable[[str], None],
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Reading:
    """Go through the phases of the program that `subject` names, which runs and stands still at the first.

    What is missing is in the evidence. Raises NotMeasured where it tells no phase in time, BadAnswer, and what the
    transport raises.
    """
    seen: list[Observation] = []
    told = _wait(transport, subject, _stopped_after(0), work.deadline_s, sleep)
    for number, name in enumerate(PHASES):
        if not _stopped_after(number)(told):
            break
        note(f"phase {name}: it stands still, and the kernel is asked")
        seen.append(observe(transport, subject, GLANCE))
        progress(number + 1, len(PHASES))
        if not _go_on(transport, subject):
            break
        then = _stopped_after(number + 1) if number + 1 < len(PHASES) else _runs_after(len(PHASES))
        told = _wait(transport, subject, then, work.deadline_s, sleep)
    if not seen:
        raise NotMeasured(f"the bench does not come to its first phase{_last_words(told)}")
    phases_seen = list(seen)
    if _runs_after(len(PHASES))(told):
        note("it runs on: sampling until VmRSS is steady")
        seen.append(observe(transport, subject, Pace()))
        if _go_on(transport, subject):
            told = _wait(transport, subject, lambda has: bool(has.verdict), work.deadline_s, sleep)
    phases = _phases(told.phases, phases_seen)
    return reading_of(
        "bench",
        seen,
        subject,
        Pace(),
        circumstances=circumstances | {"messages": f"{work.messages} simulated, {' '.join(work.kinds)}; no network"},
        now_s=clock(),
        stops=len(phases_seen),
        more_evidence=(did_the_work(told, work), phases_told(told), phases_agree(phases, seen[-1])),
        phases=phases,
    )


def _stopped_after(number: int) -> Callable[[Told], bool]:
    """Whether it stands still where it reads the phase after the first `number` ones."""
    return lambda has: len(has.phases) == number and has.state == "T"


def _runs_after(number: int) -> Callable[[Told], bool]:
    return lambda has: len(has.phases) == number and has.state not in ("T", "")


def _go_on(transport: Transport, subject: Subject) -> bool:
    return subject.process is not None and transport.run(go_on_script(subject.process)).exit_status == 0


def did_the_work(told: Told, work: Work) -> Evidence:
    """Whether it says of itself that every message was consumed and answered; nothing else saw them."""

    def is_it(ok: bool, detail: str) -> Evidence:
        return Evidence("did_the_work", "it did the work, by its own count", ok, one_line(detail))

    if not told.verdict:
        return is_it(False, f"the bench did not come to its end{_last_words(told)}")
    counts = {name: told.counts.get(name) for name in ("updates", "produced", "consumed", "answered", "wrong")}
    if None in counts.values():
        return is_it(False, f"the bench told no counts: {told.reason}")
    said = f"{counts['produced']} messages produced, {counts['consumed']} consumed, {counts['answered']} answered"
    if told.verdict != "PASS" or counts["wrong"]:
        return is_it(False, f"{said}; it says itself: {told.reason}")
    if counts["updates"] != work.messages:
        return is_it(False, f"{said}: it was given {counts['updates']} updates, {work.messages} were asked for")
    if not counts["produced"] == counts["consumed"] == counts["answered"] or not counts["answered"]:
        return is_it(False, f"{said}: the counts do not agree")
    return is_it(True, f"{said}; no network and no TLS in it")


def phases_told(told: Told) -> Evidence:
    """Whether all five came, once each and in order, each with its figure."""

    def is_it(ok: bool, detail: str) -> Evidence:
        return Evidence("phases_told", "it went through its five phases", ok, one_line(detail))

    names = [phase.name for phase in told.phases]
    if tuple(names) != PHASES:
        return is_it(False, f"its phases were {', '.join(names) or 'none'}, and not {', '.join(PHASES)}")
    unread = [phase.name for phase in told.phases if phase.rss_kib is None]
    if unread:
        return is_it(False, f"it could not read its own resident set in {', '.join(unread)}")
    return is_it(True, ", ".join(names))


def phases_agree(phases: Sequence[Phase], last: Observation) -> Evidence:
    """Whether its own figures are the kernel's, as the board's shell read them from outside."""

    def is_it(ok: bool, detail: str) -> Evidence:
        return Evidence("phases_agree", "its figures are the kernel's own", ok, detail)

    gaps = [phase.gap_kib for phase in phases]
    known = [abs(gap) for gap in gaps if gap is not None]
    if len(known) < len(PHASES):
        return is_it(False, f"{len(known)} of the {len(PHASES)} phases could be held against the kernel")
    threads = max((look.threads for look in last.looks if isinstance(look, Sample)), default=1)
    bound = lag_kib(last.kernel, threads)
    if bound is None:
        return is_it(False, "the kernel's release can't be read, so nobody knows how far its counters lag")
    apart = [phase.name for phase in phases if abs(phase.gap_kib or 0) > bound + MOVES_KIB]
    if apart:
        return is_it(False, f"what it tells of itself and what the kernel says differ in {', '.join(apart)}")
    return is_it(True, f"in each of the {len(phases)} phases, read from /proc/PID by the board's shell")


def _phases(told: Sequence[ToldPhase], seen: Sequence[Observation]) -> tuple[Phase, ...]:
    """Each with the highest look of its observation; one that was not looked at is not among them."""
    phases = []
    for each, observation in zip(told, seen, strict=False):
        looks = [look for look in observation.looks if isinstance(look, Sample)]
        look = max(looks, key=lambda sample: sample.vm_rss_kib, default=None)
        phases.append(
            Phase(
                each.name,
                each.rss_kib,
                each.heap_alloc_bytes,
                each.heap_sys_bytes,
                each.collections,
                look.vm_rss_kib if look else None,
                look.vm_hwm_kib if look else None,
                look.rollup_rss_kib if look else None,
            )
        )
    return tuple(phases)


def _wait(
    transport: Transport,
    subject: Subject,
    ready: Callable[[Told], bool],
    deadline_s: float,
    sleep: Callable[[float], None],
) -> Told:
    """What it has told once it is `ready`, or has ended, or after the time is over."""
    until = time.monotonic() + deadline_s
    while True:
        framing = Framing.new()
        told = parse_told(framing, must(transport, told_script(framing, subject.layout)).stdout)
        if ready(told) or not told.state or told.verdict or time.monotonic() >= until:
            return told
        sleep(_PAUSE_S)


def _last_words(told: Told) -> str:
    return f": {one_line(told.others[-1])}" if told.others else ""
