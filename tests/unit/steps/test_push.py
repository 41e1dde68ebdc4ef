"""The step Push: skipped by hash, compressed where the board can unpack, refused without space, undone by halves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from scripted_boards import (
    BLANK,
    FORGET_PUSH,
    HASH_RELEASE,
    OLD,
    PREFIX,
    Silent,
    artifact_in,
    bare,
    deployed,
    framed,
    good_answers,
    job_on,
    older,
    plan_of,
    send_title,
)
from shells import BusyBoxTransport

from deploy.board_shell.push import CANNOT_RUN_STATUS, HASH_DIFFERS_STATUS, TRIAL_S
from deploy.board_shell.reading_back import ReadsBack
from deploy.errors import BuildFailed, CommandFailed, ConnectionLost, Refused
from deploy.model.artifact import Artifact
from deploy.model.facts import HostFacts, Installed, Part
from deploy.model.layout import Layout
from deploy.steps import push
from deploy.steps.delivery import Sending, deliver
from deploy.steps.face import Job
from deploy.steps.packing import FIRST_BYTES
from deploy.steps.push import SLOWEST_LINK_BYTES_S, Push
from deploy.transport.protocol import Completed, Packed, Script
from deploy.transport.scripted import ScriptedTransport


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return artifact_in(tmp_path)


def test_a_release_that_is_there_whole_is_not_sent_again(artifact: Artifact) -> None:
    job, board = job_on(deployed(artifact, plan_of()), artifact)
    assert Push().skip(job) == f"release {artifact.release_id} is on the board already"
    assert board.round_trips == 0


def holding(artifact: Artifact, current: str, said: str) -> Job:
    """A job on a board that holds the artifact's release, as what `said` is the hash of, and runs `current`."""
    facts = older()
    known = {artifact.release_id: said if artifact.release_id == current else ""}
    facts = replace(facts, installed=replace(facts.installed, current=current, releases=known))
    return job_on(facts, artifact, {HASH_RELEASE: lambda script: framed(script, {"sha256": said})})[0]


def test_a_release_that_is_there_and_not_current_is_hashed_before_it_is_taken(artifact: Artifact) -> None:
    job = holding(artifact, OLD, artifact.sha256)
    assert Push().skip(job) == f"release {artifact.release_id} is on the board already"
    assert job.transport.round_trips == 1


@pytest.mark.parametrize("said", ["", "ab" * 32])
def test_a_release_that_is_there_in_part_is_sent_again(artifact: Artifact, said: str) -> None:
    for current in (OLD, artifact.release_id):
        assert Push().skip(holding(artifact, current, said)) is None


def test_a_broken_release_needs_the_space_of_a_new_one_and_a_whole_one_needs_none(artifact: Artifact) -> None:
    job = holding(artifact, artifact.release_id, "ab" * 32)
    installed = replace(job.known.installed, sizes={})
    job.facts = replace(job.known, installed=installed, place=replace(job.known.place, free_kib=0))
    with pytest.raises(Refused, match="has 0 KiB free, the release needs 9 KiB"):
        Push().run(job, Silent())
    job.facts = replace(job.facts, installed=replace(installed, releases={artifact.release_id: artifact.sha256}))
    assert Push().skip(job) == f"release {artifact.release_id} is on the board already"


def test_what_is_not_built_yet_is_not_on_the_board() -> None:
    job, _ = job_on(older(), None)
    assert Push().skip(job) is None


def test_what_runs_is_what_the_dry_run_shows(artifact: Artifact) -> None:
    job, board = job_on(BLANK, artifact, good_answers(artifact, plan_of(), BLANK))
    shown = Push().commands(job)
    detail = Push().run(job, Silent())
    assert tuple(map(bare, board.scripts)) == shown
    assert board.scripts[0].payload == artifact.path
    assert detail == f"8.8 KiB to {PREFIX}/releases/{artifact.release_id}"


def test_where_the_board_can_unpack_the_same_script_gets_the_file_compressed(artifact: Artifact) -> None:
    facts = replace(BLANK, tools=frozenset({"sha256sum", "gunzip"}))
    job, board = job_on(facts, artifact, good_answers(artifact, plan_of(), facts))
    (shown,) = Push().commands(job)
    detail = Push().run(job, Silent())
    (ran,) = board.scripts
    assert ran.payload == Packed(artifact.path, "gzip", artifact.size_bytes)
    assert bare(ran) == shown
    assert "gunzip -c" in ran.text
    assert detail.endswith(" sent as gzip")


