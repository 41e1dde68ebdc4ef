"""Knows how one script brings back many answers: each in its own section, between markers that carry a random nonce.

What is asked, and what an answer means, is left to the modules beside it (facts, samples).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.errors import BadAnswer

_NAME = re.compile(r"[a-z][a-z0-9_]*")

# Two markers may share a newline, so each search starts at the last character of the marker before.
_MARKER = re.compile(
    r"\n#(?P<nonce>[0-9a-f]+) "
    rf"(?:begin (?P<begin>{_NAME.pattern})|end (?P<end>{_NAME.pattern}) (?P<status>\d{{1,3}})|close)\r?\n"
)

# Enough of a wrong answer to recognise it by (a banner, a shell's complaint), and no more.
_QUOTED_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Section:
    """What one section's commands printed on standard output, and the status that they ended with."""

    name: str
    text: str
    """Decoded as UTF-8 with replacement; line ends as the board printed them."""
    exit_status: int

    @property
    def stripped(self) -> str:
        """The text without white space around it: most answers are one line."""
        return self.text.strip()


@dataclass(frozen=True, slots=True)
class Answers:
    """The sections that came back, in order; a name may stand more than once where the script asks in a loop."""

    sections: tuple[Section, ...]

    def __iter__(self) -> Iterator[Section]:
        return iter(self.sections)

    def __contains__(self, name: object) -> bool:
        return any(section.name == name for section in self.sections)

    def section(self, name: str) -> Section:
        """The one section called `name`. Raises BadAnswer where there is none or more than one."""
        found = [section for section in self.sections if section.name == name]
        if len(found) != 1:
            raise BadAnswer(f"the board answered the question {name!r} {len(found)} times instead of once")
        return found[0]

    def text(self, name: str) -> str:
        """The one section's text, white space around it cut off, whatever its status. Raises BadAnswer as `section`."""
        return self.section(name).stripped

    def after_success(self, name: str) -> str | None:
        """As `text`, but None where the commands ended with a status other than 0."""
        section = self.section(name)
        return section.stripped if section.exit_status == 0 else None


@dataclass(frozen=True, slots=True)
class Framing:
    """The markers of one run. The nonce is new every time, so nothing that lies on a board can hold a marker."""

    nonce: str

    @classmethod
    def new(cls) -> Framing:
        """A framing with 128 random bits."""
        return cls(secrets.token_hex(16))

    def prelude(self) -> str:
        """The sh functions that print the markers; stands before the first section.

        The script's own text never shows a whole marker, so a shell that echoes what it reads imitates none either.
        """
        return (
            f"frame_nonce={self.nonce}\n"
            'frame_begin() { printf \'\\n#%s begin %s\\n\' "$frame_nonce" "$1"; }\n'
            'frame_end() { printf \'\\n#%s end %s %s\\n\' "$frame_nonce" "$1" "$2"; }\n'
        )

    def section(self, name: str, commands: str) -> str:
        """sh text that runs `commands` in a subshell (they may `exit`) and frames what they print and their status.

        Variables and functions set before are seen inside; what is set inside is gone afterwards. Raises ValueError for
        a name other than lower-case letters, digits and "_".
        """
        return _framed(name, f"(\n{commands.strip()}\n)")

    def here(self, name: str, commands: str) -> str:
        """As `section`, without a subshell: `commands` may not `exit`, and what they set stays set."""
        return _framed(name, f"{{\n{commands.strip()}\n}}")

    def at_once(self, text: str) -> str:
        """A whole script of sections whose answers leave the board together, in one piece instead of hundreds.

        Each piece would be a packet of its own, for which both sides have to wake up.
        """
        return f"framed() {{\n{self.prelude()}{text}{self.close()}}}\nprintf '%s\\n' \"$(framed)\"\n"

    def close(self) -> str:
        """sh text that marks the end; without it the answer counts as cut short."""
        return "printf '\\n#%s close\\n' \"$frame_nonce\"\n"


def _framed(name: str, group: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} can't name a section")
    return f"frame_begin {name}; {group}; frame_end {name} $?\n"


def parse(framing: Framing, stdout: bytes) -> Answers:
    """The sections in `stdout`. What a board prints before, between and after them (banners, login scripts) is ignored.

    Raises BadAnswer where no section stands there at all, or where the answer is cut short or its sections overlap.
    """
    text = "\n" + stdout.decode("utf-8", "replace") + "\n"
    sections: list[Section] = []
    opened: str | None = None
    body_from = at = 0
    while match := _MARKER.search(text, at):
        at = match.end() - 1
        if match["nonce"] != framing.nonce:
            continue  # somebody else's
        if match["begin"]:
            if opened:
                raise BadAnswer(f"the board's answer to {opened!r} has no end")
            opened, body_from = match["begin"], match.end()
        elif match["end"]:
            if opened is None or match["end"] != opened:
                raise BadAnswer(f"the board's answer to {match['end']!r} has no beginning")
            sections.append(Section(opened, text[body_from : match.start()], int(match["status"])))
            opened = None
        elif opened:
            raise BadAnswer(f"the board's answer to {opened!r} has no end")
        else:
            return Answers(tuple(sections))
    problem = (
        "the board's answer is cut short"
        if sections or opened
        else "the board did not answer as its shell was asked to"
    )
    raise BadAnswer(problem, detail=text.strip()[:_QUOTED_CHARACTERS])
