"""Knows how a watch is told: as JSON lines, plain lines, or a view for terminals. Drawing is `console.py`'s."""

from __future__ import annotations

import time
from typing import Any

from deploy.memory.tally import Tally
from deploy.model.display import clean
from deploy.model.units import show_kib, show_span
from deploy.model.watching import Back, Cost, Counted, Event, Gone, Lost, Seen, Trying

_BLOCKS = " ▁▂▃▄▅▆▇█"
_MOST_POINTS = 4000
_LEAST_SPAN_KIB = 64
"""A curve that moves by less is drawn flat: a page more or less is no news."""
_LABEL_WIDTH = 11
_LOWEST, _HIGHEST = 4, 16
"""Rows of the chart."""

RESTART, GAP = "R", "·"


def event_document(event: Event) -> dict[str, Any]:
    """One JSON line (docs/json.md, memory.watch)."""
    document: dict[str, Any] = {"event": type(event).__name__.lower(), "taken_at": _iso(event.taken_at)}
    match event:
        case Seen(glimpse=it):
            percent = event.cpu_percent
            return document | {
                "at_s": it.at_s,
                "pid": it.process.pid,
                "start_ticks": it.process.start_ticks,
                "state": it.state,
                "vm_rss_kib": it.vm_rss_kib,
                "vm_hwm_kib": it.vm_hwm_kib,
                "rss_anon_kib": it.rss_anon_kib,
                "rss_file_kib": it.rss_file_kib,
                "rss_shmem_kib": it.rss_shmem_kib,
                "vm_swap_kib": it.vm_swap_kib,
                "pss_kib": it.pss_kib,
                "threads": it.threads,
                "cpu_ticks": it.cpu_ticks,
                "cpu_percent": None if percent is None else round(percent, 2),
                "restarts": event.restarts,
            }
        case Counted():
            counts = {"gc_cycles": event.gc_cycles, "inbound": event.inbound, "outbound": event.outbound}
            return document | counts | {"errors": event.errors, "heap_bytes": event.heap_bytes}
        case Lost():
            return document | {"why": clean(event.why)}
        case Trying():
            return document | {"why": clean(event.why), "again_in_s": event.again_in_s}
        case Back():
            return document | {"away_s": round(event.away_s, 3)}
        case Cost():
            return document | {"looks": event.looks, "cpu_ms": event.cpu_ms, "sh_hwm_kib": event.hwm_kib}
        case Gone():
            return document


def summary_document(tally: Tally) -> dict[str, Any]:
    """The last JSON line."""
    cost = tally.cost_ms_a_look
    return {
        "event": "summary",
        "samples": tally.samples,
        "seconds": round(tally.lasted_s, 3),
        "least_rss_kib": tally.least_kib,
        "median_rss_kib": tally.median_kib,
        "most_rss_kib": tally.most_kib,
        "hwm_kib": tally.hwm_kib,
        "restarts": tally.restarts,
        "absences": tally.absences,
        "gaps": tally.gaps,
        "away_s": round(tally.away_s, 3),
        "cpu_ms_a_look": None if cost is None else round(cost, 3),
        "sh_hwm_kib": tally.cost_hwm_kib,
    }


def event_line(event: Event) -> str:
    """One plain line, "" for what is of no use on a line of its own."""
    at = time.strftime("%H:%M:%S", time.localtime(event.taken_at))
    match event:
        case Seen(glimpse=it):
            parts = [f"VmRSS {show_kib(it.vm_rss_kib)}"]
            named = (("anon", it.rss_anon_kib), ("file", it.rss_file_kib), ("swap", it.vm_swap_kib))
            parts += [f"{name} {kib:,}" for name, kib in (*named, ("peak", it.vm_hwm_kib)) if kib is not None]
            parts += [f"PSS {it.pss_kib:,}"] if it.pss_kib is not None else []
            parts += [f"CPU {event.cpu_percent:.1f} %"] if event.cpu_percent is not None else []
            return f"{at}  {'  '.join(parts)}  PID {it.process.pid}" + (
                f"  restarts {event.restarts}" if event.restarts else ""
            )
        case Counted():
            return f"{at}  {event.inbound} messages in, {event.outbound} out, {event.gc_cycles} collections of garbage"
        case Gone():
            return f"{at}  the process is not there"
        case Lost():
            return f"{at}  the link has dropped: {event.why}"
        case Back():
            return f"{at}  the link is back, after {event.away_s:.0f} s without a sample"
        case _:
            return ""


def summary_rows(tally: Tally) -> list[tuple[str, str]]:
    """The summary, for people."""
    rows = [("samples", f"{tally.samples} in {show_span(tally.lasted_s)}")]
    if tally.least_kib is not None and tally.median_kib is not None and tally.most_kib is not None:
        figures = f"least {tally.least_kib:,}, median {tally.median_kib:,}, most {show_kib(tally.most_kib)}"
        rows.append(("VmRSS", figures))
    if tally.hwm_kib is not None:
        rows.append(("VmHWM", f"{show_kib(tally.hwm_kib)}  (its highest peak since its start)"))
    rows.append(("restarts", str(tally.restarts)))
    rows.append(("gaps", f"{tally.gaps}, {show_span(tally.away_s)} in all" if tally.gaps else "0"))
    if tally.counted is not None:
        said = tally.counted
        counts = f"{said.inbound} messages in, {said.outbound} out, {said.gc_cycles} collections of garbage"
        rows.append(("its counters", f"{counts}; it took memory to answer (--no-counters)"))
    if tally.cost_ms_a_look is not None and tally.cost_hwm_kib is not None:
        shell = f"its sh: {show_kib(tally.cost_hwm_kib)} at most"
        rows.append(("the watch itself", f"{tally.cost_ms_a_look:.1f} ms of the board's CPU a sample; {shell}"))
    return rows


