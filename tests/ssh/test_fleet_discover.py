"""Boards on a local link are found by multicast DNS and in the kernel's table; who is on no link of ours is not asked.

The link is a pair of virtual interfaces between two network namespaces of this test's own; nothing leaves them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from program import Ended, Slimdeploy
from servers import needs

from deploy.fleet.inventory import read

pytestmark = pytest.mark.install_check

# What the other end is: a board that announces itself on port 2222, one that does not, and a lie about a third.
BOARDS = """\
import socket, sys, threading, time, zeroconf

def serve(address, port, words):
    listening = socket.create_server((address, port))
    def run():
        while True:
            opened, _ = listening.accept()
            opened.sendall(words)
            time.sleep(0.2)
            opened.close()
    threading.Thread(target=run, daemon=True).start()

serve("10.77.0.2", 2222, b"hello first\\r\\nSSH-2.0-dropbear_2022.83\\r\\n")
serve("10.77.0.3", 22, b"SSH-2.0-OpenSSH_9.2\\x1b[2J\\r\\n")
serve("10.77.0.4", 22, b"220 no SSH at all\\r\\n" * 400)
asked = zeroconf.Zeroconf(interfaces=["10.77.0.2"])
def announce(name, address, port, service="_ssh._tcp.local."):
    address = socket.inet_aton(address)
    info = zeroconf.ServiceInfo(service, f"{name}.{service}", port, addresses=[address], server=f"{name}.local.")
    asked.register_service(info)
announce("board-7", "10.77.0.2", 2222)
announce("elsewhere", "198.51.100.9", 22)
announce("myself", "10.77.0.1", 22)
announce("both", "10.77.0.3", 9, "_workstation._tcp.local.")
open(sys.argv[1], "w").close()
time.sleep(120)
"""

LINK = """\
set -e
ip link set lo up
unshare --net sleep 120 &
peer=$!
trap 'kill $peer $boards 2>/dev/null' EXIT
while [ "$(readlink /proc/$peer/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done
ip link add here type veth peer name there netns $peer
ip address add 10.77.0.1/24 dev here
ip link set here up
nsenter --target $peer --net sh -e -c 'ip link set lo up; ip link set there up
for n in 2 3 4 5; do ip address add 10.77.0.$n/24 dev there; done
exec "$@"' sh "$python" "$folder/boards.py" "$folder/up" &
boards=$!
while [ ! -e "$folder/up" ]; do sleep 0.05; kill -0 $boards; done
# The kernel learns of three that do not announce themselves all by itself.
for n in 3 4 5; do "$python" -c "import socket; socket.create_connection(('10.77.0.$n', 9))" 2>/dev/null || :; done
"$@"
"""


@pytest.fixture
def on_the_link(tmp_path: Path, slimdeploy: Slimdeploy) -> object:
    pytest.importorskip(
        "zeroconf", reason="the library for multicast DNS is missing: pip install 'slimdeploy[discover]'"
    )
    needs("ip", "iproute2")
    unshare = [needs("unshare", "util-linux"), "--net"]
    if os.getuid() or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this login may not make network namespaces (run as root)")
    (tmp_path / "boards.py").write_text(BOARDS)

    def run(*arguments: str) -> Ended:
        environment = slimdeploy.environment({"python": sys.executable, "folder": str(tmp_path)})
        command: Sequence[str] = (*unshare, "sh", "-c", LINK, "sh", sys.executable, "-m", "deploy", *arguments)
        (tmp_path / "up").unlink(missing_ok=True)
        done = subprocess.run(
            command, cwd=slimdeploy.folder, env=environment, capture_output=True, text=True, check=False,
            timeout=100, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert "Traceback" not in done.stderr + done.stdout, done.stderr + done.stdout
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


def test_boards_on_the_link_are_found_once_each_and_written_down(on_the_link: object, tmp_path: Path) -> None:
    assert callable(on_the_link)
    file = tmp_path / "found.toml"
    ended = on_the_link("fleet.discover", "--yes", "--json", "--deadline", "2s", "--write", str(file))
    assert ended.code == 0, ended.err
    found = {each["address"]: each for each in ended.document["found"]}
    assert set(found) == {"10.77.0.2", "10.77.0.3", "10.77.0.4", "10.77.0.5"}, ended.out
    assert (found["10.77.0.2"]["port"], found["10.77.0.2"]["name"], found["10.77.0.2"]["greeting"]) == (
        2222,
        "board-7",
        "SSH-2.0-dropbear_2022.83",
    )
    assert found["10.77.0.3"]["greeting"] == "SSH-2.0-OpenSSH_9.2\\x1b[2J" and found["10.77.0.3"]["port"] == 22
    assert found["10.77.0.3"]["by"] == ["mdns", "neighbours"] and len(found["10.77.0.3"]["mac"]) == 17
    assert found["10.77.0.4"]["greeting"] == found["10.77.0.5"]["greeting"] == ""
    assert [(each.name, str(each.host)) for each in read(file).members] == [
        ("board-7", "10.77.0.2:2222"),
        ("both", "10.77.0.3"),
    ]


def test_who_is_contacted_is_shown_before_and_nobody_without_a_yes(on_the_link: object) -> None:
    assert callable(on_the_link)
    ended = on_the_link("fleet.discover", "--no-mdns", "--interface", "here", "--most", "2")
    assert ended.code == 2 and "nobody was contacted" in ended.err
    assert "2 of them are asked" in ended.out and ended.out.count(" port 22 ") == 2 and "10.77.0." in ended.out
    assert "224.0.0.251" not in ended.out
