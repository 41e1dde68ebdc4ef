"""Knows what a binary is built for: GOOS, GOARCH, the variant, and the ELF header that must come out of the build."""

from __future__ import annotations

from dataclasses import dataclass

# GOARCH -> (ELF e_machine name in pyelftools, class in bits, little endian); numbers in elf(5), names EM_*.
ELF_OF_GOARCH: dict[str, tuple[str, int, bool]] = {
    "amd64": ("EM_X86_64", 64, True),
    "386": ("EM_386", 32, True),
    "arm64": ("EM_AARCH64", 64, True),
    "arm": ("EM_ARM", 32, True),
    "riscv64": ("EM_RISCV", 64, True),
    "mips": ("EM_MIPS", 32, False),
    "mipsle": ("EM_MIPS", 32, True),
    "mips64": ("EM_MIPS", 64, False),
    "mips64le": ("EM_MIPS", 64, True),
    "loong64": ("EM_LOONGARCH", 64, True),
}

# GOARCH -> the environment variable that picks its variant (`go help environment`).
VARIANT_OF_GOARCH = {
    "arm": "GOARM",
    "mips": "GOMIPS",
    "mipsle": "GOMIPS",
    "mips64": "GOMIPS64",
    "mips64le": "GOMIPS64",
    "riscv64": "GORISCV64",
    "amd64": "GOAMD64",
}


@dataclass(frozen=True, slots=True)
class Target:
    """GOOS/GOARCH plus `variant`: the value of GOARM, GOMIPS, GORISCV64 or GOAMD64, "" for Go's own default."""

    goarch: str
    variant: str = ""
    goos: str = "linux"

    def environment(self) -> dict[str, str]:
        """The Go command's environment for this target."""
        environment = {"GOOS": self.goos, "GOARCH": self.goarch}
        name = VARIANT_OF_GOARCH.get(self.goarch)
        if name and self.variant:
            environment[name] = self.variant
        return environment

    def __str__(self) -> str:
        """As people write it: linux/riscv64, linux/arm/6, linux/mipsle/softfloat."""
        return "/".join(part for part in (self.goos, self.goarch, self.variant) if part)
