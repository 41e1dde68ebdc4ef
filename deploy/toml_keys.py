"""Knows how keys are read out of a TOML file, with a clause for people about every missing, wrong or unknown one.

Which keys there are, and what they mean, is known by whoever asks for them. No content of a file makes it raise
anything but BadFile: a file is written by people, and may come from a stranger.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deploy.errors import BadFile
from deploy.model.units import KIB, parse_size

# No controller's or board's memory comes near it, and GOMEMLIMIT, an int64 of bytes (runtime/debug), holds it.
MOST_KIB = 1024**3

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SHOWN_CHARACTERS = 60


def load_table(path: Path) -> dict[str, Any]:
    """The whole file as nested tables. Raises BadFile with the one fault that keeps it from being read."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        fault = f"it can't be read: {error.strerror}"
    except UnicodeDecodeError as error:
        fault = f"it is not UTF-8: see byte {error.start}"
    except tomllib.TOMLDecodeError as error:
        fault = f"it is not TOML: {error}"
    except ValueError:
        # Python's int() takes 4,300 digits at most (sys.get_int_max_str_digits), and tomllib lets that through.
        fault = "a number in it has too many digits"
    except RecursionError:
        fault = "its lists or tables lie too deep in one another"
    raise BadFile(str(path), [fault])


def near(word: str, known: Iterable[str]) -> str:
    """The end of a clause about an unknown `word`: "; did you mean X?", or nothing when none is close."""
    found = difflib.get_close_matches(word[:_SHOWN_CHARACTERS], list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def shown(value: object) -> str:
    """`value` as a fault quotes it: short, on one line, whatever it is."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a number of that size"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


class TomlKeys:
    """The keys of one file, each asked for once by its dotted name, such as `login.port`; `faults` collects all faults.

    A wrong value is answered with the ordinary one, so that the reading goes on to the next fault.
    """

    def __init__(self, table: dict[str, Any]) -> None:
        self.faults: list[str] = []
        self._values = _flat(table)
        self._asked: list[str] = []

    def text(
        self, key: str, ordinary: str = "", form: re.Pattern[str] | None = None, what: str = "", required: bool = False
    ) -> str:
        """A text on one line, which `form` matches whole; `what` says in words what `form` asks for."""
        value = self._take(key, str, "text in quotes", required)
        if value is None:
            return ordinary
        if fault := _fault_of_text(value, form, what):
            self.faults.append(f"{key} {fault}")
            return ordinary
        return str(value)

    def texts(
        self, key: str, ordinary: tuple[str, ...] = (), form: re.Pattern[str] | None = None, what: str = ""
    ) -> tuple[str, ...]:
        """A list of such texts."""
        value = self._take(key, list, "a list of texts")
        if value is None:
            return ordinary
        faults = [
            fault if isinstance(each, str) else f"holds {shown(each)}, which is not text in quotes"
            for each in value
            if not isinstance(each, str) or (fault := _fault_of_text(each, form, what))
        ]
        self.faults += [f"{key} {fault}" for fault in faults]
        return ordinary if faults else tuple(value)

    def whole(self, key: str, ordinary: int, least: int, most: int) -> int:
        """A whole number from `least` to `most`."""
        value = self._take(key, int, "a whole number")
        if value is None:
            return ordinary
        if not least <= value <= most:
            self.faults.append(f"{key} is {shown(value)}, and has to lie between {least} and {most}")
            return ordinary
        return int(value)

    def yes_or_no(self, key: str, ordinary: bool) -> bool:
        """True or false."""
        value = self._take(key, bool, "true or false")
        return ordinary if value is None else bool(value)

    def one_of(self, key: str, known: Iterable[str], ordinary: str = "", required: bool = False) -> str:
        """One of the words `known`; a near miss is named."""
        value = self._take(key, str, "text in quotes", required)
        if value is None:
            return ordinary
        if value not in known:
            self.faults.append(f"{key} is {shown(value)}, not one of {', '.join(known)}{near(value, known)}")
            return ordinary
        return str(value)

    def size_kib(self, key: str, ordinary: int | None = None, required: bool = False) -> int | None:
        """A size such as "64MiB", in KiB; at least one and at most MOST_KIB."""
        value = self._take(key, str, 'a size such as "64MiB"', required)
        if value is None:
            return ordinary
        try:
            kib, rest = divmod(parse_size(value), KIB)
        except ValueError as error:
            self.faults.append(f"{key}: {error}" if len(value) <= _SHOWN_CHARACTERS else f"{key} is not a size")
            return ordinary
        if rest or not 1 <= kib <= MOST_KIB:
            self.faults.append(f"{key} is {shown(value)}, not a whole number of KiB up to 1024GiB")
            return ordinary
        return kib

    def refuse_the_rest(self) -> None:
        """Call it last: every key that was not asked for is a fault."""
        tables = {key.rpartition(".")[0] for key in self._asked} - {""}
        for key, value in self._values.items():
            if key in self._asked or (key in tables and value == {}):
                continue
            if key in tables:
                self.faults.append(f"{key} has to be a table, written [{key}], not {shown(value)}")
            else:
                self.faults.append(f"there is no key {key}{near(key, self._asked)}")

    def _take(self, key: str, kind: type, what: str, required: bool = False) -> Any:
        self._asked.append(key)
        if key not in self._values:
            if required:
                self.faults.append(f"{key} is missing")
            return None
        value = self._values[key]
        # In Python a bool is an int as well; in TOML it is not.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.faults.append(f"{key} has to be {what}, not {shown(value)}")
            return None
        return value


def _fault_of_text(text: str, form: re.Pattern[str] | None, what: str) -> str:
    if not text.strip():
        return "holds an empty text"
    if _CONTROL.search(text):
        return f"holds {shown(text)}, which has a line break or another control character in it"
    if form and not form.fullmatch(text):
        return f"holds {shown(text)}, which is not {what}"
    return ""


def _flat(table: dict[str, Any]) -> dict[str, Any]:
    """Dotted names to values, one table deep: what lies deeper is nobody's key. An empty table stays a value."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict) and value:
            flat |= {f"{_key(name)}.{_key(inner)}": each for inner, each in value.items()}
        else:
            flat[_key(name)] = value
    return flat


def _key(name: str) -> str:
    """`name` as TOML writes it, in quotes unless it is bare: "a.b" is not the key b of the table a."""
    return name if _BARE_KEY.fullmatch(name) else shown(name)
