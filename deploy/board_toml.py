"""Knows how a Board is written as a TOML file that `catalogue.py` reads as the same board.

`boards/_example.toml` explains the keys; what an ordinary board has is left out, as people would.
"""

from __future__ import annotations

import json
from dataclasses import replace

from deploy.model.board import Board
from deploy.model.limits import Limits
from deploy.model.target import Target
from deploy.model.units import KIB, MIB

_MOST_IN_A_LINE = 100


def render(board: Board) -> str:
    """The file's text. Texts must be free of control characters, as `catalogue.parse` asks."""
    plain = Board(board.name, board.title, board.target, board.ram_kib)
    top = {
        "title": board.title,
        **_where_different(board, plain, "connection", "prefix", "init", "libc", "storage", "health_port", "tags"),
        **_where_different(board, plain, "token_command", "token_keyring", "api_key_command", "api_key_keyring"),
        **_where_different(board, plain, "sources", "notes"),
    }
    login = _where_different(board, plain, "user", "port", "address", "ssh_server", "sftp")
    tables: dict[str, dict[str, object]] = {
        "target": _target(board.target),
        "ram": {"size": _size(board.ram_kib)} | _where_known("visible", board.visible_ram_kib),
        "login": {"server" if key == "ssh_server" else key: value for key, value in login.items()},
        "recognise": _where_different(board, plain, "compatible", "models", "systems"),
        "limits": _limits(board.limits, plain.limits),
    }
    text = _rows(top)
    return text + "".join(f"\n[{name}]\n{_rows(rows)}" for name, rows in tables.items() if rows)


def same(one: Board, other: Board) -> bool:
    """Whether two boards differ in their names, sources and notes at most."""
    return one == replace(other, name=one.name, sources=one.sources, notes=one.notes)


def _where_different(board: Board, plain: Board, *names: str) -> dict[str, object]:
    return {name: getattr(board, name) for name in names if getattr(board, name) != getattr(plain, name)}


def _where_known(name: str, kib: int | None) -> dict[str, object]:
    return {name: _size(kib)} if kib else {}


def _target(target: Target) -> dict[str, object]:
    found: dict[str, object] = {"goarch": target.goarch}
    return found | {"variant": target.variant} if target.variant else found


def _limits(limits: Limits, plain: Limits) -> dict[str, object]:
    found: dict[str, object] = {}
    if limits.gomemlimit_bytes != plain.gomemlimit_bytes:
        found["gomemlimit"] = _size(limits.gomemlimit_bytes // KIB)
    if limits.gogc_percent != plain.gogc_percent:
        found["gogc"] = limits.gogc_percent
    if limits.gomaxprocs != plain.gomaxprocs:
        found["gomaxprocs"] = limits.gomaxprocs
    if limits.hard_bytes:
        found["hard"] = _size(limits.hard_bytes // KIB)
    return found


def _size(kib: int) -> str:
    return f"{kib * KIB // MIB}MiB" if kib * KIB % MIB == 0 else f"{kib}KiB"


def _rows(rows: dict[str, object]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in rows.items())


def _value(value: object) -> str:
    if isinstance(value, tuple):
        one = f"[{', '.join(_value(each) for each in value)}]"
        if len(one) <= _MOST_IN_A_LINE:
            return one
        return "[\n" + "".join(f"    {_value(each)},\n" for each in value) + "]"
    # TOML's texts, numbers and booleans are written as JSON's, but for pairs of surrogates (TOML 1.0, "String").
    return json.dumps(value, ensure_ascii=False)
