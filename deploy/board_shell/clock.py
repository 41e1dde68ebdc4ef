"""Knows how a board's clock is set, in the words of every `date` that boards have, and how it is read back.

Whether it has to be set, and whether it took, is judged in `deploy/steps/clock.py`.
"""

from __future__ import annotations

import re
import time

from deploy.errors import BadAnswer
from deploy.transport.protocol import Script

_READ = re.compile(rb"^clock ([0-9]{1,19})$", re.MULTILINE)


def set_clock_script(now_s: int) -> Script:
    """Set it to `now_s` (Unix time), and print what it then says; a refusal to set it is no failure of the script.

    GNU's, BusyBox's and newer toybox's `date` take -s with ISO 8601; POSIX has the other form ("date", XSI; the seconds
    behind the dot are everybody's extension), which older toybox takes alone.
    """
    now = time.gmtime(now_s)
    iso, posix = time.strftime("%Y-%m-%d %H:%M:%S", now), time.strftime("%m%d%H%M%Y.%S", now)
    text = f"""\
date -u -s '{iso}' >/dev/null || date -u {posix} >/dev/null
printf 'clock %s\\n' "$(date +%s)"
"""
    return Script(title="set the clock", text=text)


def parse_clock(stdout: bytes) -> int:
    """The board's clock in Unix time, as `set_clock_script` printed it. Raises BadAnswer."""
    found = _READ.findall(stdout)
    if not found:
        raise BadAnswer("the board does not say what its clock shows", detail=stdout[:80].decode("utf-8", "replace"))
    return int(found[-1])
