"""Traps of how a kernel counts: huge pages, swap, pages of another size, no smaps_rollup, layers that are no Linux."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from gateways import QUICK, Gateways
from readings import failed, idle_of, names_no_figure, recorded_answer, recorded_subject
from recorded import Answer

from deploy.memory.budget import judge
from deploy.memory.idle import idle_reading
from deploy.memory.sampling import observe
from deploy.memory.subject import Subject
from deploy.model.reading import Reading
from deploy.model.verdict import Budget, Outcome
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Completed, Progress, Script

LARGE = Budget(rss_kib=1 << 30)

_MAPPER = r"""
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
/* argv[1]: "thp" asks for a huge page and touches one byte of it, "hugetlb" takes one from the pool, "swap" fills 8 MiB
   and gives them to the swap device (MADV_PAGEOUT, Linux 5.4). A line is printed where the kernel did it. */
int main(int argc, char **argv) {
    size_t huge = 2 << 20, size = strcmp(argv[1], "swap") ? 2 * huge : 4 * huge;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | (strcmp(argv[1], "hugetlb") ? 0 : 0x40000);
    char *at = mmap(0, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (at == MAP_FAILED) return 3;
    if (!strcmp(argv[1], "thp")) {
        at += huge - (size_t)at % huge;
        if (madvise(at, huge, 14)) return 3;
        *at = 1;
    } else if (!strcmp(argv[1], "hugetlb")) {
        at[0] = at[huge] = 1;
    } else {
        for (size_t i = 0; i < size; i += 64) at[i] = (char)(i * 2654435761u >> 7);
        if (madvise(at, size, 21)) return 3;
    }
    puts("done");
    fflush(stdout);
    pause();
    return argc;
}
"""


@pytest.fixture
def mapper(gateways: Gateways) -> Gateways:
    """The binary is a program that maps memory of an unusual kind."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (apt-get install gcc libc6-dev)")
    source = gateways.folder / "mapper.c"
    source.write_text(_MAPPER)
    subprocess.run([compiler, "-O1", "-o", gateways.binary, source], check=True, timeout=60)
    return gateways


def reading_of(gateways: Gateways, way: str, remedy: str) -> Reading:
    """The reading of a process that maps memory in that way; skips where this machine has none of it to give."""
    log = gateways.folder / "log"
    started = gateways.spawn("sh", "-c", f'exec "$0" {way} >"$1"', str(gateways.binary), str(log))
    gateways.wait_for(lambda: started.poll() is not None or log.read_text() == "done\n")
    if started.poll() is not None:
        pytest.skip(remedy)
    subject = Subject(gateways.layout, gateways.sha256, None, pid=started.pid, ours=False)
    return idle_reading(LocalTransport(), subject, pace=QUICK)


def detail(reading: Reading, name: str) -> str:
    return next(proof.detail for proof in reading.evidence if proof.name == name)


@pytest.mark.install_check
def test_one_byte_in_a_transparent_huge_page_counts_as_all_of_it_and_is_named(mapper: Gateways) -> None:
    remedy = "this kernel gives no transparent huge pages (echo madvise >/sys/kernel/mm/transparent_hugepage/enabled)"
    enabled = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not enabled.exists() or "[never]" in enabled.read_text():
        pytest.skip(remedy)
    reading = reading_of(mapper, "thp", remedy)
    highest = reading.highest
    assert highest is not None and highest.rss_anon_kib is not None
    if not highest.huge_kib:
        pytest.skip("this machine had no huge page left (echo 1 >/proc/sys/vm/compact_memory)")
    assert highest.rss_anon_kib >= 2048, "one byte was touched"
    assert "huge pages, which count whole" in detail(reading, "huge_pages")
    assert judge(reading, LARGE).outcome is Outcome.PASS
    assert judge(reading, Budget(rss_kib=2047)).outcome is Outcome.FAIL, "they are the process's, and they count"
    assert reading.circumstances["transparent huge pages"] in ("madvise", "always")


