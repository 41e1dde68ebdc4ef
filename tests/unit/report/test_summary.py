"""What people read of a reading: every figure with its kind, and none where nothing was measured."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from readings import PROCESS, proven, sample

from deploy.memory.budget import judge
from deploy.model.artifact import Artifact
from deploy.model.limits import Limits
from deploy.model.reading import LiveCount, Reading
from deploy.model.target import Target
from deploy.model.verdict import Budget
from deploy.report.summary import artifact_rows, evidence_rows, process_rows, reading_rows

LIVE = LiveCount(50, 50, 50, "TLSv1.3 TLS_AES_128_GCM_SHA256", 1.5)
READING = proven(
    sample(3056, rollup_kib=3050, vm_hwm_kib=4000, pss_kib=2600), kind="live", live=LIVE, hwm_before_load_kib=3900
)


def rows_of(reading: Reading, budget: Budget | None = None) -> dict[str, str]:
    return dict(reading_rows(reading, judge(reading, budget or Budget())))


def test_a_proven_reading_shows_its_figures_its_error_bar_and_its_kind() -> None:
    rows = rows_of(READING)
    assert rows["reading"] == "live, 1 samples"
    assert rows["VmRSS"].startswith("3,056 KiB ± 6 KiB")
    assert rows["VmHWM"] == "4,000 KiB  (its peak under the load; before: 3,900 KiB)"
    assert rows["RssAnon"].startswith("100 KiB")
    assert rows["PSS"].startswith("2,600 KiB")
    assert rows["messages"] == f"50 sent, 50 received, 50 answered in 1.50 s, over {LIVE.tls}"
    assert rows["budget"] == "5,120 KiB"
    assert rows["verdict"].startswith("PASS: live: VmRSS 3,056 KiB")


def test_a_figure_over_the_budget_is_shown_as_well() -> None:
    rows = rows_of(READING, Budget(rss_kib=3000, hwm_kib=3500))
    assert "VmRSS" in rows
    assert rows["budget"] == "3,000 KiB, peak 3,500 KiB"
    assert rows["verdict"].startswith("FAIL: live: ")


def test_what_was_not_measured_shows_no_figure_but_the_budget() -> None:
    for name in [proof.name for proof in READING.evidence]:
        broken = tuple(replace(proof, ok=proof.name != name) for proof in READING.evidence)
        rows = rows_of(replace(READING, evidence=broken))
        assert rows["verdict"].startswith("NOT MEASURED: ")
        assert not {"VmRSS", "VmHWM", "RssAnon", "RssFile", "PSS"} & set(rows)
        shown = " ".join(value for key, value in rows.items() if key != "budget")
        assert re.search(r"[kKM]i?B\b", shown) is None, shown
        assert "3,056" not in shown


def test_what_a_kernel_does_not_have_has_no_row() -> None:
    bare = sample(3000, rollup_kib=3000, rss_anon_kib=None, rss_file_kib=None)
    rows = rows_of(proven(bare))
    assert not {"RssAnon", "RssFile", "PSS", "messages"} & set(rows)
    assert rows["VmHWM"].endswith("(its peak since its start)")


def test_a_load_without_tls_names_none() -> None:
    assert "over" not in rows_of(replace(READING, live=replace(LIVE, tls="")))["messages"]


def test_every_proof_and_circumstance_is_explained_the_failed_ones_marked() -> None:
    evidence = (READING.evidence[0], replace(READING.evidence[1], ok=False))
    rows = evidence_rows(replace(READING, evidence=evidence, circumstances={"kernel": "6.12"}))
    assert [name[:2] for name, _ in rows] == ["+ ", "- ", "  "]
    assert rows[-1] == ("  kernel", "6.12")


def test_what_was_built_and_what_runs() -> None:
    artifact = Artifact(
        Path("/x"), "picoclaw", 4_718_592, "ab" * 32, Target("arm", "6"), (), "", "./cmd", "1", "go1.27.3", "", "", ""
    )
    rows = dict(artifact_rows(artifact))
    assert rows["built"] == "picoclaw 1 for linux/arm/6, 4.5 MiB"
    assert rows["with"] == "go1.27.3"
    assert dict(artifact_rows(replace(artifact, tags=("telegram",))))["with"] == "go1.27.3, tags telegram"
    assert process_rows(PROCESS, Limits())[1] == ("limits in force", "GOMEMLIMIT=5MiB GOGC=20 GOMAXPROCS=1")
