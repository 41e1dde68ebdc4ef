"""Knows the lock on a board: which deployment may change it now, since when, and until when without another word.

It is a symbolic link whose text says all that: made in one system call, whole or not at all. Nobody has to remove it:
it holds until an uptime of the board, which every script of its holder puts off, or until the next boot. When a script
has to hold it is the steps' business.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace

from deploy.board_shell.quoting import quote, quote_path
from deploy.model.layout import Layout
from deploy.transport.protocol import Script

LOCKED_STATUS = 69
"""EX_UNAVAILABLE of sysexits.h: another deployment holds the board."""

KEEP_S = 120
"""How long the lock holds after a script of its holder has ended, where the holder says nothing else."""

_WHO = re.compile(r"[^A-Za-z0-9._@-]")

# The fields of the link's text: token, uptime until which it holds, boot id, seconds since 1970, who.
_FUNCTIONS = """\
k_parse() { IFS=:; set -- $1; unset IFS; l_token=$1 l_until=$2 l_boot=$3 l_since=$4 l_who=$5; }
take_lock() {
    read -r k_up k_rest </proc/uptime; k_up=${k_up%%.*}
    k_boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null); k_since=$(date +%s); k_tries=0
    while :; do
        k_old=$(readlink "$k_lock") # read once: whoever comes between this and what follows is found by ln or mv
        k_parse "$k_old"
        case $l_until in '' | *[!0-9]*) l_until=0 ;; esac
        [ "$l_token" != "$k_token" ] || k_since=$l_since
        k_mine=$k_token:$((k_up + $1)):$k_boot:$k_since:$k_who
        if [ "$l_token" = "$k_token" ]; then
            ln -sf "$k_mine" "$k_lock.$k_token" && mv -f "$k_lock.$k_token" "$k_lock"
            return
        elif [ "$l_boot" = "$k_boot" ] && [ "$k_up" -lt "$l_until" ]; then
            echo "locked $l_since $((l_until - k_up)) $l_who"
            return 69
        elif [ -n "$k_old" ]; then
            if mv -f "$k_lock" "$k_lock.$k_token" 2>/dev/null; then
                k_moved=$(readlink "$k_lock.$k_token"); rm -f "$k_lock.$k_token"
                [ "$k_moved" = "$k_old" ] || ln -s "$k_moved" "$k_lock" # somebody was faster
            fi
        fi
        k_why=$(ln -s "$k_mine" "$k_lock" 2>&1) && return
        k_tries=$((k_tries + 1))
        [ "$k_tries" -lt 5 ] || { echo "$k_why" >&2; return 73; }
    done
}
drop_lock() {
    trap - 0
    case $(readlink "$k_lock") in "$k_token":*) rm -f "$k_lock" ;; esac
}
"""

_LOCKED = re.compile(r"^locked ([0-9]{1,19}) ([0-9]{1,19}) (\S{0,200})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Lock:
    """One deployment's hold on a board."""

    token: str
    """Random hex: tells this deployment from another of the same user."""
    who: str
    """Shown to whoever finds the board locked; letters, digits and ._@- only."""

    @classmethod
    def of(cls, who: str, purpose: str = "") -> Lock:
        """A new one for `who`, usually user@controller.

        Two of one `purpose` are the same hold: whoever goes on with what was begun is not locked out by its beginning.
        """
        token = hashlib.sha256(purpose.encode()).hexdigest()[:12] if purpose else secrets.token_hex(6)
        return cls(token, _WHO.sub("-", who)[:100] or "somebody")

    @classmethod
    def mine(cls, purpose: str = "") -> Lock:
        """A new one for whoever runs this program; see `of`."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # a container's user without a name
            user = str(os.getuid())
        return cls.of(f"{user}@{socket.gethostname()}", purpose)

    def functions(self, layout: Layout) -> str:
        """sh: take_lock SECONDS (0, LOCKED_STATUS with a line on stdout, or another status) and drop_lock."""
        return (
            f"k_lock={quote_path(lock_path(layout))} k_token={quote(self.token)} k_who={quote(self.who)}\n"
            f"mkdir -p {quote_path(layout.run)} || exit 73\n{_FUNCTIONS}"
        )

    def held(self, layout: Layout, script: Script, keep_s: float = KEEP_S) -> Script:
        """`script`, which begins with taking the lock, or putting its end off, and keeps it for `keep_s` after its end.

        It ends with LOCKED_STATUS, having changed nothing, where another holds it; `refusal` reads what it printed.
        """
        take = (
            f"take_lock {int(script.deadline_s + keep_s)} || exit\n"
            f"trap 'k_s=$?; take_lock {int(keep_s)} >/dev/null 2>&1; exit $k_s' 0\n"
        )
        return replace(script, text=f"{self.functions(layout)}{take}{script.text}")

    def around(self, layout: Layout, script: Script) -> Script:
        """`script`, which takes the lock first and lets go of it at its end, however that comes."""
        take = f"take_lock {int(script.deadline_s)} || exit\ntrap 'k_s=$?; drop_lock; exit $k_s' 0\n"
        # In a shell of its own: what it executes in its own place must not take the lock's end with it.
        return replace(script, text=f"{self.functions(layout)}{take}(\n{script.text}\n)\n")

    def release(self, layout: Layout) -> Script:
        """Let go of the board, and of folders in which nothing was put."""
        folders = " ".join(map(quote_path, (layout.releases, layout.run, layout.prefix)))
        text = f"{self.functions(layout)}drop_lock\nrmdir {folders} 2>/dev/null; :\n"
        return Script(title="let go of the board", text=text)


def clear(layouts: Iterable[Layout]) -> Script:
    """Remove the locks, whoever holds them."""
    locks = " ".join(quote_path(lock_path(layout)) for layout in layouts)
    return Script(title="remove the lock", text=f"rm -f {locks}\n")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a board. What it says of itself is a stranger's word."""

    who: str
    since_s: int
    """Seconds since 1970, by the board's clock."""
    left_s: int
    """After how many seconds it ends unless it is heard of again."""


def parse_holder(stdout: bytes) -> Holder | None:
    """The holder in what a script printed that ended with LOCKED_STATUS; None where it printed something else."""
    found = _LOCKED.search(stdout.decode("ascii", "replace"))
    return Holder(_WHO.sub("-", found[3]), int(found[1]), int(found[2])) if found else None


def lock_path(layout: Layout) -> str:
    """Where it lies."""
    return f"{layout.run}/lock"
