"""A short flash: what would go at the end may go first, but never what runs; files in memory are memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scripted_boards import BLANK, OLD, OLDER, OLDEST, Silent, artifact_in, good_answers, job_on, older, plan_of

from deploy.errors import Refused
from deploy.model.artifact import Artifact
from deploy.model.facts import HostFacts, Place
from deploy.model.limits import Limits
from deploy.model.units import KIB, MIB
from deploy.steps.push import Push
from deploy.steps.space import SWITCHED_MEANWHILE_STATUS, refuse_without_space, to_drop, unneeded, usable_kib
from deploy.steps.start import Start, _before_that, _kept
from deploy.transport.protocol import Completed

DROP = "drop older releases, to make room"
NEW = "fedcba9876543210"


def short(free_kib: int, **sizes_kib: int) -> HostFacts:
    """A board with three releases of so many KiB, OLD being current and OLDER previous."""
    facts = older()
    names = {"old": OLD, "older": OLDER, "oldest": OLDEST}
    sizes = {names[name]: kib * KIB for name, kib in sizes_kib.items()}
    return replace(
        facts,
        installed=replace(facts.installed, sizes=sizes),
        place=replace(facts.place, free_kib=free_kib),
    )


@pytest.mark.parametrize(
    ("free_kib", "dropped"), [(100, ()), (95, (OLDEST,)), (60, (OLDEST,)), (59, (OLDEST, OLDER)), (10, (OLDEST, OLDER))]
)
def test_no_more_goes_than_has_to_and_previous_last(free_kib: int, dropped: tuple[str, ...]) -> None:
    facts = short(free_kib, old=500, older=50, oldest=40)
    refuse_without_space(facts, Limits(), NEW, 100, "h")
    assert to_drop(facts, Limits(), NEW, 100) == dropped


def test_what_runs_is_never_counted_and_previous_is_not_where_it_stays() -> None:
    facts = short(9, old=500, older=50, oldest=40)
    with pytest.raises(Refused, match="has 9 KiB free and 90 KiB in older releases, the release needs 100 KiB"):
        refuse_without_space(facts, Limits(), NEW, 100, "h")
    assert unneeded(facts.installed, OLD) == [OLDEST]
    assert unneeded(facts.installed, OLDER) == [OLDEST]
    strange = replace(facts.installed, releases={**facts.installed.releases, "somebody's": ""})
    assert unneeded(strange, NEW) == sorted((OLDER, OLDEST))


def in_memory(free_kib: int, available_kib: int) -> HostFacts:
    place = Place("/run/picoclaw", free_kib, "/run", ("rw",), "tmpfs", writable=True)
    return replace(BLANK, place=place, mem_available_kib=available_kib)


def test_a_file_system_in_memory_is_counted_as_memory() -> None:
    limits = Limits(gomemlimit_bytes=5 * MIB)
    assert usable_kib(in_memory(30_000, 12_000), limits) == 12_000 - 5 * 1024
    assert usable_kib(in_memory(3_000, 12_000), limits) == 3_000
    assert usable_kib(in_memory(30_000, 1_000), limits) == 0
    refuse_without_space(in_memory(30_000, 12_000), limits, NEW, 6_880, "h")
    with pytest.raises(Refused, match="/run is a tmpfs: what lies there takes memory, of which 6880 KiB") as refused:
        refuse_without_space(in_memory(30_000, 12_000), limits, NEW, 6_881, "h")
    assert refused.value.reason == "no_memory_for_files"
    with pytest.raises(Refused, match="has 3000 KiB free"):
        refuse_without_space(in_memory(3_000, 12_000), limits, NEW, 3_001, "h")


def test_what_lies_in_memory_is_not_said_to_outlive_a_reboot(tmp_path: Path) -> None:
    facts = replace(in_memory(30_000, 30_000), init=replace(BLANK.init, name="busybox_init", writable=True))
    job, _ = job_on(facts, artifact_in(tmp_path))
    assert job.service.survives_reboot
    assert _kept(job) == "restarted when it ends, but gone after a reboot: /run is a tmpfs"


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return artifact_in(tmp_path)


def test_a_push_that_does_not_fit_makes_room_first_and_what_is_put_back_knows_of_it(artifact: Artifact) -> None:
    facts = short(1, old=500, older=8, oldest=4)
    answers = good_answers(artifact, plan_of(), facts) | {DROP: Completed(0, b"", b"", 0.0)}
    job, board = job_on(facts, artifact, answers)
    observer = Silent()
    Push().run(job, observer)
    assert board.titles[0] == DROP and f"releases/{OLD} " not in board.scripts[0].text + " "
    assert observer.notes[0] == f"dropping {OLDEST}, {OLDER}, to make room"
    assert (job.known.installed.previous, set(job.known.installed.releases)) == ("", {OLD})
    assert _before_that(job, ()) ["previous"] is None  # fmt: skip
    assert Start().skip(job) is None


def test_a_board_that_was_switched_meanwhile_keeps_all_it_has(artifact: Artifact) -> None:
    facts = short(1, old=500, older=8, oldest=4)
    job, board = job_on(facts, artifact, {DROP: Completed(SWITCHED_MEANWHILE_STATUS, b"", b"", 0.0)})
    with pytest.raises(Refused) as refused:
        Push().run(job, Silent())
    assert refused.value.reason == "changed_meanwhile" and board.titles == [DROP]