@pytest.mark.install_check
def test_huge_pages_that_no_vm_rss_holds_are_added(mapper: Gateways) -> None:
    reading = reading_of(mapper, "hugetlb", "no HugeTLB pages here (sysctl vm.nr_hugepages=2, and back to 0)")
    highest = reading.highest
    assert highest is not None and highest.hugetlb_kib == 4096
    assert highest.vm_rss_kib < 4096, "what a reader of VmRSS would print"
    verdict = judge(reading, Budget(rss_kib=4096))
    assert verdict.outcome is Outcome.FAIL
    assert "+ 4,096 KiB in HugeTLB pages" in verdict.reason


def test_huge_pages_that_no_vm_rss_holds_are_added_wherever_the_kernel_tells_them() -> None:
    seen = recorded_answer().edited("status", r"^VmSwap:.*$", "VmSwap:\t 0 kB\nHugetlbPages:\t 4096 kB")
    reading = idle_of(seen)
    verdict = judge(reading, Budget())
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("idle: VmRSS 1,544 KiB + 4,096 KiB in HugeTLB pages + error bar 0 KiB is over")
    assert "they are added" in detail(reading, "huge_pages")


@pytest.mark.install_check
def test_a_process_that_was_swapped_out_is_not_small(mapper: Gateways) -> None:
    if len(Path("/proc/swaps").read_text().splitlines()) < 2:
        pytest.skip("this machine has no swap (make a file: mkswap, swapon)")
    reading = reading_of(mapper, "swap", "this kernel swaps nothing out when asked to (MADV_PAGEOUT, Linux 5.4)")
    highest = reading.highest
    assert highest is not None and highest.vm_swap_kib is not None
    if highest.vm_swap_kib < 4096:
        pytest.skip("the swap of this machine is full")
    verdict = judge(reading, Budget())
    assert verdict.outcome is Outcome.FAIL and "in swap" in verdict.reason


# --- pages of another size


@pytest.mark.parametrize(("page_kib", "bound_kib"), [(16, 3072), (64, 12288)])
def test_pages_of_16_and_64_kib_are_neither_multiplied_nor_taken_for_rounding(page_kib: int, bound_kib: int) -> None:
    seen = recorded_answer().replaced("page", str(page_kib * 1024))
    figures = {"VmRSS": 26 * 64, "VmHWM": 27 * 64, "RssAnon": 9 * 64, "RssFile": 17 * 64}
    for section in ("status", "shell"):
        for key, size in figures.items():
            seen = seen.edited(section, rf"^{key}:.*$", f"{key}:\t {size} kB")
    seen = seen.edited("pages", r"^Rss:.*$", f"Rss: {figures['VmRSS']} kB")
    reading = idle_of(seen)
    assert failed(reading) == set()
    assert (reading.rss_kib, reading.circumstances["page size"]) == (1664, f"{page_kib} KiB")
    assert judge(reading, Budget()).outcome is Outcome.PASS
    # Where the page tables can't be walked the bound is in pages: too wide to say PASS or FAIL, and so neither is said.
    unwalked = idle_of(seen.replaced("pages", "", 2))
    assert unwalked.rss_error_kib == bound_kib
    verdict = judge(unwalked, Budget(rss_kib=1664))
    assert verdict.outcome is Outcome.NOT_MEASURED and names_no_figure(verdict)


# --- counters that lag


@pytest.mark.parametrize("gap_kib", [-200, 200])
def test_what_the_counters_lag_behind_the_page_tables_is_the_error_bar_and_counts(gap_kib: int) -> None:
    seen = recorded_answer().edited("pages", r"^Rss:.*$", f"Rss: {1544 + gap_kib} kB")
    reading = idle_of(seen)
    assert (failed(reading), reading.rss_kib, reading.rss_error_kib) == (set(), 1544, 200)
    assert judge(reading, Budget(rss_kib=1744)).outcome is Outcome.PASS
    verdict = judge(reading, Budget(rss_kib=1743))
    assert verdict.outcome is Outcome.FAIL and "error bar 200 KiB" in verdict.reason


