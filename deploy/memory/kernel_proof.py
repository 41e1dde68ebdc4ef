"""Knows what tells a real Linux kernel from one that only answers like it, and how far a real one's counters lag.

Asking the board is `board_shell/kernel.py`'s; what follows for a reading is evidence.py's and budget.py's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from deploy.board_shell.kernel import Kernel

# uname -m -> the e_machine numbers (elf(5), linux/elf-em.h) of programs that this machine runs by itself.
_X86_64, _386, _ARM, _AARCH64, _RISCV, _MIPS, _LOONGARCH = 62, 3, 40, 183, 243, 8, 258
_NATIVE = (
    (re.compile(r"x86_64|amd64"), {_X86_64, _386}),
    (re.compile(r"i[3-6]86"), {_386}),
    (re.compile(r"aarch64|armv8.*|arm64"), {_AARCH64, _ARM}),
    (re.compile(r"arm.*"), {_ARM}),
    (re.compile(r"riscv.*"), {_RISCV}),
    (re.compile(r"mips.*"), {_MIPS}),
    (re.compile(r"loongarch.*"), {_LOONGARCH}),
)

# What a sandbox or a compatibility layer writes into /proc/version or uname -r. gVisor: pkg/sentry/kernel/version.go
# keeps one build stamp for every release. WSL1 ends its release in "-Microsoft"; WSL2 ("-microsoft-standard-WSL2") is a
# real kernel. FreeBSD's linuxulator names its builder.
_IMITATIONS = (
    ("gVisor", re.compile(r"gvisor|Sun Jan 10 15:06:54 PST 2016", re.IGNORECASE)),
    ("WSL1", re.compile(r"[0-9]-Microsoft\b")),
    ("FreeBSD's Linux emulation", re.compile(r"freebsd", re.IGNORECASE)),
)

_LEAST_STEP_KIB = 256

# mm/memory.c, "sync counter once per 64 page faults": check_sync_rss_stat() lets 65 pass. A fault maps what lies around
# it, 64 KiB unless set otherwise (default of fault_around_bytes, same file), so a thread may hold back 65 times that.
_FAULTS_HELD_BACK = 65
_FAULT_AROUND_KIB = 64

# RSS is kept in three counters: file, anonymous and shared memory pages (include/linux/mm_types_task.h).
_COUNTERS = 3
_LEAST_BATCH_PAGES = 32


def imitation(kernel: Kernel, exe: str, exe_elf: bytes) -> str:
    """Why this is not a real Linux kernel under the process, as a clause; "" where nothing speaks against it."""
    for name, pattern in _IMITATIONS:
        if pattern.search(kernel.release) or pattern.search(kernel.version):
            return f"the kernel is {name}'s, not Linux's own"
    if not {"buddyinfo", "zoneinfo", "vmstat"} & set(kernel.top_files):
        return "its /proc has neither buddyinfo, zoneinfo nor vmstat, as every Linux has"
    if exe.rpartition("/")[2].startswith("qemu-"):
        return "the process is a user-mode emulator"
    for what, elf in (("the process's executable", exe_elf), ("/bin/sh", kernel.shell_elf)):
        if not _native(kernel.machine, elf):
            return f"{what} is not for {kernel.machine}: a user-mode emulator runs it"
    return ""


def rounding_step_kib(kernel: Kernel, figures_kib: Iterable[int]) -> int | None:
    """The step in which this kernel's figures move, where that is far more than a page; None for honest page counts.

    `figures_kib` are the process's; the asking shell's are added. Four of those eight are independent of each other, so
    on a real kernel all of them are multiples of 16 pages by chance once in 16 ** 4 looks, or less often.
    """
    figures = {figure for figure in (*figures_kib, *kernel.shell_sizes_kib) if figure > 0}
    common = math.gcd(*figures)
    step = common & -common
    return step if step >= max(_LEAST_STEP_KIB, 16 * (kernel.page_kib or 64)) else None


def lag_kib(kernel: Kernel, threads: int) -> int | None:
    """How far VmRSS may be off on this kernel, in KiB; None where its release can't be read.

    Before 6.2 each thread keeps its own part back (SPLIT_RSS_COUNTING), unless the kernel was built for fewer than
    four CPUs (SPLIT_PTLOCK_CPUS in mm/Kconfig). Since 6.2 each counter is a percpu_counter, whose every CPU may hold
    back one batch: 32 pages, or twice the number of CPUs where that is more (lib/percpu_counter.c); built for one CPU
    it is exact.
    """
    page_kib = kernel.page_kib or 64
    if kernel.numbers is None:
        return None
    if kernel.numbers < (6, 2):
        if kernel.most_cpus is not None and kernel.most_cpus < 4:
            return 0
        return threads * _FAULTS_HELD_BACK * max(_FAULT_AROUND_KIB, page_kib)
    if kernel.most_cpus == 1:
        return 0
    cpus = kernel.cpus or kernel.most_cpus
    return None if cpus is None else _COUNTERS * cpus * max(_LEAST_BATCH_PAGES, 2 * cpus) * page_kib


def _native(machine: str, elf: bytes) -> bool:
    """Whether `machine` runs a program with this header by itself; a header that was not had speaks for nothing."""
    if len(elf) < 20 or elf[:4] != b"\x7fELF":
        return True
    number = int.from_bytes(elf[18:20], "big" if elf[5] == 2 else "little")
    native = next((numbers for pattern, numbers in _NATIVE if pattern.fullmatch(machine)), None)
    return native is None or number in native
