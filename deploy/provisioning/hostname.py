"""Knows how a board is named. Sources: hostname(5), hostname(7), RFC 1123 section 2.1; OpenWrt's /etc/config/system."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from deploy.board_shell.framing import Section
from deploy.board_shell.probe_text import pairs
from deploy.provisioning.wish import PUT, Already, Change, Judged, script

_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def hostname_fault(text: str) -> str | None:
    """Why `text` can't be a hostname, as a clause; None where it can."""
    if _LABEL.fullmatch(text) and not text.isdigit():
        return None
    return "not 1 to 63 letters, digits and dashes, with no dash at an end and no domain"


@dataclass(frozen=True, slots=True)
class Hostname:
    """The board is called `value`, now and after its next start."""

    value: str
    name: ClassVar[str] = "hostname"
    needs_root: ClassVar[bool] = True

    def question(self) -> str:
        """What the kernel says, and what will be set at the next start."""
        return """\
printf 'kernel %s\\n' "$(cat /proc/sys/kernel/hostname)"
if command -v uci >/dev/null 2>&1; then printf 'file %s\\n' "$(uci -q get 'system.@system[0].hostname')"
else printf 'file %s\\n' "$(grep -v '^#' /etc/hostname 2>/dev/null | head -n 1)"; fi
"""

    def judge(self, answer: Section) -> Judged:
        """Both have to say so."""
        said = pairs(answer.text)
        kernel, file = (said.get(key, ("",))[0] for key in ("kernel", "file"))
        if kernel == file == self.value:
            return Already(f"it is called {self.value}")
        now = f"it is called {kernel or '(nothing)'} now"
        if kernel == self.value:
            now = "it is called so only until its next start"
        # Where the file of addresses has a line for the name (Debian's manual, section 5.1.1), the new one goes first.
        text = f"""\
{PUT}umask 022
if command -v uci >/dev/null 2>&1; then
    uci set 'system.@system[0].hostname={self.value}' && uci commit system || exit 1
else printf '%s\\n' {self.value} | put /etc/hostname || exit 1; fi
own='^127\\.0\\.1\\.1[[:space:]]'
if grep -q "$own" /etc/hosts 2>/dev/null && ! grep "$own" /etc/hosts | grep -q -w -- {self.value}; then
    sed "s/$own*/127.0.1.1 {self.value} /" /etc/hosts | put /etc/hosts || exit 1
fi
printf '%s\\n' {self.value} >/proc/sys/kernel/hostname
"""
        return Change(f"name it {self.value} ({now})", script(f"name it {self.value}", text))
