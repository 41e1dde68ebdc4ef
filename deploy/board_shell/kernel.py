"""Knows the questions about a board's kernel and memory that a reading's circumstances consist of, and their answers.

Whether it is a real kernel, and how far its counters may lag, is judged in `deploy/memory`.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from deploy.board_shell.framing import Answers, Framing
from deploy.board_shell.proc_files import kib, number, parse_status, uptime_s

# Files that every Linux has at the top of /proc since 2.6 (Documentation/filesystems/proc.rst, table 1-5), whatever its
# configuration; gVisor and WSL1 have none of the first three.
_TOP_FILES = ("buddyinfo", "zoneinfo", "vmstat", "softirqs", "interrupts")

# AT_PAGESZ of getauxval(3).
_AT_PAGESZ = 6

CLOCK = 'date +%s; read -r k_up k_rest </proc/uptime; printf "%s %s\\n" "$k_up" "$k_rest"'
"""sh: seconds since 1970, which somebody may set; and since boot, which nobody can."""

_RELEASE = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the board says of itself. Sizes in KiB; None or "" where it has no answer."""

    release: str
    machine: str
    version: str
    """/proc/version: release, who built it with what, and when."""
    page_kib: int | None
    cpus: int | None
    """How many the kernel may ever bring up."""
    most_cpus: int | None
    """NR_CPUS, the number that the kernel was built for."""
    thp: str
    """The setting in force for transparent huge pages: always, madvise, never, or "" where the kernel has none."""
    mem_total_kib: int | None
    swap_total_kib: int | None
    swaps: tuple[str, ...]
    """The devices and files that it swaps to, base names only: "zram0"."""
    container: str
    """What says that the login is inside a container; "" where nothing does."""
    memory_controller: str
    """"v2", "v1", or "" where this kernel has no memory controller (or has it switched off)."""
    top_files: tuple[str, ...]
    """Those of buddyinfo, zoneinfo, vmstat, softirqs, interrupts that exist under /proc."""
    shell_sizes_kib: tuple[int, ...]
    """VmRSS, VmHWM, RssAnon and RssFile of the asking shell: more figures from the same kernel."""
    shell_elf: bytes
    """The first 20 bytes of /bin/sh."""
    clock_s: int
    """Seconds since 1970 by the board's clock."""
    up_s: float

    @property
    def numbers(self) -> tuple[int, int] | None:
        """Major and minor version, (6, 12); None where the release doesn't begin with them."""
        match = _RELEASE.match(self.release)
        return (int(match[1]), int(match[2])) if match else None


def questions(framing: Framing) -> str:
    """sh text that asks for the circumstances; needs the functions of `proc_files`."""
    asked = {
        # It prints release and machine in this order, whatever the order in which they are asked for (POSIX, uname).
        "uname": 'for k_word in $(uname -r -m); do printf "%s\\n" "$k_word"; done',
        "version": "told /proc/version",
        "page": 'k_page=$(getconf PAGESIZE 2>/dev/null); [ -n "$k_page" ] && printf "%s\\n" "$k_page"',
        "auxv": '[ -z "$k_page" ] && hex_of /proc/self/auxv 512',
        "cpus": "told /sys/devices/system/cpu/possible",
        "most_cpus": "told /sys/devices/system/cpu/kernel_max",
        "thp": "told /sys/kernel/mm/transparent_hugepage/enabled",
        "meminfo": "lines_of /proc/meminfo MemTotal: SwapTotal:",
        "swaps": "told /proc/swaps",
        "container": "[ ! -e /.dockerenv ] || echo docker\n"
        "[ ! -e /run/.containerenv ] || echo podman\n"
        "[ ! -e /dev/lxd ] || echo lxd\n"
        "[ ! -r /run/systemd/container ] || told /run/systemd/container",
        "controllers": "told /sys/fs/cgroup/cgroup.controllers",
        "controllers_v1": "lines_of /proc/cgroups memory",
        "top": "".join(f"[ ! -e /proc/{name} ] || echo {name}\n" for name in _TOP_FILES),
        "shell": 'told "/proc/$$/status"',
        "shell_elf": "hex_of /bin/sh 20",
        "clock": CLOCK,
    }
    return "".join(framing.here(name, commands) for name, commands in asked.items())


