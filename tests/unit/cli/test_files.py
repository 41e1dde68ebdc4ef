"""Files that a user names: a link is followed, and a device, a pipe or a folder is left as it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from deploy.cli import history, images, profile
from deploy.cli.files import named, put
from deploy.cli.fleet import rollout
from deploy.errors import UsageError


def test_a_link_is_followed_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "out").symlink_to("share/whole")
    for content in (b"the first", b"the second, in place of it"):
        put(named(str(tmp_path / "out"), "output"), content)
        assert (tmp_path / "share" / "whole").read_bytes() == content
    assert (tmp_path / "out").is_symlink()
    assert [path.name for path in (tmp_path / "share").iterdir()] == ["whole"]


def test_what_is_no_file_is_refused_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-the-pipe").symlink_to("pipe")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "to-the-pipe", "folder"):
        with pytest.raises(UsageError, match=f"^--junit: .*{name} is no ordinary file$"):
            named(str(tmp_path / name), "junit")
    with pytest.raises(UsageError, match="leads nowhere"):
        named(str(tmp_path / "circle"), "output")
    with pytest.raises(UsageError, match=r"^--output: there is no folder .*/nowhere$"):
        named(str(tmp_path / "nowhere" / "x"), "output")
    with pytest.raises(UsageError, match=r"^--output: - names no file here: name one$"):
        named("-", "output")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_every_command_refuses_it_before_its_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for task, flag, more in (
        (history.export, "output", {}),
        (profile.profile, "output", {"board": "licheerv"}),
        (rollout.deploy, "junit", {"inventory": "root@192.0.2.7"}),
        (rollout.resume, "junit", {"rollout": "nosuch"}),
        (images.images, "export", {"board": "licheerv"}),
    ):
        with pytest.raises(Exit) as ended:
            task.body(Context(), **{flag: str(pipe)}, **more)
        assert ended.value.code == 2
        assert f"--{flag}: {pipe} is no ordinary file" in capsys.readouterr().err
    assert stat.S_ISFIFO(pipe.stat().st_mode)
