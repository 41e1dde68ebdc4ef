"""Knows where boards are described, one TOML file each, and how such a file becomes a Board or a list of its faults.

`boards/_example.toml` explains every key; how keys are read is `deploy/toml_keys.py`'s, what is done with a board
everybody else's.
"""

from __future__ import annotations

import difflib
import os
import platform
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from deploy.bundled import boards_folder
from deploy.errors import BadFile, UnknownName
from deploy.folders import config_folder
from deploy.model.board import Board
from deploy.model.layout import prefix_fault
from deploy.model.limits import Limits
from deploy.model.target import ELF_OF_GOARCH, VARIANT_OF_GOARCH, Target
from deploy.model.units import KIB
from deploy.toml_keys import TomlKeys, load_table

EXAMPLE = "_example"

HOST_GOARCH = "host"
"""What `target.goarch` says for a board that is this machine itself."""

INITS = ("systemd", "openrc", "procd", "busybox_init", "detached")
CONNECTIONS = ("ssh", "loopback")
LIBCS = ("glibc", "musl", "uclibc")
SSH_SERVERS = ("openssh", "dropbear")

# `go help environment`, and internal/buildcfg of Go 1.26 for the values. GOARM -> form, and an example of it.
VARIANTS = {
    "GOARM": (re.compile(r"[567](,(softfloat|hardfloat))?"), "6"),
    "GOMIPS": (re.compile(r"hardfloat|softfloat"), "softfloat"),
    "GOMIPS64": (re.compile(r"hardfloat|softfloat"), "softfloat"),
    "GORISCV64": (re.compile(r"rva(20|22|23)u64"), "rva20u64"),
    "GOAMD64": (re.compile(r"v[1-4]"), "v1"),
}

# `uname -m` of this machine -> GOARCH and variant, for boards that are this machine. Where Go's own default may be
# more than the machine has (GOARM=7 on ARMv6, an FPU on MIPS), the variant that runs is named.
TARGET_OF_MACHINE = {
    "x86_64": ("amd64", ""),
    "amd64": ("amd64", ""),
    **{f"i{number}86": ("386", "") for number in (3, 4, 5, 6)},
    "aarch64": ("arm64", ""),
    "arm64": ("arm64", ""),
    "armv5tel": ("arm", "5"),
    "armv5tejl": ("arm", "5"),
    "armv6l": ("arm", "6"),
    "armv7l": ("arm", "7"),
    "armv8l": ("arm", "7"),
    "riscv64": ("riscv64", ""),
    "loongarch64": ("loong64", ""),
    # uname says "mips" on both byte orders.
    "mips": ("mipsle" if sys.byteorder == "little" else "mips", "softfloat"),
    "mips64": ("mips64le" if sys.byteorder == "little" else "mips64", "softfloat"),
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
# What a build constraint takes as a word, ASCII only (go/build/constraint).
_TAG = re.compile(r"[A-Za-z0-9_.]+")
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:%_-]*")
_KEYRING_ENTRY = re.compile(r".+/[^/]+")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


# A prefix is a folder of its own: `uninstall` removes run/ and log/ below it, which /var and /usr have already
# (the top of the tree after the Filesystem Hierarchy Standard 3.0, chapter 3).
def boards() -> tuple[Board, ...]:
    """Every board, the user's own among them, sorted by name.

    Raises BadFile for the first file with faults, with every fault of it: a list that silently leaves out what the
    user wrote would be worse than none. One board that is asked for by name does not read the others' files.
    """
    return tuple(_read(path) for _, path in sorted(_files().items()))


def board(name_or_path: str) -> Board:
    """The board of that name, or the one that a file describes (its path holds a "/" or ends in .toml).

    Raises UnknownName with the near misses, or BadFile with every fault of the file.
    """
    if "/" in name_or_path or name_or_path.endswith(".toml"):
        return _read(_path_of(name_or_path))
    files = _files()
    if name_or_path not in files:
        near = difflib.get_close_matches(name_or_path, files, n=3, cutoff=0.5)
        raise UnknownName("board", name_or_path, near, sorted(files))
    return _read(files[name_or_path])


def is_name(text: str) -> bool:
    """Whether a board may be called that."""
    return bool(_NAME.fullmatch(text)) and text != EXAMPLE


def _path_of(text: str) -> Path:
    try:
        path = Path(text).expanduser()
        found = path.is_file()
    except RuntimeError:  # "~nobody/…": there is no such user
        found = False
    except OSError as error:
        raise BadFile(text, [f"it can't be read: {error.strerror}"]) from error
    if not found:
        raise UnknownName("board file", text, known=sorted(_files()))
    return path


def _files() -> dict[str, Path]:
    """The files by the boards' names; a file of the user's stands before a bundled one of the same name."""
    folders = (boards_folder(), config_folder() / "boards")
    return {
        path.stem: path
        for folder in folders
        for path in sorted(folder.glob("*.toml"))
        # Editors and other systems leave .#name.toml and ._name.toml behind.
        if path.stem != EXAMPLE and not path.name.startswith(".")
    }


