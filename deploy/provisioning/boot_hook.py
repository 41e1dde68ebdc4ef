"""Knows how a small script of ours is run at every start of a board, by whichever init it has.

What the scripts in /etc/slimdeploy/boot.d do is `swap.py`'s. Sources: systemd.service(5), openrc-run(8), OpenWrt's
/etc/rc.common, and BusyBox init's /etc/init.d/S??*, which vendors' rcS starts in the order of the names.
"""

from __future__ import annotations

from deploy.provisioning.wish import PUT

FOLDER = "/etc/slimdeploy/boot.d"

PLACE = """\
boot_place() {
    if [ -d /run/systemd/system ]; then echo /etc/systemd/system/slimdeploy-boot.service
    elif [ "$(cat /proc/1/comm 2>/dev/null)" = procd ]; then echo /etc/init.d/slimdeploy-boot
    elif [ -e /run/openrc/softlevel ]; then echo /etc/init.d/slimdeploy-boot
    else
        set -- /etc/init.d/S??*
        [ ! -e "$1" ] || echo /etc/init.d/S11slimdeploy-boot
    fi
}
boot_enabled() {
    [ -e "$1" ] || return 1
    case $1 in
    *.service) [ -e /etc/systemd/system/multi-user.target.wants/slimdeploy-boot.service ] ;;
    */S11*) ;;
    *) [ -e /etc/runlevels/default/slimdeploy-boot ] || [ -e /etc/rc.d/S12slimdeploy-boot ] ;;
    esac
}
"""
"""boot_place: where the hook stands on this board; nothing where its init is none that we know. boot_enabled PLACE:
whether that init starts it."""

HOOK = (
    PUT
    + PLACE
    + f"""\
hook_text() {{
    case $1 in
    *.service)
        printf '%s\\n' '# Written by slimdeploy.' '[Unit]' 'Description=What slimdeploy set up for every start' \\
            '[Service]' Type=oneshot RemainAfterExit=yes 'ExecStart=/bin/sh /etc/slimdeploy/boot' \\
            '[Install]' WantedBy=multi-user.target ;;
    */S11*)
        printf '%s\\n' '#!/bin/sh' '# Written by slimdeploy.' '[ "$1" = start ] || exit 0' 'sh /etc/slimdeploy/boot' ;;
    *)
        if [ -e /run/openrc/softlevel ]; then
            printf '%s\\n' '#!/sbin/openrc-run' '# Written by slimdeploy.' 'depend() {{ after localmount; }}'
        else printf '%s\\n' '#!/bin/sh /etc/rc.common' '# Written by slimdeploy.' START=12; fi
        echo 'start() {{ sh /etc/slimdeploy/boot; }}' ;;
    esac
}}
hook() {{
    umask 022
    mkdir -p {FOLDER} && put "{FOLDER}/$1" || return 1
    echo 'for f in {FOLDER}/*; do [ ! -r "$f" ] || sh "$f"; done; :' | put /etc/slimdeploy/boot || return 1
    b=$(boot_place)
    [ -n "$b" ] || return 0
    hook_text "$b" | put "$b" || return 1
    case $b in
    *.service) systemctl -q daemon-reload && systemctl -q enable slimdeploy-boot.service; return ;;
    esac
    chmod 755 "$b" || return 1
    case $b in */S11*) return 0 ;; esac
    if [ -e /run/openrc/softlevel ]; then rc-update -q add slimdeploy-boot default; else "$b" enable; fi
}}
unhook() {{
    rm -f "{FOLDER}/$1"
    rmdir {FOLDER} 2>/dev/null || return 0
    b=$(boot_place)
    if [ -n "$b" ] && [ -e "$b" ]; then
        case $b in
        *.service) systemctl -q disable slimdeploy-boot.service ;;
        */S11*) ;;
        *) if [ -e /run/openrc/softlevel ]; then rc-update -q del slimdeploy-boot default; else "$b" disable; fi ;;
        esac
        rm -f "$b"
    fi
    rm -f /etc/slimdeploy/boot
    rmdir /etc/slimdeploy 2>/dev/null || :
}}
"""
)
"""hook NAME: standard input is run at every start from now on. unhook NAME: no longer. Where the init is unknown the
script is kept and nobody runs it."""


def question(name: str) -> str:
    """sh text that says whether NAME's script is run at every start: "boot yes", "boot no", "boot never"."""
    return f"""\
{PLACE}b=$(boot_place)
if [ ! -e "{FOLDER}/{name}" ]; then echo 'boot no'
elif [ -z "$b" ]; then echo 'boot never'
elif boot_enabled "$b"; then echo 'boot yes'
else echo 'boot no'; fi
"""