# --- no smaps_rollup


class WithoutRollup(LocalTransport):
    """This machine as a board before Linux 4.14, which has no smaps_rollup."""

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        old = script.text.replace("$pid/smaps_rollup", "$pid/smaps_rollup-of-a-later-kernel")
        assert old != script.text
        return super().run(replace(script, text=old), progress)


def test_without_smaps_rollup_the_page_tables_are_walked_mapping_by_mapping(gateways: Gateways) -> None:
    gateways.runs(gateways.supervise())
    walks = {}
    for transport in (LocalTransport(), WithoutRollup()):
        seen = observe(transport, gateways.subject(), QUICK)
        reading = idle_of(seen, subject=gateways.subject())
        assert judge(reading, LARGE).outcome is Outcome.PASS
        assert not reading.error_is_bound
        highest = reading.highest
        assert highest is not None
        walks[seen.page_walk] = highest.rollup_rss_kib
    assert set(walks) == {"smaps_rollup", "smaps"}
    assert walks["smaps_rollup"] == walks["smaps"], "a process that sleeps"


# --- what only answers like Linux

_GVISOR_STATUS = """\
Name:\tpicoclaw
State:\tS (sleeping)
Tgid:\t8346
Pid:\t8346
PPid:\t8343
TracerPid:\t0
FDSize:\t8
VmSize:\t1239040 kB
VmRSS:\t3072 kB
VmData:\t1231900 kB
Threads:\t6
Seccomp:\t0"""
"""The lines that gVisor writes (pkg/sentry/fsimpl/proc/task_files.go): a VmRSS, but no VmHWM, RssAnon or VmSwap."""


def on_gvisor(release: str, *, banner: bool = True) -> Answer:
    seen = recorded_answer().replaced("top", "").replaced("swaps", "", 2).replaced("thp", "", 2)
    seen = seen.replaced("status", _GVISOR_STATUS).replaced("shell", _GVISOR_STATUS)
    seen = seen.edited("uname", r"^6\.18.*$", release)
    built = "#1 SMP Sun Jan 10 15:06:54 PST 2016" if banner else "#1 SMP Tue Mar 4 10:00:00 UTC 2025"
    return seen.replaced("version", f"Linux version {release} {built}")


def on_wsl1() -> Answer:
    seen = recorded_answer().replaced("top", "interrupts").replaced("thp", "", 2).replaced("pages", "", 2)
    seen = seen.edited("uname", r"^6\.18.*$", "4.4.0-19041-Microsoft")
    banner = "(Microsoft@Microsoft.com) (gcc version 5.4.0 (GCC) ) #488-Microsoft Mon Sep 01 13:43:00 PST 2020"
    return seen.replaced("version", f"Linux version 4.4.0-19041-Microsoft {banner}")


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        pytest.param(on_gvisor("4.4.0"), "the kernel is gVisor's", id="gVisor"),
        pytest.param(on_gvisor("4.19.0-gvisor"), "the kernel is gVisor's", id="gVisor of 2026"),
        pytest.param(on_gvisor("6.6.0", banner=False), "neither buddyinfo, zoneinfo nor vmstat", id="unnamed"),
        pytest.param(on_wsl1(), "the kernel is WSL1's", id="WSL1"),
    ],
)  # fmt: skip
def test_a_layer_that_only_answers_like_linux_measures_nothing(seen: Answer, said: str) -> None:
    for subject in (recorded_subject(), recorded_subject(sha256=None, limits=None, ours=False)):
        reading = idle_of(seen, subject=subject)
        assert "real_kernel" in failed(reading)
        verdict = judge(reading, LARGE)
        assert verdict.outcome is Outcome.NOT_MEASURED and names_no_figure(verdict)
        assert said in verdict.reason or said in detail(reading, "real_kernel")