def _read(path: Path) -> Board:
    table = load_table(path)
    faults: list[str] = []
    if not _NAME.fullmatch(path.stem):
        faults.append(f"its name, {path.stem!r}, may hold letters, digits, - and . only")
    found = parse(path.stem, table, faults)
    if found and (found.token_command or found.api_key_command) and (fault := _fault_of_file(path)):
        faults.append(fault)
    if faults or found is None:
        raise BadFile(str(path), faults)
    return found


def parse(name: str, table: dict[str, Any], faults: list[str]) -> Board | None:
    """The board in a TOML table, or None with every fault added to `faults`, a clause each."""
    keys = TomlKeys(table)
    title = keys.text("title", required=True)
    target, is_this_machine = _target(keys)
    ram_kib = keys.size_kib("ram.size", _own_ram_kib() if is_this_machine else None, required=not is_this_machine)
    visible_kib = keys.size_kib("ram.visible")
    if ram_kib and visible_kib and visible_kib > ram_kib:
        keys.faults.append("ram.visible is more than ram.size")
    ordinary = Board(name, title, target, ram_kib or 0)
    limits = ordinary.limits
    gomemlimit_kib = keys.size_kib("limits.gomemlimit")
    hard_kib = keys.size_kib("limits.hard")
    found = Board(
        name=name,
        title=title,
        target=target,
        ram_kib=ordinary.ram_kib,
        visible_ram_kib=visible_kib,
        connection=keys.one_of("connection", CONNECTIONS, ordinary.connection),
        user=keys.text("login.user", ordinary.user, _USER, "a login's name"),
        port=keys.whole("login.port", ordinary.port, 1, 65535),
        sftp=keys.yes_or_no("login.sftp", ordinary.sftp),
        prefix=_prefix(keys, ordinary.prefix),
        init=keys.one_of("init", INITS, ordinary.init),
        health_port=keys.whole("health_port", ordinary.health_port, 1, 65535),
        limits=Limits(
            gomemlimit_bytes=gomemlimit_kib * KIB if gomemlimit_kib else limits.gomemlimit_bytes,
            gogc_percent=keys.whole("limits.gogc", limits.gogc_percent, 1, 10_000),
            gomaxprocs=keys.whole("limits.gomaxprocs", limits.gomaxprocs, 1, 1024),
            hard_bytes=hard_kib * KIB if hard_kib else limits.hard_bytes,
        ),
        tags=keys.texts("tags", ordinary.tags, _TAG, "a build tag: letters, digits, _ and ."),
        libc=keys.one_of("libc", LIBCS),
        storage=keys.text("storage"),
        ssh_server=keys.one_of("login.server", SSH_SERVERS),
        address=keys.text("login.address", form=_ADDRESS, what="a host's name or address"),
        compatible=keys.texts("recognise.compatible"),
        models=keys.texts("recognise.models"),
        systems=keys.texts("recognise.systems"),
        token_command=_command(keys, "token_command"),
        token_keyring=keys.text("token_keyring", form=_KEYRING_ENTRY, what="SERVICE/USER"),
        api_key_command=_command(keys, "api_key_command"),
        api_key_keyring=keys.text("api_key_keyring", form=_KEYRING_ENTRY, what="SERVICE/USER"),
        sources=keys.texts("sources"),
        notes=keys.texts("notes"),
    )
    keys.refuse_the_rest()
    faults += keys.faults
    return None if keys.faults else found


def _command(keys: TomlKeys, key: str) -> str:
    command = keys.text(key)
    try:
        shlex.split(command)
    except ValueError as error:
        keys.faults.append(f"{key} can't be split into words: {str(error).lower()}")
    return command


def _fault_of_file(path: Path) -> str:
    """Why a file that names a program of this machine is not to be trusted; "" where only its owner could write it."""
    status = path.stat()
    if status.st_uid not in (os.geteuid(), 0):
        return "it names a command, and belongs to somebody else"
    return "it names a command, and everybody can write it (chmod o-w)" if status.st_mode & 0o002 else ""


def _target(keys: TomlKeys) -> tuple[Target, bool]:
    """The target, and whether it is this machine's own."""
    goarch = keys.one_of("target.goarch", (*ELF_OF_GOARCH, HOST_GOARCH), required=True)
    variant = keys.text("target.variant")
    is_this_machine = goarch == HOST_GOARCH
    if is_this_machine:
        machine = platform.machine()
        if machine not in TARGET_OF_MACHINE:
            keys.faults.append(f'target.goarch is "host", and this machine, a {machine}, is none that Go builds for')
            return Target(""), True
        goarch, own_variant = TARGET_OF_MACHINE[machine]
        variant = variant or own_variant
    setting = VARIANT_OF_GOARCH.get(goarch)
    if goarch and variant and setting is None:
        keys.faults.append(f"target.variant: {goarch} has no variants")
    elif variant and setting and not VARIANTS[setting][0].fullmatch(variant):
        example = VARIANTS[setting][1]
        keys.faults.append(f"target.variant is {variant!r}, which {setting} does not take (such as {example!r})")
    return Target(goarch, variant), is_this_machine


def _prefix(keys: TomlKeys, ordinary: str) -> str:
    before = len(keys.faults)
    prefix = keys.text("prefix", ordinary)
    if len(keys.faults) == before and (fault := prefix_fault(prefix)):
        keys.faults.append(f"prefix is {prefix!r}, {fault}")
    return prefix.rstrip("/")


def _own_ram_kib() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // KIB
