"""Hosts behind the names of boards: kept, replaced, forgotten, and refused where the file has faults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy import remembered
from deploy.cli.cures import cure
from deploy.errors import BadFile, UnknownName
from deploy.folders import config_folder
from deploy.model.host import Host, parse_host


@pytest.fixture
def file() -> Path:
    """Where the hosts are kept; its folder is there, the file is not."""
    config_folder().mkdir(parents=True)
    return config_folder() / "hosts.json"


def test_at_first_no_host_is_remembered_and_nothing_is_made() -> None:
    assert remembered.hosts() == {}
    assert not config_folder().exists()


@pytest.mark.parametrize(
    "text", ["board", "root@192.0.2.7", "me@board.example:2222", "root@[2001:db8::1]:22", "root@fe80::1%eth0"]
)
def test_a_host_comes_back_as_it_was_written(text: str) -> None:
    remembered.add("licheerv", parse_host(text))
    assert remembered.hosts() == {"licheerv": parse_host(text)}


def test_the_newer_host_of_a_board_replaces_the_older_and_the_rest_stays() -> None:
    remembered.add("zero", Host("192.0.2.1"))
    remembered.add("nano", Host("192.0.2.2"))
    remembered.add("zero", Host("192.0.2.3", "root", 22))
    assert list(remembered.hosts().items()) == [("nano", Host("192.0.2.2")), ("zero", Host("192.0.2.3", "root", 22))]


def test_only_its_owner_reads_the_file_and_no_part_of_a_file_is_left() -> None:
    remembered.add("nano", Host("192.0.2.2"))
    file = config_folder() / "hosts.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert list(file.parent.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_file_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    remembered.add("nano", Host("192.0.2.2"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    with pytest.raises(OSError, match="No space"):
        remembered.add("zero", Host("192.0.2.1"))
    assert remembered.hosts() == {"nano": Host("192.0.2.2")}
    assert len(list(config_folder().iterdir())) == 1


def test_forgetting_gives_the_host_and_a_second_time_names_what_is_near() -> None:
    remembered.add("licheerv", Host("192.0.2.1"))
    remembered.add("licheerv-nano", Host("192.0.2.2"))
    assert remembered.forget("licheerv") == Host("192.0.2.1")
    with pytest.raises(UnknownName) as unknown:
        remembered.forget("licheerv")
    assert unknown.value.near == ("licheerv-nano",)
    assert unknown.value.known == ("licheerv-nano",)


@pytest.mark.parametrize("text", ["", "{", "[]", '"root@board"', "null", "\ufeff{}"])
def test_a_file_that_is_no_object_is_refused_with_its_path(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile, match=r"hosts\.json has 1 fault"):
        remembered.hosts()


def test_a_folder_in_the_files_place_is_said_in_words_with_a_cure_of_its_own(file: Path) -> None:
    file.mkdir()
    with pytest.raises(BadFile, match=r"it can't be read: Is a directory$") as bad:
        remembered.hosts()
    assert "hosts.add" in cure(bad.value) and "boards/_example.toml" not in cure(bad.value)


def test_bytes_that_are_no_text_are_refused(file: Path) -> None:
    file.write_bytes(b'{"a": "\xff\xfe"}')
    with pytest.raises(BadFile):
        remembered.hosts()


def test_every_fault_of_the_file_is_named_and_nothing_is_overwritten(file: Path) -> None:
    text = json.dumps({"good": "root@board", "number": 5, "none": None, "space": "a b", "port": "board:99999"})
    file.write_text(text)
    with pytest.raises(BadFile) as bad:
        remembered.add("new", Host("192.0.2.1"))
    assert [fault.partition(":")[0] for fault in bad.value.faults] == ["none", "number", "port", "space"]
    assert file.read_text() == text
