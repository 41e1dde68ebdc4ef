"""Knows lists of host keys that somebody has collected by a safer way, such as each board's console.

A line is one of these: `NAME SHA256:…`; a line of known_hosts as ssh-keyscan(1) prints it, `NAME ssh-ed25519 AAAA…`;
one as `ssh-keygen -l` prints it, `256 SHA256:… NAME (ED25519)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from deploy.errors import BadFile
from deploy.fleet.draft import Faults, Where
from deploy.model.public_key import parse_public_key

# sha256 is 32 bytes: 43 characters of base64 without padding.
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Which keys are to be expected of whom."""

    source: str
    by_name: dict[str, list[str]] = field(default_factory=dict)

    def of(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of a host that is called by each of `names`; () where the list does not know it."""
        return tuple(dict.fromkeys(each for name in names for each in self.by_name.get(name.lower(), ())))


def read(text: str, file: str) -> Fingerprints:
    """The list in `text`. Raises BadFile with every fault, each with its line."""
    found, faults = Fingerprints(file), Faults()
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        name, fingerprint = _of(words)
        if fingerprint:
            for each in name.split(","):
                found.by_name.setdefault(each.lower(), []).append(fingerprint)
        else:
            faults.add(Where(file, number), "write NAME SHA256:…, or a line as ssh-keyscan or ssh-keygen -l prints it")
    if faults.found:
        raise BadFile(file, faults.sentences(), "keys")
    return found


def _of(words: list[str]) -> tuple[str, str]:
    if len(words) >= 3 and words[0].isdigit() and _FINGERPRINT.fullmatch(words[1]):
        return words[2], words[1]
    if len(words) >= 2 and _FINGERPRINT.fullmatch(words[1]):
        return words[0], words[1]
    if len(words) >= 3:
        try:
            return words[0], parse_public_key(f"{words[1]} {words[2]}").fingerprint
        except ValueError:
            return "", ""
    return "", ""
