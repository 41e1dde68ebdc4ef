"""Each reason to refuse a board is reached by one fact, before anything is built, and has its cure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.cures import REFUSED, cure
from deploy.errors import Refused
from deploy.model.board import Board
from deploy.model.facts import ElfIdentity, HostFacts, Installed, OwnUser, Part, Place
from deploy.model.gateway_config import GatewayConfig
from deploy.model.limits import Limits
from deploy.model.secret import Secret
from deploy.model.source import Source
from deploy.model.target import ELF_OF_GOARCH, Target
from deploy.steps.face import Job, Plan
from deploy.steps.preflight import (
    CLOCK_TOLERANCE_S,
    LEAST_BINARY_KIB,
    LEAST_GO_PROGRAM_KIB,
    Preflight,
    describe_elf,
    refuse,
    runs_here,
)
from deploy.transport.scripted import ScriptedTransport

NOW_S = 1_760_000_000
PLACE = Place("/opt/picoclaw", LEAST_BINARY_KIB, "/opt", ("rw", "relatime"), "ext4", writable=True)
FACTS = HostFacts(
    system="Linux",
    machine="riscv64",
    kernel_release="5.10.4",
    elf=ElfIdentity(64, True, 243),
    ram_kib=60_000,
    mem_available_kib=30_000,
    is_root=True,
    clock_s=NOW_S,
    ca_bundle="/etc/ssl/certs/ca-certificates.crt",
    tools=frozenset({"sha256sum", "gunzip"}),
    place=PLACE,
    port_taken=False,
    installed=Installed("", "", {}, "", "", {}),
    running=None,
)


def job_for(target: Target, ca_pem: bytes | None = None, *, in_repo: bool = True) -> Job:
    board = Board("some-board", "A board", target, 65536)
    config = GatewayConfig(Secret(b"12345:" + b"x" * 35), ca_pem=ca_pem)
    source = Source(Path("/nowhere"), "./cmd/picoclaw", "picoclaw", in_repo=in_repo)
    return Job(Plan(board, source, Limits(), config, board.prefix), ScriptedTransport({}))


RISCV = job_for(Target("riscv64"))


def refusal(job: Job, facts: HostFacts) -> Refused:
    with pytest.raises(Refused) as caught:
        refuse(job, facts, NOW_S)
    return caught.value


def test_a_board_without_a_fault_is_taken() -> None:
    refuse(RISCV, FACTS, NOW_S)


REASONS: dict[str, dict[str, Any]] = {
    "not_linux": {"system": "FreeBSD"},
    "wrong_architecture": {"machine": "x86_64", "elf": ElfIdentity(64, True, 62)},
    "read_only": {"place": replace(PLACE, writable=False, mount_options=("ro", "noexec"))},
    "noexec": {"place": replace(PLACE, mount_options=("rw", "noexec"))},
    "no_overcommit": {"ram_kib": 28_672, "overcommit": 0},
    "no_space": {"place": replace(PLACE, free_kib=LEAST_BINARY_KIB - 1)},
    "no_memory_for_files": {"place": replace(PLACE, file_system="tmpfs"), "mem_available_kib": 8_000},
    "clock_off": {"clock_s": 0},
    "no_ca_bundle": {"ca_bundle": ""},
    "port_taken": {"port_taken": True},
}


OTHERS = {"broken_release", "locked", "cannot_run", "changed_meanwhile", "service_taken", "no_target"}
"""Of later steps, and of the probe."""
OTHERS |= {"clock_not_set"}  # of --set-clock
OTHERS |= {"needs_root", "no_such_tool", "no_zram", "no_swap_here", "password_login", "wrong_account", "not_a_folder"}
OTHERS |= {"sshd_faults", "no_own_user", "other_changes"}


def test_a_user_that_the_gateway_can_not_have_is_refused_where_it_was_named() -> None:
    seen = replace(FACTS, own_user=OwnUser(exists=True, way="setpriv", reaches=False))
    job = replace(RISCV, plan=replace(RISCV.plan, user="bot"), facts=seen)
    refused = refusal(job, seen)
    assert (refused.reason, "no other user may reach" in refused.problem) == ("no_own_user", True)
    refuse(replace(RISCV, facts=seen), seen, NOW_S)


def test_every_reason_that_has_a_cure_is_reached_here() -> None:
    assert {*REASONS, *OTHERS} == set(REFUSED)


@pytest.mark.parametrize(
    "seen", [{"overcommit": 1}, {"overcommit": 0, "swap_kib": 14_000}, {"overcommit": None}, {"overcommit": 2}]
)
def test_a_small_board_whose_kernel_promises_enough_is_taken(seen: dict[str, Any]) -> None:
    refuse(RISCV, replace(FACTS, ram_kib=28_672, **seen), NOW_S)


def test_a_small_board_of_32_bits_needs_no_such_promise() -> None:
    arm = replace(FACTS, machine="armv7l", elf=ElfIdentity(32, True, 40), ram_kib=28_672, overcommit=0)
    refuse(job_for(Target("arm", "7")), arm, NOW_S)


@pytest.mark.parametrize("reason", REASONS)
def test_one_fact_refuses_the_board_for_one_reason_with_a_cure(reason: str) -> None:
    refused = refusal(RISCV, replace(FACTS, **REASONS[reason]))
    assert refused.reason == reason
    assert refused.host == "root@board"
    assert refused.problem
    assert cure(refused) == REFUSED[reason]


def test_a_gateway_without_a_health_port_does_not_need_a_free_one() -> None:
    plan = replace(RISCV.plan, source=replace(RISCV.plan.source, tags=("telegram", "nohealth")))
    refuse(replace(RISCV, plan=plan), replace(FACTS, port_taken=True), NOW_S)


def test_what_is_wrong_first_is_said_first() -> None:
    facts = FACTS
    for reason in reversed(REASONS):
        if reason in ("noexec", "no_memory_for_files"):
            continue  # a place is but one of these: their order is seen above
        facts = replace(facts, **REASONS[reason])
        assert refusal(RISCV, facts).reason == reason


def test_a_read_only_mount_is_told_from_a_folder_of_somebody_else() -> None:
    mounted = refusal(RISCV, replace(FACTS, place=replace(PLACE, writable=False, mount_options=("ro",))))
    foreign = refusal(RISCV, replace(FACTS, place=replace(PLACE, writable=False)))
    assert "is mounted read-only" in mounted.problem
    assert "can't be written by this login" in foreign.problem


def test_a_flash_that_is_full_of_what_may_be_asked_for_is_not_refused_before_that_is_known() -> None:
    full = replace(PLACE, free_kib=0)
    there = Installed("ab" * 8, "", {"ab" * 8: "ab" * 32}, "", "", {})
    refuse(RISCV, replace(FACTS, place=full, installed=there), NOW_S)
    begun = Installed("", "", {"ab" * 8: ""}, "", "", {}, parts={"ab" * 8: Part(4_000_000, "cd" * 32)})
    refuse(RISCV, replace(FACTS, place=full, installed=begun), NOW_S)
    assert refusal(RISCV, replace(FACTS, place=full, installed=Installed("", "", {}, "", "", {}))).reason == "no_space"


def test_a_program_of_the_users_own_may_be_smaller_than_the_gateway() -> None:
    small, other = replace(PLACE, free_kib=LEAST_GO_PROGRAM_KIB), job_for(Target("riscv64"), in_repo=False)
    refuse(other, replace(FACTS, place=small), NOW_S)
    assert refusal(RISCV, replace(FACTS, place=small)).reason == "no_space"
    assert refusal(other, replace(FACTS, place=replace(small, free_kib=LEAST_GO_PROGRAM_KIB - 1))).reason == "no_space"


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_clock_may_be_a_day_off(sign: int) -> None:
    refuse(RISCV, replace(FACTS, clock_s=NOW_S + sign * CLOCK_TOLERANCE_S), NOW_S)
    assert refusal(RISCV, replace(FACTS, clock_s=NOW_S + sign * (CLOCK_TOLERANCE_S + 1))).reason == "clock_off"


@pytest.mark.parametrize("clock_s", [0, 1, 2**31, 2**40, 2**62, 10**19 - 1])
def test_a_clock_of_any_year_is_refused_and_not_stumbled_over(clock_s: int) -> None:
    assert refusal(RISCV, replace(FACTS, clock_s=clock_s)).reason == "clock_off"


def test_a_bundle_that_is_sent_along_replaces_the_boards_own() -> None:
    refuse(job_for(Target("riscv64"), ca_pem=b"pem"), replace(FACTS, ca_bundle=""), NOW_S)


@pytest.mark.parametrize("goarch", ELF_OF_GOARCH)
def test_the_elf_header_of_the_boards_own_programs_decides_width_and_byte_order(goarch: str) -> None:
    machines = {"EM_X86_64": 62, "EM_386": 3, "EM_AARCH64": 183, "EM_ARM": 40, "EM_RISCV": 243, "EM_MIPS": 8,
                "EM_LOONGARCH": 258}  # fmt: skip
    name, bits, little_endian = ELF_OF_GOARCH[goarch]
    right = ElfIdentity(bits, little_endian, machines[name])
    facts = replace(FACTS, machine="other", elf=right)
    assert runs_here(Target(goarch), facts)
    for wrong in (replace(right, bits=96 - bits), replace(right, little_endian=not little_endian)):
        assert not runs_here(Target(goarch), replace(facts, elf=wrong))
    assert not runs_here(Target(goarch), replace(facts, elf=replace(right, machine=2)))
    assert f"{bits}-bit" in describe_elf(right)


def test_a_64_bit_kernel_under_32_bit_programs_runs_64_bit_binaries() -> None:
    facts = replace(FACTS, machine="aarch64", elf=ElfIdentity(32, True, 40))
    assert runs_here(Target("arm64"), facts)
    assert runs_here(Target("arm", "7"), facts)
    assert not runs_here(Target("arm64"), replace(facts, machine="armv7l"))


@pytest.mark.parametrize(
    ("machine", "variant", "taken"),
    [
        ("armv7l", "7", True),
        ("armv6l", "6", True),
        ("armv7l", "6", True),
        ("armv6l", "7", False),
        ("armv5tejl", "7", False),
    ],
)
def test_an_old_arm_core_does_not_run_what_is_built_for_a_newer_one(machine: str, variant: str, taken: bool) -> None:
    facts = replace(FACTS, machine=machine, elf=ElfIdentity(32, True, 40))
    job = job_for(Target("arm", variant))
    if taken:
        refuse(job, facts, NOW_S)
    else:
        assert refusal(job, facts).reason == "wrong_architecture"


def test_describing_a_machine_that_nobody_knows() -> None:
    assert describe_elf(ElfIdentity(32, False, 8)) == "32-bit big-endian MIPS"
    assert describe_elf(ElfIdentity(32, False, 9999)) == "32-bit big-endian machine 9999"


def test_preflight_is_never_skipped_and_its_script_changes_nothing() -> None:
    step = Preflight()
    assert step.skip(RISCV) is None
    (script,) = step.commands(RISCV)
    assert not script.changes  # type: ignore[union-attr]
