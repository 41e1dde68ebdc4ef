"""Knows where boards are described, one TOML file each, and how such a file becomes a Board or a list of its faults.

`boards/_example.toml` explains every key. What is done with a board is everybody else's.
"""

from __future__ import annotations

import difflib
import os
import platform
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.bundled import boards_folder
from deploy.errors import BadFile, UnknownName
from deploy.folders import config_folder
from deploy.model.board import Board
from deploy.model.limits import Limits
from deploy.model.target import ELF_OF_GOARCH, VARIANT_OF_GOARCH, Target
from deploy.model.units import KIB, parse_size

EXAMPLE = "_example"

HOST_GOARCH = "host"
"""What `target.goarch` says for a board that is this machine itself."""

INITS = ("systemd", "openrc", "procd", "busybox_init", "detached")
CONNECTIONS = ("ssh", "loopback")

# `go help environment`, and internal/buildcfg of Go 1.26 for the values.
VARIANTS = {
    "GOARM": re.compile(r"[567](,(softfloat|hardfloat))?"),
    "GOMIPS": re.compile(r"hardfloat|softfloat"),
    "GOMIPS64": re.compile(r"hardfloat|softfloat"),
    "GORISCV64": re.compile(r"rva(20|22|23)u64"),
    "GOAMD64": re.compile(r"v[1-4]"),
}
EXAMPLES = {"GOARM": "6", "GOMIPS": "softfloat", "GOMIPS64": "softfloat", "GORISCV64": "rva20u64", "GOAMD64": "v1"}

# `uname -m` of this machine -> GOARCH; for boards that are this machine.
GOARCH_OF_MACHINE = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "i386": "386",
    "i686": "386",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv6l": "arm",
    "armv7l": "arm",
    "riscv64": "riscv64",
    "loongarch64": "loong64",
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_TAG = re.compile(r"[A-Za-z0-9_.]+")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def boards() -> tuple[Board, ...]:
    """Every board, the user's own among them, sorted by name. Raises BadFile for the first file with faults."""
    return tuple(_read(path) for _, path in sorted(_files().items()))


