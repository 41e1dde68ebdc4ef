"""Knows which emulated machine stands for a board's architecture; QEMU itself is `qemu.py`'s, its kernel `images.py`'s.

Each was tried with QEMU 7.2: real Debian kernels, to an SSH login.
"""

from __future__ import annotations

from dataclasses import dataclass

from deploy.errors import Unsupported, UsageError
from deploy.model.board import Board
from deploy.model.target import Target


@dataclass(frozen=True, slots=True)
class Machine:
    """What QEMU is told, and which of Debian's packages is its kernel."""

    name: str
    """What the image is called after: Go's name of the architecture, with its variant where there are two."""
    title: str
    program: str
    """The QEMU program (qemu(1))."""
    program_package: str
    """The Debian package that installs it."""
    arguments: tuple[str, ...]
    console: str
    """The serial console's device, as the kernel's `console=` takes it."""
    network_device: str
    suite: str
    """The code name of the Debian release that its packages come from."""
    debian_architecture: str
    kernel_package: str
    """A meta package; its dependency is the kernel itself."""
    kernel_kib: int
    """What the kernel keeps of the memory that QEMU gives it, before MemTotal (measured from 64 MiB to 1 GiB)."""
    kernel_share: int = 64
    """And one part in so many: a page table entry for each page is 64 bytes of 4,096 (struct page,
    include/linux/mm_types.h). On arm64 its bounce buffers and reserves grow with the memory too (measured)."""
    modules: tuple[str, ...] = ()
    """Kernel modules of this machine alone."""
    least_kib: int = 0
    """The least that its kernel and user land start with, as Linux sees it, a new flash made among it (measured)."""
    most_kib: int | None = None
    """The most that it can show Linux."""
    most_why: str = ""
    cgroup_v1: bool = False
    """Whether its kernel has the memory controller of cgroup v1: CONFIG_MEMCG_V1 is off in Debian's 6.12."""

    def refuse_memory(self, visible_kib: int) -> None:
        """Raise UsageError where it can't run with so much for Linux to see, or can't show so much."""
        if visible_kib < self.least_kib:
            raise UsageError(
                f"{self.title} boots with {self.least_kib // 1024} MiB or more, as Linux sees them: its kernel is "
                f"larger than a vendor's (--memory {self.least_kib // 1024}MiB)"
            )
        if self.most_kib is not None and visible_kib > self.most_kib:
            raise UsageError(
                f"{self.title} shows Linux {self.most_kib // 1024} MiB at most: {self.most_why} "
                f"(--memory {self.most_kib // 1024}MiB)"
            )

    def memory_kib(self, visible_kib: int) -> int:
        """What QEMU has to give, in KiB and whole MiB, so that Linux sees `visible_kib` or a little more."""
        needed = (visible_kib + self.kernel_kib) * self.kernel_share // (self.kernel_share - 1)
        return -(-needed // 1024) * 1024


_RISCV64 = Machine(
    name="riscv64",
    title="QEMU virt, a generic 64-bit RISC-V",
    program="qemu-system-riscv64",
    program_package="qemu-system-misc",
    arguments=("-M", "virt"),
    console="ttyS0",
    network_device="virtio-net-pci,romfile=",
    suite="trixie",
    debian_architecture="riscv64",
    kernel_package="linux-image-riscv64",
    kernel_kib=68_000,
    least_kib=26 * 1024,
)
_ARM64 = Machine(
    name="arm64",
    title="QEMU virt with a Cortex-A53",
    program="qemu-system-aarch64",
    program_package="qemu-system-arm",
    arguments=("-M", "virt", "-cpu", "cortex-a53"),
    console="ttyAMA0",
    network_device="virtio-net-pci,romfile=",
    suite="trixie",
    debian_architecture="arm64",
    kernel_package="linux-image-cloud-arm64",
    kernel_kib=31_500,
    kernel_share=46,
    least_kib=28 * 1024,
)
_ARMV7 = Machine(
    name="armv7",
    title="QEMU virt with a Cortex-A7",
    program="qemu-system-arm",
    program_package="qemu-system-arm",
    # With highmem the PCI host does not come up on this kernel, and there is no network card then.
    arguments=("-M", "virt,highmem=off", "-cpu", "cortex-a7"),
    console="ttyAMA0",
    network_device="virtio-net-pci,romfile=",
    suite="trixie",
    debian_architecture="armhf",
    kernel_package="linux-image-armmp",
    kernel_kib=20_400,
    least_kib=40 * 1024,
)
_MIPSLE = Machine(
    name="mipsle",
    title="QEMU malta with a 24Kf",
    program="qemu-system-mipsel",
    program_package="qemu-system-mips",
    arguments=("-M", "malta", "-vga", "none"),
    console="ttyS0",
    network_device="virtio-net-pci,romfile=",
    suite="bookworm",  # the last release of Debian with 32-bit MIPS
    debian_architecture="mipsel",
    kernel_package="linux-image-4kc-malta",
    kernel_kib=15_100,
    modules=("virtio_pci",),
    cgroup_v1=True,
    least_kib=36 * 1024,
    most_kib=236 * 1024,
    most_why="its kernel has no high memory, and this board's low memory ends at 256 MiB",
)
_AMD64 = Machine(
    name="amd64",
    title="QEMU q35, a PC",
    program="qemu-system-x86_64",
    program_package="qemu-system-x86",
    # No KVM: where /dev/kvm is there it may still not work, inside another virtual machine for one.
    arguments=("-M", "q35", "-accel", "tcg"),
    console="ttyS0",
    network_device="virtio-net-pci,romfile=",
    suite="trixie",
    debian_architecture="amd64",
    kernel_package="linux-image-cloud-amd64",
    kernel_kib=40_000,
)

MACHINES = (_RISCV64, _ARM64, _ARMV7, _MIPSLE, _AMD64)

_EVERYWHERE = (
    "the vendor's kernel and its drivers",
    "errata and speed of the board's own CPU, and cores beside its first",
)
"""QEMU gives a machine one CPU unless told otherwise (qemu-system(1), -smp)."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Which emulated machine stands for a board, for people."""

    machine: str
    """Its title; "" where there is none."""
    why_none: str
    not_covered: tuple[str, ...]
    """What a run on it does not tell about the real board."""


def machine_called(name: str) -> Machine:
    """The machine of that name. Raises LookupError."""
    for machine in MACHINES:
        if machine.name == name:
            return machine
    raise LookupError(name)


def machine_for(target: Target) -> Machine:
    """The machine that a binary for `target` runs on. Raises Unsupported, with the reason, where there is none."""
    if target.goarch == "arm":
        return _ARMV7
    for machine in MACHINES:
        if machine.name == target.goarch:
            return machine
    reasons = {
        "mips": "Debian has no big-endian MIPS any more, so there is no kernel for one",
        "loong64": "Debian 13 has no kernel for LoongArch",
    }
    reason = reasons.get(target.goarch, "no machine has been tried for it")
    raise Unsupported(f"there is no emulated machine for {target.goarch}: {reason}")


def not_covered(board: Board, machine: Machine) -> tuple[str, ...]:
    """What a run on `machine` does not tell about the real `board`, for people."""
    own: list[str] = []
    if board.target.goarch == "arm" and not board.target.variant.startswith("7"):
        own.append(f"that the CPU is an ARMv{board.target.variant[:1]}: the emulated kernel and CPU are ARMv7")
    if "softfloat" in board.target.variant:
        own.append("that the CPU has no FPU: the emulated one has, and leaves it idle")
    return (*own, *_EVERYWHERE)


def stand_for(board: Board) -> Stand:
    """Which machine stands for `board`, and what that leaves open; or why there is none."""
    if board.connection == "loopback":
        return Stand("", "it is this machine itself", ())
    try:
        machine = machine_for(board.target)
    except Unsupported as refused:
        return Stand("", str(refused), ())
    return Stand(machine.title, "", not_covered(board, machine))
