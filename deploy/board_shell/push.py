"""Knows how a file gets onto a board through the exec channel alone: into `.part`, hashed there, renamed.

One round trip, and nothing needed that a board without SFTP lacks. What is pushed, and when, is the steps' business.
"""

from __future__ import annotations

from pathlib import Path

from deploy.board_shell.framing import Framing, parse
from deploy.board_shell.quoting import quote, quote_path
from deploy.board_shell.shell_functions import FLUSH, HASH
from deploy.model.layout import Layout
from deploy.model.secret import Secret
from deploy.transport.protocol import Packed, Script

HASH_DIFFERS_STATUS = 65
"""EX_DATAERR of sysexits.h: what arrived is not what was sent."""

FOLDER_STATUS = 73
"""EX_CANTCREAT of sysexits.h: the folder could not be made."""

CANNOT_RUN_STATUS = 72
"""EX_OSFILE of sysexits.h: what arrived does not run there."""

TRIAL_S = 10
"""A program that still runs after that runs, whatever it makes of `version`."""

# A Go program catches SIGILL itself, prints it and ends with 2; where a CPU lacks what it was built for it says so and
# ends with 1 (Go's runtime: os_linux_*.go, asm_amd64.s). Signals that it can't catch yet end it with 128 and more.
_CRASHES = "SIG(ILL|SEGV|BUS|SYS|TRAP)|can only be run on|cannot run on|^runtime: |fatal error"

_TRIAL = f"""\
on_trial() {{
    "$1" version </dev/null >"$1.said" 2>&1 &
    t_pid=$!
    {{ sleep {TRIAL_S}; kill -KILL "$t_pid"; }} >/dev/null 2>&1 &
    t_watch=$!
    wait "$t_pid" 2>/dev/null; t_status=$?
    kill "$t_watch" 2>/dev/null
    case $t_status in
    0 | 137) rm -f "$1.said"; return 0 ;;
    12[67] | 1[2-9][0-9]) t_bad=1 ;;
    *) t_bad=; ! grep -qE '{_CRASHES}' "$1.said" || t_bad=1 ;;
    esac
    [ -z "$t_bad" ] || {{ head -n 4 "$1.said" >&2; echo "it ended with status $t_status" >&2; }}
    rm -f "$1.said"
    [ -z "$t_bad" ]
}}
"""


UNPACKED_BY = {"": "cat", "gzip": "gunzip -c", "xz": "xz -dc", "zstd": "zstd -dc"}
"""What unpacks a payload on the board, by how it is packed. BusyBox has the first three."""


def push_release(
    layout: Layout,
    release_id: str,
    sha256: str,
    payload: bytes | Path | Packed,
    *,
    packed: str = "",
    base: str = "",
    goes_on: bool = False,
    size_bytes: int = 0,
    deadline_s: float,
    trial: bool = True,
) -> Script:
    """Send a binary to its release folder. `payload` is `packed` as UNPACKED_BY names it; `sha256` is of the binary.

    With `goes_on` it is the rest of what is there in part. Where it breaks off, what arrived stays for that.
    With `base` it is the difference from that release, which the gateway there applies (`patch`).
    With `trial` it is run once there, to tell its version, before it gets its name: CANNOT_RUN_STATUS where it can't.
    What is shorter than `size_bytes` stays in part too: a broken link ends plain data as its whole would end.
    With an empty `sha256` it stays in part, for `part_script` and `keep_release`.
    """
    folder, binary = quote_path(layout.release(release_id)), quote_path(layout.binary(release_id))
    receive = UNPACKED_BY[packed]
    if base:
        old = quote_path(layout.binary(base))
        receive += f" | {old} patch {old}"
    give_up = _give_up(layout, release_id)
    checked = f"""\
[ "$(($(wc -c <{binary}.part)))" -ge {size_bytes} ] || {{
    echo 'it did not arrive whole' >&2
    [ -s {binary}.part ] && exit 1
    {give_up} 1
}}
got=$(hash_of {binary}.part)
[ "$got" = {quote(sha256)} ] || {{ {give_up} {HASH_DIFFERS_STATUS}; }}
{_keeping(layout, release_id, trial=trial)}"""
    functions = f"{HASH}{FLUSH}{_TRIAL if trial else ''}" if sha256 else ""
    what = "what changed" if base else "the rest" if goes_on else "the binary"
    return Script(
        title=f"send {what} to {layout.release(release_id)}",
        text=f"""\
{functions}umask 022
mkdir -p {folder} || exit {FOLDER_STATUS}
{receive} {">>" if goes_on else ">"}{binary}.part && chmod 755 {binary}.part || {{
    [ -s {binary}.part ] && exit 1
    {give_up} 1
}}
{checked if sha256 else ""}""",
        payload=payload,
        deadline_s=deadline_s + (TRIAL_S if trial else 0),
    )


def part_script(layout: Layout, release_id: str, framing: Framing) -> Script:
    """Ask for the hash of what a push has left in part; for a board that can't hash, and so needs a script of its own.

    Whoever reads it back is `reading_back.py`'s.
    """
    part = quote_path(f"{layout.binary(release_id)}.part")
    return Script(
        title="look at what arrived",
        text=f"{framing.prelude()}{HASH}{framing.section('part', f'hash_of {part}')}{framing.close()}",
        changes=False,
    )


def parse_part(framing: Framing, stdout: bytes) -> str:
    """The hash that `part_script` asked for; "" where the board could not give one. Raises BadAnswer."""
    return parse(framing, stdout).text("part")


def keep_release(layout: Layout, release_id: str, *, trial: bool = True) -> Script:
    """What is there in part is whole: run it once, write it out, and give it its name."""
    return Script(
        title="take what arrived for the release",
        text=f"{FLUSH}{_TRIAL if trial else ''}{_keeping(layout, release_id, trial=trial)}",
        deadline_s=60.0 + (TRIAL_S if trial else 0),
    )


def _give_up(layout: Layout, release_id: str) -> str:
    folder, binary = quote_path(layout.release(release_id)), quote_path(layout.binary(release_id))
    return f"rm -f {binary}.part; rmdir {folder} 2>/dev/null; exit"


def _keeping(layout: Layout, release_id: str, *, trial: bool) -> str:
    binary = quote_path(layout.binary(release_id))
    tried = f"on_trial {binary}.part || {{ {_give_up(layout, release_id)} {CANNOT_RUN_STATUS}; }}\n"
    return f"{tried if trial else ''}flush {binary}.part\nmv -f {binary}.part {binary}\n"


def forget_push(layout: Layout, release_id: str) -> Script:
    """Remove what an interrupted push left; a binary that arrived whole stays (it is named by its hash)."""
    folder, binary = quote_path(layout.release(release_id)), quote_path(layout.binary(release_id))
    return Script(
        title="remove what the interrupted push left",
        text=f"rm -f {binary}.part {binary}.part.said; rmdir {folder} 2>/dev/null; :\n",
    )


def stage_file(title: str, path: str, content: bytes | Secret) -> Script:
    """Write `content` beside `path`, mode 0600 from the first byte on; `service`'s switch puts it in place."""
    folder, staged = quote_path(path.rpartition("/")[0]), quote_path(f"{path}.next")
    return Script(
        title=title,
        text=f"umask 077; mkdir -p {folder} && cat >{staged}.part && mv -f {staged}.part {staged}\n",
        payload=content,
    )
