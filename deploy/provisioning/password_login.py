"""Knows how an SSH server is told to take keys alone, and how that is put back; that a key is taken is proven before.

Sources: sshd_config(5) (the first value counts; Include), sshd(8) (-t, -T, SIGHUP), dropbear(8) (-s), OpenWrt's
/etc/config/dropbear (PasswordAuth, RootPasswordAuth), the start scripts of Debian, Buildroot and Alpine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deploy.board_shell.framing import Section
from deploy.board_shell.probe_text import pairs
from deploy.provisioning.ssh_server import SERVER
from deploy.provisioning.wish import PUT, Already, Change, Impossible, Judged, script
from deploy.transport.protocol import Script

_BEFORE = "/etc/slimdeploy-before"
"""While it is there, the change is not settled: the file as it was, and how to put it back."""

GUARD_S = 120
"""After so long the board puts back by itself what nobody has settled: perhaps nobody can log in any more."""

# Sets $options_file and $variable (the words "uci" and "" on OpenWrt), $restart; nothing where it can't be told.
_DROPBEAR = """\
options_file='' variable='' restart=''
if command -v uci >/dev/null 2>&1 && uci -q get 'dropbear.@dropbear[0]' >/dev/null; then
    options_file=/etc/config/dropbear variable=uci restart='/etc/init.d/dropbear reload'
