"""A board in namespaces of this machine: its own /etc, homes, hostname and processes; root and pi have a password.

What is provisioned there is changed for real, with this machine's useradd and SSH servers, and none of it here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers import Server, free_port, make_key, needs, serving

PASSWORD = "fir st\u00e9 Kontakt"

# PID 1 of the board: what is mounted over stays there, whatever is started and stopped below it.
_INIT = """\
set -e
folder=$1
mount --make-rprivate /
mount --bind "$folder/etc" /etc
mount --bind "$folder/home" /root
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/sshd /run/pi
chown 1000:1000 /run/pi
mount --bind "$folder/empty" /usr/share/zoneinfo 2>/dev/null || :
hostname board
"$folder/start"
while :; do sleep 1000 & wait $!; done
"""

DROPBEAR_SCRIPT = """\
#!/bin/sh
# As Buildroot has it: options come from a file.
DROPBEAR_ARGS=
[ -r "/etc/default/dropbear" ] && . "/etc/default/dropbear"
start() { {program} -r {folder}/host_key -p 127.0.0.1:{port} -P /run/dropbear.pid $DROPBEAR_ARGS; }
case "$1" in
start) start ;;
stop) kill "$(cat /run/dropbear.pid)" ;;
restart) "$0" stop; sleep 0.3; start ;;
esac
"""


@dataclass(frozen=True)
class WholeBoard:
    """It listens; `etc` and `home` are the board's, seen from outside."""

    server: Server
    etc: Path
    home: Path

    @property
    def address(self) -> str:
        return f"root@127.0.0.1:{self.server.host.port}"

    def run(self, command: str) -> str:
        """A command in the board, by its console."""
        inner = next(
            pid
            for pid in Path(f"/proc/{self.server.process.pid}/task/{self.server.process.pid}/children")
            .read_text()
            .split()
        )
        enter = [needs("nsenter", "util-linux"), "-t", inner, "-m", "-u", "-p", "sh", "-c", command]
        done = subprocess.run(enter, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.strip()


@contextmanager
def whole_board(folder: Path, kind: str, *settings: str) -> Iterator[WholeBoard]:
    """Until the `with` block ends; `kind` is OpenSSH (with further lines of its settings) or Dropbear."""
    unshare = [needs("unshare", "util-linux"), "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.getuid() or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this login may not make namespaces, which keep the board from this machine (run as root)")
    for name in ("etc", "home", "empty"):
        (folder / name).mkdir()
    (folder / "home").chmod(0o700)
    make_key(folder / "user_key")
    port = free_port()
    _system(folder / "etc")
    public = _openssh(folder, port, settings) if kind == "OpenSSH" else _dropbear(folder, port)
    (folder / "start").chmod(0o755)
    with serving(kind, [*unshare, "sh", "-c", _INIT, "sh", str(folder)], folder, port, public) as server:
        yield WholeBoard(server, folder / "etc", folder / "home")


def _system(etc: Path) -> None:
    """What a small system has, and this machine's settings of its libraries; none of its secrets."""
    for name in ("ld.so.cache", "nsswitch.conf", "login.defs", "pam.conf"):
        if (here := Path("/etc") / name).exists():
            shutil.copy(here, etc / name)
    for name in ("pam.d", "security", "default", "alternatives"):
        if (here := Path("/etc") / name).is_dir():
            shutil.copytree(here, etc / name, symlinks=True)
    (etc / "ssl").mkdir()
    crypt = subprocess.run(
        [needs("openssl", "openssl"), "passwd", "-6", "-stdin"],
        input=PASSWORD,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    nobody = "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
    logins = "root:x:0:0:root:/root:/bin/sh\npi:x:1000:1000::/run/pi:/bin/sh\n"
    (etc / "passwd").write_text(logins + nobody)
    (etc / "group").write_text("root:x:0:\npi:x:1000:\nshadow:x:42:\nnogroup:x:65534:\n")
    (etc / "shadow").write_text(
        f"root:{crypt}:19000:0:99999:7:::\npi:{crypt}:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n"
    )
    (etc / "shadow").chmod(0o640)
    (etc / "gshadow").write_text("root:*::\n")
    (etc / "shells").write_text("/bin/sh\n")
    (etc / "hostname").write_text("board\n")
    (etc / "hosts").write_text("127.0.0.1\tlocalhost\n127.0.1.1\tboard.lan board\n")


def _openssh(folder: Path, port: int, settings: tuple[str, ...]) -> str:
    sshd, ssh = needs("sshd", "openssh-server"), folder / "etc" / "ssh"
    (ssh / "sshd_config.d").mkdir(parents=True)
    host_key = make_key(ssh / "ssh_host_ed25519_key")
    lines = (
        "Include /etc/ssh/sshd_config.d/*.conf",
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        "PermitRootLogin yes",
        *settings,
    )
    (ssh / "sshd_config").write_text("\n".join(lines) + "\n")
    (folder / "start").write_text(f"#!/bin/sh\n{sshd} -D -e &\n")
    return host_key.with_suffix(".pub").read_text().strip()


def _dropbear(folder: Path, port: int) -> str:
    program, keygen = needs("dropbear", "dropbear-bin"), needs("dropbearkey", "dropbear-bin")
    made = subprocess.run(
        [keygen, "-t", "ed25519", "-f", str(folder / "host_key")], capture_output=True, text=True, check=True
    )
    script = folder / "etc" / "init.d" / "S50dropbear"
    script.parent.mkdir()
    filled = {"{program}": program, "{folder}": str(folder), "{port}": str(port)}
    text = DROPBEAR_SCRIPT
    for name, value in filled.items():
        text = text.replace(name, value)
    script.write_text(text)
    script.chmod(0o755)
    (folder / "start").write_text("#!/bin/sh\nexec /etc/init.d/S50dropbear start\n")
    return next(line for line in made.stdout.splitlines() if line.startswith("ssh-ed25519"))
