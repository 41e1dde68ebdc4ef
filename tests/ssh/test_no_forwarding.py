"""Live readings on a host whose SSH server forwards nothing: the board comes to this machine by itself.

It deploys the real gateway to a prefix of the test's own, and removes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from program import Slimdeploy
from servers import Server, free_port, openssh

from deploy.model.secret import Secret
from deploy.telegram.served import ServedBotApi

pytestmark = [pytest.mark.install_check, pytest.mark.usefixtures("gateway_is_built")]

TOKEN = "1234567890:" + "Nf" * 17 + "N"


@pytest.fixture
def server(server_folder: Path) -> Iterator[Server]:
    with openssh(server_folder, "AllowTcpForwarding no") as server:
        yield server


def test_live_readings_go_directly_and_leave_nothing(server: Server, slimdeploy: Slimdeploy, tmp_path: Path) -> None:
    prefix, board = tmp_path / "prefix", tmp_path / "thisboard.toml"
    board.write_text(
        f'title = "this machine"\nprefix = {json.dumps(str(prefix))}\nhealth_port = {free_port()}\n'
        '[target]\ngoarch = "host"\n'
    )
    slimdeploy.settings["TELEGRAM_BOT_TOKEN"] = TOKEN
    known = Path(os.environ["HOME"]) / ".ssh" / "known_hosts"
    known.parent.mkdir()
    known.write_text(Path(str(server.host.known_hosts)).read_text())
    flags = ("--board", str(board), "--host", server.address, "--identity", server.key)
    with ServedBotApi(Secret(TOKEN.encode())) as telegram:
        (tmp_path / "ca.pem").write_bytes(telegram.ca_pem)
        about_the_api = ("--base-url", telegram.base_url, "--ca-file", str(tmp_path / "ca.pem"))
        deployed = slimdeploy("deploy", *flags, *about_the_api, "--service", "detached", "--no-measure", "--json")
        try:
            assert deployed.code == 0, deployed.err + deployed.out
            for more in ((), ("--in-place",)):
                ended = slimdeploy("memory.live", *flags, "--messages", "30", "--json", *more)
                assert ended.code == 0, ended.err + ended.out
                found = ended.document
                assert (found["verdict"], found["live"]["sent"], found["live"]["answered"]) == ("PASS", 30, 30)
                assert found["live"]["received"] == 30 and found["live"]["tls"].startswith("TLSv1.3")
                way = found["circumstances"]["way to the stand-in"]
                assert way == "directly, at 127.0.0.1: the server forwards nothing"
            assert telegram.user_side.burst(3).complete, "the gateway in service talks to its own Bot API again"
            assert not (prefix / "run" / "live").exists()
        finally:
            slimdeploy("uninstall", *flags)
