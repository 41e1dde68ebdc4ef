"""Knows which target a host takes, from evidence: the ELF header of its own shell, and what its kernel says of its CPU.

What runs everywhere is preferred to what might run: a variant is chosen only where everything that it needs is named.
How the host is asked is `board_shell/probe.py`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.errors import Refused
from deploy.model.probed import Probed, Processor
from deploy.model.target import Target

# (e_machine, class in bits, little endian) -> GOARCH; numbers in elf(5), /usr/include/elf.h.
_GOARCH = {
    (3, 32, True): "386",
    (8, 32, False): "mips",
    (8, 32, True): "mipsle",
    (8, 64, False): "mips64",
    (8, 64, True): "mips64le",
    (40, 32, True): "arm",
    (62, 64, True): "amd64",
    (183, 64, True): "arm64",
    (243, 64, True): "riscv64",
    (258, 64, True): "loong64",
}

_MIPS_N32 = 0x20
"""EF_MIPS_ABI2: a user land of 32-bit pointers on a 64-bit processor (binutils, include/elf/mips.h)."""

_MIPS_ARCH, _MIPS_RELEASE_6 = 0xF0000000, (0x90000000, 0xA0000000)
"""EF_MIPS_ARCH and its values for release 6, which took instructions away that Go uses (the same file)."""

_RISCV_FLOAT_ABI, _RISCV_FLOAT_DOUBLE = 0x6, 0x4
"""EF_RISCV_FLOAT_ABI and its value for double precision (RISC-V ELF psABI, "File Header"), which Go needs."""

_GENERAL = frozenset({"i", "m", "a", "f", "d"})
"""What "g" stands for beside zicsr and zifencei (RISC-V Unprivileged ISA, "ISA Extension Naming Conventions")."""

# The mandatory extensions of the profiles (RISC-V Profiles 1.0, "RVA22U64"; RVA23 Profile 1.0, "RVA23U64") that stand
# for instructions or registers. The others (ziccif, ziccrse, ziccamoa, zicclsm, za64rs, zic64b, supm) are promises
# about memory. Where a kernel is too old to name one of these, a lower profile is taken: it runs all the same.
_RVA22U64 = frozenset(
    "m a f d c zicsr zicntr zihpm zihintpause zba zbb zbs zicbom zicbop zicboz zfhmin zkt".split()  # noqa: SIM905
)
_RVA23U64 = _RVA22U64 | frozenset("v zvfhmin zvbb zvkt zihintntl zicond zimop zcmop zcb zfa zawrs".split())  # noqa: SIM905

# x86-64 psABI, table 3.1, by the names that /proc/cpuinfo has for them (Linux, arch/x86/include/asm/cpufeatures.h):
# SSE3 is pni, LZCNT is abm; osxsave has no name there, and avx is named only where the kernel keeps its registers.
_AMD64 = {
    "v2": frozenset("cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3".split()),  # noqa: SIM905
    "v3": frozenset("avx avx2 bmi1 bmi2 f16c fma abm movbe xsave".split()),  # noqa: SIM905
    "v4": frozenset("avx512f avx512bw avx512cd avx512dq avx512vl".split()),  # noqa: SIM905
}

_MIPS = ("mips", "mipsle", "mips64", "mips64le")

_ORDER = {
    "riscv64": ("rva20u64", "rva22u64", "rva23u64"),
    "amd64": ("v1", "v2", "v3", "v4"),
    **dict.fromkeys(_MIPS, ("softfloat", "hardfloat")),
}
"""The variants of a GOARCH, the one that needs least first: whoever runs one runs those before it. ARM's have two
sides, the version and floating point."""

_DEFAULT = {"riscv64": "rva20u64", "amd64": "v1", "arm": "7", **dict.fromkeys(_MIPS, "hardfloat")}
"""What Go takes where a board names no variant (internal/buildcfg; GOARM's differs by Go: the most is meant)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A target and what it was chosen by."""

    target: Target
    why: str
    """A clause for people: "its shell is a 32-bit ARM program, and its CPU has no VFPv3"."""


def choose(probed: Probed, host: str = "") -> Choice:
    """The target with the most that the host certainly runs. Raises Refused where Go builds for none like it."""
    elf = probed.elf
    goarch = _GOARCH.get((elf.machine, elf.bits, elf.little_endian), "")
    if goarch in ("mips", "mipsle") and probed.elf_flags & _MIPS_N32:
        goarch = "mips64" + goarch[len("mips") :]
    kind = f"its shell is ELF {elf.bits}-bit {'LSB' if elf.little_endian else 'MSB'}"
    if not goarch:
        raise Refused("no_target", f"{kind}, machine {elf.machine}, for which slimdeploy builds nothing", host)
    chosen = {"arm": _arm, "riscv64": _riscv64, "amd64": _amd64, "386": _i386}
    variant, because = chosen.get(goarch, _mips if goarch.startswith("mips") else _none)(probed)
    if variant is None:
        raise Refused("no_target", because, host)
    return Choice(Target(goarch, variant), "; ".join(part for part in (f"{kind} ({goarch})", because) if part))


def runs(wanted: Target, most: Target) -> bool:
    """Whether a host whose most is `most` runs what is built for `wanted`."""
    if (wanted.goos, wanted.goarch) != (most.goos, most.goarch):
        return False
    variant = wanted.variant or _DEFAULT.get(wanted.goarch, "")
    if wanted.goarch == "arm":
        (version, soft), (most_version, most_soft) = _goarm(variant), _goarm(most.variant)
        return version <= most_version and (soft or not most_soft)
    order = _ORDER.get(wanted.goarch)
    return order is None or order.index(variant) <= order.index(most.variant)


def _goarm(variant: str) -> tuple[int, bool]:
    """A GOARM's version, and whether it does floating point in software: 5 does unless told (`go help environment`)."""
    version, _, kind = variant.partition(",")
    return int(version), kind == "softfloat" or (version == "5" and not kind)


def arm_version(probed: Probed) -> int:
    """5, 6 or 7, and 7 for what is newer; the least that a witness tells, 5 where none does.

    "CPU architecture" alone can't be trusted: an ARM1176, which is ARMv6, says 7 there (Linux, arch/arm/kernel/setup.c,
    __get_cpu_architecture: by its memory model). The kernel's own name of it (armv6l, v6l) tells.
    """
    processor = probed.processor
    told = [match[1] for value in processor.said.get("CPU architecture", ()) if (match := re.match(r"(\d)", value))]
    for name in (probed.machine, *processor.said.get("model name", ()), *processor.said.get("Processor", ())):
        told += re.findall(r"(?:armv|\(v)(\d)", name.lower())
    if probed.machine == "aarch64":
        told.append("8")
    return min([*map(int, told), 7]) if told else 5


def _arm(probed: Probed) -> tuple[str | None, str]:
    version = max(arm_version(probed), 5)
    # A 64-bit kernel names floating point "fp" and means VFPv3 and more by it (Linux, arch/arm64, compat_elf_hwcap).
    has = _features(probed.processor)
    vfp3 = bool(has & {"vfpv3", "vfpv3d16", "vfpv4", "neon", "asimd"})
    vfp = vfp3 or bool(has & {"vfp", "fp"})
    told = f"its CPU is ARMv{version}"
    # Go's runtime ends at once on a CPU without VFP, or for GOARM=7 without VFPv3 (runtime/os_linux_arm.go).
    if not vfp:
        return ("5" if version == 5 else f"{version},softfloat"), f"{told} and has no VFP"
    if version >= 7 and vfp3:
        return "7", f"{told} and has VFPv3"
    if version >= 6:
        return "6", f"{told} and has VFP, but no VFPv3" if version >= 7 else f"{told} and has VFP"
    return "5", told


def _mips(probed: Probed) -> tuple[str | None, str]:
    if probed.elf_flags & _MIPS_ARCH in _MIPS_RELEASE_6:
        return None, "its shell is built for MIPS release 6, for which Go builds nothing"
    # The kernel adds "  FPU V1.0" to a CPU's model where it has one (Linux, arch/mips/kernel/proc.c).
    models = probed.processor.said.get("cpu model", ())
    if models and all(re.search(r"\bFPU V", model) for model in models):
        return "hardfloat", "its CPU has an FPU"
    return "softfloat", "its CPU names no FPU"


def riscv_extensions(processor: Processor) -> frozenset[str]:
    """What every hart has, by the lines "isa" of /proc/cpuinfo; single letters and names, in lower case."""
    found: list[frozenset[str]] = []
    for line in processor.said.get("isa", ()):
        letters, *names = line.strip().lower().split("_")
        single = set(re.sub(r"^rv(32|64|128)", "", letters))
        extensions = single | set(names)
        if "g" in single:
            extensions |= _GENERAL | {"zicsr", "zifencei"}
        found.append(frozenset(extensions))
    return frozenset.intersection(*found) if found else frozenset()


def _riscv64(probed: Probed) -> tuple[str | None, str]:
    if probed.elf_flags & _RISCV_FLOAT_ABI != _RISCV_FLOAT_DOUBLE and "d" not in riscv_extensions(probed.processor):
        return None, "its CPU names no double-precision floating point, which Go's riscv64 needs"
    has = riscv_extensions(probed.processor)
    for profile, needs in (("rva23u64", _RVA23U64), ("rva22u64", _RVA22U64)):
        if needs <= has:
            return profile, f"its CPU names every extension of {profile}"
    missing = sorted(_RVA22U64 - has)
    return "rva20u64", f"its CPU does not name {', '.join(missing[:3])}, which rva22u64 has"


def _amd64(probed: Probed) -> tuple[str | None, str]:
    has, found = _features(probed.processor), "v1"
    for level, needs in _AMD64.items():
        if missing := sorted(needs - has):
            return found, f"its CPU does not name {', '.join(missing[:3])}, which {level} has"
        found = level
    return found, "its CPU names every flag of v4"


def _i386(probed: Probed) -> tuple[str | None, str]:
    if "sse2" not in _features(probed.processor):
        return None, "its CPU has no SSE2, which Go's 386 needs unless it is built with GO386=softfloat"
    return "", "its CPU has SSE2"


def _none(probed: Probed) -> tuple[str | None, str]:
    return "", ""


def _features(processor: Processor) -> frozenset[str]:
    return processor.shared_words("Features", "flags")
