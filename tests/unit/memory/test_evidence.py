"""Each proof by itself: one thing changed in a recorded answer, and that one proof is missing, named and decisive."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from readings import (
    PACE,
    failed,
    idle_of,
    names_no_figure,
    proven,
    recorded_answer,
    recorded_subject,
    sample,
)
from recorded import CASES, Answer

from deploy.board_shell.observation import Missed
from deploy.board_shell.samples import Pace
from deploy.memory.budget import REQUIRED, REQUIRED_LIVE, judge
from deploy.memory.kernel_proof import imitation, lag_kib, rounding_step_kib
from deploy.memory.settling import settled
from deploy.model.limits import Limits
from deploy.model.reading import Process, Reading
from deploy.model.verdict import Budget, Outcome

LARGE = Budget(rss_kib=1 << 30)


def in_all(answer: Answer, *sections: str, body: str, status: int = 0) -> Answer:
    for section in sections:
        answer = answer.replaced(section, body, status)
    return answer


def both(answer: Answer, name: str, body: str, status: int = 0) -> Answer:
    return in_all(answer, f"before_{name}", f"after_{name}", body=body, status=status)


def detail(reading: Reading, name: str) -> str:
    return next(proof.detail for proof in reading.evidence if proof.name == name)


def test_the_recorded_reading_has_every_proof_and_passes() -> None:
    reading = idle_of(recorded_answer())
    assert failed(reading) == set()
    assert {proof.name for proof in reading.evidence if proof.required} == set(REQUIRED)
    verdict = judge(reading, Budget())
    assert (verdict.outcome, verdict.reason) == (
        Outcome.PASS,
        "idle: VmRSS 1,544 KiB + error bar 0 KiB is within the budget of 5,120 KiB",
    )


@pytest.mark.parametrize("name", REQUIRED_LIVE)
def test_one_proof_that_fails_or_was_never_had_is_enough_for_not_measured(name: str) -> None:
    reading = proven(sample(1000, rollup_kib=1000), kind="live")
    assert judge(reading, LARGE).outcome is Outcome.PASS
    broken = tuple(
        replace(proof, ok=False, detail="seen otherwise") if proof.name == name else proof for proof in reading.evidence
    )
    verdict = judge(replace(reading, evidence=broken), LARGE)
    assert (verdict.outcome, verdict.reason) == (Outcome.NOT_MEASURED, "seen otherwise")
    gone = tuple(proof for proof in reading.evidence if proof.name != name)
    verdict = judge(replace(reading, evidence=gone), LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED
    assert name in verdict.reason
    assert names_no_figure(verdict)


def test_the_reason_names_the_first_missing_proof_and_counts_the_others() -> None:
    reading = proven(sample(1000, rollup_kib=1000))
    broken = tuple(replace(proof, ok=proof.name not in REQUIRED[2:5]) for proof in reading.evidence)
    assert judge(replace(reading, evidence=broken), LARGE).reason == "seen (and 2 more proofs are missing)"
    verdict = judge(replace(reading, evidence=()), LARGE)
    assert verdict.reason.endswith(f"(and {len(REQUIRED) - 1} more proofs are missing)")


def test_an_idle_reading_is_no_live_one() -> None:
    reading = replace(proven(sample(1000, rollup_kib=1000)), kind="live")
    verdict = judge(reading, LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED
    assert "did_the_work" in verdict.reason


GVISOR = "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016"
ALONE = {
    "same_process: other start ticks": (
        "same_process",
        lambda a: a.edited("stat", r"\b1081286\b", "1081299", nth=1),
        "replaced by another one",
    ),
    "same_process: another pid": (
        "same_process",
        lambda a: a.edited("stat", r"^8346 ", "8347 ", nth=2),
        "replaced by another one",
    ),
    "executable: deleted": (
        "executable",
        lambda a: both(a, "exe", "/tmp/picoclaw/releases/0123456789abcdef/picoclaw (deleted)"),
        "deleted or replaced",
    ),
    "executable: changed in the middle": (
        "executable",
        lambda a: a.replaced("after_sha", "0" * 64),
        "changed while it was measured",
    ),
    "executable: no tool for hashes": ("executable", lambda a: both(a, "sha", "", 1), "could not be hashed"),
    "alive: stopped": ("alive", lambda a: a.edited("stat", r"\) S ", ") T ", nth=0), "stopped by a signal"),
    "alive: traced": ("alive", lambda a: a.edited("before_stat", r"\) S ", ") t "), "stopped by a tracer"),
    "started_by_us: no supervisor": (
        "started_by_us",
        lambda a: both(a, "supervising", "", 2),
        "its supervisor does not run",
    ),
    "started_by_us: no pid file of a supervisor": (
        "started_by_us",
        lambda a: both(a, "supervisor", "", 2),
        "its supervisor does not run",
    ),
    "started_by_us: another parent": (
        "started_by_us",
        lambda a: a.edited("after_stat", r"\) S 8343 ", ") S 1 "),
        "not its supervisor",
    ),
    "started_by_us: no pid file": ("started_by_us", lambda a: both(a, "recorded", "", 2), "no pid file names it"),
    "real_kernel: gVisor": ("real_kernel", lambda a: a.replaced("version", GVISOR), "gVisor"),
    "real_kernel: WSL1": ("real_kernel", lambda a: a.edited("uname", r"^6\.18.*$", "4.4.0-19041-Microsoft"), "WSL1"),
    "real_kernel: FreeBSD": (
        "real_kernel",
        lambda a: a.replaced("version", "Linux version 5.15 (des@freebsd.org)"),
        "FreeBSD",
    ),
    "real_kernel: an empty /proc": ("real_kernel", lambda a: a.replaced("top", "interrupts"), "buddyinfo"),
    "real_kernel: user-mode emulation": (
        "real_kernel",
        lambda a: a.edited("uname", r"^x86_64$", "riscv64"),
        "a user-mode emulator runs it",
    ),
    "limits: not there": ("limits", lambda a: a.replaced("before_environ", "GOGC=20"), "GOMEMLIMIT is not set"),
    "limits: set twice": (
        "limits",
        lambda a: a.replaced("before_environ", "GOMEMLIMIT=5MiB\nGOGC=20\nGOGC=off\nGOMAXPROCS=1"),
        "GOGC is '20 and off' instead of '20'",
    ),
    "limits: unreadable": ("limits", lambda a: a.replaced("before_environ", "", 3), "may not read"),
    "settled: in motion": (
        "settled",
        lambda a: a.edited("status", r"^VmRSS:.*$", "VmRSS:\t 2544 kB", nth=2).edited(
            "pages", r"^Rss:.*$", "Rss: 2540 kB", nth=2
        ),
        "had not settled",
    ),
    "figures_agree: far apart": (
        "figures_agree",
        lambda a: a.edited("pages", r"^Rss:.*$", "Rss: 99999 kB"),
        "differ by more than",
    ),
    "figures_agree: unreadable": (
        "figures_agree",
        lambda a: a.replaced("pages", "", 3),
        "may not read the page tables",
    ),
    "figures_agree: read in part": (
        "figures_agree",
        lambda a: a.edited("pages", r"^Rss:.*\n", "", nth=1),
        "may not read the page tables",
    ),
    "swap_known": (
        "swap_known",
        lambda a: a.edited("status", r"^VmSwap:.*\n", "").edited("meminfo", r"^SwapTotal:.*$", "SwapTotal: 64 kB"),
        "gives no VmSwap",
    ),
}


@pytest.mark.parametrize(("name", "change", "said"), ALONE.values(), ids=ALONE)
def test_one_thing_changed_takes_one_proof_away_and_the_figure_with_it(name: str, change: object, said: str) -> None:
    reading = idle_of(change(recorded_answer()))  # type: ignore[operator]
    assert failed(reading) == {name}
    verdict = judge(reading, LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED
    assert said in verdict.reason
    assert names_no_figure(verdict)


def test_the_process_that_was_started_is_the_one_that_is_measured() -> None:
    for ticks, missing in ((1081286, set()), (1081285, {"right_process"})):
        subject = recorded_subject(process=Process(8346, ticks))
        assert failed(idle_of(recorded_answer(), subject=subject)) == missing


def test_an_unknown_executable_proves_neither_the_artifact_nor_the_absence_of_a_wrapper() -> None:
    reading = idle_of(both(recorded_answer(), "exe", "", 3))
    assert failed(reading) == {"executable", "not_a_wrapper"}


def test_what_nobody_claims_is_shown_and_decides_nothing() -> None:
    reading = idle_of(
        recorded_answer().replaced("before_environ", ""), subject=recorded_subject(sha256=None, limits=None)
    )
    assert failed(reading) == set()
    assert "no artifact was given" in detail(reading, "executable")
    assert detail(reading, "limits") == "none is set; none was asked for"


def test_a_restart_between_two_sample_sets_is_seen() -> None:
    other = recorded_answer()
    for section in ("before_stat", "after_stat", "stat", "before_recorded", "after_recorded"):
        other = other.edited(section, r"\b8346\b", "9000")
    reading = idle_of(recorded_answer(), other.replaced("pid", "9000"))
    assert "same_process" in failed(reading)
    assert judge(reading, LARGE).reason.startswith("the process was replaced by another one")


def test_what_is_in_swap_is_added_because_a_swapped_process_only_looks_small() -> None:
    swapped = recorded_answer().edited("status", r"^VmSwap:.*$", "VmSwap:\t 4000 kB")
    verdict = judge(idle_of(swapped), Budget())
    assert verdict.outcome is Outcome.FAIL
    assert "1,544 KiB + 4,000 KiB in swap" in verdict.reason


def test_a_kernel_without_swap_figures_and_without_swap_is_fine() -> None:
    reading = idle_of(recorded_answer().edited("status", r"^VmSwap:.*\n", ""))
    assert failed(reading) == set()
    assert detail(reading, "swap_known") == "the board has no swap"


def test_without_page_tables_the_kernels_own_bound_is_the_error_bar() -> None:
    reading = idle_of(recorded_answer().replaced("pages", "", 2))
    assert failed(reading) == set()
    assert reading.error_is_bound
    # 6.18, 2 CPUs: 3 counters x 2 CPUs x 32 pages x 4 KiB
    assert reading.rss_error_kib == 768


@pytest.mark.parametrize(
    ("ceiling", "said"),
    [("max max", "no ceiling set"), ("max 5242880", "5242880 bytes"), ("max 9223372036854771712", "no ceiling set"),
     ("max " + "9" * 5000, "9" * 60), ("max ²", "²")],
)  # fmt: skip
def test_whatever_the_ceiling_is_it_is_shown_and_decides_nothing(ceiling: str, said: str) -> None:
    reading = idle_of(recorded_answer().replaced("ceiling", ceiling))
    assert failed(reading) == set()
    assert said in detail(reading, "ceiling")


def test_what_a_board_puts_into_a_detail_is_one_line_without_control_characters() -> None:
    evil = both(recorded_answer(), "exe", "/tmp/\x1b[2J\u202egpj/pico\nclaw")
    evil = evil.replaced("container", "docker\x07").replaced("thp", "[a\x1b[31m]")
    for proof in idle_of(evil).evidence:
        assert proof.detail.isprintable(), proof
    assert all(value.isprintable() for value in idle_of(evil).circumstances.values())


# --- trap 4: a kernel that rounds

SIZES = ("VmRSS", "VmHWM", "RssAnon", "RssFile")


def test_figures_that_move_in_mebibytes_only_are_no_page_counts() -> None:
    rounded = recorded_answer()
    for section in ("status", "shell"):
        for key, size in zip(SIZES, (3072, 3072, 1024, 2048), strict=True):
            rounded = rounded.edited(section, rf"^{key}:.*$", f"{key}:\t {size} kB")
    rounded = rounded.edited("pages", r"^Rss:.*$", "Rss: 3072 kB")
    reading = idle_of(rounded)
    assert failed(reading) == {"real_kernel"}
    assert "it rounds instead of counting pages" in judge(reading, LARGE).reason


@given(st.lists(st.integers(1, 50), min_size=4, max_size=20))
def test_mebibytes_are_always_caught(mebibytes: list[int]) -> None:
    kernel = replace(recorded_answer().observation().kernel, shell_sizes_kib=(1024, 2048))
    assert rounding_step_kib(kernel, [mib * 1024 for mib in mebibytes]) is not None
    assert rounding_step_kib(kernel, [*(mib * 1024 for mib in mebibytes), 4]) is None


@pytest.mark.parametrize("case", CASES)
def test_real_kernels_do_not_round(case: str) -> None:
    seen = Answer.of(case).observation()
    assert rounding_step_kib(seen.kernel, []) is None
    assert imitation(seen.kernel, seen.before.exe, seen.before.elf) == ""


# --- how far counters lag


@pytest.mark.parametrize(
    ("release", "cpus", "most_cpus", "page_kib", "threads", "lag"),
    [
        ("6.1.0", 4, 8, 4, 6, 6 * 65 * 64),  # before 6.2: 65 faults a thread, 64 KiB around each
        ("6.1.0", 1, 2, 4, 6, 0),  # built for fewer than four CPUs: no split counters
        ("6.1.0", 4, 4, 4, 1, 65 * 64),  # built for four: split again
        ("6.2.0", 2, 4, 4, 1, 3 * 2 * 32 * 4),  # the first kernel with percpu counters
        ("5.10.4", 1, None, 64, 1, 65 * 64),
        ("6.12.1", 2, 255, 4, 6, 3 * 2 * 32 * 4),
        ("6.12.1", 64, 255, 4, 6, 3 * 64 * 128 * 4),
        ("6.12.1", 1, 1, 4, 6, 0),
        ("6.12.1", None, None, 4, 6, None),
        ("unknown", 2, 4, 4, 6, None),
    ],
)
def test_how_far_a_kernels_counters_may_lag(
    release: str, cpus: int | None, most_cpus: int | None, page_kib: int, threads: int, lag: int | None
) -> None:
    kernel = replace(
        recorded_answer().observation().kernel, release=release, cpus=cpus, most_cpus=most_cpus, page_kib=page_kib
    )
    assert lag_kib(kernel, threads) == lag


# --- trap 5: one figure, taken once


def looks(*figures: int) -> list[object]:
    return [sample(figure, at_s=float(at)) for at, figure in enumerate(figures)]


@pytest.mark.parametrize(
    ("figures", "ok", "steady"),
    [
        ((1000,), False, 1),
        ((1000, 1000), False, 2),
        ((1000, 1000, 1000), True, 3),
        ((1000, 1064, 1064), True, 3),
        ((1000, 1065, 1065), False, 3),
        ((500, 900, 1000, 1010, 990), True, 3),
        ((1000, 1100, 1200, 1300, 1400, 1500), False, 6),  # grows to the end
        ((1000, 1300, 1000, 1300, 1000, 1300), True, 6),  # in motion, and not growing: the highest counts
        ((1000, 1300, 1000, 1300, 1000, 1400), False, 6),
        ((3000, 1000, 2000, 1000, 2000, 1000), True, 6),
    ],
)
def test_when_samples_count_as_steady(figures: tuple[int, ...], ok: bool, steady: int) -> None:
    found = settled(looks(*figures), PACE)  # type: ignore[arg-type]
    assert (found.ok, len(found.samples)) == (ok, steady)


def test_a_look_that_found_nothing_spoils_the_set() -> None:
    missed = Missed(9.0, None, "", "it was gone")
    assert not settled([*looks(1000, 1000, 1000), missed], PACE).ok  # type: ignore[list-item]
    assert not settled([], PACE).ok


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=40))
def test_the_last_samples_are_among_the_steady_ones_and_a_growing_set_never_settles(figures: list[int]) -> None:
    found = settled(looks(*figures), Pace(steady=3, tolerance_kib=64))  # type: ignore[arg-type]
    assert found.samples[-1].vm_rss_kib == figures[-1]
    growing = [sum(figures[: at + 1]) + 65 * at for at in range(len(figures))]
    assert not settled(looks(*growing), Pace(steady=3, tolerance_kib=64)).ok  # type: ignore[arg-type]


# --- PASS and FAIL


@given(rss=st.integers(1, 20_000), gap=st.integers(0, 500), swap=st.integers(0, 2000), over=st.integers(-2, 2))
def test_the_budget_is_held_to_the_highest_sample_with_swap_and_error_bar(
    rss: int, gap: int, swap: int, over: int
) -> None:
    samples = (sample(rss, rollup_kib=rss + gap, vm_swap_kib=swap), sample(1, rollup_kib=1))
    verdict = judge(proven(*samples), Budget(rss_kib=rss + gap + swap - over))
    assert verdict.outcome is (Outcome.FAIL if over > 0 else Outcome.PASS)
    assert verdict.reason.startswith(f"idle: VmRSS {rss:,} KiB")


def test_where_only_a_bound_is_known_a_figure_near_the_budget_is_not_measured() -> None:
    for rss, outcome in (
        (4000, Outcome.PASS),
        (4500, Outcome.NOT_MEASURED),
        (5500, Outcome.NOT_MEASURED),
        (6000, Outcome.FAIL),
    ):
        verdict = judge(proven(sample(rss), lag_bound_kib=768), Budget(rss_kib=5000))
        assert verdict.outcome is outcome, rss
        assert outcome is not Outcome.NOT_MEASURED or names_no_figure(verdict)


def test_the_peak_has_a_budget_of_its_own() -> None:
    reading = proven(sample(1000, rollup_kib=1000, vm_hwm_kib=6000))
    assert judge(reading, Budget(rss_kib=5000)).outcome is Outcome.PASS
    assert judge(reading, Budget(rss_kib=5000, hwm_kib=6000)).outcome is Outcome.PASS
    verdict = judge(reading, Budget(rss_kib=5000, hwm_kib=5999))
    assert (verdict.outcome, "VmHWM 6,000 KiB" in verdict.reason) == (Outcome.FAIL, True)


def test_no_sample_or_no_error_bar_is_not_measured_even_with_every_proof() -> None:
    for reading in (proven(), proven(sample(1000))):
        verdict = judge(reading, LARGE)
        assert verdict.outcome is Outcome.NOT_MEASURED
        assert names_no_figure(verdict)


def test_exit_codes() -> None:
    assert [outcome.exit_code for outcome in (Outcome.PASS, Outcome.FAIL, Outcome.NOT_MEASURED)] == [0, 1, 3]


def test_limits_are_compared_as_they_are_written_for_go() -> None:
    subject = recorded_subject(limits=Limits(gomemlimit_bytes=5120 * 1024))
    assert failed(idle_of(recorded_answer(), subject=subject)) == set()
    subject = recorded_subject(limits=Limits(gomemlimit_bytes=5120 * 1024 + 1))
    assert failed(idle_of(recorded_answer(), subject=subject)) == {"limits"}


@pytest.mark.parametrize(
    ("ceiling", "controllers", "ok", "required"),
    [
        ("max 16777216", "cpu memory", True, True),
        ("max 16773120", "cpu memory", True, True),  # cut down to whole pages by the kernel
        ("max 16769024", "cpu memory", False, True),
        ("max 33554432", "cpu memory", False, True),
        ("max max", "cpu memory", False, True),
        ("max 16777216", "cpu", True, False),
        ("max max", "cpu", False, False),
    ],
)
def test_a_hard_limit_that_is_claimed_has_to_be_the_kernels_where_it_could_hold_one(
    ceiling: str, controllers: str, ok: bool, required: bool
) -> None:
    answer = recorded_answer().replaced("ceiling", ceiling).replaced("controllers", controllers)
    answer = answer.replaced("controllers_v1", "")
    hard = 16777216 if "16773120" not in ceiling else 16777215
    reading = idle_of(answer, subject=recorded_subject(limits=Limits(hard_bytes=hard)))
    proof = next(proof for proof in reading.evidence if proof.name == "ceiling")
    assert (proof.ok, proof.required) == (ok, required), proof.detail
    assert (judge(reading, Budget()).outcome is Outcome.NOT_MEASURED) == (required and not ok)
