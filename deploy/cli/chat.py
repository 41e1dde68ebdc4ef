"""`chat`: talk to the gateway on a board of this machine, as one of its users would."""

from __future__ import annotations

import sys

from invoke.context import Context
from invoke.tasks import task

from deploy.cli import reaching
from deploy.cli.ending import command
from deploy.cli.options import count, help_for
from deploy.cli.terminals import somebody_types
from deploy.errors import UsageError

HELP = help_for(
    "board", "emulate", text="one message instead of a conversation", wait="seconds to wait for a reply to each"
)


@task(help=HELP, auto_shortflags=False)
@command
def chat(context: Context, board: str = "local", emulate: bool = False, text: str = "", wait: str = "30") -> int:
    """Talk to the gateway in this terminal. End with Ctrl-D.

    Exit codes: 0 every message got a reply, 2 one could not be sent, 4 one got no reply.
    """
    from deploy.model.display import clean
    from deploy.report.console import Screen
    from deploy.telegram.chat import Conversation

    wait_s = float(count(wait, "wait", most=3600))
    place = reaching.choose(board, "", emulate=emulate)
    if place.kept is None:
        raise UsageError("chat needs a board that talks to the Bot API stand-in: --board local, or one with --emulate")
    conversation = Conversation(place.kept.user_side())
    screen, unanswered, refused = Screen(), 0, 0
    on_terminal = somebody_types()
    if not text and on_terminal:
        screen.say("You are a new user of the bot. Try /help. Ctrl-D ends.", style="dim")
    for line in [text] if text else iter(lambda: _line(on_terminal), None):
        if not line.strip():
            continue
        replies = 0
        try:
            for reply in conversation.ask(line, wait_s=wait_s):
                replies += 1
                screen.say(clean(reply.text), style="cyan")
        except ValueError as error:  # too long, for one: no user's Telegram would send it either
            refused += 1
            screen.error(f"this message was not sent: {error}")
            continue
        if not replies:
            unanswered += 1
            screen.error(f"no reply within {wait_s:g} s; is the gateway running? (status {place.flags})")
    return 4 if unanswered else 2 if refused else 0


def _line(on_terminal: bool) -> str | None:
    """The next line that the user types, None at the end, or where there is nothing to read from."""
    if sys.stdin is None:
        return None
    try:
        return input("you> " if on_terminal else "")
    except EOFError:
        return None
