"""Knows how a reading comes back from the document that was kept of it; writing that is `documents.py`'s.

A document of another version may have members that nobody knows any more: they are passed over.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from deploy.model.reading import Evidence, LiveCount, Phase, Process, Reading, Sample
from deploy.model.verdict import Budget, Outcome, Verdict

T = TypeVar("T")


def reading_of(document: dict[str, Any]) -> tuple[Reading, Verdict]:
    """The reading and its verdict. Raises ValueError where the document is of a form that can't be read."""
    try:
        figures = document.get("reading") or {}
        samples = figures.get("samples") or document.get("samples_without_proof") or ()
        bound = figures.get("rss_error_kib") if figures.get("rss_error_is_bound") else None
        reading = Reading(
            kind=str(document["kind"]),
            samples=tuple(_sample(each) for each in samples),
            evidence=tuple(_known(Evidence, each) for each in document["evidence"]),
            circumstances={str(name): str(value) for name, value in document["circumstances"].items()},
            live=_known(LiveCount, document["live"]) if document.get("live") else None,
            lag_bound_kib=bound,
            hwm_before_load_kib=figures.get("hwm_before_load_kib"),
            phases=tuple(_known(Phase, each) for each in figures.get("phases", ())),
            curve=tuple((float(at_s), int(kib)) for at_s, kib in figures.get("curve", ())),
        )
        budget = Budget(document["budget"]["rss_kib"], document["budget"].get("hwm_kib"))
        return reading, Verdict(Outcome(document["verdict"]), str(document["reason"]), budget)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"the document lacks {error}") from error


def _sample(found: dict[str, Any]) -> Sample:
    process = Process(found["pid"], found["start_ticks"])
    return _known(Sample, {**found, "process": process})


def _known(kind: type[T], found: dict[str, Any]) -> T:
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in found.items() if name in names})
