"""Knows what has to be true of a board before anything is built or changed; how it is asked is `board_shell`'s."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from deploy.board_shell.framing import Framing
from deploy.board_shell.preflight import Question, parse_preflight, preflight_script
from deploy.errors import Refused
from deploy.model.facts import ElfIdentity, HostFacts
from deploy.model.layout import Layout
from deploy.model.target import ELF_OF_GOARCH, Target
from deploy.service.accounts import ROOT, default_name
from deploy.service.managers import system_files
from deploy.steps.asking import must
from deploy.steps.authorities import settled
from deploy.steps.face import Job, LocalCommand, Observer
from deploy.steps.space import refuse_without_space
from deploy.transport.protocol import Script

# e_machine numbers (elf(5), /usr/include/elf.h) by the names that the targets use.
_MACHINES = {
    "EM_386": 3,
    "EM_MIPS": 8,
    "EM_ARM": 40,
    "EM_X86_64": 62,
    "EM_AARCH64": 183,
    "EM_RISCV": 243,
    "EM_LOONGARCH": 258,
}

# `uname -m` of a 64-bit kernel that may carry a 32-bit user land: a static 64-bit binary runs there all the same.
_KERNEL_MACHINES = {"amd64": ("x86_64",), "arm64": ("aarch64",), "riscv64": ("riscv64",)}

LEAST_BINARY_KIB = 4000
"""The gateway is larger for every target: less room is refused before anything is built, all else once its size is
known."""

LEAST_GO_PROGRAM_KIB = 1024
"""The same for a program of the user's own: Go's runtime alone is larger."""

GO_INDEX_KIB = 33_100
"""What a 64-bit Go program on Linux asks for at its start and hardly touches: the index of its heap's arenas, 32 MiB
(arenaL2Bits in Go's runtime/malloc.go), and the rest of its BSS."""

CLOCK_TOLERANCE_S = 24 * 3600
"""A clock that is further off is a board without a set clock; certificates are then "not yet valid" or expired."""

_LAST_DATE_S = 253_402_300_799
"""The end of the year 9999; not every C library can write a later date down."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """Asks everything in one round trip and refuses early."""

    now: Callable[[], float] = time.time
    title: str = "Preflight"

    def skip(self, job: Job) -> str | None:
        """Never: every later skip rests on what is asked here."""
        return None

    def commands(self, job: Job) -> tuple[Script | LocalCommand, ...]:
        """The one script (its nonce is new every time)."""
        return (preflight_script(_question(job), Framing.new()),)

    def run(self, job: Job, observer: Observer) -> str:
        """Ask, note the facts, raise Refused where the board can't take the release."""
        framing = Framing.new()
        completed = must(job.transport, preflight_script(_question(job), framing))
        facts = parse_preflight(framing, completed.stdout)
        job.facts = facts
        job.plan = settled(job.plan, facts)
        refuse(job, facts, int(self.now()))
        place = facts.place
        kernel = f"{facts.system} {facts.kernel_release} {facts.machine}"
        return f"{kernel}, {place.free_kib // 1024} MiB free at {place.prefix}"

    def undo(self, job: Job) -> None:
        """Nothing was changed."""


def _question(job: Job) -> Question:
    plan = job.plan
    layout = Layout(plan.prefix, plan.source.binary)
    user = "" if plan.user == ROOT else plan.user or default_name(layout)
    return Question(layout, plan.config.health_port, plan.prefix_is_fixed, system_files(layout), user)


def runs_here(target: Target, facts: HostFacts) -> bool:
    """Whether a static binary for `target` can run on the board, by the ELF header of the board's own programs.

    `uname -m` alone can't tell: it says "mips" for both byte orders and "armv7l" for a v8 kernel in 32-bit mode.
    """
    name, bits, little_endian = ELF_OF_GOARCH[target.goarch]
    if facts.elf == ElfIdentity(bits, little_endian, _MACHINES[name]):
        return True
    return facts.machine in _KERNEL_MACHINES.get(target.goarch, ())


def describe_elf(elf: ElfIdentity) -> str:
    """An ELF identity for people: "64-bit little-endian RISCV"."""
    names = {number: name.removeprefix("EM_") for name, number in _MACHINES.items()}
    order = "little" if elf.little_endian else "big"
    return f"{elf.bits}-bit {order}-endian {names.get(elf.machine, f'machine {elf.machine}')}"


def date_of(clock_s: int) -> str:
    """The day that a clock shows, in UTC, whatever it shows."""
    return time.strftime("%Y-%m-%d", time.gmtime(min(max(0, clock_s), _LAST_DATE_S)))


def refuse(job: Job, facts: HostFacts, now_s: int) -> None:
    """Raise Refused for the first thing that stands in the way; each reason has its cure in `deploy/cli/cures.py`."""
    host, plan, place = job.transport.host, job.plan, facts.place
    target = plan.board.target
    if facts.system != "Linux":
        raise Refused("not_linux", f"the board runs {facts.system}, not Linux", host)
    if not runs_here(target, facts):
        theirs = describe_elf(facts.elf)
        raise Refused(
            "wrong_architecture", f"the board runs {theirs} programs, {plan.board.name} is built for {target}", host
        )
    if target.goarch == "arm" and target.variant.startswith("7") and facts.machine.startswith(("armv5", "armv6")):
        problem = f"the CPU is {facts.machine}, {plan.board.name} is built for {target}"
        raise Refused("wrong_architecture", problem, host)
    if not place.writable:
        why = "is mounted read-only" if "ro" in place.mount_options else "can't be written by this login"
        raise Refused("read_only", f"{place.prefix} (on {place.mount_point}) {why}", host)
    if "noexec" in place.mount_options:
        raise Refused("noexec", f"{place.prefix} lies on {place.mount_point}, which is mounted noexec", host)
    # The kernel refuses one piece of more than there is at all (mm/util.c, __vm_enough_memory); exec ends in SIGSEGV.
    has_kib = facts.ram_kib + facts.swap_kib
    if facts.overcommit == 0 and ELF_OF_GOARCH[target.goarch][1] == 64 and has_kib < GO_INDEX_KIB:
        problem = (
            f"the board has {has_kib} KiB of memory and swap, and its kernel gives no program more than that at once; "
            f"a 64-bit Go program asks for {GO_INDEX_KIB} KiB at its start, most of which it never touches"
        )
        raise Refused("no_overcommit", problem, host)
    refuse_user(job, host)
    # What is there may be the release that is asked for, which takes nothing; so may what an earlier push has left.
    if not facts.installed.current and not facts.installed.parts:
        least_kib = LEAST_BINARY_KIB if plan.source.in_repo else LEAST_GO_PROGRAM_KIB
        refuse_without_space(facts, plan.limits, "", least_kib, host)
    if abs(facts.clock_s - now_s) > CLOCK_TOLERANCE_S and not plan.set_clock:
        raise Refused(
            "clock_off",
            f"the board's clock says {date_of(facts.clock_s)}; no TLS certificate will be valid there",
            host,
        )
    if plan.command is not None:
        return  # what such a program trusts, and where it listens, is its own business
    if not facts.ca_bundle and plan.config.ca_pem is None and plan.config.checked_hosts():
        raise Refused("no_ca_bundle", "the board has no CA bundle, so it can't check Telegram's certificate", host)
    if facts.port_taken and plan.answers:
        port = plan.config.health_port
        raise Refused("port_taken", f"another process on the board listens on port {port}", host)


def refuse_user(job: Job, host: str) -> None:
    """Raise Refused where the gateway can't have the user that was named for it."""
    if job.plan.user and job.account.reason:
        raise Refused("no_own_user", f"the gateway can't run as {job.plan.user} there: {job.account.reason}", host)
