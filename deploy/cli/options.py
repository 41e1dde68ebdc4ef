"""Knows the flags that several commands share: their help, and how their text becomes values."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.errors import BadFile, UsageError
from deploy.model.layout import prefix_fault
from deploy.model.limits import Limits
from deploy.model.units import KIB, parse_size
from deploy.model.verdict import Budget

BOARD = "the kind of board: a name from `boards`, or the path of a TOML file"
MOST_MESSAGES = 10_000
"""As many as the Bot API stand-in takes in one burst."""
MOST_A_SECOND = 1000
"""As many as it lets users write."""

HOST = "the machine: user@address or user@address:port; without it, the host remembered for the board"
HELP = {
    "board": BOARD,
    "host": HOST,
    "emulate": "a real Linux kernel of the board's architecture, under QEMU on this machine (docs/emulated.md)",
    "json": "print one JSON document and nothing else (docs/json.md)",
    "accept_new_host_key": "trust a host key that has not been seen before; a changed key is refused all the same",
    "identity": "the private key to log in with",
    "prefix": "the folder on the board for releases, config and logs",
    "token_file": "a file (mode 0600) that holds the bot token; else TELEGRAM_BOT_TOKEN, else you are asked",
    "password_file": "a file (mode 0600) with the login's password; else SLIMDEPLOY_PASSWORD, else you are asked",
    "no_password_login": "let nobody in by password any more, once a key has been proven to work",
    "token_command": 'a command that prints the bot token, such as "pass show bot"; run without a shell',
    "token_keyring": "SERVICE/USER: where the bot token lies in your keyring (pip install 'slimdeploy[keyring]')",
    "api_key_file": "a file (mode 0600) with the key of the model that --config-file names; else SLIMDEPLOY_API_KEY",
    "api_key_command": "a command that prints that key",
    "api_key_keyring": "SERVICE/USER: where that key lies in your keyring",
    "budget": "what VmRSS plus its error bar is held to, such as 5MiB",
    "peak_budget": "what the peak (VmHWM) is held to; without it the peak is shown and not judged",
    "keep": "keep the reading in the history; --no-keep leaves it out",
    "explain": "show every proof behind the verdict",
    "messages": "how many messages the live check sends",
    "memory_limit": "GOMEMLIMIT, such as 5MiB",
    "gc_percent": "GOGC, such as 20",
    "max_procs": "GOMAXPROCS, such as 1",
    "gate_memory": "let the new release stay only if its reading is within the budget; else put back what ran",
    "hard_limit": "a ceiling that the kernel holds it to (a memory cgroup), such as 16MiB; without it none",
    "service": "what keeps it running: systemd, openrc, procd, busybox_init or detached; without it what the host has",
    "source": "the Go tree to build; without it the gateway that comes with slimdeploy",
    "package": "the main package inside the source, such as ./cmd/picoclaw",
    "tags": "build tags, with commas between",
    "ldflags": "more linker flags, after slimdeploy's own",
    "command": 'for a program that is no gateway: the arguments it is started with (" " for none); it is read idle',
    "version": "the version that the binary tells; without it the source decides",
    "base_url": "a Bot API server of your own instead of https://api.telegram.org",
    "config_file": "a PicoClaw config (JSON, mode 0600) that goes along: allow_from, the model that answers, its key",
    "ca_file": "a PEM file with the CA certificates that the gateway shall trust, sent along",
    "ca": "board: what the board trusts; trimmed: the roots that the hosts need; full: all of Mozilla's; "
    "without it the board's, and trimmed where it has none",
    "set_clock": "set the board's clock from this machine's where it is off by more than a day",
    "port": "the port of the gateway's health page on the board's 127.0.0.1",
    "dry_run": "print what would be run, and change nothing",
    "measure": "take a reading at the end; --no-measure leaves it out",
}


def help_for(*names: str, **own: str) -> dict[str, str]:
    """The help of a command's flags: shared ones by name, its own as given. Invoke wants dashes in the keys."""
    return {name.replace("_", "-"): text for name, text in ({n: HELP[n] for n in names} | own).items()}


def count(text: str, flag: str, *, least: int = 1, most: int = 1_000_000) -> int:
    """The whole number in `text`. Raises UsageError naming the flag."""
    if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
        raise UsageError(f"--{flag} takes a whole number from {least} to {most}, not {text!r}")
    return int(text)


def kinds(text: str) -> tuple[str, ...]:
    """The kinds of messages in `text`, with commas between; `all` for all of them. Raises UsageError."""
    from deploy.telegram.writing import KINDS

    named = words(text)
    if named == ("all",):
        return KINDS
    if not named or (unknown := [word for word in named if word not in KINDS]):
        what = f"not {unknown[0]!r}" if named else "at least one of them"
        raise UsageError(f"--kinds takes {', '.join(KINDS)} or all, and {what}")
    return named


def rate_hz(text: str) -> float:
    """How many messages a second; 0 for all at once. Raises UsageError."""
    if not text:
        return 0.0
    if not re.fullmatch(r"\d{1,4}(\.\d{1,3})?", text) or not 0 < float(text) <= MOST_A_SECOND:
        raise UsageError(f"--rate takes messages a second, more than 0 and at most {MOST_A_SECOND}, not {text!r}")
    return float(text)


def sha256(text: str) -> str:
    """The SHA-256 in `text`, in small letters; "" for none. Raises UsageError."""
    if text and not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise UsageError("--sha256 takes the 64 hexadecimal digits of a SHA-256")
    return text.lower()


