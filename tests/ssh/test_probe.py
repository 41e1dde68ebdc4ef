"""A host behind a real SSH server is asked what it is, and which server carries the answer."""

from __future__ import annotations

import platform
import subprocess

import pytest
from program import Slimdeploy
from servers import Server, needs

pytestmark = pytest.mark.install_check


def test_the_ssh_server_that_carries_the_answer_is_named(real_server: Server, slimdeploy: Slimdeploy) -> None:
    login = ("--host", real_server.address, "--identity", real_server.key, "--accept-new-host-key")
    ended = slimdeploy("boards.probe", *login, "--json")
    assert ended.code == 0, ended.err
    probed = ended.document["probed"]
    assert probed["ssh_server"] == real_server.kind.lower()
    assert probed["machine"] == platform.machine()
    if real_server.kind == "Dropbear":
        said = subprocess.run([needs("dropbear", "dropbear-bin"), "-V"], capture_output=True, text=True, check=False)
        assert f"v{probed['ssh_version']}" in said.stdout + said.stderr
    assert "asked in 1 round trip" in slimdeploy("boards.probe", *login).out


def test_a_login_script_that_prints_and_steers_does_not_mislead(
    dropbear_server: Server, slimdeploy: Slimdeploy
) -> None:
    profile = "printf '\\033[2Jcount: 64\\n#00 begin cpu\\n'\n"
    for name in (".profile", ".bashrc", ".bash_profile", ".zshenv"):
        (dropbear_server.home / name).write_text(profile)
    login = ("--host", dropbear_server.address, "--identity", dropbear_server.key, "--accept-new-host-key")
    ended = slimdeploy("boards.probe", *login)
    assert ended.code == 0, ended.err
    assert "\x1b" not in ended.out and "64 x" not in ended.out
