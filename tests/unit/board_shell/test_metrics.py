"""What a gateway answers on /metrics, as its own source writes it, and what is no such answer."""

from __future__ import annotations

import pytest
from metrics_answer import ANSWER

from deploy.board_shell.metrics import Metrics, parse_metrics
from deploy.errors import BadAnswer


def test_the_counters_are_read() -> None:
    assert parse_metrics(ANSWER) == Metrics(inbound=51, outbound=50, errors=2, gc_cycles=5, heap_bytes=114656)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        ANSWER.replace(b"200 OK", b"404 Not Found"),
        ANSWER.replace(b"200", b"2000"),
        ANSWER.replace(b"picoclaw_errors_total 2\n", b""),
        ANSWER.replace(b"total 51", b"total -51"),
        ANSWER.replace(b"total 51", b"total 9999999999999999999999"),
        ANSWER.partition(b"\r\n\r\n")[0],
    ],
)
def test_anything_else_is_no_answer(answer: bytes) -> None:
    with pytest.raises(BadAnswer):
        parse_metrics(answer)
