"""Programs that print an inventory: Ansible's JSON or ours, within a time, trusted before they are run."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from deploy.errors import BadFile, InventoryFailed
from deploy.fleet import program
from deploy.fleet.inventory import read
from deploy.model.fleet import Inventory


def script(tmp_path: Path, text: str, mode: int = 0o755) -> Path:
    path = tmp_path / "inventory"
    path.write_text(text)
    path.chmod(mode)
    return path


def printing(tmp_path: Path, document: str) -> Inventory:
    return read(script(tmp_path, f"#!/bin/sh\n[ \"$*\" = --list ] || exit 9\ncat <<'END'\n{document}\nEND\n"))


def test_ansibles_json_has_groups_and_what_is_known_of_each_host(tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "web").write_text("slimdeploy_board: licheerv\n")
    found = printing(
        tmp_path,
        '{"_meta": {"hostvars": {"a": {"ansible_host": "10.0.0.1", "x": {}}, "b[1:2]": {"ansible_host": "10.0.0.2"}}},'
        ' "web": {"hosts": ["a"], "vars": {"ansible_port": 2022}, "children": ["inner"]}, "inner": ["b[1:2]", "c"]}'
        .replace("b[1:2]", "b-1"),
    )  # fmt: skip
    assert [(each.name, str(each.host), each.board) for each in found.members] == [
        ("a", "10.0.0.1:2022", "licheerv"),
        ("b-1", "10.0.0.2:2022", "licheerv"),
        ("c", "c:2022", "licheerv"),
    ]
    assert found.members[1].groups == {"web", "inner"}


def test_without_meta_each_host_is_asked_for(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        '#!/bin/sh\ncase "$1 $2" in "--list ") echo \'{"web": ["a", "b"]}\' ;;\n'
        '"--host a") echo \'{"ansible_host": "10.0.0.1"}\' ;; "--host b") : ;; esac\n',
    )
    assert [str(each.host) for each in read(path).members] == ["10.0.0.1", "b"]


def test_our_own_json_says_what_fleet_toml_says(tmp_path: Path) -> None:
    found = printing(
        tmp_path,
        '{"defaults": {"ssh_user": "root", "ssh_port": 22}, "groups": {"n": {"site": "hall"}},'
        ' "hosts": {"edge-[1:2]": {"address": "10.0.0.[1:2]", "groups": ["n"]}}}',
    )
    assert [(str(each.host), each.site) for each in found.members] == [
        ("root@10.0.0.1:22", "hall"),
        ("root@10.0.0.2:22", "hall"),
    ]
    with pytest.raises(BadFile, match=r"inventory: hosts\.a\.tokn_file: there is no key 'tokn_file'"):
        printing(tmp_path, '{"hosts": {"a": {"tokn_file": "x"}}}')


def test_what_ansible_inventory_printed_into_a_file_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    path.write_text('{"_meta": {"hostvars": {"a": {"ansible_user": "pi"}}}, "all": {"hosts": ["a"]}}')
    assert [str(each.host) for each in read(path).members] == ["pi@a"]
    path.write_text('{"all": {"hosts": {"b": {"ansible_user": "pi"}}}}')  # what its YAML files say
    assert [str(each.host) for each in read(path).members] == ["pi@b"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("nothing", "it prints no JSON"),
        ("[1]", "it prints no JSON object"),
        ('{"web": 7}', r"inventory: web: a group has to be an object"),
        ('{"_meta": {"hostvars": []}, "web": ["a"]}', "hostvars has to be an object"),
        ('{"_meta": {"hostvars": {"a": []}}, "web": ["a"]}', r"_meta\.hostvars\.a: the variables of a host"),
        ('{"_meta": {"hostvars": {}}, "web": {"hosts": "a"}}', "hosts has to be a list of names"),
        (
            '{"_meta": {"hostvars": {"a": {"ansible_port": "x"}}}, "web": ["a"]}',
            r"hostvars\.a\.ansible_port: ansible_p",
        ),
    ],
)
def test_what_is_wrong_in_its_answer_is_told_with_the_place(tmp_path: Path, document: str, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        printing(tmp_path, document)


def test_its_status_and_its_standard_error_are_told(tmp_path: Path) -> None:
    with pytest.raises(InventoryFailed, match="--list ended with status 3") as failed:
        read(script(tmp_path, "#!/bin/sh\necho no \x1b[31mcredentials >&2\nexit 3\n"))
    assert failed.value.log == "no \\x1b[31mcredentials"
    with pytest.raises(InventoryFailed, match="can't be run"):
        read(script(tmp_path, "#!/no/such/shell\n"))


def test_one_that_hangs_or_floods_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "DEADLINE_S", 0.5)
    with pytest.raises(InventoryFailed, match="did not end within"):
        read(script(tmp_path, f"#!/bin/sh\nsleep 60 &\necho $! >{tmp_path}/child\nwait\n"))
    child = int((tmp_path / "child").read_text())
    until_s = time.monotonic() + 5
    while Path(f"/proc/{child}/stat").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split():
        assert time.monotonic() < until_s, "what it started runs on"
        time.sleep(0.02)
    monkeypatch.setattr(program, "DEADLINE_S", 30.0)
    monkeypatch.setattr(program, "MOST_BYTES", 1 << 20)
    with pytest.raises(InventoryFailed, match="prints more than 1 MiB"):
        read(script(tmp_path, f"#!{sys.executable}\nwhile True: print('x' * 9999)\n"))


def test_it_is_run_only_where_nobody_else_could_have_written_it(tmp_path: Path) -> None:
    text = f"#!/bin/sh\ntouch {tmp_path}/ran\necho '{{}}'\n"
    with pytest.raises(BadFile, match="it is a program, and everybody can write it"):
        read(script(tmp_path, text, 0o777))
    if os.geteuid() == 0:
        os.chown(script(tmp_path, text), 12345, 12345)
        with pytest.raises(BadFile, match="belongs to somebody else"):
            read(tmp_path / "inventory")
        os.chown(tmp_path / "inventory", 0, 0)
    with pytest.raises(BadFile, match=r"may not be run \(chmod \+x\)"):
        read(script(tmp_path, text, 0o644))
    assert not (tmp_path / "ran").exists()
