"""Knows how a file gets onto a board through the exec channel alone: into `.part`, hashed there, renamed.

One round trip, and nothing needed that a board without SFTP lacks. What is pushed, and when, is the steps' business.
"""

from __future__ import annotations

from pathlib import Path

from deploy.board_shell.quoting import quote, quote_path
from deploy.board_shell.shell_functions import FLUSH, HASH
from deploy.model.layout import Layout
from deploy.model.secret import Secret
from deploy.transport.protocol import Script

HASH_DIFFERS_STATUS = 65
"""EX_DATAERR of sysexits.h: what arrived is not what was sent."""

FOLDER_STATUS = 73
"""EX_CANTCREAT of sysexits.h: the folder could not be made."""


def push_release(
    layout: Layout, release_id: str, sha256: str, payload: bytes | Path, *, gzipped: bool, deadline_s: float
) -> Script:
    """Send a binary to its release folder. `payload` is gzip data where `gzipped`; `sha256` is of the plain binary."""
    folder, binary = quote_path(layout.release(release_id)), quote_path(layout.binary(release_id))
    receive = "gunzip -c" if gzipped else "cat"
    return Script(
        title=f"send the binary to {layout.release(release_id)}",
        text=f"""\
{HASH}{FLUSH}umask 022
mkdir -p {folder} || exit {FOLDER_STATUS}
{receive} >{binary}.part && chmod 755 {binary}.part || {{ rm -f {binary}.part; rmdir {folder} 2>/dev/null; exit 1; }}
got=$(hash_of {binary}.part)
[ "$got" = {quote(sha256)} ] || {{ rm -f {binary}.part; rmdir {folder} 2>/dev/null; exit {HASH_DIFFERS_STATUS}; }}
flush {binary}.part
mv -f {binary}.part {binary}
""",
        payload=payload,
        deadline_s=deadline_s,
    )


def forget_push(layout: Layout, release_id: str) -> Script:
    """Remove what an interrupted push left; a binary that arrived whole stays (it is named by its hash)."""
    folder, binary = quote_path(layout.release(release_id)), quote_path(layout.binary(release_id))
    return Script(
        title="remove what the interrupted push left",
        text=f"rm -f {binary}.part; rmdir {folder} 2>/dev/null; :\n",
    )


def stage_file(title: str, path: str, content: bytes | Secret) -> Script:
    """Write `content` beside `path`, mode 0600 from the first byte on; `service`'s switch puts it in place."""
    folder, staged = quote_path(path.rpartition("/")[0]), quote_path(f"{path}.next")
    return Script(
        title=title,
        text=f"umask 077; mkdir -p {folder} && cat >{staged}.part && mv -f {staged}.part {staged}\n",
        payload=content,
    )


def drop_releases(layout: Layout, release_ids: list[str]) -> Script:
    """Remove releases that nothing points at any more. `current` and `previous` are the caller's to leave out."""
    folders = " ".join(quote_path(layout.release(release_id)) for release_id in release_ids)
    return Script(title="remove releases that are not needed any more", text=f"rm -rf {folders}\n")
