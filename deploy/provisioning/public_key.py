"""Knows how a public key gets among those that a login's SSH server takes.

Which key that is, is chosen in `transport/login.py`; that it is taken is proven by a second connection.
Sources: sshd(8), "AUTHORIZED_KEYS FILE FORMAT"; sshd_config(5), AuthorizedKeysFile; dropbear(8); OpenWrt's Dropbear
reads root's keys from /etc/dropbear/authorized_keys (package/network/services/dropbear).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deploy.board_shell.framing import Section
from deploy.board_shell.probe_text import one_line, pairs
from deploy.board_shell.quoting import quote
from deploy.board_shell.shell_functions import FLUSH
from deploy.model.public_key import PublicKey
from deploy.provisioning.ssh_server import SERVER
from deploy.provisioning.wish import Already, Change, Impossible, Judged, script

# Sets $file. %h, %u and %% are sshd_config(5)'s TOKENS, as far as a path of keys has them in the field.
_FILE = (
    SERVER
    + """\
file=.ssh/authorized_keys
if [ "$server" = openssh ]; then
    said=$(sshd_says authorizedkeysfile)
    [ -z "$said" ] || file=${said%% *}
elif [ -e /etc/openwrt_release ] && [ "$(id -u)" = 0 ]; then file=/etc/dropbear/authorized_keys; fi
file=$(printf '%s\\n' "$file" | sed "s|%h|$HOME|g;s|%u|$(id -un)|g;s|%%|%|g")
case $file in none | /*) ;; *) file=$HOME/$file ;; esac
"""
)
# sshd's StrictModes and Dropbear take no keys out of a folder or file that others can write.
_LOOSE = """\
loose() { case $(ls -ldn "$1" 2>/dev/null) in ?????w* | ????????w*) ;; *) return 1 ;; esac; }
"""


@dataclass(frozen=True, slots=True)
class TakenKey:
    """The server takes `key` for this login. None is for a connection that a key has opened: there is none to send."""

    key: PublicKey | None
    name: ClassVar[str] = "key"
    needs_root: ClassVar[bool] = False

    def question(self) -> str:
        """Where the keys lie, whether this one is among them, and what is too open for the server to trust."""
        if self.key is None:
            return ":"
        return f"""\
{_FILE}{_LOOSE}printf 'file %s\\n' "$file"
grep -q -F -- {quote(self.key.body)} "$file" 2>/dev/null && echo 'has key'
[ -e "$file" ] && [ ! -w "$file" ] && echo 'has lock'
for f in "$HOME" "${{file%/*}}" "$file"; do loose "$f" && echo 'has loose'; done; :
"""

    def judge(self, answer: Section) -> Judged:
        """A connection that a key opened says more than any file."""
        if self.key is None:
            return Already("this connection was opened by a key of yours")
        said = pairs(answer.text)
        file, has = said.get("file", ("",))[0], said.get("has", ())
        if file == "none":
            return Impossible("password_login", "its SSH server takes keys from no file (AuthorizedKeysFile none)")
        if "lock" in has:
            return Impossible("needs_root", f"this login may not write {one_line(file)}")
        if "key" in has and "loose" not in has:
            return Already(f"it stands in {file}")
        title = f"put your key {self.key} into {file}"
        if "loose" in has:
            title += ", and take from others the right to write there: the server would not trust it"
        return Change(title, script("put the key on the board", self._script(self.key)))

    def _script(self, key: PublicKey) -> str:
        return f"""\
{FLUSH}{_FILE}{_LOOSE}umask 077
folder=${{file%/*}}
[ -d "$folder" ] || mkdir -p "$folder" || exit 1
for f in "$HOME" "$folder" "$file"; do ! loose "$f" || chmod go-w "$f" || exit 1; done
grep -q -F -- {quote(key.body)} "$file" 2>/dev/null && exit 0
[ ! -e "$file" ] || cp -p "$file" "$file.part" || exit 1
[ ! -s "$file" ] || [ -z "$(tail -c 1 "$file")" ] || echo >>"$file.part"
printf '%s\\n' {quote(key.line)} >>"$file.part" && flush "$file.part" && mv -f "$file.part" "$file" && exit 0
rm -f "$file.part"
exit 1
"""
