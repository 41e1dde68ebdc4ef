"""What a bench has to show before its figure counts; each test takes one thing away."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, repeat

import pytest
from readings import PACE, names_no_figure, proven, recorded_answer, recorded_subject, sample

from deploy.board_shell.bench import PHASES, Told, ToldPhase
from deploy.errors import NotMeasured
from deploy.memory import bench as module
from deploy.memory.bench import Work, did_the_work, phases_agree, phases_told
from deploy.memory.budget import REQUIRED_BENCH, judge
from deploy.memory.idle import reading_of
from deploy.model.reading import Evidence, Phase, Reading
from deploy.model.verdict import Budget, Outcome
from deploy.report.documents import reading_document
from deploy.report.stored import reading_of as stored_reading_of
from deploy.transport.protocol import Completed
from deploy.transport.scripted import ScriptedTransport

COUNTS = {"updates": 9, "produced": 9, "consumed": 9, "answered": 9, "wrong": 0}
WORK = Work(messages=9)
TOLD = Told(
    tuple(ToldPhase(name, 3000 + number, 1000, 2000, number) for number, name in enumerate(PHASES)),
    COUNTS,
    "PASS",
    "produced = consumed = answered = 9; no budget was given",
    "S",
    (),
)
PHASES_SEEN = tuple(
    Phase(each.name, each.rss_kib, 1000, 2000, 1, each.rss_kib, 4000, each.rss_kib) for each in TOLD.phases
)


def test_whole_counts_are_work_done() -> None:
    assert did_the_work(TOLD, WORK).ok
    assert "no network and no TLS" in did_the_work(TOLD, WORK).detail


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verdict": "", "others": ("out of memory",)}, "did not come to its end: out of memory"),
        ({"verdict": "FAIL", "reason": "one was lost"}, "it says itself: one was lost"),
        ({"counts": {}}, "told no counts"),
        ({"counts": COUNTS | {"answered": 8}}, "do not agree"),
        ({"counts": COUNTS | {"wrong": 1}}, "it says itself"),
        ({"counts": COUNTS | {"updates": 8}}, "9 were asked for"),
        ({"counts": COUNTS | {"produced": 0, "consumed": 0, "answered": 0}}, "do not agree"),
    ],
)
def test_work_that_was_not_done_is_no_proof(changes: dict[str, object], said: str) -> None:
    proof = did_the_work(replace(TOLD, **changes), WORK)  # type: ignore[arg-type]
    assert not proof.ok and said in proof.detail


def test_five_phases_in_order_and_each_with_a_figure() -> None:
    assert phases_told(TOLD).ok
    for phases in (TOLD.phases[:4], TOLD.phases[::-1], (*TOLD.phases, TOLD.phases[4]), ()):
        assert not phases_told(replace(TOLD, phases=phases)).ok
    blind = (*TOLD.phases[:4], replace(TOLD.phases[4], rss_kib=None))
    assert "5-steady-state" in phases_told(replace(TOLD, phases=blind)).detail


def test_its_own_figures_have_to_be_the_kernels() -> None:
    last = recorded_answer().observation()
    assert phases_agree(PHASES_SEEN, last).ok
    lies = (*PHASES_SEEN[:4], replace(PHASES_SEEN[4], told_rss_kib=1000, vm_rss_kib=9000))
    proof = phases_agree(lies, last)
    assert not proof.ok and "differ in 5-steady-state" in proof.detail
    assert not any(figure in proof.detail for figure in ("1000", "9000", "1,000", "9,000"))
    gone = (*PHASES_SEEN[:4], replace(PHASES_SEEN[4], vm_rss_kib=None))
    assert not phases_agree(gone, last).ok
    assert not phases_agree(PHASES_SEEN[:4], last).ok
    assert not phases_agree((), last).ok


def bench(**changes: object) -> Reading:
    evidence = tuple(Evidence(name, f"the proof {name}", True, "seen") for name in REQUIRED_BENCH)
    made = proven(sample(3000, rollup_kib=3000), kind="bench", evidence=evidence, phases=PHASES_SEEN)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_each_proof_of_a_bench_is_required() -> None:
    assert judge(bench(), Budget()).outcome is Outcome.PASS
    assert judge(bench(), Budget(rss_kib=2999)).outcome is Outcome.FAIL
    for name in REQUIRED_BENCH:
        for evidence in (
            tuple(each for each in bench().evidence if each.name != name),
            tuple(replace(each, ok=each.name != name) for each in bench().evidence),
        ):
            verdict = judge(bench(evidence=evidence), Budget())
            assert verdict.outcome is Outcome.NOT_MEASURED and names_no_figure(verdict)


def test_the_phases_are_kept_with_the_reading_and_are_no_figure_without_proof() -> None:
    reading = bench()
    document = reading_document(reading, judge(reading, Budget()))
    assert [phase["gap_kib"] for phase in document["reading"]["phases"]] == [0] * 5
    assert stored_reading_of(document)[0].phases == PHASES_SEEN
    unproven = bench(evidence=())
    assert reading_document(unproven, judge(unproven, Budget()))["reading"] is None


def test_a_stopped_process_is_forgiven_where_it_stops_to_be_looked_at_but_not_in_the_last_look() -> None:
    stopped, running = recorded_answer().edited("stat", r"\) S ", ") T "), recorded_answer()

    def alive(*answers: object, stops: int) -> bool:
        seen = [answer.observation() for answer in answers]  # type: ignore[attr-defined]
        made = reading_of("bench", seen, recorded_subject(), PACE, circumstances={}, now_s=0, stops=stops)
        return next(proof.ok for proof in made.evidence if proof.name == "alive")

    assert alive(stopped, running, stops=1)
    assert not alive(stopped, running, stops=0)
    assert not alive(running, stopped, stops=1)
    assert not alive(stopped, stops=1), "it never ran on"


def test_one_that_never_stops_leaves_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    words = Told((), {}, "", "", "", ("membench: there is no flag --hold",))
    monkeypatch.setattr(module, "parse_told", lambda framing, stdout: words)
    board = ScriptedTransport({"read what the bench has told": b""})
    with pytest.raises(NotMeasured, match="does not come to its first phase: membench: there is no flag --hold"):
        _take(board)


def test_one_that_ends_in_the_middle_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    told = chain(
        (replace(TOLD, phases=(), verdict="", state="T"),), repeat(replace(TOLD, phases=(), verdict="", state=""))
    )
    monkeypatch.setattr(module, "parse_told", lambda framing, stdout: next(told))
    monkeypatch.setattr(module, "observe", lambda transport, subject, pace: recorded_answer().observation())
    board = ScriptedTransport({"read what the bench has told": b"", "let the bench go on": Completed(0, b"", b"", 0.0)})
    reading = _take(board)
    verdict = judge(reading, Budget())
    assert verdict.outcome is Outcome.NOT_MEASURED and names_no_figure(verdict)
    assert verdict.reason.startswith("it ended before it ran on")
    assert {proof.name for proof in reading.evidence if not proof.ok} >= {"did_the_work", "phases_told", "phases_agree"}


def _take(board: ScriptedTransport) -> Reading:
    return module.bench_reading(
        board,
        recorded_subject(process=recorded_answer().observation().before.process),
        Work(9, deadline_s=0.01),
        circumstances={},
        progress=lambda done, of: None,
        note=lambda text: None,
        sleep=lambda seconds: None,
    )
