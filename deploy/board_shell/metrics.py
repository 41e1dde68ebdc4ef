"""Knows how to read what a gateway answers on /metrics: Prometheus' text format 0.0.4. Asking is the transport's.

The gateway writes one sample a line, without labels (gateway/internal/health/metrics.go); the rest is passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.errors import BadAnswer

_SAMPLE = re.compile(r"(picoclaw_[a-z_]{1,60}) (\d{1,15})(?:\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class Metrics:
    """The gateway's own counters since its start, and its Go heap."""

    inbound: int
    outbound: int
    errors: int
    gc_cycles: int
    heap_bytes: int


def parse_metrics(answer: bytes) -> Metrics:
    """What one HTTP answer holds. Raises BadAnswer where something other than a gateway answers."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator or not re.match(rb"HTTP/1\.[01] 200( |\r|$)", head):
        raise BadAnswer("the gateway gives no /metrics", detail=repr(answer[:80]))
    matches = (_SAMPLE.fullmatch(line.strip()) for line in body.decode("utf-8", "replace").split("\n"))
    found = {match[1]: int(match[2]) for match in matches if match}
    try:
        return Metrics(
            inbound=found["picoclaw_inbound_messages_total"],
            outbound=found["picoclaw_outbound_messages_total"],
            errors=found["picoclaw_errors_total"],
            gc_cycles=found["picoclaw_gc_cycles_total"],
            heap_bytes=found["picoclaw_heap_bytes"],
        )
    except KeyError as missing:
        raise BadAnswer(f"/metrics has no {missing}", detail=repr(body[:80])) from missing
