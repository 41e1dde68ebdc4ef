"""Knows the files that a service manager writes on a board: whose they are, where new and old texts lie, and how they
change places.

What stands in them is each manager's.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from deploy.board_shell.quoting import quote, quote_path
from deploy.model.layout import Layout

LIVE, BENCH = "live", "bench"
"""Folders below run/ in which what only passes through has a layout of its own: a second instance, and benches, whose
names go on ("bench-…")."""

_PLAIN_PREFIX = re.compile(r"/[A-Za-z0-9._/-]+")


@dataclass(frozen=True, slots=True)
class Text:
    """One file that a manager writes on the board. `path` is the layout's, or a system folder's."""

    path: str
    content: str
    mode: int = 0o600


def service_name(layout: Layout) -> str:
    """What a service of this layout is called: the prefix's last folder, without a leading dot."""
    return layout.prefix.rstrip("/").rpartition("/")[2].lstrip(".")


def cgroup_name(layout: Layout) -> str:
    """What its memory cgroup is called. The prefix goes in: second instances of two gateways have one name."""
    return f"slimdeploy.{service_name(layout)}.{zlib.crc32(layout.prefix.encode()):08x}"


def manager_file(layout: Layout) -> str:
    """Where the name of the manager stands that keeps the gateway under `layout`."""
    return f"{layout.run}/manager"


def fits(layout: Layout) -> bool:
    """Whether the prefix can stand in a unit and in an init script as it is: no blanks, and absolute."""
    return _PLAIN_PREFIX.fullmatch(layout.prefix) is not None


def mark(layout: Layout) -> str:
    """What stands in every file of ours in a system's folder."""
    return f"slimdeploy for {layout.prefix}"


def head(layout: Layout) -> str:
    """The comment that says whose file it is; a service without it is not ours."""
    return f"# Written by {mark(layout)}; a deployment overwrites it."


def waits_at(layout: Layout, path: str) -> str:
    """Where a new text for `path` waits: beside it, or under run/ for a path in a system's folder."""
    return f"{_place(layout, path)}.next"


def kept_at(layout: Layout, path: str) -> str:
    """Where the text is kept that was at `path` before."""
    return f"{_place(layout, path)}.previous"


def kept_with(layout: Layout, release_id: str) -> str:
    """The folder beside a release that is no longer current, for the files by which it ran, by their last names."""
    return f"{layout.release(release_id)}/with"


def refuse_a_strangers(layout: Layout, path: str, status: int) -> str:
    """sh: end with `status` where a file of a system's folder is there that is not ours."""
    if _is_inside(layout, path):
        return ":"
    return f"[ ! -e {quote(path)} ] || grep -qF {quote(mark(layout))} {quote(path)} || exit {status}"


def keep_beside(layout: Layout, before: str, texts: tuple[Text, ...]) -> str:
    """sh: copies of the files by which a release has run, into its folder; what can't be copied is not missed."""
    folder = quote_path(kept_with(layout, before))
    paths = (layout.config, layout.ca_file, *(text.path for text in texts))
    copies = "\n".join(f"[ ! -f {quote_path(path)} ] || cp -p {quote_path(path)} {folder}/" for path in paths)
    return f"{{ rm -rf {folder}; mkdir -p {folder}\n{copies}\n}} 2>/dev/null"


def put_in_place(layout: Layout, path: str, mode: int) -> str:
    """sh: the staged text becomes the one in use, and the one in use is kept. Needs `flush`, as `put_back` does."""
    waiting, kept, own = (quote_path(each) for each in (waits_at(layout, path), kept_at(layout, path), path))
    keep = f"if [ -f {own} ]; then cp -p {own} {kept}; else rm -f {kept}; fi || exit 1\n"
    if _is_inside(layout, path):
        return keep + f"mv -f {waiting} {own} || exit 1"
    # Another folder may be another file system; a name with a dot first is no service to any init.
    folder, _, name = path.rpartition("/")
    part = quote(f"{folder}/.{name}.part")
    return (
        keep
        + f"cp {waiting} {part} && chmod {mode:o} {part} && flush {part} && mv -f {part} {own} || exit 1\n"
        + f"rm -f {waiting}"
    )


def put_back(layout: Layout, path: str) -> str:
    """sh: undoes `put_in_place`; a text that still waits is only removed."""
    waiting, kept, own = (quote_path(each) for each in (waits_at(layout, path), kept_at(layout, path), path))
    return f"""\
if [ -f {waiting} ]; then rm -f {waiting}
elif [ -f {kept} ]; then flush {kept}; mv -f {kept} {own}
else rm -f {own}; fi"""


def _place(layout: Layout, path: str) -> str:
    return path if _is_inside(layout, path) else f"{layout.run}/{path.rpartition('/')[2]}"


def _is_inside(layout: Layout, path: str) -> bool:
    return path.startswith(f"{layout.prefix}/")
