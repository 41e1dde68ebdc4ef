"""Knows how to ask for the file system on which a prefix would lie, and how to read what df and mounts say of it."""

from __future__ import annotations

import re

from deploy.board_shell.proc_files import is_number
from deploy.errors import BadAnswer
from deploy.model.facts import Place

PLACE = """\
take_above "$prefix/releases"
printf '%s\\n' "$prefix"
[ -w "$above" ] && echo writable || echo read-only
d=$(df -Pk "$above")
printf '%s\\n' "${d#*
}"
echo mounts
cat /proc/mounts"""
"""Needs $prefix and ABOVE. The releases may have their own storage."""


def parse_place(text: str) -> Place:
    """The prefix, what `df -Pk` says of its file system, and the mount options from /proc/mounts."""
    head, _, mounts = text.partition("\nmounts\n")
    lines = head.split("\n")
    if len(lines) < 3 or not lines[0].startswith("/"):
        raise BadAnswer("df says nothing of the prefix's file system")
    # POSIX df -P keeps one line a file system; a BusyBox without -P folds a long device name onto a line of its own.
    fields = " ".join(lines[2:]).split()
    if len(fields) < 6 or not is_number(fields[3]):
        raise BadAnswer("df prints a table that can't be read")
    mount_point = " ".join(fields[5:])
    file_system, options = "", ""
    for line in mounts.splitlines():
        parts = line.split()
        if len(parts) >= 4 and unescaped(parts[1]) == mount_point:
            file_system, options = parts[2], parts[3]  # the last mount on a point is the one in force
    return Place(
        prefix=lines[0],
        free_kib=int(fields[3]),
        mount_point=mount_point,
        mount_options=tuple(options.split(",")) if options else (),
        file_system=file_system,
        writable=lines[1] == "writable",
    )


def unescaped(field: str) -> str:
    """A field of /proc/mounts, where blanks, tabs, newlines and backslashes stand as \\040 and so on (fstab(5))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8) & 0xFF), field)
