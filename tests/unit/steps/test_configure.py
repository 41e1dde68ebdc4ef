"""The step Configure: skipped for equal bytes, staged beside the old text; the token is a secret throughout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scripted_boards import (
    BLANK,
    CA,
    CONFIG,
    DROP_STAGED,
    PREFIX,
    TOKEN,
    Silent,
    artifact_in,
    bare,
    deployed,
    good_answers,
    job_on,
    older,
    plan_of,
)

from deploy.errors import CommandFailed
from deploy.model.artifact import Artifact
from deploy.model.secret import Secret
from deploy.steps.configure import Configure
from deploy.transport.protocol import Completed, Script


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return artifact_in(tmp_path)


def test_the_same_bytes_are_not_written_again(artifact: Artifact) -> None:
    plan = plan_of(ca_pem=b"a bundle", base_url="https://bots.example")
    job, board = job_on(deployed(artifact, plan), artifact, plan=plan)
    assert Configure().skip(job) == "the config on the board says the same already"
    assert Configure().commands(job) == ()
    assert board.round_trips == 0


@pytest.mark.parametrize("change", [{"health_port": 8081}, {"base_url": "https://bots.example"}])
def test_another_setting_writes_the_config_and_not_the_bundle(artifact: Artifact, change: dict[str, object]) -> None:
    facts = deployed(artifact, plan_of(ca_pem=b"a bundle"))
    job, _ = job_on(facts, artifact, plan=plan_of(ca_pem=b"a bundle", **change))
    assert Configure().skip(job) is None
    assert [command.title for command in Configure().commands(job)] == [CONFIG]


def test_another_token_writes_the_config(artifact: Artifact) -> None:
    plan = plan_of()
    other = replace(plan, config=replace(plan.config, token=Secret(TOKEN[::-1].encode())))
    job, _ = job_on(deployed(artifact, plan), artifact, plan=other)
    assert Configure().skip(job) is None


def test_what_runs_is_what_the_dry_run_shows_and_the_bundle_comes_before_the_config_that_names_it(
    artifact: Artifact,
) -> None:
    plan = plan_of(ca_pem=b"-----BEGIN CERTIFICATE-----")
    job, board = job_on(older(), artifact, good_answers(artifact, plan, older()), plan)
    shown = Configure().commands(job)
    detail = Configure().run(job, Silent())
    assert tuple(map(bare, board.scripts)) == shown
    assert board.titles == [CA, CONFIG]
    assert job.staged == [f"{PREFIX}/ca.pem", f"{PREFIX}/config.json"]
    assert detail == "ca.pem and config.json written, mode 0600"


def test_the_token_travels_as_a_secret_payload_and_is_shown_nowhere(artifact: Artifact) -> None:
    job, _ = job_on(BLANK, artifact)
    (script,) = Configure().commands(job)
    assert isinstance(script, Script)
    assert isinstance(script.payload, Secret)
    assert TOKEN.encode() in script.payload.reveal()
    for text in (script.shown(), repr(script), str(script), repr(job), repr(job.plan)):
        assert TOKEN not in text
    assert script.text.startswith("umask 077; ")


def test_undo_removes_what_waits_also_where_writing_it_failed(artifact: Artifact) -> None:
    done = Completed(0, b"", b"", 0.0)
    answers = {CA: done, CONFIG: Completed(1, b"", b"No space left on device\n", 0.0), DROP_STAGED: done}
    job, board = job_on(older(), artifact, answers, plan_of(ca_pem=b"pem"))
    with pytest.raises(CommandFailed, match="could not write the config: No space left on device"):
        Configure().run(job, Silent())
    Configure().undo(job)
    assert board.titles == [CA, CONFIG, DROP_STAGED]
    paths = (f"{PREFIX}/ca.pem", f"{PREFIX}/config.json")
    assert bare(board.scripts[-1]).text == f"rm -f {' '.join(f'{p}.next {p}.next.part' for p in paths)}\n"


def test_undo_leaves_it_to_start_once_the_files_are_in_place_and_asks_nothing_where_nothing_waits(
    artifact: Artifact,
) -> None:
    job, board = job_on(older(), artifact)
    Configure().undo(job)
    job.staged, job.switched = [f"{PREFIX}/config.json"], True
    Configure().undo(job)
    assert board.titles == []
