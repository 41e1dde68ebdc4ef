"""What is said of wrong usage is about what is wrong, and the help of a switch fits both of its forms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from program import Slimdeploy

from deploy.cli.contender import contender
from deploy.cli.cures import cure
from deploy.cli.planning import Wishes, plan_for
from deploy.cli.reaching import Place, board_called
from deploy.errors import BadToken, HostKeyUnknown, UsageError
from deploy.model.host import Host


@pytest.mark.parametrize("address", ["http://", "https://", "ftp://x", "bots.example.org", "https://[x", "https://x:y"])
def test_a_wrong_address_is_said_before_the_token_that_is_missing(address: str) -> None:
    place = Place(board_called("licheerv"), Host("192.0.2.7", "root"))
    with pytest.raises(UsageError, match=r"^--base-url takes an address such as https://bots\.example\.org, not "):
        plan_for(place, Wishes(base_url=address))
    with pytest.raises(BadToken, match="there is no bot token"):
        plan_for(place, Wishes(base_url="https://bots.example.org:8443/api"))


def test_an_empty_name_is_no_folder_to_compare(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="an empty name says not what to compare"):
        contender("", board_called("licheerv"), "", tmp_path, print)


def test_a_new_host_key_is_met_by_more_commands_than_deploy() -> None:
    advice = cure(HostKeyUnknown("board", "ssh-ed25519", "SHA256:x"))
    assert "give the same command with --accept-new-host-key" in advice and "deploy again" not in advice


EVERY_SWITCH = """
import json
from deploy.cli.program import namespace
root = namespace()
switches = [each for name in root.task_names for each in root[name].get_arguments() if each.kind is bool]
print(json.dumps([[each.name, each.help or ""] for each in switches if each.default is True]))
"""


def test_the_help_of_a_switch_that_is_on_names_what_turns_it_off(slimdeploy: Slimdeploy) -> None:
    # In a process of its own: Invoke takes the help of a task away as soon as it is asked for it.
    asked = [sys.executable, "-c", EVERY_SWITCH]
    switches = json.loads(subprocess.check_output(asked, env=slimdeploy.environment(), timeout=60))
    assert {"keep", "measure", "counters", "hard", "mdns", "sftp"} == {name for name, _ in switches}
    assert [name for name, told in switches if f"--no-{name}" not in told] == []