class View:
    """The curve and the present figures as lines of text; tell it every event, in order."""

    def __init__(self, title: str) -> None:
        self._title = clean(title)
        self._points: list[tuple[int | None, bool]] = []
        self._seen: Seen | None = None
        self._counted: Counted | None = None
        self._pss_kib: int | None = None
        self._state = ""
        self._restarts = 0

    def tell(self, event: Event) -> None:
        """One more."""
        match event:
            case Seen(glimpse=it):
                self._add(it.vm_rss_kib, restarted=event.restarts > self._restarts)
                self._restarts, self._seen, self._state = event.restarts, event, ""
                self._pss_kib = it.pss_kib if it.pss_kib is not None else self._pss_kib
            case Counted():
                self._counted = event
            case Gone():
                self._add(None)
                self._state = "the process is not there"
            case Lost():
                self._add(None)
                self._state = f"the link has dropped: {clean(event.why)}"
            case Trying():
                self._state = f"{clean(event.why)}; trying again in {event.again_in_s:.0f} s"
            case _:
                pass

    def _add(self, kib: int | None, *, restarted: bool = False) -> None:
        self._points.append((kib, restarted))
        if len(self._points) > _MOST_POINTS:
            self._points = _merged(self._points, _MOST_POINTS // 2)

    def lines(self, width: int, height: int, tally: Tally) -> list[str]:
        """At most `height` lines of at most `width` characters."""
        head = [self._title, *self._figures(tally)]
        rows = max(_LOWEST, min(_HIGHEST, height - len(head) - 4))
        body = _chart(self._points, max(width - _LABEL_WIDTH - 2, 10), rows)
        lasted = f"{show_span(tally.lasted_s)}, {tally.samples} samples"
        foot = f"{lasted}; {RESTART} a restart, {GAP} no sample; Ctrl-C ends it"
        shown = [*head, *body, foot, self._state]
        return [line[:width] for line in shown[:height]]

    def _figures(self, tally: Tally) -> list[str]:
        if self._seen is None:
            return ["no sample yet"]
        it, percent = self._seen.glimpse, self._seen.cpu_percent
        named = (("VmRSS", it.vm_rss_kib), ("PSS", self._pss_kib), ("RssAnon", it.rss_anon_kib))
        more = (("RssFile", it.rss_file_kib), ("VmSwap", it.vm_swap_kib), ("VmHWM", it.vm_hwm_kib))
        sizes = "  ".join(f"{name} {kib:,}" if kib is not None else f"{name} -" for name, kib in (*named, *more))
        does = [f"PID {it.process.pid}", f"CPU {percent:.1f} %" if percent is not None else "CPU -"]
        if self._counted is not None:
            said = self._counted
            does += [
                f"messages {said.inbound} in, {said.outbound} out",
                f"GC {said.gc_cycles}",
                f"errors {said.errors}",
            ]
        does.append(f"restarts {tally.restarts}, gaps {tally.gaps}")
        return [f"{sizes}  KiB", "  ".join(does)]


def _merged(points: list[tuple[int | None, bool]], columns: int) -> list[tuple[int | None, bool]]:
    """As many columns as that: each the highest of its points; a restart and a point without a figure stay seen."""
    if len(points) <= columns:
        return points
    made: list[tuple[int | None, bool]] = []
    for column in range(columns):
        turn = points[column * len(points) // columns : (column + 1) * len(points) // columns]
        figures = [kib for kib, _ in turn if kib is not None]
        missing = any(kib is None for kib, _ in turn)
        made.append((None if missing or not figures else max(figures), any(restarted for _, restarted in turn)))
    return made


def _chart(points: list[tuple[int | None, bool]], columns: int, rows: int) -> list[str]:
    """The curve, `rows` lines high, and a line of marks below it."""
    shown = _merged(points, columns)
    figures = [kib for kib, _ in shown if kib is not None]
    if not figures:
        return [""] * (rows + 1)
    low, high = min(figures), max(figures)
    low = max(0, min(low, (low + high - _LEAST_SPAN_KIB) // 2))
    high = max(high, low + _LEAST_SPAN_KIB)
    eighths = [None if kib is None else max(1, round((kib - low) * rows * 8 / (high - low))) for kib, _ in shown]
    lines = []
    for row in range(rows - 1, -1, -1):
        label = {rows - 1: f"{high:,}", 0: f"{low:,}"}.get(row, "")
        bars = "".join(" " if each is None else _BLOCKS[min(8, max(0, each - 8 * row))] for each in eighths)
        lines.append(f"{label:>{_LABEL_WIDTH}} {bars}")
    marks = "".join(RESTART if restarted else GAP if kib is None else " " for kib, restarted in shown)
    return [*lines, f"{'':>{_LABEL_WIDTH}} {marks}"]


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"
