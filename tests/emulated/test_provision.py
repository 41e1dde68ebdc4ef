"""A new board on a real riscv64 kernel, with Dropbear and BusyBox: provisioned from a password's first login on.

It is made new first: root gets a password, the key of its making goes, and Dropbear is started as Buildroot does it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from emulated_board import EmulatedBoard
from program import Slimdeploy
from servers import make_key, needs

pytestmark = [pytest.mark.install_check, pytest.mark.timeout(600)]

PASSWORD = "licheerv 1234"

# S50dropbear of Buildroot takes its options from a file; kill and a pause stand for its start-stop-daemon.
DROPBEAR = """\
#!/bin/sh
DROPBEAR_ARGS=
[ -r /etc/default/dropbear ] && . /etc/default/dropbear
case "$1" in
start)
    /usr/sbin/dropbear -r /etc/dropbear/dropbear_ed25519_host_key -P /run/dropbear.pid $DROPBEAR_ARGS
    echo "slimdeploy: the SSH server listens" >/dev/console # the emulator waits for it
    ;;
stop) kill "$(cat /run/dropbear.pid)" ;;
restart) "$0" stop; sleep 1; "$0" start ;;
esac
"""

WISHES = (
    *("--hostname", "lichee-1", "--time-zone", "Asia/Kathmandu", "--user", "picoclaw", "--prefix", "/opt/picoclaw"),
    *("--swap", "4MiB", "--no-password-login"),
)


def made_new(board: EmulatedBoard) -> None:
    crypt = subprocess.run(
        [needs("openssl", "openssl"), "passwd", "-6", "-stdin"],
        input=PASSWORD,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    written = board.run("cat >/etc/init.d/S50dropbear", DROPBEAR.encode())
    assert written.status == 0
    changed = board.run(f"sed -i 's|^root:[^:]*:|root:{crypt}:|' /etc/passwd && mkdir -p /etc/default; sync")
    assert changed.status == 0, changed.out
    # The last command over the key of its making.
    board.run("(sleep 1; /etc/init.d/S50dropbear restart; rm -rf /root/.ssh) </dev/null >/dev/null 2>&1 & sleep 0.1")


def states(document: dict[str, object]) -> dict[str, str]:
    rows = document["wishes"]
    assert isinstance(rows, list)
    return {str(row["name"]): str(row["state"]) for row in rows}


def test_a_new_board_becomes_ready_by_one_command_and_stays_so(
    new_board: EmulatedBoard, slimdeploy: Slimdeploy, private_home: Path
) -> None:
    board = new_board
    kernel = board.run("uname -m").out.strip()
    assert kernel == "riscv64"
    made_new(board)
    (private_home / ".ssh").mkdir(mode=0o700)
    key = make_key(private_home / ".ssh" / "id_ed25519")
    host = ("--host", f"root@127.0.0.1:{board.state['port']}", "--accept-new-host-key")
    password = {"SLIMDEPLOY_PASSWORD": PASSWORD}

    def once_it_listens() -> dict[str, object]:
        for _ in range(10):
            ended = slimdeploy("provision", *host, *WISHES, "--dry-run", "--json", env=password)
            if ended.code == 0:
                return ended.document
        raise AssertionError(ended.err)

    wanted = once_it_listens()
    assert set(states(wanted).values()) == {"to do"} and wanted["logged_in_by"] == "password"

    done = slimdeploy("provision", *host, *WISHES, "--yes", env=password)
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "proven by a second connection" in said and "one by password is refused" in said

    host = (*host, "--identity", str(key))
    again = slimdeploy("provision", *host, *WISHES, "--json")
    assert again.code == 0, again.err
    assert set(states(again.document).values()) == {"already"} and len(states(again.document)) == 7
    assert (again.document["logged_in_by"], again.document["changed"]) == ("key", False)

    ssh = [needs("ssh", "openssh-client"), "-F", "none", "-i", str(key), "-p", str(board.state["port"])]
    ssh += ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={private_home}/known", "root@127.0.0.1"]
    seen = "hostname; date +%z; id -u picoclaw; ls -ldn /opt/picoclaw; grep -c /slimdeploy.swap /proc/swaps"
    shown = subprocess.run([*ssh, seen], capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    assert shown[:2] == ["lichee-1", "+0545"]
    assert shown[3].split()[2] == shown[2] and shown[4] == "1"
    assert board.refuses_strangers()

    # What is on its flash comes back at its next start; the emulator names it anew, and puts its own key there.
    boots = board.ask("boots")["boots"]
    board.ask("power_cut")
    board.wait_for_boot(boots + 1)
    after = board.run(
        "date +%z; id -u picoclaw; grep -c /slimdeploy.swap /proc/swaps; tr '\\0' ' ' </proc/$PPID/cmdline"
    )
    assert after.out.split()[:3] == ["+0545", shown[2], "1"] and " -s" in after.out