def test_on_the_controller_itself_nothing_is_compressed(artifact: Artifact) -> None:
    plan = plan_of()
    plan = replace(plan, board=replace(plan.board, connection="loopback"))
    facts = replace(BLANK, tools=frozenset({"sha256sum", "gunzip"}))
    job, board = job_on(facts, artifact, good_answers(artifact, plan, facts), plan)
    Push().run(job, Silent())
    assert board.scripts[0].payload == artifact.path


def left(artifact: Artifact, content: bytes) -> HostFacts:
    """A blank board on which a broken push has left `content`."""
    part = Part(len(content), hashlib.sha256(content).hexdigest())
    return replace(BLANK, installed=replace(BLANK.installed, parts={artifact.release_id: part}))


@pytest.mark.parametrize("tools", [("sha256sum",), ("sha256sum", "gunzip")])
def test_what_an_earlier_push_has_sent_is_not_sent_again(artifact: Artifact, tools: tuple[str, ...]) -> None:
    whole = artifact.path.read_bytes()
    facts = replace(left(artifact, whole[:4000]), tools=frozenset(tools))
    rest = f"send the rest to {PREFIX}/releases/{artifact.release_id}"
    answers = good_answers(artifact, plan_of(), facts) | {rest: Completed(0, b"", b"", 0.0)}
    job, board = job_on(facts, artifact, answers)
    (shown,) = Push().commands(job)
    observer = Silent()
    detail = Push().run(job, observer)
    (ran,) = board.scripts
    assert ran.payload == Packed(artifact.path, "gzip" if "gunzip" in tools else "", len(whole) - 4000, 4000)
    assert bare(ran) == shown
    assert observer.notes == ["going on after the 3.9 KiB that an earlier push has sent"]
    assert "of which 3.9 KiB were there from an earlier push" in detail


def test_what_begins_otherwise_or_is_longer_is_sent_anew(artifact: Artifact) -> None:
    whole = artifact.path.read_bytes()
    for content in (b"x" * 4000, whole, whole + b"x"):
        facts = left(artifact, content)
        job, board = job_on(facts, artifact, good_answers(artifact, plan_of(), facts))
        Push().run(job, Silent())
        assert board.titles == [send_title(artifact)]


def test_the_space_that_a_part_takes_is_counted_as_there(artifact: Artifact) -> None:
    facts = left(artifact, artifact.path.read_bytes()[:8000])
    facts = replace(facts, place=replace(facts.place, free_kib=2))
    rest = f"send the rest to {PREFIX}/releases/{artifact.release_id}"
    answers = good_answers(artifact, plan_of(), facts) | {rest: Completed(0, b"", b"", 0.0)}
    job, board = job_on(facts, artifact, answers)
    Push().run(job, Silent())
    assert board.titles == [rest]


@dataclass
class Differing:
    """A board that runs a release which this machine has built, and what the maker of differences gives."""

    job: Job
    board: ScriptedTransport
    old: Artifact
    asked: list[tuple[Path, Path]] = field(default_factory=list)

    def ends(self, completed: Completed) -> str:
        """Let the board end so when it is sent a difference; the script's title."""
        title = f"send what changed to {PREFIX}/releases/{self.job.release_id}"
        answers = good_answers(self.job.built, plan_of(), self.job.known) | {title: lambda _: completed}
        self.board = ScriptedTransport(answers)
        self.job.transport = self.board
        return title


