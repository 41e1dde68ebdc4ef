"""Knows how a board gets a system user for the gateway, and the folder that is the user's.

By useradd (shadow), else by adduser (BusyBox); a board with neither gets the lines that those would write: passwd(5),
group(5), shadow(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from deploy.board_shell.framing import Section
from deploy.board_shell.probe_text import pairs
from deploy.board_shell.quoting import quote_path
from deploy.board_shell.shell_functions import FLUSH
from deploy.provisioning.wish import Already, Change, Impossible, Judged, script
from deploy.transport.protocol import Script

# What adduser of Debian, useradd of shadow and BusyBox's all take.
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_MODE = re.compile(r"d[rwxsStT-]{9}")


def user_fault(text: str) -> str | None:
    """Why `text` can't be a user's name, as a clause; None where it can."""
    if not _NAME.fullmatch(text):
        return 'not up to 31 lower-case letters, digits, "_" and "-", with a letter first'
    return "root's own, and the gateway shall not be root" if text == "root" else None


@dataclass(frozen=True, slots=True)
class SystemUser:
    """There is a user `value` that nobody can log in as, with a group of the same name."""

    value: str
    name: ClassVar[str] = "user"
    needs_root: ClassVar[bool] = True

    def question(self) -> str:
        """The user's line, and the group's."""
        return f"""\
sed -n 's/^{self.value}:[^:]*:\\([0-9]*\\):\\([0-9]*\\):[^:]*:\\([^:]*\\):\\(.*\\)$/user \\1 \\2 \\4/p' /etc/passwd
for t in useradd adduser; do command -v $t >/dev/null 2>&1 && echo "tool $t"; done; :
"""

    def judge(self, answer: Section) -> Judged:
        """A user of that name is taken as it is, save for one who is root."""
        said = pairs(answer.text)
        if "user" in said:
            uid = said["user"][0].split(" ")[0]
            if uid == "0":
                return Impossible("wrong_account", f"{self.value} is another name of root there")
            return Already(f"there is a user {self.value} (uid {uid})")
        tool = next(iter(said.get("tool", ())), "")
        by = f"with {tool}" if tool else "by lines in /etc/passwd: it has neither useradd nor adduser"
        return Change(
            f"make a system user {self.value} ({by})",
            script(f"make the user {self.value}", self._script(tool)),
        )

    def _script(self, tool: str) -> str:
        # No home of its own: nothing is ever kept there.
        head = f"{FLUSH}umask 022\nn={self.value} s=/bin/false\n"
        head += "for f in /usr/sbin/nologin /sbin/nologin; do [ -x $f ] && s=$f && break; done\n"
        if tool == "useradd":  # useradd(8): -r is --system, -M makes no home, -U a group of the same name
            return head + 'g=-U; grep -q "^$n:" /etc/group && g="-g $n"\nuseradd -r -M $g -d / -s $s $n\n'
        if tool == "adduser":  # BusyBox, loginutils/adduser.c: -S system, -D no password, -H no home
            return (
                head + 'grep -q "^$n:" /etc/group || addgroup -S $n || exit 1\nadduser -S -D -H -h / -s $s -G $n $n\n'
            )
        # The highest number that is free for both, of those that login.defs(5) leaves to system users.
        return f"""\
{head}i=999
taken() {{ grep -q "^[^:]*:[^:]*:$1:" "$2"; }}
add() {{
    cp -p "$1" "$1.part" && {{ [ -z "$(tail -c 1 "$1")" ] || echo >>"$1.part"; }} && echo "$2" >>"$1.part" &&
        flush "$1.part" && mv -f "$1.part" "$1"
}}
while [ $i -gt 100 ] && {{ taken $i /etc/passwd || taken $i /etc/group; }}; do i=$((i - 1)); done
g=$(sed -n "s/^$n:[^:]*:\\([0-9]*\\):.*/\\1/p" /etc/group)
if [ -z "$g" ]; then
    g=$i
    add /etc/group "$n:x:$g:" || exit 1
fi
[ ! -e /etc/shadow ] || grep -q "^$n:" /etc/shadow || add /etc/shadow "$n:!::0:99999:7:::" || exit 1
add /etc/passwd "$n:x:$i:$g::/:$s"
"""


@dataclass(frozen=True, slots=True)
class Folder:
    """There is a folder at `path`, which belongs to `owner` ("" is the login). What lies in it is left as it is."""

    path: str
    owner: str = ""
    name: ClassVar[str] = "prefix"

    @property
    def needs_root(self) -> bool:
        """To give something away."""
        return bool(self.owner)

    def question(self) -> str:
        """What is there: its mode and owner by number (ls -ldn, POSIX); and the number that the owner should have."""
        uid = "$(id -u)"
        if self.owner:
            uid = f"$(sed -n 's/^{self.owner}:[^:]*:\\([0-9]*\\):.*/\\1/p' /etc/passwd)"
        return f"""\
p={quote_path(self.path)}
printf 'wanted %s\\n' "{uid}"
if [ -L "$p" ]; then echo 'is link'
elif [ -d "$p" ]; then printf 'is %s\\n' "$(ls -ldn "$p/." | cut -c 1-120)"
elif [ -e "$p" ]; then echo 'is file'; fi
"""

    def judge(self, answer: Section) -> Judged:
        """The right owner, and nobody else who may write there."""
        said = pairs(answer.text)
        wanted = said.get("wanted", ("",))[0]
        there = said.get("is", ("",))[0]
        whose = self.owner or "this login"
        if there in ("link", "file"):
            return Impossible("not_a_folder", f"{self.path} is a {there} there, and no folder")
        fields = there.split()
        if len(fields) < 4 or not _MODE.match(fields[0]):
            return Change(f"make the folder {self.path}, which belongs to {whose}", self._script())
        if fields[2] == wanted and fields[0][5] == fields[0][8] == "-" and fields[0][1:4] == "rwx":
            return Already(f"the folder {self.path} belongs to {whose}")
        return Change(f"give the folder {self.path} to {whose} ({fields[0]} of uid {fields[2]} now)", self._script())

    def _script(self) -> Script:
        owner = f'chown {self.owner}: "$p" &&' if self.owner else ""
        text = f'umask 022\np={quote_path(self.path)}\nmkdir -p "$p" && {owner} chmod u=rwx,go-w "$p"\n'
        return script(f"make the folder {self.path}", text)