def parse(answers: Answers) -> Kernel:
    """The circumstances in the sections that `questions` asked for. Raises BadAnswer."""
    uname = answers.text("uname").split("\n")
    memory = parse_status(answers.text("meminfo"))
    shell = parse_status(answers.text("shell"))
    clock_s, up_s = _clock(answers, "clock")
    shell_elf = _hex(answers, "shell_elf")
    return Kernel(
        release=uname[0].strip(),
        machine=uname[-1].strip() if len(uname) > 1 else "",
        version=answers.after_success("version") or "",
        page_kib=_page_kib(answers, shell_elf),
        cpus=_highest(answers.after_success("cpus"), 1),
        most_cpus=_highest(answers.after_success("most_cpus"), 1),
        thp=_bracketed(answers.after_success("thp") or ""),
        mem_total_kib=kib(memory, "MemTotal"),
        swap_total_kib=kib(memory, "SwapTotal"),
        swaps=tuple(
            line.split()[0].rpartition("/")[2]
            for line in (answers.after_success("swaps") or "").split("\n")[1:]
            if line.strip()
        ),
        container=" ".join(dict.fromkeys(answers.text("container").split())),
        memory_controller=_controller(answers),
        top_files=tuple(word for word in answers.text("top").split() if word in _TOP_FILES),
        shell_sizes_kib=tuple(
            size for key in ("VmRSS", "VmHWM", "RssAnon", "RssFile") if (size := kib(shell, key)) is not None
        ),
        shell_elf=shell_elf,
        clock_s=clock_s,
        up_s=up_s,
    )


def clock_jump_s(answers: Answers) -> float:
    """How much further the clock went than the uptime, from the section "clock" to "clock_after". Raises BadAnswer."""
    (clock_s, up_s), (later_s, later_up_s) = _clock(answers, "clock"), _clock(answers, "clock_after")
    return (later_s - clock_s) - (later_up_s - up_s)


def _clock(answers: Answers, name: str) -> tuple[int, float]:
    clock, _, up = answers.text(name).partition("\n")
    return number(clock.strip(), "clock"), uptime_s(up)


def _hex(answers: Answers, name: str) -> bytes:
    digits = "".join((answers.after_success(name) or "").split())
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def _page_kib(answers: Answers, elf: bytes) -> int | None:
    """From getconf, else from the auxiliary vector, whose words are of the width and order in /bin/sh's ELF header."""
    said = answers.after_success("page")
    size = number(said, "page size") if said else 0
    if not size and elf[:4] == b"\x7fELF" and len(elf) > 5:
        width, form = (8, "Q") if elf[4] == 2 else (4, "I")  # EI_CLASS and EI_DATA of elf(5)
        vector = _hex(answers, "auxv")
        words = struct.unpack_from(f"{'>' if elf[5] == 2 else '<'}{len(vector) // width}{form}", vector)
        size = next((value for key, value in zip(words[::2], words[1::2], strict=False) if key == _AT_PAGESZ), 0)
    # Linux knows pages of 4 KiB to 256 KiB; anything else is no page size.
    return size // 1024 if size in {1024 << shift for shift in range(2, 9)} else None


def _highest(text: str | None, add: int) -> int | None:
    """The last number of "0-3" or "0" or "0-1,4-5", plus `add`."""
    last = re.split(r"[-,]", text)[-1].strip() if text else ""
    return int(last) + add if re.fullmatch(r"[0-9]{1,6}", last) else None


def _bracketed(text: str) -> str:
    match = re.search(r"\[(\w+)\]", text)
    return match[1] if match else ""


def _controller(answers: Answers) -> str:
    """Columns of /proc/cgroups: name, hierarchy, number of groups, enabled (cgroups(7)); hierarchy 0 is no v1 one."""
    if "memory" in (answers.after_success("controllers") or "").split():
        return "v2"
    columns = answers.text("controllers_v1").split()
    return "v1" if len(columns) == 4 and columns[3] == "1" and columns[1] != "0" else ""
