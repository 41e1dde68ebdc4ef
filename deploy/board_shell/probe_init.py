"""Knows how a host is asked for its init and its C library, by what runs and not by what is installed.

They are two sections of the probe (`probe.py`). Which init can keep a gateway is asked by `init_system.py`.
"""

from __future__ import annotations

import re

from deploy.board_shell.probe_text import pairs

# sd_booted(3): systemd runs where /run/systemd/system is. OpenRC keeps its state in /run/openrc, once in /lib/rc.
# The others are told by what process 1 is called; "init" may be BusyBox's or SysV's, which its program tells.
INIT = """\
printf 'first %s\\n' "$(sed -n 's/^Name:[[:space:]]*//p' /proc/1/status)"
printf 'exe %s\\n' "$(readlink /proc/1/exe 2>/dev/null)"
printf 'init %s\\n' "$(readlink -f /sbin/init 2>/dev/null || readlink /sbin/init)"
for f in /run/systemd/system /run/openrc/softlevel /lib/rc/init.d/softlevel /etc/inittab; do
    [ -e "$f" ] && printf 'has %s\\n' "$f"
done; :"""
# What the shell itself has mapped tells the C library that runs; a static one has none, and the loaders that lie about
# are the second witness.
LIBC = """\
sed -n 's/.* \\(\\/[^ ]*\\)$/\\1/p' /proc/$$/maps 2>/dev/null | { sort -u 2>/dev/null || cat; }
echo loaders
ls -d /lib/ld* /lib64/ld* /lib/*/ld-* 2>/dev/null; :"""

_SYSTEMD, _PROCD = "/run/systemd/system", "procd"
_OPENRC = frozenset({"/run/openrc/softlevel", "/lib/rc/init.d/softlevel"})
_LIBCS = (
    ("musl", re.compile(r"ld-musl-|libc\.musl")),
    ("uclibc", re.compile(r"uClibc|ld\d*-uClibc")),
    ("glibc", re.compile(r"/ld-linux|/ld-\d|/ld(64)?\.so|/libc\.so\.6|/libc-2\.")),
)


def parse_init(text: str) -> str:
    """Which init runs, from its own traces and process 1."""
    found = pairs(text)
    has = frozenset(found.get("has", ()))
    first = next(iter(found.get("first", ())), "")
    program = " ".join((*found.get("exe", ()), *found.get("init", ())))
    if _SYSTEMD in has:
        return "systemd"
    if first == _PROCD:
        return "procd"
    if first.startswith("s6-"):
        return "s6"
    if first in ("runit", "runit-init"):
        return "runit"
    if has & _OPENRC or first == "openrc-init":
        return "openrc"
    if first in ("init", "linuxrc", "busybox"):
        if "busybox" in program:
            return "busybox_init"
        return "sysv" if "/etc/inittab" in has else "none"
    return "none"


def parse_libc(text: str) -> str:
    """The C library of the shell itself, else of the loaders that lie about; "" where neither tells."""
    maps, _, loaders = text.partition("loaders")
    for each in (maps, loaders):
        for name, form in _LIBCS:
            if form.search(each):
                return name
    return ""
