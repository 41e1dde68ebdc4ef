"""Our sampler against psutil, which shares no line with it: the same figures of the deployed gateway, to a page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from program import Slimdeploy
from standing_still import both

from deploy.board_shell.observation import Observation
from deploy.board_shell.samples import Pace
from deploy.cli import reaching
from deploy.emulator import loopback
from deploy.memory.kernel_proof import lag_kib
from deploy.memory.sampling import observe
from deploy.memory.subject import Subject
from deploy.model.layout import Layout
from deploy.model.reading import Sample
from deploy.transport.protocol import Transport

pytestmark = pytest.mark.usefixtures("gateway_is_built")

PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@pytest.fixture
def layout(slimdeploy: Slimdeploy) -> Iterator[Layout]:
    """Where a gateway lies that has been deployed and has answered messages."""
    try:
        ended = slimdeploy("deploy", "--board", "local", "--json")
        assert ended.code == 0, ended.err
        board = loopback.status("local")
        assert board is not None
        yield Layout(f"{board.home}/.picoclaw")
    finally:
        loopback.down("local")


@pytest.fixture
def board(layout: Layout) -> Iterator[Transport]:
    place = reaching.choose("local", "")
    with closing(reaching.connect(place, accept_new_host_key=False, identity="")) as transport:
        yield transport


def by_psutil(pid: int) -> tuple[int, int | None, int | None, int]:
    """Rss, Uss, Pss and swap in KiB. Rss is from /proc/PID/statm; the others from smaps_rollup, or smaps added up."""
    full = psutil.Process(pid).memory_full_info()
    return full.rss // 1024, full.uss // 1024, full.pss // 1024, full.swap // 1024


def test_psutil_sees_what_our_sampler_sees(board: Transport, layout: Layout) -> None:
    pid = int(Path(layout.pid_file).read_text().split()[0])
    if not os.access(f"/proc/{pid}/smaps_rollup", os.R_OK):
        pytest.skip("this kernel has no smaps_rollup, and a sum of smaps is rounded in each of its entries")
    pace = Pace(steady=3, interval_s=0.1, settle_s=5)
    subject = Subject(layout, None, None)

    def ours() -> Observation:
        return observe(board, subject, pace)

    (rss, uss, pss, swap), seen = both(lambda: by_psutil(pid), ours)
    samples = [look for look in seen.looks if isinstance(look, Sample)]
    assert len(samples) >= pace.steady and {sample.process.pid for sample in samples} == {pid}
    lag = lag_kib(seen.kernel, max(sample.threads for sample in samples))
    assert lag is not None
    for sample in samples:
        assert abs(sample.vm_rss_kib - rss) <= PAGE_KIB, "status and statm are told from the same counters"
        assert sample.private_kib is not None and abs(sample.private_kib - uss) <= PAGE_KIB
        assert sample.pss_kib is not None and abs(sample.pss_kib - pss) <= PAGE_KIB
        assert sample.vm_swap_kib == swap
        assert sample.rollup_rss_kib is not None and abs(sample.rollup_rss_kib - rss) <= lag + PAGE_KIB


def test_psutil_sees_another_process_as_another(board: Transport, layout: Layout) -> None:
    """The comparison can fail: the figures of a process that is not the gateway are more than a page away."""
    seen = observe(board, Subject(layout, None, None), Pace(steady=1, most=1))
    (sample,) = seen.looks
    assert isinstance(sample, Sample)
    rss, uss, pss, _ = by_psutil(os.getpid())
    assert abs(sample.vm_rss_kib - rss) > PAGE_KIB
    assert abs((sample.private_kib or 0) - uss) > PAGE_KIB and abs((sample.pss_kib or 0) - pss) > PAGE_KIB
