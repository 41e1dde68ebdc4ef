"""Knows the face that every wish has: a question to the board, and what follows from the answer.

How many are asked at once, made and read back is `asking.py`'s; what they are is the modules' beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from deploy.board_shell.framing import Section
from deploy.board_shell.shell_functions import FLUSH
from deploy.transport.protocol import Script

PUT = (
    FLUSH
    + """\
put() {
    cat >"$1.part" && flush "$1.part" && mv -f "$1.part" "$1" && return 0
    rm -f "$1.part"
    return 1
}
"""
)
"""put FILE: standard input becomes the file, whole or not at all; also after a power cut."""


TOOLS_LIE_IN = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin\n"
"""An SSH server's PATH may leave out where a system's tools lie (Dropbear's DEFAULT_PATH in its default_options.h)."""


def script(title: str, text: str, payload: bytes | None = None, deadline_s: float = 30.0) -> Script:
    """A script that finds the system's tools, and whose changes are on the storage when it ends, renamings too."""
    return Script(title, f"{TOOLS_LIE_IN}trap sync EXIT\n{text}", payload, deadline_s=deadline_s)


@dataclass(frozen=True, slots=True)
class Already:
    """The wish is fulfilled; `reason` says by what, as a clause for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """What would be done: the script is a value, which a dry run prints."""

    title: str
    """For people, in the infinitive: "name it lichee-1 (it is called board now)"."""
    script: Script


@dataclass(frozen=True, slots=True)
class Impossible:
    """The board can't have it; `reason` is a key of `deploy/cli/cures.py`."""

    reason: str
    problem: str


Judged = Already | Change | Impossible


class Wish(Protocol):
    """One thing that a board shall have. A change is proven by asking again: then there is nothing left to do."""

    @property
    def name(self) -> str:
        """The section's name, and the key in JSON: lower-case letters and "_"."""
        ...

    @property
    def needs_root(self) -> bool:
        """Whether nobody but root can make the change."""
        ...

    def question(self) -> str:
        """POSIX sh that asks and changes nothing; it runs in a subshell of its own."""
        ...

    def judge(self, answer: Section) -> Judged:
        """What follows from the answer. Raises BadAnswer where it is none."""
        ...
