"""The curve of VmRSS while a load runs: points of the real process, the load's result, and its faults."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from gateways import Gateways
from hypothesis import given
from hypothesis import strategies as st

from deploy.memory.curve import parse_curve, watched
from deploy.model.reading import Process
from deploy.transport.local import LocalTransport


def test_points_are_taken_while_the_load_runs_and_its_result_comes_back(gateways: Gateways) -> None:
    pid = gateways.spawn(str(gateways.binary), "1000").pid

    def load() -> str:
        time.sleep(1.5)
        return "done"

    result, curve = watched(LocalTransport(), Process(pid, 1), load)
    assert result == "done" and len(curve) >= 4
    assert all(later >= earlier for (earlier, _), (later, _) in pairwise(curve))
    assert all(100 < kib < 100_000 for _, kib in curve)


def test_a_quick_load_has_no_curve(gateways: Gateways) -> None:
    assert watched(LocalTransport(), Process(1, 1), lambda: 7) == (7, ())


def test_what_the_load_raises_is_raised_here(gateways: Gateways) -> None:
    def load() -> None:
        raise LookupError("as it was")

    with pytest.raises(LookupError, match="as it was"):
        watched(LocalTransport(), Process(1, 1), load)


def test_a_process_that_is_gone_has_no_points(gateways: Gateways) -> None:
    ended = gateways.spawn(str(gateways.binary), "0")
    ended.wait(10)
    assert watched(LocalTransport(), Process(ended.pid, 1), lambda: time.sleep(0.8)) == (None, ())


@given(st.binary(max_size=200))
def test_whatever_a_board_prints_it_is_points_or_nothing(stdout: bytes) -> None:
    for at_s, kib in parse_curve(stdout):
        assert at_s >= 0 and kib >= 0
