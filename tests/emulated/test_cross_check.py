"""Our sampler against a script that shares no line with it, by hand over /proc on a real riscv64 kernel: to a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from emulated_board import slot
from program import Slimdeploy
from standing_still import both

from deploy import catalogue
from deploy.board_shell.observation import Observation
from deploy.board_shell.samples import Pace
from deploy.cli import reaching
from deploy.emulator import emulated
from deploy.emulator.machines import machine_for
from deploy.memory.kernel_proof import lag_kib
from deploy.memory.sampling import observe
from deploy.memory.subject import Subject
from deploy.model.layout import Layout
from deploy.model.reading import Sample
from deploy.transport.protocol import Script, Transport

pytestmark = [pytest.mark.install_check, pytest.mark.timeout(600)]

BOARD = "licheerv"

_BY_HAND = r"""
cd /proc/PID || exit 1
awk '/^VmRSS:/ { print "status", $2 }' status
awk '{ print "statm", $2 }' statm
awk '$1 == "Rss:" { rss += $2; one = $2 }
     $1 == "Pss:" { pss += $2; if ($2 < one) shared++ }
     $1 == "Swap:" { swap += $2 }
     END { print "smaps", rss + 0; print "pss", pss + 0; print "swap", swap + 0; print "rounded", shared + 0 }' smaps
od -An -v -tx1 /proc/self/auxv | tr -d '\n' | sed 's/^ */auxv /'
"""
"""status and smaps tell KiB, statm pages (proc(5)); how large those are, the kernel tells every program (auxv)."""


@dataclass(frozen=True)
class ByHand:
    """In KiB. `rounded` counts the mappings whose Pss the kernel has cut to a whole KiB, by less than one each."""

    status: int
    statm: int
    smaps: int
    pss: int
    swap: int
    rounded: int
    page: int


@pytest.fixture
def board(
    private_home: Path, emulated_cache: Path, image_of: Callable[[str], Path], slimdeploy: Slimdeploy
) -> Iterator[Transport]:
    """A riscv64 board with a gateway that has answered 50 messages."""
    image_of(machine_for(catalogue.board(BOARD).target).name)
    home = private_home / "slimdeploy"
    home.mkdir()
    (home / "cache").symlink_to(emulated_cache / "cache")
    with slot(emulated_cache):
        try:
            ended = slimdeploy("deploy", "--board", BOARD, "--emulate", "--json", "--messages", "50", timeout_s=550)
            assert ended.code == 0, ended.err
            place = reaching.choose(BOARD, "", emulate=True)
            with closing(reaching.connect(place, accept_new_host_key=False, identity="")) as transport:
                yield transport
        finally:
            emulated.down(BOARD)


def by_hand(board: Transport, pid: int) -> ByHand:
    asked = Script(title="read /proc by hand", text=_BY_HAND.replace("PID", str(pid)), changes=False)
    ended = board.run(asked)
    assert ended.exit_status == 0, ended.stderr
    told = dict(line.split(" ", 1) for line in ended.stdout.decode().splitlines())
    auxv = bytes.fromhex(told.pop("auxv"))
    words = [int.from_bytes(auxv[at : at + 8], "little") for at in range(0, len(auxv), 8)]  # riscv64
    page_kib = dict(zip(words[::2], words[1::2], strict=True))[6] // 1024  # AT_PAGESZ, getauxval(3)
    figures = {name: int(value) for name, value in told.items()}
    return ByHand(**figures | {"statm": figures["statm"] * page_kib}, page=page_kib)


def test_a_script_of_another_hand_sees_what_our_sampler_sees(board: Transport) -> None:
    layout = Layout(catalogue.board(BOARD).prefix)
    pid = int(board.run(Script("whose PID", f"cat {layout.pid_file}\n", changes=False)).stdout.split()[0])

    def ours() -> Observation:
        return observe(board, Subject(layout, None, None), Pace(steady=3, interval_s=0.1, settle_s=60))

    theirs, seen = both(lambda: by_hand(board, pid), ours)
    samples = [look for look in seen.looks if isinstance(look, Sample)]
    assert len(samples) >= 3 and {sample.process.pid for sample in samples} == {pid}
    assert seen.kernel.page_kib == theirs.page
    lag = lag_kib(seen.kernel, max(sample.threads for sample in samples))
    assert lag is not None, "VmRSS may lag behind the page tables by what a CPU holds back (docs/traps.md, 26)"
    for sample in samples:
        assert abs(sample.vm_rss_kib - theirs.status) <= theirs.page
        assert abs(sample.vm_rss_kib - theirs.statm) <= theirs.page
        assert abs(sample.vm_rss_kib - theirs.smaps) <= theirs.page + lag
        assert sample.rollup_rss_kib is not None and abs(sample.rollup_rss_kib - theirs.smaps) <= theirs.page
        assert sample.pss_kib is not None and abs(sample.pss_kib - theirs.pss) <= theirs.page + theirs.rounded
        assert sample.vm_swap_kib == theirs.swap
    assert theirs.pss <= theirs.smaps and theirs.rounded < 10, theirs

    # It can fail: what the same script reads of another process is more than a page away.
    shell = by_hand(board, 1)
    assert abs(samples[0].vm_rss_kib - shell.status) > shell.page
