"""Knows how a reading and its verdict look as JSON; docs/json.md is the schema. What stands around it is the callers'.

In a NOT MEASURED document no figure stands as a result: "reading" is null. What was seen nevertheless stands under
"samples_without_proof", a name that nobody quotes by accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from deploy.model.artifact import Artifact
from deploy.model.limits import Limits
from deploy.model.reading import Evidence, Process, Reading, Sample
from deploy.model.verdict import Outcome, Verdict
from deploy.steps.face import Job, StepRecord


def deployment_document(
    job: Job, records: Sequence[StepRecord], *, board: str, host: str, seconds: float
) -> dict[str, Any]:
    """What `deploy --json` prints. Without a Measure step "verdict" is null: nothing was claimed."""
    measured: dict[str, Any] = {
        "verdict": None,
        "reason": "no reading was asked for",
        "kind": None,
        "budget": None,
        "reading": None,
        "evidence": [],
        "circumstances": {},
        "live": None,
        "not_asked": [],
    }
    if job.reading is not None and job.verdict is not None:
        measured = reading_document(job.reading, job.verdict)
    before_measure = [record for record in records if record.title != "Measure"]
    return {
        **measured,
        "board": board,
        "host": host,
        "artifact": artifact_document(job.built),
        "release": {"id": job.release_id, "path": job.layout.binary(job.release_id)},
        "process": process_document(job.process),
        "limits": limits_document(job.plan.limits),
        "steps": [asdict(record) for record in records],
        "changed": any(record.skipped is None and record.title in ("Push", "Configure", "Start") for record in records),
        "round_trips_before_measure": sum(record.round_trips for record in before_measure),
        "connections": 1,
        "seconds": round(seconds, 3),
    }


def artifact_document(artifact: Artifact) -> dict[str, Any]:
    """The artifact, its path and source digest left out: they mean nothing on another machine."""
    fields = asdict(artifact)
    for name in ("path", "source_digest"):
        del fields[name]
    return fields | {"target": str(artifact.target), "tags": list(artifact.tags)}


def process_document(process: Process | None) -> dict[str, Any] | None:
    """PID and start ticks, null where there is no process."""
    return asdict(process) if process else None


def limits_document(limits: Limits) -> dict[str, str]:
    """The soft limits as the process got them."""
    return limits.environment()


def reading_document(reading: Reading, verdict: Verdict) -> dict[str, Any]:
    """The members that a reading adds to a document, from "verdict" to "live".

    Sizes are in KiB, times in seconds. Everything is of the types that `json.dumps` takes as they are.
    """
    measured = verdict.outcome is not Outcome.NOT_MEASURED
    document: dict[str, Any] = {
        "verdict": verdict.outcome.value,
        "reason": verdict.reason,
        "kind": reading.kind,
        "budget": {"rss_kib": verdict.budget.rss_kib, "hwm_kib": verdict.budget.hwm_kib},
        "reading": _figures(reading) if measured else None,
        "evidence": [_proof(proof) for proof in reading.evidence],
        "circumstances": dict(reading.circumstances),
        "live": asdict(reading.live) if reading.live else None,
        "not_asked": list(reading.not_asked),
    }
    if not measured:
        document["samples_without_proof"] = [_sample(sample) for sample in reading.samples]
    return document


def _figures(reading: Reading) -> dict[str, Any]:
    highest = reading.highest
    return {
        "kind": reading.kind,
        "rss_kib": reading.rss_kib,
        "rss_error_kib": reading.rss_error_kib,
        "rss_error_is_bound": reading.error_is_bound,
        "hwm_kib": reading.hwm_kib,
        "hwm_before_load_kib": reading.hwm_before_load_kib,
        "rss_anon_kib": highest.rss_anon_kib if highest else None,
        "rss_file_kib": highest.rss_file_kib if highest else None,
        "pss_kib": highest.pss_kib if highest else None,
        "swap_kib": highest.vm_swap_kib if highest else None,
        "curve": [list(point) for point in reading.curve],
        "phases": [asdict(phase) | {"gap_kib": phase.gap_kib} for phase in reading.phases],
        "samples": [_sample(sample) for sample in reading.samples],
    }


def _proof(proof: Evidence) -> dict[str, Any]:
    return {
        "name": proof.name,
        "title": proof.title,
        "ok": proof.ok,
        "required": proof.required,
        "asked": proof.asked,
        "detail": proof.detail,
    }


def _sample(sample: Sample) -> dict[str, Any]:
    # Not by asdict, which copies every figure deeply: of a fleet's hosts that is felt.
    figures = {name: getattr(sample, name) for name in _FIGURES}
    process = sample.process
    return {"at_s": sample.at_s, "pid": process.pid, "start_ticks": process.start_ticks, **figures}


_FIGURES = tuple(field.name for field in fields(Sample) if field.name not in ("at_s", "process"))
