"""Where there is room for a release, and the script that makes some, in three shells."""

from __future__ import annotations

from pathlib import Path

from deploy.board_shell.framing import Framing
from deploy.board_shell.preflight import Question, parse_preflight, preflight_script
from deploy.model.layout import Layout
from deploy.steps.space import SWITCHED_MEANWHILE_STATUS, drop
from deploy.transport.local import LocalTransport

OLD, OLDER, OLDEST = "0123456789abcdef", "00000000deadbeef", "0000000000000bad"


def test_the_script_removes_those_and_no_link_that_leads_elsewhere(board: LocalTransport, tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "a prefix"))
    for each in (OLD, OLDER, OLDEST):
        Path(layout.release(each)).mkdir(parents=True)
        Path(layout.binary(each)).write_bytes(b"x" * 5000)
    Path(layout.current).symlink_to(f"releases/{OLD}")
    Path(layout.previous).symlink_to(f"releases/{OLDER}")
    assert board.run(drop(layout, OLDER, OLD, [OLDEST])).exit_status == SWITCHED_MEANWHILE_STATUS
    assert len(list(Path(layout.releases).iterdir())) == 3
    framing = Framing.new()
    asked = preflight_script(Question(layout, 18_790, prefix_is_fixed=True), framing)
    facts = parse_preflight(framing, board.run(asked).stdout)
    assert facts.installed.sizes == dict.fromkeys((OLDER, OLDEST), 5000)
    assert board.run(drop(layout, OLD, OLDER, [OLDEST])).exit_status == 0
    assert Path(layout.previous).is_symlink()
    assert board.run(drop(layout, OLD, OLDER, [OLDER])).exit_status == 0
    assert [path.name for path in Path(layout.releases).iterdir()] == [OLD]
    assert not Path(layout.previous).is_symlink()


def test_space_is_asked_for_where_the_releases_lie(board: LocalTransport, tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "prefix"))
    Path(layout.prefix).mkdir()
    Path(layout.releases).symlink_to("/dev/shm", target_is_directory=True)
    framing = Framing.new()
    asked = preflight_script(Question(layout, 18_790, prefix_is_fixed=True), framing)
    place = parse_preflight(framing, board.run(asked).stdout).place
    assert (place.prefix, place.mount_point, place.file_system) == (layout.prefix, "/dev/shm", "tmpfs")