def board(name: str) -> Board:
    """The board called `name`, or the one that the file `name` describes (it holds a "/" or ends in .toml).

    Raises UnknownName with the near misses, or BadFile with every fault of the file.
    """
    if "/" in name or name.endswith(".toml"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UnknownName("board file", name)
        return _read(path)
    files = _files()
    if name not in files:
        raise UnknownName("board", name, difflib.get_close_matches(name, files, n=3, cutoff=0.5), sorted(files))
    return _read(files[name])


def _files() -> dict[str, Path]:
    """The files by the boards' names; a file of the user's stands before a bundled one of the same name."""
    folders = (boards_folder(), config_folder() / "boards")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml")) if path.stem != EXAMPLE}


def _read(path: Path) -> Board:
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(str(path), [f"it is not TOML: {error}"]) from error
    except OSError as error:
        raise BadFile(str(path), [f"it can't be read: {error.strerror}"]) from error
    faults: list[str] = []
    if not _NAME.fullmatch(path.stem):
        faults.append(f"its name, {path.stem!r}, may hold letters, digits, - and . only")
    found = parse(path.stem, table, faults)
    if faults or found is None:
        raise BadFile(str(path), faults)
    return found


def parse(name: str, table: dict[str, Any], faults: list[str]) -> Board | None:
    """The board in a TOML table, or None with every fault added to `faults`, a clause each."""
    keys = _Keys(table, faults)
    target = _target(keys, faults)
    title = keys.text("title", required=True)
    is_this_machine = table.get("target", {}) == {"goarch": HOST_GOARCH}
    ram_kib = keys.size_kib("ram.size", required=not is_this_machine) or (_own_ram_kib() if is_this_machine else None)
    visible_kib = keys.size_kib("ram.visible")
    if ram_kib and visible_kib and visible_kib > ram_kib:
        faults.append("ram.visible is more than ram.size")
    ordinary = Board(name, title, target or Target("amd64"), ram_kib or 0)
    found = Board(
        name=name,
        title=title,
        target=ordinary.target,
        ram_kib=ordinary.ram_kib,
        visible_ram_kib=visible_kib,
        connection=keys.one_of("connection", CONNECTIONS, ordinary.connection),
        user=keys.text("login.user", ordinary.user, _USER, "a login's name"),
        port=keys.whole("login.port", ordinary.port, 1, 65535),
        sftp=keys.yes_or_no("login.sftp", ordinary.sftp),
        prefix=keys.prefix("prefix", ordinary.prefix),
        init=keys.one_of("init", INITS, ordinary.init),
        health_port=keys.whole("health_port", ordinary.health_port, 1, 65535),
        limits=Limits(
            gomemlimit_bytes=KIB * (keys.size_kib("limits.gomemlimit") or ordinary.limits.gomemlimit_bytes // KIB),
            gogc_percent=keys.whole("limits.gogc", ordinary.limits.gogc_percent, 1, 10_000),
            gomaxprocs=keys.whole("limits.gomaxprocs", ordinary.limits.gomaxprocs, 1, 1024),
        ),
        tags=keys.texts("tags", ordinary.tags, _TAG),
        sources=keys.texts("sources"),
        notes=keys.texts("notes"),
    )
    keys.refuse_the_rest()
    return None if faults else found


def _target(keys: _Keys, faults: list[str]) -> Target | None:
    goarch = keys.text("target.goarch", required=True)
    variant = keys.text("target.variant")
    if goarch == HOST_GOARCH:
        machine = platform.machine()
        goarch = GOARCH_OF_MACHINE.get(machine, "")
        if not goarch:
            faults.append(f'target.goarch is "host", and this machine, a {machine}, is none that Go builds for')
            return None
    elif goarch and goarch not in ELF_OF_GOARCH:
        faults.append(
            f"target.goarch is {goarch!r}, not one of {', '.join(ELF_OF_GOARCH)}{_near(goarch, ELF_OF_GOARCH)}"
        )
        return None
    elif not goarch:
        return None
    setting = VARIANT_OF_GOARCH.get(goarch)
    if variant and setting is None:
        faults.append(f"target.variant: {goarch} has no variants")
    elif variant and setting and not VARIANTS[setting].fullmatch(variant):
        faults.append(f"target.variant is {variant!r}, which {setting} does not take (such as {EXAMPLES[setting]})")
    return Target(goarch, variant)


def _own_ram_kib() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // KIB


def _near(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


class _Keys:
    """Reads dotted keys out of nested tables, notes every fault, and knows which keys nobody asked for."""

    def __init__(self, table: dict[str, Any], faults: list[str]) -> None:
        self._values = dict(_flat(table))
        self._faults = faults
        self._asked: list[str] = []

    def _take(self, key: str, kind: type | tuple[type, ...], what: str, required: bool = False) -> Any:
        self._asked.append(key)
        if key not in self._values:
            if required:
                self._faults.append(f"{key} is missing")
            return None
        value = self._values[key]
        # In Python a bool is an int as well; in TOML it is not.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self._faults.append(f"{key} has to be {what}, not {value!r}")
            return None
        return value

    def text(
        self,
        key: str,
        ordinary: str = "",
        form: re.Pattern[str] | None = None,
        what: str = "",
        *,
        required: bool = False,
    ) -> str:
        value = self._take(key, str, "text in quotes", required)
        if value is None:
            return ordinary
        if form and not form.fullmatch(value):
            self._faults.append(f"{key} is {value!r}, which is not {what}")
            return ordinary
        if required and not value.strip():
            self._faults.append(f"{key} is empty")
        return str(value)

    def texts(self, key: str, ordinary: tuple[str, ...] = (), form: re.Pattern[str] | None = None) -> tuple[str, ...]:
        value = self._take(key, list, "a list of texts")
        if value is None:
            return ordinary
        wrong = [each for each in value if not isinstance(each, str) or (form and not form.fullmatch(each))]
        if wrong:
            self._faults.append(f"{key} holds {wrong[0]!r}, which it can't")
            return ordinary
        return tuple(value)

    def whole(self, key: str, ordinary: int, least: int, most: int) -> int:
        value = self._take(key, int, "a whole number")
        if value is not None and not least <= value <= most:
            self._faults.append(f"{key} is {value}, and has to lie between {least} and {most}")
            return ordinary
        return ordinary if value is None else int(value)

    def yes_or_no(self, key: str, ordinary: bool) -> bool:
        value = self._take(key, bool, "true or false")
        return ordinary if value is None else bool(value)

    def one_of(self, key: str, known: tuple[str, ...], ordinary: str) -> str:
        value = self._take(key, str, "text in quotes")
        if value is not None and value not in known:
            self._faults.append(f"{key} is {value!r}, not one of {', '.join(known)}{_near(value, known)}")
            return ordinary
        return ordinary if value is None else str(value)

    def size_kib(self, key: str, *, required: bool = False) -> int | None:
        value = self._take(key, str, 'a size such as "64MiB"', required)
        if value is None:
            return None
        try:
            size_bytes = parse_size(value)
        except ValueError as error:
            self._faults.append(f"{key}: {error}")
            return None
        if size_bytes < KIB or size_bytes % KIB:
            self._faults.append(f"{key} is {value!r}, not a whole number of KiB")
            return None
        return size_bytes // KIB

    def prefix(self, key: str, ordinary: str) -> str:
        value = self._take(key, str, "text in quotes")
        if value is None:
            return ordinary
        if not value.startswith(("/", "~/")) or not value.strip("/~") or "\0" in value or "\n" in value:
            self._faults.append(f'{key} is {value!r}, not a folder of its own that begins with "/" or "~/"')
            return ordinary
        return str(value).rstrip("/")

    def refuse_the_rest(self) -> None:
        for key in self._values:
            if key not in self._asked:
                self._faults.append(f"there is no key {key}{_near(key, self._asked)}")


def _flat(table: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