else
    for f in /etc/systemd/system/dropbear.service /lib/systemd/system/dropbear.service /etc/init.d/*dropbear*; do
        [ -r "$f" ] || continue
        case $f in *.service) [ -d /run/systemd/system ] || continue ;; esac
        for v in DROPBEAR_EXTRA_ARGS DROPBEAR_ARGS DROPBEAR_OPTS; do
            grep -q -e "[$]$v" -e "[$]{$v" "$f" || continue
            if head -n 1 "$f" | grep -q openrc; then
                options_file=/etc/conf.d/dropbear restart='rc-service dropbear restart'
            elif grep -q 'etc/default/' "$f"; then
                options_file=/etc/default/dropbear restart="$f restart"
                case $f in *.service) restart='systemctl restart dropbear' ;; esac
            else continue; fi
            variable=$v
            break 2
        done
    done
fi
"""

_UNDO = f"""\
#!/bin/sh
read -r path <{_BEFORE}/path || exit 1
if [ -e {_BEFORE}/file ]; then cp -p {_BEFORE}/file "$path.part" && mv -f "$path.part" "$path" || exit 1
else rm -f "$path"; fi
[ ! -e {_BEFORE}/reloaded ] || sh {_BEFORE}/reload
sleep 1
rm -rf {_BEFORE}
sync
"""

# keep FILE RELOAD: what was there before, and a guard that puts it back after a while, whoever is gone by then.
_KEEP = f"""\
keep() {{
    rm -rf {_BEFORE}
    umask 077
    mkdir {_BEFORE} && echo "$1" >{_BEFORE}/path && echo "$2" >{_BEFORE}/reload && echo "$$" >{_BEFORE}/guard || exit 1
    [ ! -e "$1" ] || cp -p "$1" {_BEFORE}/file || exit 1
    cat >{_BEFORE}/undo <<'end of undo'
{_UNDO}end of undo
    (
        trap '' HUP
        sleep {GUARD_S}
        [ "$(cat {_BEFORE}/guard 2>/dev/null)" != "$$" ] || sh {_BEFORE}/undo
    ) </dev/null >/dev/null 2>&1 &
    umask 022
}}
reload() {{ >{_BEFORE}/reloaded && sh {_BEFORE}/reload; }}
undo() {{ sh {_BEFORE}/undo; exit 1; }}
"""

_OPENSSH_CHANGE = """\
# A listener that is told to read settings with a fault in them ends.
reload=:
[ -z "$listener" ] || reload="sshd -t -f '$sshd_config' && kill -HUP $listener"
lines='PasswordAuthentication no'
for k in KbdInteractiveAuthentication ChallengeResponseAuthentication; do
    [ -z "$(sshd_says "$(echo $k | tr A-Z a-z)")" ] || lines="$lines
$k no"
done
keys_only() {
    sshd -t -f "$sshd_config" >&2 || return 1
    for k in passwordauthentication kbdinteractiveauthentication challengeresponseauthentication; do
        [ "$(sshd_says $k)" != yes ] || return 1
    done
}
folder=${sshd_config%/*}/sshd_config.d
own=$folder/00-slimdeploy.conf
if grep -q -i '^[[:space:]]*include[[:space:]].*sshd_config\\.d/\\*\\.conf' "$sshd_config" && [ -d "$folder" ]; then
    keep "$own" "$reload"
    printf '%s\\n' "# Written by slimdeploy." "$lines" | put "$own" || undo
    keys_only || rm -f "$own"
fi
if [ ! -e "$own" ]; then # something before the Include says otherwise, or there is none
    keep "$sshd_config" "$reload"
    { printf '%s\\n' "# Written by slimdeploy: the first value counts." "$lines" && cat "$sshd_config"; } |
        put "$sshd_config" || undo
    keys_only || undo
fi
reload || undo
"""

_DROPBEAR_CHANGE = """\
[ -n "$variable" ] || exit 1
keep "$options_file" "$restart"
if [ "$variable" = uci ]; then
    i=0
    while uci -q get "dropbear.@dropbear[$i]" >/dev/null; do
        uci set "dropbear.@dropbear[$i].PasswordAuth=off" && uci set "dropbear.@dropbear[$i].RootPasswordAuth=off" ||
            undo
        i=$((i + 1))
    done
    uci commit dropbear || undo
else
    now=$([ ! -r "$options_file" ] || . "$options_file"; eval "printf '%s' \\"\\${$variable:-}\\"")
    line="$variable=\\"${now:+$now }-s\\" # slimdeploy: keys only"
    { [ ! -r "$options_file" ] || cat "$options_file"; echo "$line"; } |
        put "$options_file" || undo
fi
( trap '' HUP; reload ) </dev/null >/dev/null 2>&1 || undo
"""


@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """Nobody logs in with a password any more."""

    name: ClassVar[str] = "password_login"
    needs_root: ClassVar[bool] = True

    def question(self) -> str:
        """Which server it is, whether it takes passwords, and where that is set."""
        return f"""\
{SERVER}{_DROPBEAR}printf 'server %s\\n' "$server"
case $server in
openssh)
    for k in passwordauthentication kbdinteractiveauthentication challengeresponseauthentication; do
        printf 'takes %s\\n' "$(sshd_says $k)"
    done
    echo "place $sshd_config"
    [ "$(id -u)" != 0 ] || sshd -t -f "$sshd_config" 2>/dev/null || echo 'fault yes' ;;
dropbear)
    case " $arguments " in *' -s '*) echo 'takes no' ;; *) echo 'takes yes' ;; esac
    echo "place $options_file" ;;
esac
"""

    def judge(self, answer: Section) -> Judged:
        """What the server itself says of its settings, or what it was started with."""
        said = pairs(answer.text)
        server, takes = said.get("server", ("",))[0], said.get("takes", ())
        place = said.get("place", ("",))[0]
        if server not in ("openssh", "dropbear"):
            return Impossible("password_login", "its SSH server is neither OpenSSH nor Dropbear")
        if takes and "yes" not in takes:
            return Already(f"its SSH server ({server}) takes keys alone")
        if "fault" in said:
            return Impossible("sshd_faults", f"{place} has faults: at its next reload its SSH server would end")
        if server == "dropbear" and not place:
            return Impossible("password_login", "its Dropbear is started by no script whose options can be set")
        change = _OPENSSH_CHANGE if server == "openssh" else _DROPBEAR + _DROPBEAR_CHANGE
        made = script("turn password login off", PUT + SERVER + _KEEP + change + "sleep 1\n", deadline_s=60.0)
        return Change(f"turn password login off, once a key is proven to work (in {place})", made)

    def undo(self) -> Script:
        """Put the server back as it was, where the change is not settled."""
        text = f"[ ! -e {_BEFORE}/undo ] || exec sh {_BEFORE}/undo\n"
        return script("put password login back as it was", text, deadline_s=60.0)

    def settle(self) -> Script:
        """It stays as it is: the guard finds nothing to put back."""
        return script("keep password login off", f"rm -rf {_BEFORE}\n")
