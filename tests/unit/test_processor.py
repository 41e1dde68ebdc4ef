"""The target of a host, from what real processors say of themselves: never more than they certainly run."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from probes import probed

from deploy.board_shell.probe import parse_processor
from deploy.catalogue import VARIANTS
from deploy.errors import Refused
from deploy.model.facts import ElfIdentity
from deploy.model.target import VARIANT_OF_GOARCH, Target
from deploy.processor import arm_version, choose, riscv_extensions, runs

ARM = ElfIdentity(32, True, 40)
RISCV = ElfIdentity(64, True, 243)
AMD64 = ElfIdentity(64, True, 62)

# As these processors' kernels print /proc/cpuinfo.
ZERO = """model name	: ARMv6-compatible processor rev 7 (v6l)
Features	: half thumb fastmult vfp edsp java tls
CPU implementer	: 0x41
CPU architecture: 7
CPU part	: 0xb76
Hardware	: BCM2835
Model	: Raspberry Pi Zero W Rev 1.1"""
CORTEX_A7 = """model name	: ARMv7 Processor rev 5 (v7l)
Features	: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae
CPU architecture: 7
CPU part	: 0xc07"""
KIRKWOOD = """model name	: Feroceon 88FR131 rev 1 (v5l)
Features	: swp half thumb fastmult edsp
CPU architecture: 5TE"""
TEGRA2 = """Processor	: ARMv7 Processor rev 0 (v7l)
Features	: swp half thumb fastmult vfp edsp vfpv3 vfpv3d16
CPU architecture: 7"""
A53_AS_32_BIT = """Features	: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt lpae evtstrm crc32
CPU architecture: 8"""
A53_64_BIT = "Features	: fp asimd evtstrm crc32 cpuid\nCPU architecture: 8"
OLD_ARM64 = "Processor	: AArch64 Processor rev 4 (aarch64)\nFeatures	: fp asimd\nCPU architecture: AArch64"
NO_VFP_V7 = (
    "model name	: ARMv7 Processor rev 1 (v7l)\nFeatures	: swp half thumb fastmult edsp\nCPU architecture: 7"
)
VFP_V7 = "model name	: ARMv7 Processor rev 1 (v7l)\nFeatures	: half thumb vfp edsp\nCPU architecture: 7"


@pytest.mark.parametrize(
    ("machine", "said", "variant"),
    [
        ("armv6l", ZERO, "6"),
        ("armv7l", CORTEX_A7, "7"),
        ("armv5tel", KIRKWOOD, "5"),
        ("armv7l", TEGRA2, "7"),
        ("armv7l", A53_AS_32_BIT, "7"),
        ("armv8l", A53_64_BIT, "7"),
        ("aarch64", A53_64_BIT, "7"),
        ("aarch64", OLD_ARM64, "7"),
        ("armv7l", NO_VFP_V7, "7,softfloat"),
        ("armv7l", VFP_V7, "6"),
        ("armv6l", "Features : swp half\nCPU architecture: 7", "6,softfloat"),
        ("arm", "", "5"),
    ],
)
def test_an_arm_gets_the_goarm_that_its_version_and_its_floating_point_take(
    machine: str, said: str, variant: str
) -> None:
    assert choose(probed(elf=ARM, machine=machine, processor=parse_processor(said))).target == Target("arm", variant)


def test_an_armv6_that_says_architecture_7_is_not_believed() -> None:
    zero = probed(elf=ARM, machine="armv6l", processor=parse_processor(ZERO))
    assert arm_version(zero) == 6
    assert not runs(Target("arm", "7"), choose(zero).target)
    assert not runs(Target("arm"), choose(zero).target)  # Go's own default may be 7


def test_the_worst_of_different_cores_decides() -> None:
    mixed = parse_processor(CORTEX_A7 + "\nFeatures : half thumb vfp edsp")
    assert choose(probed(elf=ARM, machine="armv7l", processor=mixed)).target.variant == "6"
    isa = parse_processor("isa : rv64imafdc_zba_zbb\nisa : rv64imafdc_zbb")
    assert riscv_extensions(isa) == set("imafdc") | {"zbb"}


@pytest.mark.parametrize(
    ("bits", "little", "flags", "said", "target"),
    [
        (32, True, 0x70001007, "cpu model : MIPS 1004Kc V2.15\nisa : mips1 mips2 mips32r1", "linux/mipsle/softfloat"),
        (32, False, 0x70001007, "cpu model : MIPS 74Kc V5.0", "linux/mips/softfloat"),
        (32, True, 0x70001007, "cpu model : MIPS 24Kf V0.0  FPU V0.0", "linux/mipsle/hardfloat"),
        (32, False, 0x80000027, "cpu model : Cavium Octeon II V0.1", "linux/mips64/softfloat"),
        (64, False, 0x80000007, "cpu model : Cavium Octeon II V0.1", "linux/mips64/softfloat"),
        (64, True, 0x80000007, "cpu model : ICT Loongson-3 V0.8  FPU V0.1", "linux/mips64le/hardfloat"),
        (32, True, 0, "", "linux/mipsle/softfloat"),
    ],
)
def test_a_mips_gets_its_byte_order_from_the_elf_header_and_an_fpu_only_where_one_is_named(
    bits: int, little: bool, flags: int, said: str, target: str
) -> None:
    host = probed(elf=ElfIdentity(bits, little, 8), elf_flags=flags, machine="mips", processor=parse_processor(said))
    assert str(choose(host).target) == target


RVA22 = "rv64imafdc_zicbom_zicbop_zicboz_zicntr_zicsr_zifencei_zihintpause_zihpm_zfhmin_zba_zbb_zbs_zkt_svinval_svpbmt"
RVA23 = RVA22.replace("imafdc_", "imafdcv_") + "_zvfhmin_zvbb_zvkt_zihintntl_zicond_zimop_zcmop_zcb_zfa_zawrs"


@pytest.mark.parametrize(
    ("isa", "variant"),
    [
        ("rv64imafdvcsu", "rva20u64"),  # Allwinner D1: its "v" is the draft 0.7.1
        ("rv64imafdc", "rva20u64"),
        ("rv64imafdc_zicntr_zicsr_zifencei_zihpm_zba_zbb", "rva20u64"),  # JH7110
        (RVA22, "rva22u64"),
        (RVA22.replace("imafdc", "gc"), "rva22u64"),
        (RVA22.replace("_zkt", ""), "rva20u64"),
        (RVA23, "rva23u64"),
        (RVA23.replace("_zcb", ""), "rva22u64"),
        ("", "rva20u64"),
    ],
)
def test_a_riscv64_gets_a_profile_only_where_every_extension_of_it_is_named(isa: str, variant: str) -> None:
    host = probed(elf=RISCV, elf_flags=0x5, machine="riscv64", processor=parse_processor(f"isa : {isa}"))
    assert choose(host).target == Target("riscv64", variant)


V2 = "fpu sse sse2 cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
V3 = V2 + " avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"
V4 = V3 + " avx512f avx512bw avx512cd avx512dq avx512vl"


@pytest.mark.parametrize(
    ("flags", "variant"),
    [
        ("fpu sse sse2", "v1"),
        (V2, "v2"),
        (V3, "v3"),
        (V4, "v4"),
        (V4.replace(" abm", ""), "v2"),
        (V4.replace(" pni", ""), "v1"),
        ("", "v1"),
    ],
)
def test_an_x86_64_gets_the_level_whose_flags_are_all_there(flags: str, variant: str) -> None:
    host = probed(elf=AMD64, machine="x86_64", processor=parse_processor(f"flags : {flags}"))
    assert choose(host).target == Target("amd64", variant)


def test_processors_without_variants() -> None:
    assert str(choose(probed(elf=ElfIdentity(64, True, 183))).target) == "linux/arm64"
    assert str(choose(probed(elf=ElfIdentity(64, True, 258))).target) == "linux/loong64"
    host = probed(elf=ElfIdentity(32, True, 3), processor=parse_processor("flags : fpu sse sse2"))
    assert str(choose(host).target) == "linux/386"


@pytest.mark.parametrize(
    ("elf", "flags", "said", "why"),
    [
        (ElfIdentity(32, False, 40), 0, "", "32-bit MSB, machine 40"),
        (ElfIdentity(64, False, 22), 0, "", "machine 22"),
        (ElfIdentity(32, True, 3), 0, "flags : fpu tsc", "no SSE2"),
        (RISCV, 0x1, "isa : rv64imac", "double-precision"),
        (ElfIdentity(32, True, 8), 0x90001407, "cpu model : MIPS I6400 V1.0  FPU V32.5", "release 6"),
    ],
)
def test_what_go_or_slimdeploy_does_not_build_for_is_refused(elf: ElfIdentity, flags: int, said: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        choose(probed(elf=elf, elf_flags=flags, processor=parse_processor(said)), "root@board")
    assert (refused.value.reason, refused.value.host) == ("no_target", "root@board")


@pytest.mark.parametrize(
    ("wanted", "most", "good"),
    [
        ("arm/6", "arm/7", True),
        ("arm/7", "arm/6", False),
        ("arm/5", "arm/7,softfloat", True),
        ("arm/6", "arm/7,softfloat", False),
        ("arm/7,softfloat", "arm/6", False),
        ("arm/6,hardfloat", "arm/6", True),
        ("arm/5,hardfloat", "arm/6,softfloat", False),
        ("mipsle/softfloat", "mipsle/hardfloat", True),
        ("mipsle/hardfloat", "mipsle/softfloat", False),
        ("mipsle/", "mipsle/softfloat", False),
        ("mips/softfloat", "mipsle/softfloat", False),
        ("riscv64/", "riscv64/rva20u64", True),
        ("riscv64/rva22u64", "riscv64/rva20u64", False),
        ("amd64/v2", "amd64/v3", True),
        ("amd64/v4", "amd64/v3", False),
        ("arm64/", "arm64/", True),
        ("arm/7", "arm64/", False),
    ],
)
def test_what_runs_where(wanted: str, most: str, good: bool) -> None:
    assert runs(Target(*wanted.split("/")), Target(*most.split("/"))) is good


LINES = st.lists(
    st.tuples(
        st.sampled_from(["Features", "flags", "isa", "cpu model", "CPU architecture", "model name", "Processor"]),
        st.text(max_size=30) | st.sampled_from([V4, RVA23, ZERO, "7", "99", "rv64", "_", "armv", "FPU V"]),
    ),
    max_size=8,
).map(lambda rows: "\n".join(f"{key} : {value}" for key, value in rows))
MACHINES = st.tuples(st.sampled_from([32, 64]), st.booleans(), st.sampled_from([0, 3, 8, 40, 62, 183, 243, 258]))


@settings(max_examples=300, deadline=None)
@given(MACHINES, LINES, st.integers(0, 2**32 - 1), st.text(max_size=20))
def test_whatever_a_host_says_the_variant_is_one_that_go_knows(
    elf: tuple[int, bool, int], said: str, flags: int, machine: str
) -> None:
    host = probed(elf=ElfIdentity(*elf), elf_flags=flags, machine=machine, processor=parse_processor(said))
    try:
        target = choose(host).target
    except Refused:
        return
    setting = VARIANT_OF_GOARCH.get(target.goarch)
    assert target.variant == "" if setting is None else VARIANTS[setting][0].fullmatch(target.variant)
    assert runs(target, target)
    if target.variant == "7":
        assert re.search(r"vfpv3|vfpv4|neon|asimd", said, re.IGNORECASE)
