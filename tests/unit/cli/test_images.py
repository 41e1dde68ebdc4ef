"""emulate.images: what is in the cache is listed, moved and removed; what can't be done is said with a cure."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from deploy.cli import images as command
from deploy.cli.ending import evidence_of
from deploy.emulator import image_making, images, packages
from deploy.emulator.machines import machine_called
from deploy.emulator.user_lands import BUSYBOX
from deploy.errors import ImageFailed

NAME = "riscv64-busybox"
FILES = {"kernel": b"a kernel", "initrd": b"a first root", "system": b"the system"}


def ended(capsys: pytest.CaptureFixture[str], **flags: Any) -> tuple[int, str, str]:
    """The exit code, and both outputs with their spaces made one."""
    code = 0
    try:
        command.images.body(Context(), **flags)
    except Exit as stopped:
        code = stopped.code
    said = capsys.readouterr()
    return code, " ".join(said.out.split()), " ".join(said.err.split())


@pytest.fixture
def made(private_home: Path) -> Path:
    """The image of licheerv as it lies in the cache, a tiny one."""
    folder = images.images_folder() / NAME
    folder.mkdir(parents=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    document = {
        "form": image_making.FORM,
        "name": NAME,
        "recipe": image_making.recipe(machine_called("riscv64"), BUSYBOX),
        "kernel_release": "6.12.1-riscv64",
        "made_at": "2026-01-02T03:04:05Z",
        "packages": ["busybox-static_1 0123"],
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()},
    }
    (folder / "image.json").write_text(json.dumps(document))
    return folder


def test_an_empty_cache_says_how_an_image_comes_there(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ended(capsys)
    assert code == 0 and "no image yet" in out and "emulate.up --board licheerv" in out
    assert ended(capsys, json=True) == (0, '{ "images": [] }', "")


def test_what_is_there_is_listed_for_people_and_for_machines(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ended(capsys)
    assert code == 0 and all(word in out for word in (NAME, "Linux 6.12.1-riscv64", "2026-01-02T03:04:05Z"))
    _, out, _ = ended(capsys, json=True)
    (shown,) = json.loads(out)["images"]
    assert (shown["name"], shown["folder"]) == (NAME, str(made))
    assert shown["size_bytes"] == sum(map(len, FILES.values()))
    assert shown["sha256"]["kernel"] == hashlib.sha256(FILES["kernel"]).hexdigest()


def test_an_image_that_is_there_is_not_made_again(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ended(capsys, board="licheerv", make=True, json=True)
    assert code == 0 and [each["name"] for each in json.loads(out)["images"]] == [NAME]


def test_an_image_goes_to_another_machine_in_one_file(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "riscv64.img"
    assert ended(capsys, board="licheerv", export=str(file))[0] == 0
    monkeypatch.setenv("SLIMDEPLOY_HOME", str(tmp_path / "another machine"))
    code, out, _ = ended(capsys, import_=str(file), json=True)
    (shown,) = json.loads(out)["images"]
    assert code == 0 and Path(shown["folder"]).is_relative_to(tmp_path / "another machine")


def test_pruned_images_are_gone(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ended(capsys, prune=True)
    assert code == 0 and "no image yet" in out and not made.exists()


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ({"make": True}, "which board's image?"),
        ({"export": "there.img"}, "which board's image?"),
        ({"make": True, "prune": True, "board": "licheerv"}, "at a time"),
        ({"export": "there.img", "import_": "here.img", "board": "licheerv"}, "at a time"),
        ({"import_": "not-there.img"}, "not-there.img"),
        ({"export": "no-folder/there.img", "board": "licheerv"}, "--export: there is no folder"),
        ({"export": "there.img", "board": "milkv-duo"}, "no image riscv64-busybox in the cache"),
        ({"make": True, "board": "openwrt-ath79"}, "there is no emulated machine for mips"),
        ({"make": True, "board": "local-not"}, "local-not"),
    ],
)
def test_what_cant_be_done_is_wrong_usage_and_says_why(
    flags: dict[str, Any], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = ended(capsys, **flags)
    assert code == 2 and problem in err and not out


def test_a_machine_without_apt_learns_how_the_image_comes_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages.shutil, "which", lambda tool: None)
    code, _, err = ended(capsys, board="licheerv", make=True)
    assert code == 2 and "no apt-get" in err and "--export" in err and "--import" in err


def test_what_apt_said_is_shown() -> None:
    assert "404" in evidence_of(ImageFailed("the lists can't be fetched", log="E: 404 Not Found"))
    assert evidence_of(ImageFailed("there is no image")) == ""
