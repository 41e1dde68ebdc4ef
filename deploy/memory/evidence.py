"""Knows what each proof of a reading takes, and holds what was seen against what is claimed. Pure: it asks no board.

The samples come from sampling.py, the counts of a live check from live.py; the verdict is budget.py's. No detail of a
required proof quotes a memory figure, so that a reason can quote the detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deploy.board_shell.finding import Finding
from deploy.board_shell.identity import Identity
from deploy.board_shell.observation import Observation
from deploy.memory.circumstances import MOST_NAMED, circumstances
from deploy.memory.kernel_proof import imitation, lag_kib, rounding_step_kib
from deploy.memory.settling import Settled
from deploy.memory.subject import Subject
from deploy.memory.wrappers import is_wrapper
from deploy.model.display import clean
from deploy.model.limits import SOFT_LIMITS
from deploy.model.reading import Evidence, Sample
from deploy.model.units import parse_size

_STATES = {"Z": "a zombie", "X": "dead", "T": "stopped by a signal", "t": "stopped by a tracer"}

_DELETED = " (deleted)"

_NOBODY = "there is no such process"

_MOST_CHARACTERS = 400

_AGREEMENT_SLACK_KIB = 256
"""VmRSS and the page tables are read one after the other; what a living process may move meanwhile."""


def gather(
    observations: Sequence[Observation], steady: Settled, subject: Subject, *, stops: int = 0
) -> tuple[Evidence, ...]:
    """Every proof but "did_the_work", in the order in which a missing one is named. `observations` has at least one.

    In the first `stops` of them the process has stopped by itself, to be looked at.
    """
    first, last = observations[0], observations[-1]
    identities = [identity for seen in observations for identity in (seen.before, seen.after)]
    exe_name = first.before.exe.removesuffix(_DELETED).rpartition("/")[2]
    wrapper = _wrapper(first.before, exe_name)
    proofs = (
        _right_process(first, subject, wrapper),
        _same_process(observations, identities, subject),
        _executable(identities, subject),
        Evidence(
            "not_a_wrapper",
            "no shell, time, strace or emulator in front of it",
            not wrapper and bool(exe_name),
            wrapper or _what_it_is(first.before, exe_name),
        ),
        _alive(observations[stops:]),
        _started_by_us(identities, first, subject),
        _real_kernel(observations, last),
        _limits(first.before, subject),
        Evidence("settled", "VmRSS is steady", steady.ok, steady.detail),
        _agreement(last, steady.samples),
        _swap(last, steady.samples),
        *circumstances(last, steady.samples, subject.limits.hard_bytes if subject.limits else None),
    )
    return tuple(replace(proof, detail=one_line(proof.detail)) for proof in proofs)


def one_line(text: str) -> str:
    """`text`, part of which a board may have chosen, as one line that can be shown."""
    return clean(text, _MOST_CHARACTERS).replace("\n", "\\n").replace("\t", " ")


def _right_process(first: Observation, subject: Subject, wrapper: str) -> Evidence:
    def is_it(ok: bool, detail: str) -> Evidence:
        return Evidence("right_process", "the right process", ok, detail)

    seen, recorded = first.before, first.before.recorded
    if first.pid is None and subject.finding is not None:
        return is_it(False, _not_found(first, subject.finding))
    if first.pid is None:
        return is_it(False, f"no gateway runs: nothing is recorded in {subject.layout.pid_file}")
    if seen.process is None:
        what = "the gateway" if subject.ours else "it"
        return is_it(False, f"{what} does not run: there is no process {first.pid}")
    if wrapper:
        return is_it(False, f"wrong process: {wrapper}")
    if subject.finding is not None and seen.exe and not subject.finding.fits(seen.exe, seen.comm):
        return is_it(False, f"wrong process: PID {first.pid} is {seen.exe}, which is not what {subject.finding} means")
    if subject.sha256 and seen.sha256 and seen.sha256 != subject.sha256:
        return is_it(False, f"wrong process: PID {first.pid} runs {seen.exe or seen.comm}, which is not the artifact")
    if subject.ours and recorded and recorded != seen.process:
        if recorded.pid == seen.process.pid:
            return is_it(False, f"wrong process: PID {recorded.pid} was the gateway's and is now another process's")
        return is_it(False, f"wrong process: PID {first.pid} was given, the gateway is PID {recorded.pid}")
    if subject.process and subject.process != seen.process:
        return is_it(False, f"wrong process: PID {first.pid} is not the process that was started")
    how = "as it was given" if subject.pid is not None else "as its pid file says"
    if subject.finding is not None:
        how = f"the only one that {subject.finding} finds"
    return is_it(True, f"PID {first.pid}, {how}")


def _not_found(first: Observation, finding: Finding) -> str:
    if not first.found:
        return f"{finding} finds no process that this login may see, beside the login itself"
    some = ", ".join(map(str, first.found[:MOST_NAMED])) + (" …" if len(first.found) > MOST_NAMED else "")
    return f"{len(first.found)} processes are found by {finding} (PIDs {some}); name one with --pid"


def _same_process(observations: Sequence[Observation], identities: Sequence[Identity], subject: Subject) -> Evidence:
    title = "the same process in every sample"
    looks = [look for seen in observations for look in seen.looks]
    processes = [identity.process for identity in identities] + [look.process for look in looks]
    gone = sum(process is None for process in processes)
    known = {process for process in processes if process is not None}
    if len(known) > 1:
        return Evidence("same_process", title, False, "the process was replaced by another one while it was measured")
    if gone or not known:
        return Evidence("same_process", title, False, "the process was gone before the last sample")
    if subject.ours and len({identity.recorded for identity in identities}) > 1:
        return Evidence("same_process", title, False, "the gateway was started again while it was measured")
    process = known.pop()
    detail = f"PID {process.pid}, started at tick {process.start_ticks}, in all {len(looks)} looks"
    return Evidence("same_process", title, bool(looks), detail if looks else "no sample was had")


def _executable(identities: Sequence[Identity], subject: Subject) -> Evidence:
    def is_it(ok: bool, detail: str) -> Evidence:
        return Evidence("executable", "it executes the artifact", ok, detail)

    for seen in identities:
        if seen.process is None:
            return is_it(False, _NOBODY)
        if seen.exe_fault or not seen.exe:
            return is_it(False, seen.exe_fault or "the executable is not known")
        if seen.exe.endswith(_DELETED):
            return is_it(False, "the file that it executes has been deleted or replaced")
        if seen.sha256_fault:
            return is_it(False, seen.sha256_fault)
    hashes = {seen.sha256 for seen in identities}
    if len(hashes) > 1:
        return is_it(False, "its executable changed while it was measured")
    sha256 = hashes.pop()
    if subject.sha256 is None:
        detail = f"sha256 {sha256}, recorded; no artifact was given to hold it against"
        return replace(is_it(True, detail), asked=False)
    if sha256 != subject.sha256:
        return is_it(False, f"it executes {identities[0].exe} with sha256 {sha256}, the artifact's is {subject.sha256}")
    return is_it(True, f"{identities[0].exe}, sha256 {sha256}")


def _wrapper(seen: Identity, exe_name: str) -> str:
    """Why the process is one that only runs another, as a clause; "" where it is not."""
    name = exe_name or seen.comm
    if is_wrapper(name):
        return f"PID {seen.process.pid if seen.process else '?'} is {seen.exe or name}, which runs other programs"
    return ""


def _what_it_is(seen: Identity, exe_name: str) -> str:
    if seen.process is None:
        return _NOBODY
    return f"it is {exe_name}" if exe_name else seen.exe_fault or "its executable is not known"


def _alive(observations: Sequence[Observation]) -> Evidence:
    if not observations:
        return Evidence("alive", "it is alive", False, "it ended before it ran on from where it had stopped")
    identities = [identity for seen in observations for identity in (seen.before, seen.after)]
    states = {look.state for seen in observations for look in seen.looks} | {seen.state for seen in identities}
    for letter, what in _STATES.items():
        if letter in states:
            return Evidence("alive", "it is alive", False, f"the process is {what}")
    states.discard("")
    detail = f"state {' '.join(sorted(states))}" if states else _NOBODY
    return Evidence("alive", "it is alive", bool(states), detail)


def _started_by_us(identities: Sequence[Identity], first: Observation, subject: Subject) -> Evidence:
    def is_it(ok: bool, detail: str) -> Evidence:
        return Evidence("started_by_us", "it was started by us", ok, detail, required=subject.ours, asked=subject.ours)

    for seen in identities:
        if seen.recorded is None:
            return is_it(False, f"no pid file names it: {subject.layout.pid_file}")
        if seen.recorded != seen.process:
            return is_it(False, f"the pid file names PID {seen.recorded.pid}, another process")
        if seen.manager:
            continue
        if seen.supervisor is None or not seen.supervisor_runs:
            return is_it(False, "its supervisor does not run")
        if seen.parent != seen.supervisor.pid:
            return is_it(False, f"its parent is PID {seen.parent}, not its supervisor")
    if first.before.manager:
        return is_it(True, f"the pid file and {first.before.manager}, which keeps it, agree")
    return is_it(True, f"the pid file and the supervisor, PID {first.before.parent}, agree")


def _real_kernel(observations: Sequence[Observation], last: Observation) -> Evidence:
    def is_it(ok: bool, detail: str) -> Evidence:
        return Evidence("real_kernel", "a real Linux kernel that counts pages", ok, detail)

    if fault := imitation(last.kernel, last.before.exe, last.before.elf):
        return is_it(False, fault)
    looks = [look for seen in observations for look in seen.looks]
    if any(not isinstance(look, Sample) and "VmHWM" in look.why for look in looks):
        return is_it(False, "this kernel gives no VmHWM, as every Linux does")
    figures = [
        figure or 0
        for look in looks
        if isinstance(look, Sample)
        for figure in (look.vm_rss_kib, look.vm_hwm_kib, look.rss_anon_kib, look.rss_file_kib)
    ]
    if figures and rounding_step_kib(last.kernel, figures):
        return is_it(
            False, "this kernel's memory figures move in large steps only: it rounds instead of counting pages"
        )
    return is_it(True, f"Linux {last.kernel.release} on {last.kernel.machine}")


def _limits(seen: Identity, subject: Subject) -> Evidence:
    title = "the soft limits reached the process"
    found = ", ".join(f"{name}={seen.soft_limit(name)}" for name in SOFT_LIMITS if seen.soft_limit(name) is not None)
    if subject.limits is None:
        return Evidence("limits", title, True, found or "none is set; none was asked for", required=False, asked=False)
    if seen.process is None:
        return Evidence("limits", title, False, _NOBODY)
    if seen.environment_fault:
        return Evidence("limits", title, False, seen.environment_fault)
    for name, wanted in subject.limits.environment().items():
        given = [value for key, value in seen.environment if key == name]
        if not given:
            return Evidence("limits", title, False, f"{name} is not set in its environment")
        if any(not _same_limit(name, value, wanted) for value in given):
            return Evidence("limits", title, False, f"{name} is {' and '.join(given)!r} instead of {wanted!r}")
    return Evidence("limits", title, True, f"{found}, from /proc/PID/environ")


def _same_limit(name: str, value: str, wanted: str) -> bool:
    """Equal as text or, for GOMEMLIMIT, as a size: 5MiB is 5242880. For GOGC=20B the runtime would take its default."""
    try:
        return value == wanted or (name == "GOMEMLIMIT" and parse_size(value) == parse_size(wanted))
    except ValueError:
        return False


def _agreement(last: Observation, steady: Sequence[Sample]) -> Evidence:
    def is_it(ok: bool, detail: str) -> Evidence:
        return Evidence("figures_agree", "VmRSS is held against the page tables", ok, detail)

    if not steady:
        return is_it(False, "no sample was had")
    bound = lag_kib(last.kernel, max(sample.threads for sample in steady))
    if bound is None:
        return is_it(False, "the kernel's release can't be read, so nobody knows how far its counters lag")
    gaps = [abs(look.vm_rss_kib - look.rollup_rss_kib) for look in steady if look.rollup_rss_kib is not None]
    if len(gaps) < len(steady) or not gaps:
        why = {"absent": "this kernel shows no page tables", "unreadable": "this login may not read the page tables"}
        detail = f"{why.get(last.page_walk, 'a look at the page tables failed')}; the error bar is this kernel's bound"
        return is_it(last.page_walk != "unreadable" and not gaps, detail)
    if max(gaps) > bound + _AGREEMENT_SLACK_KIB:
        return is_it(False, "VmRSS and the page tables differ by more than this kernel's counters can lag")
    return is_it(True, f"{last.page_walk} in each of the {len(steady)} steady samples")


def _swap(last: Observation, steady: Sequence[Sample]) -> Evidence:
    title = "what is swapped out is known"
    if not steady:
        return Evidence("swap_known", title, False, "no sample was had")
    if all(sample.vm_swap_kib is not None for sample in steady):
        return Evidence("swap_known", title, True, f"VmSwap in every sample; swap on {_swap_devices(last)}")
    none = last.kernel.swap_total_kib == 0
    return Evidence("swap_known", title, none, "the board has no swap" if none else "this kernel gives no VmSwap")


def _swap_devices(last: Observation) -> str:
    return " ".join(last.kernel.swaps) or "nothing"
