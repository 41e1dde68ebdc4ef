"""The JSON of a reading: figures where it is proven, null and a warning name where it is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from readings import PROCESS, proven, sample

from deploy.memory.budget import judge
from deploy.model.artifact import Artifact
from deploy.model.board import Board
from deploy.model.gateway_config import GatewayConfig
from deploy.model.limits import Limits
from deploy.model.reading import Evidence, LiveCount, Reading
from deploy.model.secret import Secret
from deploy.model.source import Source
from deploy.model.target import Target
from deploy.model.verdict import Budget, Outcome
from deploy.report.documents import artifact_document, deployment_document, process_document, reading_document
from deploy.steps.face import Job, Plan, StepRecord
from deploy.transport.scripted import ScriptedTransport

LIVE = LiveCount(50, 50, 50, "TLSv1.3 TLS_AES_128_GCM_SHA256", 1.5)
READING = proven(
    sample(3000, rollup_kib=3050, vm_hwm_kib=4000, pss_kib=2500),
    sample(3056, rollup_kib=3050, vm_hwm_kib=4000, pss_kib=2600, at_s=1.0),
    kind="live",
    live=LIVE,
    circumstances={"kernel": "6.12.1"},
    hwm_before_load_kib=3900,
)
BROKEN = replace(READING, evidence=(*READING.evidence[:-1], replace(READING.evidence[-1], ok=False)))

ARTIFACT = Artifact(
    path=Path("/somewhere/on/the/controller"),
    name="picoclaw",
    size_bytes=4_000_000,
    sha256="ab" * 32,
    target=Target("riscv64"),
    tags=("telegram", "smallbuf"),
    ldflags="-s -w",
    package="./cmd/picoclaw",
    version="0.1.0",
    toolchain="go1.27.3",
    revision="cafe",
    source_digest="digest",
    elf="ELF 64-bit LSB EM_RISCV, static",
)


def document(reading: Reading, budget: Budget) -> dict[str, Any]:
    made = reading_document(reading, judge(reading, budget))
    read_back: dict[str, Any] = json.loads(json.dumps(made, allow_nan=False))
    assert read_back == made  # nothing but what JSON has
    return made


@pytest.mark.parametrize(("budget", "verdict"), [(Budget(), "PASS"), (Budget(rss_kib=3000), "FAIL")])
def test_a_proven_reading_has_its_figures_and_names_its_kind_beside_them(budget: Budget, verdict: str) -> None:
    made = document(READING, budget)
    assert made["verdict"] == verdict
    assert "samples_without_proof" not in made
    figures = made["reading"]
    assert (made["kind"], figures["kind"]) == ("live", "live")
    assert (figures["rss_kib"], figures["rss_error_kib"], figures["rss_error_is_bound"]) == (3056, 50, False)
    assert (figures["hwm_kib"], figures["hwm_before_load_kib"]) == (4000, 3900)
    assert (figures["pss_kib"], figures["rss_anon_kib"], figures["swap_kib"]) == (2600, 100, 0)
    assert [one["vm_rss_kib"] for one in figures["samples"]] == [3000, 3056]
    assert figures["samples"][0]["pid"] == PROCESS.pid
    assert made["budget"] == {"rss_kib": budget.rss_kib, "hwm_kib": None}
    assert made["live"] == {"sent": 50, "received": 50, "answered": 50, "tls": LIVE.tls, "seconds": 1.5}
    assert made["circumstances"] == {"kernel": "6.12.1"}


def test_what_was_not_measured_has_no_figure_as_a_result() -> None:
    made = document(BROKEN, Budget())
    assert (made["verdict"], made["reading"]) == ("NOT MEASURED", None)
    assert [one["vm_rss_kib"] for one in made.pop("samples_without_proof")] == [3000, 3056]
    assert "3056" not in json.dumps(made)  # and stands nowhere else
    (missing,) = [proof for proof in made["evidence"] if not proof["ok"]]
    assert missing["required"]


def test_every_proof_stands_in_the_document() -> None:
    extra = Evidence("peak_reset", "the peak is the load's own", False, "it can't be set back", required=False)
    made = document(replace(READING, evidence=(*READING.evidence, extra)), Budget())
    assert made["verdict"] == "PASS"
    assert len(made["evidence"]) == len(READING.evidence) + 1
    assert made["evidence"][-1] == {
        "name": "peak_reset",
        "title": "the peak is the load's own",
        "ok": False,
        "required": False,
        "detail": "it can't be set back",
        "asked": True,
    }


def test_an_artifact_tells_nothing_of_the_controllers_folders() -> None:
    made = artifact_document(ARTIFACT)
    assert json.loads(json.dumps(made)) == made
    assert made["target"] == "linux/riscv64"
    assert made["tags"] == ["telegram", "smallbuf"]
    assert not {"path", "source_digest"} & set(made)
    assert "controller" not in json.dumps(made)


def test_a_process_or_none() -> None:
    assert process_document(None) is None
    assert process_document(PROCESS) == {"pid": 4242, "start_ticks": 123456}


RECORDS = [
    StepRecord("Preflight", None, "Linux", 0.5, 1),
    StepRecord("Push", None, "sent", 0.5, 2),
    StepRecord("Start", "it runs already", "", 0.0, 0),
    StepRecord("Measure", None, "PASS", 3.0, 4),
]


def deployed(records: list[StepRecord], reading: Reading | None) -> dict[str, Any]:
    token = Secret(b"12345:" + b"s" * 35)
    board = Board("some-board", "A board", Target("riscv64"), 65536)
    source = Source(Path("/nowhere"), "./cmd/picoclaw", "picoclaw", in_repo=True)
    plan = Plan(board, source, Limits(), GatewayConfig(token), "/opt/picoclaw")
    job = Job(plan, ScriptedTransport({}), artifact=ARTIFACT, process=PROCESS, reading=reading)
    job.verdict = judge(reading, Budget()) if reading else None
    made = deployment_document(job, records, board="some-board", host="root@board", seconds=4.00049)
    assert "sssss" not in json.dumps(made)
    return made


def test_a_deployment_holds_its_reading_its_steps_and_no_secret() -> None:
    made = deployed(RECORDS, READING)
    assert (made["verdict"], made["kind"], made["board"], made["host"]) == ("PASS", "live", "some-board", "root@board")
    assert made["release"] == {"id": "ab" * 8, "path": f"/opt/picoclaw/releases/{'ab' * 8}/picoclaw"}
    assert made["limits"] == {"GOMEMLIMIT": "5MiB", "GOGC": "20", "GOMAXPROCS": "1"}
    assert (made["changed"], made["round_trips_before_measure"], made["seconds"]) == (True, 3, 4.0)
    assert [step["title"] for step in made["steps"]] == ["Preflight", "Push", "Start", "Measure"]


def test_a_deployment_that_skipped_everything_changed_nothing() -> None:
    skipped = [replace(record, skipped=record.skipped or "as it is") for record in RECORDS]
    assert not deployed(skipped, READING)["changed"]


def test_without_a_reading_nothing_is_claimed_and_every_member_is_there_all_the_same() -> None:
    made = deployed(RECORDS, None)
    assert (made["verdict"], made["reading"], made["reason"]) == (None, None, "no reading was asked for")
    assert set(made) == set(deployed(RECORDS, READING))


def test_an_unproven_reading_of_a_deployment_is_no_figure_either() -> None:
    made = deployed(RECORDS, BROKEN)
    assert made["verdict"] == Outcome.NOT_MEASURED.value
    assert made["reading"] is None
