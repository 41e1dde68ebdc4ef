"""What a board says of its releases, from a real shell and from strangers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shells import BusyBoxTransport

from deploy.board_shell.framing import Framing
from deploy.board_shell.releases import Held, HeldRelease, parse_releases, releases_script
from deploy.errors import BadAnswer
from deploy.model.layout import Layout
from deploy.transport.local import LocalTransport


@pytest.fixture(params=["sh", pytest.param("busybox", marks=pytest.mark.install_check)])
def board(tmp_path: Path, request: pytest.FixtureRequest) -> LocalTransport:
    return LocalTransport() if request.param == "sh" else BusyBoxTransport(tmp_path / "applets")


def ask(board: LocalTransport, layout: Layout) -> Held:
    framing = Framing.new()
    return parse_releases(framing, board.run(releases_script(layout, framing)).stdout)


def test_each_release_with_its_hash_its_size_and_what_is_kept_beside_it(board: LocalTransport, tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "a prefix"))
    for release_id, content in (("aaaa", b"one"), ("bbbb", b"four")):
        binary = Path(layout.binary(release_id))
        binary.parent.mkdir(parents=True)
        binary.write_bytes(content)
        binary.chmod(0o755)
    kept = Path(layout.release("aaaa"), "with")
    kept.mkdir()
    (kept / "config.json").write_text("{}")
    (kept / "manager").write_text("openrc\n")
    Path(layout.release("cccc")).mkdir()  # what an interrupted push left
    Path(layout.current).symlink_to("releases/bbbb")
    Path(layout.previous).symlink_to("releases/aaaa")
    held = ask(board, layout)
    assert (held.current, held.previous, held.runs) == ("bbbb", "aaaa", False)
    one, four, none = held.releases
    assert one == HeldRelease(
        "aaaa", hashlib.sha256(b"one").hexdigest(), 3, one.pushed_s, ("config.json", "manager"), "openrc"
    )
    assert one.pushed_s == int(Path(layout.binary("aaaa")).stat().st_mtime)
    assert (four.size_bytes, four.kept, four.keeper) == (4, (), "")
    assert none == HeldRelease("cccc", "", 0, None, (), "")


def test_a_board_without_any_has_none(board: LocalTransport, tmp_path: Path) -> None:
    assert ask(board, Layout(str(tmp_path / "nowhere"))) == Held((), "", "", runs=False)


@given(st.text(), st.text())
def test_whatever_a_stranger_says_is_a_list_or_no_answer(links: str, releases: str) -> None:
    framing = Framing("ab" * 8)
    mark = f"\n#{framing.nonce} "
    text = "".join(
        f"{mark}begin {name}\n{said}{mark}end {name} 0\n" for name, said in (("links", links), ("releases", releases))
    )
    try:
        held = parse_releases(framing, f"{text}{mark}close\n".encode("utf-8", "replace"))
    except BadAnswer:
        return
    assert all(each.size_bytes >= 0 for each in held.releases)
