"""Knows the guard: a process on the board that puts back what ran before, unless it is told in time that all is well.

It stands in for a controller whose link is gone. What it runs is the same script by which the controller would put
things back; that is the face's.
"""

from __future__ import annotations

from collections.abc import Sequence

from deploy.board_shell.quoting import quote, quote_path
from deploy.model.layout import Layout
from deploy.transport.protocol import Script

GUARD_UNREADY_STATUS = 71
"""EX_OSERR of sysexits.h: the guard could not be set up, and nothing was changed."""

PUT_BACK_STATUS = 70
"""The guard has put back what ran before, or is at it."""


def guard_path(layout: Layout) -> str:
    """Its text, while it waits. It becomes .now while it acts, .done after that, and .off where it was stood down."""
    return f"{layout.run}/guard"


def guard_files(layout: Layout) -> tuple[str, ...]:
    """All that it may leave, by name."""
    path = guard_path(layout)
    return (path, f"{path}.now", f"{path}.done", f"{path}.off")


def arm(layout: Layout, putting_back: str, after_s: int, afterwards: str = ":") -> str:
    """sh: set the guard up, to run `putting_back` in `after_s` seconds, and `afterwards` then; for a switch.

    Waiting is counted in uptime: a board's clock may be set meanwhile.
    """
    path = quote_path(guard_path(layout))
    text = f"""\
#!/bin/sh
# Puts back what ran before, unless the deployment says in time that the new release works.
trap '' HUP INT
read -r up rest </proc/uptime; until_s=$((${{up%%.*}} + {after_s}))
while :; do
    [ -f {path} ] || exit 0
    read -r up rest </proc/uptime; [ "${{up%%.*}}" -lt "$until_s" ] || break
    sleep 1
done
mv -f {path} {path}.now 2>/dev/null || exit 0
printf 'guard: nobody has said within {after_s} s that the new release works; what ran before is put back\\n'
(
{putting_back}
)
{afterwards}
mv -f {path}.now {path}.done
"""
    return f"""\
rm -f {path}.now {path}.done {path}.off
mkdir -p {quote_path(layout.log)} && printf %s {quote(text)} >{path}.part && mv -f {path}.part {path} ||
    {{ rm -f {path}.part; exit {GUARD_UNREADY_STATUS}; }}
detach=$(command -v setsid || :)
$detach sh {path} </dev/null >>{quote_path(layout.log_file)} 2>&1 &
"""


def stand_down(layout: Layout) -> str:
    """sh: the guard goes; ends with PUT_BACK_STATUS where it has acted already. Renaming decides which came first."""
    path = quote_path(guard_path(layout))
    return f"mv -f {path} {path}.off 2>/dev/null || exit {PUT_BACK_STATUS}\nrm -f {path}.off\n"


def relieve(layout: Layout, longest_s: int) -> str:
    """sh: take the putting back over from the guard; where it is at it, or has done it, nothing else is done.

    Prints the gateway's pid file then, as putting back does. Needs `running_pid`, `nap`, `uptime_s` and $pid_file.
    """
    path = quote_path(guard_path(layout))
    return f"""\
guard_until_s=$(($(uptime_s) + {longest_s}))
until mv -f {path} {path}.off 2>/dev/null; do
    [ -e {path}.now ] && [ "$(uptime_s)" -lt "$guard_until_s" ] || break
    nap
done
rm -f {path}.off
if [ -e {path}.done ]; then
    rm -f {path}.done
    running_pid "$pid_file" >/dev/null && cat "$pid_file"
    exit 0
fi
"""


def commit(layout: Layout, drop: Sequence[str], leftovers: str = ":") -> Script:
    """The deployment is done: the guard goes, then the releases `drop`, which nothing points at, then the lock.

    `leftovers` is sh text that removes what a broken deployment before this one may have left.

    Ends with PUT_BACK_STATUS where the guard has acted: then nothing is removed.
    """
    folders = " ".join(quote_path(layout.release(release_id)) for release_id in drop)
    removal = f"rm -rf {folders} || echo 'could not remove {' '.join(drop)}'\n" if folders else ""
    text = f"{stand_down(layout)}{removal}{leftovers}\ndrop_lock\n"
    return Script(title="stand the guard down and clear up", text=text)
