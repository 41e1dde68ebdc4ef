"""Knows how a host is asked which init it has, and which memory cgroup; what is chosen by it is `service`'s.

Sources: sd_booted(3) for systemd; /run/openrc for OpenRC (its RC_SVCDIR); cgroups(7) and the kernel's
Documentation/admin-guide/cgroup-v1/memory.rst for the controllers.
"""

from __future__ import annotations

import re

from deploy.model.facts import Init

_NAMES = ("systemd", "openrc", "procd", "busybox_init")
_VERSION = re.compile(r"[0-9]{1,5}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")

INIT_QUESTION = """\
d=/etc/init.d v= first=
{ IFS= read -r first </proc/1/comm; } 2>/dev/null
if [ -d /run/systemd/system ]; then
    i=systemd d=/etc/systemd/system v=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \\([0-9]*\\).*/\\1/p')
elif [ "$first" = procd ]; then i=procd
elif [ -e /run/openrc/softlevel ] && command -v rc-service >/dev/null 2>&1; then i=openrc
else
    i=
    set -- /etc/init.d/S??*
    [ ! -e "$1" ] || case $(readlink /proc/1/exe 2>/dev/null) in */busybox*) i=busybox_init ;; esac
fi
[ -w "$d" ] && w=writable || w=
printf 'init %s\\nversion %s\\nfolder %s\\n' "$i" "$v" "$w"
if [ -r /sys/fs/cgroup/cgroup.controllers ]; then read -r c </sys/fs/cgroup/cgroup.controllers; v=v2
else c=$(cd /sys/fs/cgroup/memory 2>/dev/null && [ -e memory.limit_in_bytes ] && echo memory); v=v1; fi
case " $c " in *' memory '*) printf 'cgroup %s\\n' "$v" ;; esac
printf 'manager '
{ while IFS= read -r line || [ -n "$line" ]; do printf '%s\\n' "$line"; done <"$prefix/run/manager"; } 2>/dev/null
echo
"""
"""Needs $prefix, for which manager keeps the gateway now; its note's second line is "user NAME" where it has one."""


def parse_init(text: str) -> Init:
    """The answer to INIT_QUESTION; what makes no sense counts as not known."""
    found = dict(line.partition(" ")[::2] for line in text.splitlines())
    version = found.get("version", "")
    name, cgroup, manager, user = (found.get(each, "").strip() for each in ("init", "cgroup", "manager", "user"))
    return Init(
        name=name if name in _NAMES else "",
        version=int(version) if _VERSION.fullmatch(version) else 0,
        writable=found.get("folder") == "writable",
        cgroup=cgroup if cgroup in ("v1", "v2") else "",
        manager=manager if manager in (*_NAMES, "detached") else "",
        user=user if _USER.fullmatch(user) else "",
    )
