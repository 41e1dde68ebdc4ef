"""Knows the forms in which kept readings leave: CSV, JSON lines, and the text that Prometheus reads.

Sources: RFC 4180; jsonlines.org; Prometheus' text format 0.0.4 (docs/instrumenting/exposition_formats.md), and
node_exporter's textfile collector, which reads *.prom files of it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from deploy.history import Kept

FORMATS = ("csv", "jsonl", "prometheus")

_KIB = 1024
_GAUGES = (
    ("slimdeploy_vmrss_bytes", "rss_kib", "The highest steady VmRSS of the last reading."),
    ("slimdeploy_vmrss_error_bytes", "rss_error_kib", "Its error bar."),
    ("slimdeploy_vmhwm_bytes", "hwm_kib", "The peak, VmHWM."),
    ("slimdeploy_rss_anon_bytes", "rss_anon_kib", "RssAnon of the sample that was judged."),
    ("slimdeploy_rss_file_bytes", "rss_file_kib", "RssFile of the sample that was judged."),
    ("slimdeploy_budget_bytes", "budget_kib", "What VmRSS and its error bar were held to."),
)

# A spreadsheet takes a cell that begins so for a formula; a board may have chosen the text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def exported(form: str, readings: Sequence[tuple[Kept, dict[str, Any]]]) -> str:
    """The text in one of FORMATS."""
    if form == "csv":
        return _csv([kept for kept, _ in readings])
    if form == "jsonl":
        return "".join(json.dumps({"id": kept.id, **document}) + "\n" for kept, document in readings)
    return _prometheus([kept for kept, _ in readings])


def _csv(readings: Sequence[Kept]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    names = list(Kept.__dataclass_fields__)
    writer.writerow(names)
    for kept in readings:
        writer.writerow([_cell(value) for value in asdict(kept).values()])
    return out.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _prometheus(readings: Sequence[Kept]) -> str:
    """The last reading of each board, host and kind; one that measured nothing has a verdict and no figure."""
    last = {(kept.board, kept.host, kept.kind): kept for kept in readings}
    lines = []
    for metric, column, meaning in _GAUGES:
        rows = [(kept, value) for kept in last.values() if (value := getattr(kept, column)) is not None]
        if rows:
            lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} gauge"]
            lines += [f"{metric}{_labels(kept)} {value * _KIB}" for kept, value in rows]
    lines += ["# HELP slimdeploy_verdict 1 for the verdict of the last reading.", "# TYPE slimdeploy_verdict gauge"]
    lines += [f"slimdeploy_verdict{_labels(kept, verdict=kept.verdict)} 1" for kept in last.values()]
    return "\n".join(lines) + "\n"


def _labels(kept: Kept, **more: str) -> str:
    named = {"board": kept.board, "host": kept.host, "kind": kept.kind, "release": kept.sha256[:16], **more}
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in named.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
