"""Knows which keys an inventory may say of a host, and what a value of each has to be.

Where they stand is the readers'.

No fault repeats a value that may be a secret, and a secret itself is a fault: an inventory says where one comes from.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from urllib.parse import urlsplit

from deploy import catalogue
from deploy.errors import BadFile, UnknownName
from deploy.fleet.draft import Value
from deploy.model.fleet import PROVISIONING, SETTINGS, SWITCHES
from deploy.model.layout import prefix_fault
from deploy.model.public_key import parse_public_key
from deploy.model.units import parse_size
from deploy.toml_keys import near, shown

KEYS = SETTINGS | PROVISIONING | {"board", "host_key", "host_keys", "site", "ssh_port", "ssh_user"}
"""Of a host as of a group. `user` and `port` are the gateway's own; those of the login begin with ssh_."""

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?")
# sha256 is 32 bytes: 43 characters of base64 without padding, as `ssh-keygen -l` prints it.
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
# A bot's number and 35 characters (see model/secret.py), wherever in a text; and keys as model vendors begin them.
_SECRET = re.compile(r"[0-9]{5,20}:[A-Za-z0-9_-]{35}|\bsk-[A-Za-z0-9_-]{16,}|-----BEGIN [A-Z ]*PRIVATE KEY")
_SECRETS = {
    "token": "token_file, token_command or token_keyring",
    "bot_token": "token_file, token_command or token_keyring",
    "telegram_token": "token_file, token_command or token_keyring",
    "api_key": "api_key_file, api_key_command or api_key_keyring",
}
_NEVER = frozenset({"password", "ssh_password", "ssh_pass", "passphrase", "private_key", "secret"})


def fault_of_key(key: str) -> str:
    """Why `key` can't be one, as a sentence that repeats no value; "" where it is one of `KEYS`."""
    if key in KEYS:
        return ""
    folded = key.lower().replace("-", "_")
    if folded in _SECRETS:
        return (
            f"{key} would be a secret itself, which does not stand in an inventory: name where it comes from with "
            f"{_SECRETS[folded]}"
        )
    if folded in _NEVER:
        return (
            f"{key} would be a secret itself, which does not stand in an inventory: log in with a key (identity), or "
            "name where a first password comes from with password_file, password_command or password_keyring"
        )
    return f"there is no key {shown(key)}{near(key, KEYS)}"


def checked(key: str, raw: object) -> Value:
    """`raw`, as a file has it, as the value of `key`. Raises ValueError with a sentence without the key in it."""
    if _holds_secret(raw):
        raise ValueError("holds a secret itself: name where it comes from (a file, a command, a keyring)")
    if key in SWITCHES:
        found = _WORDS.get(raw.lower()) if isinstance(raw, str) else raw
        if not isinstance(found, bool):
            raise ValueError(f"has to be true or false, not {shown(raw)}")
        return found
    if key == "host_keys":
        if isinstance(raw, str):  # an INI file has no lists
            raw = [each.strip() for each in raw.split(",")]
        if not isinstance(raw, list) or not raw:
            raise ValueError('has to be a list of keys, such as ["ssh-ed25519 AAAA…"]')
        return tuple(_host_key(_text(each)) for each in raw)
    text = _text(raw)
    if key == "host_key":
        return (_host_key(text),)
    if check := _CHECKS.get(key):
        check(text)
    return text


def _holds_secret(raw: object) -> bool:
    if isinstance(raw, list):
        return any(_holds_secret(each) for each in raw)
    return isinstance(raw, str) and bool(_SECRET.search(raw))


def _text(raw: object) -> str:
    if isinstance(raw, int) and not isinstance(raw, bool) and abs(raw) < 10**18:
        return str(raw)
    if not isinstance(raw, str):
        raise ValueError(f"has to be text in quotes, not {shown(raw)}")
    if not raw.strip():
        raise ValueError("is empty")
    if not raw.isprintable():
        raise ValueError("has a line break or another control character in it")
    return raw


def _host_key(text: str) -> str:
    if _FINGERPRINT.fullmatch(text):
        return text
    try:
        key = parse_public_key(text)
    except ValueError as error:
        raise ValueError(f"holds no host key such as ssh-ed25519 AAAA… or SHA256:…: {error}") from None
    return f"{key.kind} {key.body}"


def _size_or_off(text: str) -> None:
    if text != "off":
        _size(text)


def _size(text: str) -> None:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise ValueError(f"can't be used: {error}") from None
    if size < 1:
        raise ValueError("is 0")


def _whole(least: int, most: int) -> Callable[[str], None]:
    def check(text: str) -> None:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"has to be a whole number from {least} to {most}, not {shown(text)}")

    return check


def _one_of(*known: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        if text not in known:
            raise ValueError(f"is {shown(text)}, not one of {', '.join(known)}{near(text, known)}")

    return check


def _prefix(text: str) -> None:
    if fault := prefix_fault(text):
        raise ValueError(f"is {shown(text)}, {fault}")


def _login(text: str) -> None:
    if not _LOGIN.fullmatch(text):
        raise ValueError(f"is {shown(text)}, which is no login's name")


def _keyring(text: str) -> None:
    if not re.fullmatch(r".+/[^/]+", text):
        raise ValueError("has to be SERVICE/USER")


def _command(text: str) -> None:
    try:
        shlex.split(text)
    except ValueError as error:
        raise ValueError(f"can't be split into words: {str(error).lower()}") from None


def _url(text: str) -> None:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
        secret = "@" in parts.netloc
    except ValueError:
        good, secret = False, False
    if secret:
        raise ValueError("has a login in it, which does not stand in an inventory")
    if not good:
        raise ValueError("has to be a URL such as https://bots.example.org")


def board_fault(text: str) -> str:
    """Why `text`, a name or the path of a TOML file, describes no host's board; "" where it does. Reads its file."""
    try:
        if catalogue.board(text).connection == "loopback":
            return f"the board {shown(text)} is the machine at which you sit, and no host of a fleet"
    except UnknownName as error:
        close = f" (did you mean {error.near[0]}?)" if error.near else ""
        return f"there is no {error.kind} {shown(error.name)}{close}"
    except BadFile as error:
        return f"the board {shown(text)} has a file with faults: {'; '.join(error.faults)}"
    return ""


_CHECKS: dict[str, Callable[[str], None]] = {
    "api_key_command": _command,
    "api_key_keyring": _keyring,
    "base_url": _url,
    "ca": _one_of("board", "trimmed", "full"),
    "gc_percent": _whole(1, 10_000),
    "hard_limit": _size,
    "max_procs": _whole(1, 1024),
    "memory_limit": _size,
    "password_command": _command,
    "password_keyring": _keyring,
    "port": _whole(1, 65_535),
    "prefix": _prefix,
    "service": _one_of(*catalogue.INITS),
    "ssh_port": _whole(1, 65_535),
    "ssh_user": _login,
    "swap": _size_or_off,
    "token_command": _command,
    "token_keyring": _keyring,
    "user": _login,
    "zram": _size_or_off,
}