def size_bytes(text: str, flag: str) -> int:
    """The size in `text`, in bytes. Raises UsageError naming the flag."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise UsageError(f"--{flag}: {error}") from None


_TIMES = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_LONG_TIMES = _TIMES | {"m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_RATES = {"bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9, "bps": 8.0, "kbps": 8e3, "mbps": 8e6}


def seconds(text: str, flag: str, *, most: float = 60.0) -> float:
    """The time in `text`, such as 40ms or 0.2s. Raises UsageError naming the flag."""
    return _measure(text, flag, _TIMES, most, "a time such as 40ms or 0.2s")


def duration_s(text: str, flag: str, *, least: float, most: float) -> float:
    """The time in `text`, such as 1s, 10m or 8h, in seconds. Raises UsageError naming the flag."""
    value = _measure(text, flag, _LONG_TIMES, most, f"a time such as 1s, 10m or 8h (at most {_as_written(most)})")
    if value < least:
        raise UsageError(f"--{flag} takes {least:g} s at least, not {text!r}")
    return value


def _as_written(seconds: float) -> str:
    """A bound as a user would write it: 7776000 -> 90d."""
    unit = next((unit for unit in ("d", "h", "m") if seconds % _LONG_TIMES[unit] == 0), "s")
    return f"{seconds / _LONG_TIMES[unit]:g}{unit}"


def bits_per_second(text: str, flag: str) -> float:
    """The rate in `text`, as tc(8) writes rates: 10mbit is ten million bits a second, 10mbps are bytes."""
    return _measure(text, flag, _RATES, 1e11, "a rate such as 500kbit or 10mbit")


def _measure(text: str, flag: str, units: dict[str, float], most: float, example: str) -> float:
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-z]+)", text.strip().lower())
    value = float(found[1]) * units[found[2]] if found and found[2] in units else 0.0
    if not 0 < value <= most:
        raise UsageError(f"--{flag} takes {example}, not {text!r}")
    return value


def budget(rss: str, peak: str) -> Budget:
    """The budget; 5 MiB for VmRSS unless told otherwise. Raises UsageError."""
    chosen = Budget()
    if rss:
        chosen = replace(chosen, rss_kib=size_bytes(rss, "budget") // KIB)
    if peak:
        chosen = replace(chosen, hwm_kib=size_bytes(peak, "peak-budget") // KIB)
    return chosen


def limits(board: Limits, memory_limit: str, gc_percent: str, max_procs: str, hard_limit: str = "") -> Limits:
    """The board's limits with the command line's over them. Raises UsageError."""
    return Limits(
        gomemlimit_bytes=size_bytes(memory_limit, "memory-limit") if memory_limit else board.gomemlimit_bytes,
        gogc_percent=count(gc_percent, "gc-percent", most=10_000) if gc_percent else board.gogc_percent,
        gomaxprocs=count(max_procs, "max-procs", most=1024) if max_procs else board.gomaxprocs,
        hard_bytes=size_bytes(hard_limit, "hard-limit") // KIB * KIB if hard_limit else board.hard_bytes,
    )


def prefix(text: str) -> str:
    """The folder on the board that --prefix names, "" where it was not given. Raises UsageError."""
    if text and (fault := prefix_fault(text)):
        raise UsageError(f"--prefix is {text!r}, {fault}")
    return text.rstrip("/")


def words(text: str) -> tuple[str, ...]:
    """The words in `text`, with commas or blanks between."""
    return tuple(word for word in re.split(r"[,\s]+", text) if word)


def existing_file(text: str, flag: str) -> Path:
    """The file that `text` names. Raises UsageError where there is none or it can't be read."""
    path = Path(text).expanduser()
    if not path.is_file():
        raise UsageError(f"--{flag}: there is no file {text}")
    if not os.access(path, os.R_OK):
        raise UsageError(f"--{flag}: {text} can't be read")
    return path


def private_file(text: str, flag: str) -> Path:
    """As `existing_file`, for a file that holds secrets. Raises UsageError where others can read it."""
    path = existing_file(text, flag)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UsageError(f"--{flag}: {text} holds secrets and can be read by others (chmod 600 {text})")
    return path


# What is looked into, or written over, before the config is sent.
_OBJECTS = (
    ("gateway",),
    ("channels",),
    ("channels", "telegram"),
    ("agents",),
    ("agents", "defaults"),
    ("providers",),
    ("providers", "openai"),
)


def _is_object(table: Any, path: tuple[str, ...]) -> bool:
    """Whether an object lies at `path`, or nothing; what lies in something else is not looked at."""
    for key in path:
        if not isinstance(table, dict):
            return True
        table = table.get(key, {})
    return isinstance(table, dict)


def settings(config_file: str) -> dict[str, Any]:
    """The JSON object in the user's config; {} without one. Raises UsageError or BadFile, never with what is in it."""
    if not config_file:
        return {}
    path = private_file(config_file, "config-file")
    try:
        found = json.loads(path.read_bytes().decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise BadFile(config_file, [f"line {error.lineno}, column {error.colno}: {error.msg}"], "config") from None
    except UnicodeDecodeError:
        raise BadFile(config_file, ["it is not UTF-8"], "config") from None
    if not isinstance(found, dict):
        raise BadFile(config_file, ["it is no JSON object in { }"], "config")
    faults = [f"{'.'.join(path)} is no object in {{ }}" for path in _OBJECTS if not _is_object(found, path)]
    if faults:
        raise BadFile(config_file, faults, "config")
    return found
