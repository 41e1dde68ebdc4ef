"""Knows how a host is asked whether its gateway can have a user of its own; what follows is `service/accounts.py`'s."""

from __future__ import annotations

from deploy.board_shell.becoming import BECOME
from deploy.board_shell.quoting import quote
from deploy.model.facts import OwnUser


def own_user_question(user: str) -> str:
    """sh: is `user` there, could it be, how is it become, does it get where the prefix lies; nothing is changed.

    Needs $prefix, $uid and ABOVE. Where it is not there yet, "nobody" tries, or the UID that "nobody" has.
    """
    return f"""\
{BECOME}
own_user() {{
    [ "$uid" = 0 ] || return 0
    u={quote(user)}
    if is_user "$u"; then echo exists; else
        [ -w /etc/passwd ] && echo 'can be made'
        u=nobody
        is_user "$u" || u=65534
    fi
    take_above "${{prefix%/*}}/"
    way_to "$u" "$above" || return 0
    printf 'way %s\\n' "$way"
    [ -z "$reaches" ] || echo reaches
}}
own_user
"""


def parse_own_user(text: str) -> OwnUser:
    """The answer to `own_user_question`."""
    lines = set(text.splitlines())
    way = next((line.removeprefix("way ") for line in lines if line.startswith("way ")), "")
    return OwnUser("exists" in lines, "can be made" in lines, way[:40], "reaches" in lines)