@pytest.fixture
def differing(artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Differing:
    (tmp_path / "old").mkdir()
    old = artifact_in(tmp_path / "old", b"\x7fELF" + bytes(8000))
    installed = Installed(old.release_id, "", {old.release_id: old.sha256}, "", "", {})
    facts = replace(BLANK, tools=frozenset({"sha256sum", "gunzip"}), installed=installed)
    job, board = job_on(facts, artifact, good_answers(artifact, plan_of(), facts))
    seat = Differing(job, board, old)
    seat.ends(Completed(0, b"", b"", 0.0))

    def difference(before: Path, after: Path, toolchain: object) -> bytes:
        seat.asked.append((before, after))
        return b"\x1f\x8bpatch"

    monkeypatch.setattr(push, "built_with", {old.sha256: old}.get)
    monkeypatch.setattr(push, "difference", difference)
    return seat


def test_what_changed_is_sent_where_this_machine_has_built_what_runs(differing: Differing) -> None:
    (shown,) = Push().commands(differing.job)
    detail = Push().run(differing.job, Silent())
    (ran,) = differing.board.scripts
    assert differing.asked == [(differing.old.path, differing.job.built.path)]
    assert ran.payload == b"\x1f\x8bpatch"
    old = f"{PREFIX}/releases/{differing.old.release_id}/picoclaw"
    assert f"gunzip -c | {old} patch {old} >" in ran.text
    assert isinstance(shown, Script) and replace(bare(ran), payload=shown.payload) == shown
    assert detail.endswith(f"7 B sent: what changed since {differing.old.release_id}")


def test_a_difference_that_the_board_can_not_apply_is_followed_by_all_of_it(differing: Differing) -> None:
    differing.ends(Completed(1, b"", b"picoclaw: the patch is damaged\n", 0.0))
    observer = Silent()
    detail = Push().run(differing.job, observer)
    assert "the patch is damaged" in observer.notes[-1] and "the whole binary is sent" in observer.notes[-1]
    assert differing.board.scripts[-1].payload == Packed(differing.job.built.path, "gzip", 9004)
    assert detail.endswith(" sent as gzip")


def test_a_difference_that_gives_a_program_which_does_not_run_is_not_followed_by_another_try(
    differing: Differing,
) -> None:
    title = differing.ends(Completed(CANNOT_RUN_STATUS, b"", b"SIGILL: illegal instruction\n", 0.0))
    with pytest.raises(Refused, match="does not run on this board"):
        Push().run(differing.job, Silent())
    assert differing.board.titles == [title]


@pytest.mark.parametrize(
    "why", ["no such artifact here", "a tree of the user's own", "no gunzip there", "the maker fails", "it is too big"]
)
def test_else_all_of_it_is_sent(differing: Differing, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    job = differing.job
    match why:
        case "no such artifact here":
            monkeypatch.setattr(push, "built_with", {}.get)
        case "a tree of the user's own":
            job.plan = replace(job.plan, source=replace(job.plan.source, in_repo=False))
        case "no gunzip there":
            job.facts = replace(job.known, tools=frozenset({"sha256sum"}))
        case "the maker fails":
            monkeypatch.setattr(push, "difference", _fails)
        case _:
            monkeypatch.setattr(push, "difference", lambda *_: bytes(9000))
    Push().run(job, Silent())
    assert differing.board.titles == [send_title(job.built)]


def _fails(*_: object) -> bytes:
    raise BuildFailed("there is no such package")


def test_a_slow_link_has_the_time_that_the_whole_file_needs(tmp_path: Path) -> None:
    artifact = artifact_in(tmp_path, b"x" * SLOWEST_LINK_BYTES_S * 40)
    job, _ = job_on(BLANK, artifact)
    (script,) = Push().commands(job)
    assert isinstance(script, Script)
    assert script.deadline_s == 100 + TRIAL_S


def test_without_space_nothing_is_sent(artifact: Artifact) -> None:
    facts = replace(BLANK, place=replace(BLANK.place, free_kib=8))
    job, board = job_on(facts, artifact, good_answers(artifact, plan_of(), facts))
    with pytest.raises(Refused, match="has 8 KiB free, the release needs 9 KiB") as refused:
        Push().run(job, Silent())
    assert refused.value.reason == "no_space"
    assert board.titles == []


@pytest.mark.parametrize(
    ("ended", "kind", "problem"),
    [
        (Completed(HASH_DIFFERS_STATUS, b"", b"", 1), CommandFailed, "what arrived on the board is not what was sent"),
        (
            Completed(CANNOT_RUN_STATUS, b"", b"SIGILL: illegal instruction\nPC=0x1\nit ended with status 2\n", 1),
            Refused,
            r"does not run on this board: SIGILL: illegal instruction; PC=0x1; it ended with status 2",
        ),
        (Completed(1, b"", b"cat: write error: No space left on device\n", 1), Refused, "/ filled up while"),
        (Completed(1, b"", b"cat: write error: I/O error\n", 1), CommandFailed, r"could not send .*: cat: write error"),
        (Completed(73, b"", b"", 1), CommandFailed, r"could not send .* \(status 73\)"),
    ],
)
def test_each_way_to_fail_has_its_own_problem(
    artifact: Artifact, ended: Completed, kind: type[Exception], problem: str
) -> None:
    job, _ = job_on(BLANK, artifact, {send_title(artifact): ended})
    with pytest.raises(kind, match=problem) as caught:
        Push().run(job, Silent())
    assert getattr(caught.value, "host", "") == "root@board"


def test_a_lost_link_is_a_lost_link(artifact: Artifact) -> None:
    job, _ = job_on(BLANK, artifact, {send_title(artifact): ConnectionLost("gone", "root@board")})
    with pytest.raises(ConnectionLost):
        Push().run(job, Silent())


def test_undo_of_what_was_begun_removes_half_a_file_and_leaves_a_whole_one(artifact: Artifact) -> None:
    job, board = job_on(BLANK, artifact, good_answers(artifact, plan_of(), BLANK))
    Push().undo(job)
    assert board.titles == []
    job.locked = True
    Push().undo(job)
    assert board.titles == [FORGET_PUSH]
    folder = f"{PREFIX}/releases/{artifact.release_id}"
    assert (
        bare(board.scripts[0]).text
        == f"rm -f {folder}/picoclaw.part {folder}/picoclaw.part.said; rmdir {folder} 2>/dev/null; :\n"
    )


BEGINNING = f"send the beginning to {PREFIX}/releases/"


@pytest.mark.parametrize(("seconds", "how"), [(0.01, "gzip"), (4.0, "xz")], ids=["fast", "slow"])
@pytest.mark.parametrize("there", [0, 4000])
def test_the_beginning_tells_how_the_rest_is_sent(tmp_path: Path, seconds: float, how: str, there: int) -> None:
    artifact = artifact_in(tmp_path, bytes(2 * 1024 * 1024))
    facts = left(artifact, bytes(there)) if there else BLANK
    facts = replace(facts, tools=frozenset({"sha256sum", "gunzip", "xz"}))
    beginning, rest = BEGINNING + artifact.release_id, f"send the rest to {PREFIX}/releases/{artifact.release_id}"
    answers = good_answers(artifact, plan_of(), facts) | {
        beginning: Completed(0, b"", b"", seconds, 100_000),
        rest: Completed(0, b"", b"", 1.0, 50_000),
    }
    job, board = job_on(facts, artifact, answers)
    detail = Push().run(job, Silent())
    assert board.titles == [beginning, rest]
    begun = there + FIRST_BYTES
    assert [script.payload for script in board.scripts] == [
        Packed(artifact.path, "gzip", FIRST_BYTES, there),
        Packed(artifact.path, how, artifact.size_bytes - begun, begun),
    ]
    assert "hash_of" not in board.scripts[0].text and artifact.sha256 in board.scripts[1].text
    assert f"146.5 KiB sent as {how}: the link gave " in detail


def test_a_beginning_that_does_not_arrive_ends_it(tmp_path: Path) -> None:
    artifact = artifact_in(tmp_path, bytes(2 * 1024 * 1024))
    facts = replace(BLANK, tools=frozenset({"sha256sum", "gunzip", "xz"}))
    full = Completed(1, b"", b"sh: write error: No space left on device\n", 1)
    job, _ = job_on(facts, artifact, {BEGINNING + artifact.release_id: full})
    with pytest.raises(Refused, match="filled up while"):
        Push().run(job, Silent())


@pytest.mark.install_check
@pytest.mark.parametrize("damaged", [False, True])
def test_a_board_that_can_not_hash_has_what_arrived_read_back(tmp_path: Path, damaged: bool) -> None:
    artifact = artifact_in(tmp_path, bytes(range(256)) * 9000)
    sent = replace(artifact, sha256="ab" * 32) if damaged else artifact
    layout = Layout(str(tmp_path / "board"))
    board = ReadsBack(BusyBoxTransport(tmp_path / "applets", ("sha256sum", "openssl")))
    sending = Sending(layout, sent.release_id, sent.sha256, artifact.path, trial=False, board_hashes=False)
    ended = deliver(board.run, sending)
    binary = Path(layout.binary(sent.release_id))
    assert ended.exit_status == (HASH_DIFFERS_STATUS if damaged else 0)
    assert binary.is_file() != damaged and binary.parent.exists() != damaged
    if not damaged:
        assert binary.read_bytes() == artifact.path.read_bytes()
        assert [path.name for path in binary.parent.iterdir()] == ["picoclaw"]
