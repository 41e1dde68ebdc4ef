"""Knows which facts a person wants after a deployment or a reading, in which words. Drawing is `console.py`'s."""

from __future__ import annotations

from deploy.model.artifact import Artifact
from deploy.model.limits import Limits
from deploy.model.reading import Process, Reading, Sample
from deploy.model.units import KIB, show_bytes, show_kib
from deploy.model.verdict import Outcome, Verdict
from deploy.report.sparkline import sparkline

Rows = list[tuple[str, str]]


def artifact_rows(artifact: Artifact) -> Rows:
    """What was built."""
    tags = f", tags {' '.join(artifact.tags)}" if artifact.tags else ""
    return [
        ("built", f"{artifact.name} {artifact.version} for {artifact.target}, {show_bytes(artifact.size_bytes)}"),
        ("with", f"{artifact.toolchain}{tags}"),
        ("sha256", artifact.sha256),
    ]


def process_rows(process: Process, limits: Limits) -> Rows:
    """Which process runs, under which limits."""
    wanted = " ".join(f"{name}={value}" for name, value in limits.environment().items())
    return [("process", f"PID {process.pid}"), ("limits in force", wanted)]


def reading_rows(reading: Reading, verdict: Verdict) -> Rows:
    """The figures and the verdict; no figure where nothing was measured."""
    rows: Rows = []
    if reading.live:
        live = reading.live
        counted = f"{live.sent} sent, {live.received} received, {live.answered} answered"
        rows.append(("messages", f"{counted} in {live.seconds:.2f} s" + (f", over {live.tls}" if live.tls else "")))
    rows.append(("reading", f"{reading.kind}, {len(reading.samples)} samples"))
    sample = reading.highest
    if verdict.outcome is not Outcome.NOT_MEASURED and sample is not None:
        rows += _figures(reading, sample)
    peak = f", peak {show_kib(verdict.budget.hwm_kib)}" if verdict.budget.hwm_kib else ""
    rows.append(("budget", show_kib(verdict.budget.rss_kib) + peak))
    rows.append(("verdict", f"{verdict.outcome.value}: {verdict.reason}"))
    return rows


def _figures(reading: Reading, sample: Sample) -> Rows:
    error = reading.rss_error_kib
    bar = f" ± {show_kib(error)}" if error is not None else ", error bar not known"
    rows = [("VmRSS", f"{show_kib(sample.vm_rss_kib)}{bar}  (memory resident now)")]
    if reading.hwm_kib is not None:
        before = reading.hwm_before_load_kib
        meaning = (
            "its peak since its start" if before is None else f"its peak under the load; before: {show_kib(before)}"
        )
        rows.append(("VmHWM", f"{show_kib(reading.hwm_kib)}  ({meaning})"))
    if len(reading.curve) > 1:
        figures = [kib for _, kib in reading.curve]
        rows.append(("meanwhile", f"{sparkline(figures, 40)}  VmRSS {min(figures):,} to {show_kib(max(figures))}"))
    parts = (("RssAnon", sample.rss_anon_kib, "its own data"), ("RssFile", sample.rss_file_kib, "its program's pages"))
    rows += [(name, f"{show_kib(kib)}  ({meaning})") for name, kib, meaning in parts if kib is not None]
    if sample.pss_kib is not None:
        rows.append(("PSS", f"{show_kib(sample.pss_kib)}  (its share of what is shared)"))
    return rows


def phase_rows(reading: Reading) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The phases of a bench as a table: its heads and its rows."""
    head = ("phase", "told", "VmRSS", "apart", "tables", "heap", "of", "GCs")
    rows = [
        (
            each.name,
            *(_kib(size) for size in (each.told_rss_kib, each.vm_rss_kib)),
            "" if each.gap_kib is None else f"{each.gap_kib:+,}",
            _kib(each.rollup_rss_kib),
            f"{each.heap_alloc_bytes // KIB:,}",
            f"{each.heap_sys_bytes // KIB:,}",
            str(each.collections),
        )
        for each in reading.phases
    ]
    return head, rows


def _kib(size: int | None) -> str:
    return "" if size is None else f"{size:,}"


def evidence_rows(reading: Reading) -> Rows:
    """Every proof, the failed ones marked; then the circumstances."""
    rows = [(("+ " if proof.ok else "- ") + proof.title, proof.detail) for proof in reading.evidence]
    return rows + [(f"  {name}", value) for name, value in reading.circumstances.items()]
