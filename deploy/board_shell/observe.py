"""Knows how to look at the gateway that the pid file names: is it there, whose binary is it, under which limits.

Also where a board keeps its gateway when only its prefix candidates are known. What the answers mean is the steps'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from deploy.board_shell.framing import Framing, parse
from deploy.board_shell.quoting import quote_path
from deploy.board_shell.running import RUNNING_NEEDS, RUNNING_QUESTION, parse_running
from deploy.errors import BadAnswer
from deploy.model.facts import Running
from deploy.model.layout import Layout
from deploy.transport.protocol import Script


def observe_script(layout: Layout, framing: Framing, *, ask_it: bool = True) -> Script:
    """Ask for the running gateway and, with `ask_it`, for its own word on its health (`status --json`, no forwarding).

    A program that is no gateway is not asked: it would take the words for something else.
    """
    prefix, binary = quote_path(layout.prefix), quote_path(f"{layout.current}/{layout.name}")
    status = f"{binary} status --json --config {quote_path(layout.config)} 2>/dev/null" if ask_it else ":"
    text = framing.at_once(
        f"{RUNNING_NEEDS}prefix={prefix} current_hash=\n"
        'take_running "$prefix/run/gateway.pid"; pid=$running\n'
        + framing.here("running", RUNNING_QUESTION)
        + framing.section("status", status)
    )
    return Script(title="look at the running gateway", text=text, changes=False)


def parse_observation(framing: Framing, stdout: bytes) -> tuple[Running | None, bytes]:
    """The running gateway (None where there is none), and what its `status --json` printed."""
    answers = parse(framing, stdout)
    return parse_running(answers.text("running")), answers.text("status").encode()


_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")

# A release is one program. A ".part" beside it is what a broken push left.
_BINARY = """\
for f in "$prefix"/current/*; do
    case $f in *.part) continue;; esac
    [ -f "$f" ] && [ -x "$f" ] && { printf '%s\\n' "${f##*/}"; break; }
done; :"""


def locate_script(prefixes: Iterable[str], framing: Framing) -> Script:
    """Ask under which of `prefixes` a gateway is installed, the first that holds one, and what it is called."""
    candidates = " ".join(map(quote_path, dict.fromkeys(prefixes)))
    text = (
        framing.prelude()
        + f'for prefix in {candidates} ""; do [ ! -L "$prefix/current" ] || break; done\n'
        + framing.section("prefix", 'printf "%s\\n" "$prefix"')
        + framing.section("binary", _BINARY)
        + framing.section("manager", 'cat "$prefix/run/manager" 2>/dev/null; :')
        + framing.close()
    )
    return Script(title="find where the gateway is installed", text=text, changes=False)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a gateway is installed, the prefix absolute, and which service manager keeps it; "" where none noted it.

    `user` is the user of its own that it was given; "" for the login's.
    """

    layout: Layout
    manager: str = ""
    user: str = ""


def parse_location(framing: Framing, stdout: bytes) -> Location | None:
    """Where it lies; None where nothing is installed. Raises BadAnswer for anything else.

    A release whose program is gone is taken for one of the gateway's own name: that much can still be removed.
    """
    answers = parse(framing, stdout)
    found, name = answers.text("prefix"), answers.text("binary")
    if not found:
        return None
    if not found.startswith("/") or "\n" in found or "\n" in name:
        raise BadAnswer("the board did not say where its gateway is installed", detail=found[:80])
    manager, _, user = answers.text("manager").partition("\nuser ")
    user = user if _USER.fullmatch(user) else ""
    return Location(Layout(found, name) if name else Layout(found), manager, user)
