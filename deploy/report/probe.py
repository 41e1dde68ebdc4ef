"""Knows how what a host said of itself is shown: rows for people, and the JSON document (docs/json.md)."""

from __future__ import annotations

import time
from dataclasses import asdict

from deploy.model.probed import Device, FileSystem, Probed
from deploy.recognising import Recognised

_LAST_DATE_S = 253_402_300_799
"""The end of the year 9999; not every C library can write a later date down."""

_SET_CLOCK_S = 60
"""A clock that is closer to ours is right: asking takes time too."""


def probe_rows(probed: Probed, found: Recognised, now_s: float) -> list[tuple[str, str]]:
    """What it is, why, and what it has."""
    processor = probed.processor
    server = " ".join(part for part in (probed.ssh_server or "not told", probed.ssh_version) if part)
    system = [probed.operating_system or "not told", probed.libc, probed.busybox and f"BusyBox {probed.busybox}"]
    return [
        ("calls itself", probed.model or "nothing"),
        ("board", f"{found.board.name}, {found.board.title}" if found.known else "none of the catalogue"),
        ("because", found.why),
        *[("but", difference) for difference in found.differences],
        ("target", f"{found.board.target}: {found.choice.why}"),
        *_more(found),
        ("processor", f"{processor.count} x {processor.name or 'not named'}"),
        ("kernel", f"{probed.system} {probed.kernel_release} {probed.machine}"),
        ("system", ", ".join(part for part in system if part)),
        ("RAM", _ram(probed)),
        ("init", f"{probed.init} (process 1 is {probed.first_process or 'not told'})"),
        ("SSH server", f"{server}, {'with' if probed.sftp else 'without'} SFTP"),
        ("login", f"{probed.user or 'not told'}{', root' if probed.is_root and probed.user != 'root' else ''}"),
        ("clock", _clock(probed, now_s)),
        ("CA bundle", probed.ca_bundle or "none"),
        ("tools", " ".join(sorted(probed.tools)) or "none of those asked for"),
        *[("file system", _file_system(each)) for each in probed.file_systems],
        *[(each.kind, _device(each)) for each in probed.devices],
    ]


def probe_document(
    probed: Probed, found: Recognised, *, host: str, toml: str | None, written: str | None
) -> dict[str, object]:
    """The document of `boards.probe`."""
    return {
        "host": host,
        "board": found.board.name,
        "known": found.known,
        "why": found.why,
        "differences": list(found.differences),
        "target": str(found.board.target),
        "most": str(found.choice.target),
        "target_why": found.choice.why,
        "toml": toml,
        "written": written,
        "probed": probed_document(probed),
    }


def probed_document(probed: Probed) -> dict[str, object]:
    """What the host said."""
    said = {key: list(values) for key, values in probed.processor.said.items()}
    processor = {"count": probed.processor.count, "name": probed.processor.name, "said": said}
    elf = asdict(probed.elf) | {"flags": probed.elf_flags}
    whole = asdict(probed) | {"elf": elf, "processor": processor, "tools": sorted(probed.tools)}
    del whole["elf_flags"]
    return whole


def _more(found: Recognised) -> list[tuple[str, str]]:
    if found.board.target == found.choice.target:
        return []
    return [("could take", f"{found.choice.target}; the catalogue's needs less and runs as well")]


def _ram(probed: Probed) -> str:
    swap = f"{_mib(probed.swap_kib)} of swap" if probed.swap_kib else "no swap"
    return f"{_mib(probed.ram_kib)} seen by Linux, {_mib(probed.available_kib)} available, {swap}"


def _clock(probed: Probed, now_s: float) -> str:
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(min(max(0, probed.clock_s), _LAST_DATE_S)))
    off_s = round(probed.clock_s - now_s)
    right = "as here" if abs(off_s) < _SET_CLOCK_S else f"{abs(off_s):,} s {'ahead' if off_s > 0 else 'behind'}"
    return f"{shown}, {right}, {'with' if probed.has_rtc else 'no'} RTC"


def _file_system(each: FileSystem) -> str:
    options = "read-only" if "ro" in each.options else "writable"
    noexec = ", noexec" if "noexec" in each.options else ""
    kind = each.kind or "of a kind not told"
    return f"{each.mount_point}, {kind}, {options}{noexec}: {_mib(each.free_kib)} of {_mib(each.size_kib)} free"


def _device(each: Device) -> str:
    return f"{each.name}, {_mib(each.size_kib)}"


def _mib(kib: int) -> str:
    return f"{kib // 1024:,} MiB" if kib >= 1024 else f"{kib} KiB"
