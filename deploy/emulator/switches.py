"""Knows in what hosts in the field differ, as switches of an emulated board's user land, and how people write them.

`busybox/init` and `busybox/init.d` act on them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from deploy.errors import UsageError
from deploy.model.units import KIB, parse_size

_PROGRAMS = {"gunzip": ("gunzip", "zcat")} | {name: (name,) for name in ("sha256sum", "xz", "setsid", "od", "nohup")}
"""What `no-PROGRAM` takes away: the programs that deployments use where a board has them."""

_PLAIN: dict[str, dict[str, Any]] = {
    "read-only-root": {"read_only_root": True},
    "noexec-tmp": {"tmp_noexec": True},
    "no-ca-bundle": {"ca_bundle": False},
    "clock-1970": {"clock_at_1970": True},
    "no-cgroup": {"cgroup": ""},
    "cgroup-v1": {"cgroup": "v1"},
    "swap-zram": {"swap_on_zram": True},
}
_IN_1970_S = 3600
"""Not 0: Linux sets no clock to less than the time since boot (do_settimeofday64 in kernel/time/timekeeping.c)."""

NAMES = (*_PLAIN, *(f"no-{name}" for name in _PROGRAMS), "flash-left=SIZE")
"""What people write."""


@dataclass(frozen=True, slots=True)
class Switches:
    """What differs from host to host in the field."""

    read_only_root: bool = False
    """The system in a folder that is never written, under an overlay that is."""
    tmp_noexec: bool = False
    ca_bundle: bool = True
    clock_at_1970: bool = False
    without: tuple[str, ...] = ()
    """Programs that this user land lacks, such as sha256sum or gunzip."""
    cgroup: str = "v2"
    """v2, v1, or "" for none that is mounted."""
    swap_on_zram: bool = False
    flash_left_kib: int | None = None
    """How much of the flash is free at the first login; None leaves it all."""

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> Switches:
        """From JSON values."""
        return cls(**{**table, "without": tuple(table.get("without", ()))})

    @property
    def ordinary_flash(self) -> bool:
        """Whether the flash is made as everybody's is."""
        return self.ca_bundle and not (self.without or self.read_only_root) and self.flash_left_kib is None

    def text(self, clock_s: int, *, make_only: bool = False) -> bytes:
        """As the shell scripts of the user land read it; `make_only` makes the flash and no more."""
        modules = [name for name, wanted in (("zram", self.swap_on_zram), ("overlay", self.read_only_root)) if wanted]
        pairs = {
            "read_only_root": "1" if self.read_only_root else "0",
            "tmp_options": "noexec" if self.tmp_noexec else "exec",
            "ca_bundle": "1" if self.ca_bundle else "0",
            "make_only": "1" if make_only else "0",
            "clock_s": str(_IN_1970_S) if self.clock_at_1970 else str(clock_s),
            "without": " ".join(self.without),
            "cgroup": self.cgroup,
            "swap": "zram" if self.swap_on_zram else "",
            "load_modules": " ".join(modules),
            "flash_left_kib": "" if self.flash_left_kib is None else str(self.flash_left_kib),
        }
        return "".join(f"{key}={shlex.quote(value)}\n" for key, value in pairs.items()).encode()

    def differing(self) -> dict[str, Any]:
        """The fields that are not as usual, as JSON values."""
        usual = asdict(Switches())
        return {name: value for name, value in asdict(self).items() if value != usual[name]}


def parse(words: Iterable[str]) -> Switches:
    """The switches that `words` name. Raises UsageError, with all that there are, for a word that is none."""
    found: dict[str, Any] = {}
    without: list[str] = []
    for word in words:
        name, _, value = word.partition("=")
        if name == "flash-left" and value:
            try:
                found["flash_left_kib"] = parse_size(value) // KIB
            except ValueError as error:
                raise UsageError(f"--switches: flash-left: {error}") from None
        elif word in _PLAIN:
            found |= _PLAIN[word]
        elif word.startswith("no-") and word[3:] in _PROGRAMS:
            without += _PROGRAMS[word[3:]]
        else:
            raise UsageError(f"--switches takes no {word!r}; there are {', '.join(NAMES)}")
    return Switches(**found, without=tuple(without))
