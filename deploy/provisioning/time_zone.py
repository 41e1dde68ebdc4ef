"""Knows how a board gets its time zone: by its own rules where it has them, else by those of this machine.

Sources: tzfile(5) and RFC 9636 (TZif, whose last line is a POSIX TZ string), tzset(3), localtime(5); uClibc reads
/etc/TZ, and OpenWrt keeps name and string in /etc/config/system.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import ClassVar

from deploy.board_shell.framing import Section
from deploy.board_shell.probe_text import pairs
from deploy.board_shell.quoting import quote
from deploy.errors import BadAnswer, UnknownName, Unsupported
from deploy.provisioning.wish import PUT, Already, Change, Judged, script
from deploy.transport.protocol import Script

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_OFFSET = re.compile(r"([+-])([0-9]{2})([0-9]{2})")
_FOLDER = "/usr/share/zoneinfo"


@dataclass(frozen=True, slots=True)
class TimeZone:
    """The board's clock is shown in the zone `value`; `rules` is its TZif file."""

    value: str
    rules: bytes
    name: ClassVar[str] = "time_zone"
    needs_root: ClassVar[bool] = True

    @property
    def posix(self) -> str:
        """The zone as a POSIX TZ string, "" where the rules have none (RFC 9636, section 3.3)."""
        return self.rules.rstrip(b"\n").rpartition(b"\n")[2].decode("ascii", "replace")

    def question(self) -> str:
        """Which zone is recorded, what the clock makes of it, and whether the board has rules of its own."""
        return f"""\
unset TZ
if command -v uci >/dev/null 2>&1; then
    printf 'zone %s\\n' "$(uci -q get 'system.@system[0].zonename')"
    [ -e {_FOLDER}/{self.value} ] && echo 'rules own'
else
    printf 'link %s\\n' "$(readlink /etc/localtime 2>/dev/null)"
    [ -s {_FOLDER}/{self.value} ] && echo 'rules own'
fi
date '+clock %s %z'
"""

    def judge(self, answer: Section) -> Judged:
        """The zone has to be recorded, and the board's own clock has to be off from UTC by as much as the zone is."""
        said = pairs(answer.text)
        link = said.get("link", ("",))[0]
        zone = said.get("zone", (link.partition("/zoneinfo/")[2],))[0]
        epoch, _, shown = said.get("clock", ("",))[0].partition(" ")
        offset = _OFFSET.fullmatch(shown)
        if offset is None or not re.fullmatch(r"[0-9]{1,12}", epoch):
            raise BadAnswer("the board's clock can't be read", detail=answer.text[:80])
        minutes = (int(offset[2]) * 60 + int(offset[3])) * (-1 if offset[1] == "-" else 1)
        wanted = zoneinfo.ZoneInfo(self.value).utcoffset(datetime.fromtimestamp(int(epoch), zoneinfo.ZoneInfo("UTC")))
        assert wanted is not None, "a ZoneInfo always tells its offset"
        if zone == self.value and minutes * 60 == int(wanted.total_seconds()):
            return Already(f"{self.value}, where it is UTC{shown} now")
        now = f"it is {zone or 'none'} now, at UTC{shown}"
        has_own = bool(said.get("rules"))
        more = "" if has_own else ", with rules from this machine"
        return Change(f"set the time zone {self.value} ({now}{more})", self._script(has_own))

    def _script(self, has_own: bool) -> Script:
        file = f"{_FOLDER}/{self.value}"
        # OpenWrt makes /etc/TZ of the string, and needs no file of rules for it.
        received = "cat >/dev/null"
        if not has_own:
            received = f"mkdir -p {file.rpartition('/')[0]} && put {file} || exit 1"
        text = f"""\
{PUT}umask 022
if command -v uci >/dev/null 2>&1; then
    cat >/dev/null
    uci set 'system.@system[0].zonename={self.value}' && uci set system.@system[0].timezone={quote(self.posix)} &&
        uci commit system && /etc/init.d/system reload
    exit
fi
{received}
rm -f /etc/localtime.part
ln -s {file} /etc/localtime.part && mv -f /etc/localtime.part /etc/localtime || exit 1
[ ! -e /etc/timezone ] || echo {self.value} | put /etc/timezone || exit 1
set -- /lib/ld*-uClibc*
if [ -e /etc/TZ ] || [ -e "$1" ]; then printf '%s\\n' {quote(self.posix)} | put /etc/TZ || exit 1; fi
"""
        return script(f"set the time zone {self.value}", text, payload=b"" if has_own else self.rules)


def time_zone(text: str) -> TimeZone:
    """The zone that is called so here. Raises UnknownName with the near misses, Unsupported without a database."""
    known = zoneinfo.available_timezones() - {"posixrules", "Factory", "localtime"}
    if not known:
        raise Unsupported("this machine has no time zone database (pip install tzdata brings one)")
    if text not in known or not _NAME.fullmatch(text):
        raise UnknownName("time zone", text[:40], difflib.get_close_matches(text, known, 3, 0.6), ("Europe/Vienna",))
    return TimeZone(text, _rules(text))


def _rules(name: str) -> bytes:
    for folder in zoneinfo.TZPATH:
        if (path := Path(folder) / name).is_file():
            return path.read_bytes()
    return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
