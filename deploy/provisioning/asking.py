"""Knows how a board is asked for all wishes in one round trip, and how a change is made and read back.

What is asked, and what follows, is each wish's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.board_shell.framing import Framing, parse
from deploy.board_shell.probe_text import one_line
from deploy.errors import BadAnswer, CommandFailed, Refused
from deploy.provisioning.wish import TOOLS_LIE_IN, Already, Change, Impossible, Judged, Wish
from deploy.steps.asking import must
from deploy.transport.protocol import Script, Transport

_LOGIN = "login"


@dataclass(frozen=True, slots=True)
class Found:
    """What the board answered: who is logged in there, and each wish with what follows for it."""

    user: str
    is_root: bool
    judged: tuple[tuple[Wish, Judged], ...]

    @property
    def changes(self) -> tuple[tuple[Wish, Change], ...]:
        """Those that are to be made, in the order of the wishes."""
        return tuple((wish, each) for wish, each in self.judged if isinstance(each, Change))


def question_script(framing: Framing, wishes: Sequence[Wish]) -> Script:
    """The one script that asks for all of it; it changes nothing."""
    asked = framing.section(_LOGIN, 'id -u; id -un 2>/dev/null || echo "$USER"')
    asked += "".join(framing.section(wish.name, wish.question()) for wish in wishes)
    text = framing.prelude() + TOOLS_LIE_IN + asked + framing.close()
    return Script(title="ask what is so already", text=text, changes=False)


def ask(transport: Transport, wishes: Sequence[Wish]) -> Found:
    """What is so and what is not; one round trip. Raises HostError's leaves."""
    framing = Framing.new()
    try:
        answers = parse(framing, must(transport, question_script(framing, wishes)).stdout)
        login = [one_line(line) for line in answers.text(_LOGIN).splitlines()[:2]]
        if len(login) != 2:
            raise BadAnswer("the board does not say who is logged in")
        is_root = login[0] == "0"
        judged = tuple((wish, _judge(wish, wish.judge(answers.section(wish.name)), is_root)) for wish in wishes)
    except BadAnswer as error:
        error.host = error.host or transport.host
        raise
    return Found(login[1], is_root, judged)


def _judge(wish: Wish, found: Judged, is_root: bool) -> Judged:
    if isinstance(found, Change) and wish.needs_root and not is_root:
        return Impossible("needs_root", f"only root can {found.title}")
    return found


def refuse(found: Found, host: str) -> None:
    """Raise Refused where the board can't have all that is wished for: the first, and the others as notes."""
    faults = [each for _, each in found.judged if isinstance(each, Impossible)]
    if faults:
        error = Refused(faults[0].reason, faults[0].problem, host)
        for each in faults[1:]:
            error.add_note(each.problem)
        raise error


def make(transport: Transport, wish: Wish, change: Change) -> Already:
    """Make one change and read it back: what the board then says of it. Raises HostError's leaves."""
    must(transport, change.script)
    _, read_back = ask(transport, (wish,)).judged[0]
    match read_back:
        case Already():
            return read_back
        case Change(title=left):
            problem = f"it was done, and the board still does not show it: left to do is to {left}"
        case Impossible(problem=told):
            problem = told
    raise CommandFailed(problem, transport.host)
