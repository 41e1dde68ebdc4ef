"""A board without sha256sum and openssl: its files are read back and hashed, and none is believed that is not whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from shells import BusyBoxTransport

from deploy.board_shell import reading_back
from deploy.board_shell.framing import Framing, parse
from deploy.board_shell.installed import hash_script, parse_hash
from deploy.board_shell.preflight import Question, parse_preflight, preflight_script
from deploy.board_shell.quoting import quote
from deploy.board_shell.reading_back import ReadsBack
from deploy.board_shell.shell_functions import HASH
from deploy.model.layout import Layout
from deploy.transport.protocol import Script

pytestmark = pytest.mark.install_check

LACKING = ("sha256sum", "openssl")


@pytest.fixture
def bare(tmp_path: Path) -> BusyBoxTransport:
    return BusyBoxTransport(tmp_path / "applets", LACKING)


def hashes(board: BusyBoxTransport, *paths: str) -> tuple[dict[str, str | None], int]:
    """What each path hashes to over a transport that reads back, and how many questions it took."""
    framing, board = Framing.new(), ReadsBack(board)
    asked = "".join(framing.section(f"n{chr(97 + n)}", f"hash_of {quote(path)}") for n, path in enumerate(paths))
    ended = board.run(Script("ask", framing.prelude() + HASH + asked + framing.close(), changes=False))
    answers = parse(framing, ended.stdout)
    return {path: answers.after_success(f"n{chr(97 + n)}") for n, path in enumerate(paths)}, board.round_trips


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_files_share_one_question_and_have_the_hashes_of_what_they_hold(
    bare: BusyBoxTransport, tmp_path: Path, sleeper: int
) -> None:
    contents = {
        "a file's $HOME #1": bytes(range(256)) * 300,
        "empty": b"",
        "markers": b"\n#0 ends \n#" + b"\n" * 70_000,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in contents]
    found, asked = hashes(bare, *paths, f"/proc/{sleeper}/exe", str(tmp_path / "none"))
    assert [found[path] for path in paths] == [sha256(content) for content in contents.values()]
    assert found[f"/proc/{sleeper}/exe"] == sha256(Path(f"/proc/{sleeper}/exe").read_bytes())
    assert found[str(tmp_path / "none")] is None
    assert asked == 2


def test_a_file_that_is_larger_than_an_answer_comes_in_pieces(
    bare: BusyBoxTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_back, "AT_ONCE_BYTES", 128 * 1024)
    sizes = (128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 300_000)
    for size in sizes:
        (tmp_path / f"{size}").write_bytes(bytes(range(250)) * 1500)
        with (tmp_path / f"{size}").open("r+b") as file:
            file.truncate(size)
    found, asked = hashes(bare, *(str(tmp_path / f"{size}") for size in sizes))
    assert list(found.values()) == [sha256((tmp_path / f"{size}").read_bytes()) for size in sizes]
    assert asked == 1 + 1 + 1 + 2 + 3


def test_what_can_not_be_read_whole_has_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"content")
    without_dd = BusyBoxTransport(tmp_path / "fewer", (*LACKING, "dd"))
    assert hashes(without_dd, str(tmp_path / "file"))[0] == {str(tmp_path / "file"): ""}
    monkeypatch.setattr(reading_back, "AT_ONCE_BYTES", 2)
    monkeypatch.setattr(reading_back, "MOST_BYTES", 6)
    assert hashes(BusyBoxTransport(tmp_path / "applets", LACKING), str(tmp_path / "file"))[0] == {
        str(tmp_path / "file"): ""
    }


def test_a_pid_that_is_another_processs_by_then_has_no_hash(bare: BusyBoxTransport, sleeper: int) -> None:
    framing = Framing.new()
    text = f"{framing.prelude()}{framing.section('sha', HASH + f'hash_of /proc/{sleeper}/exe')}{framing.close()}"
    said = bare.run(Script("ask", text, changes=False)).stdout
    ticks = said.split(b" read ")[1].split()[1].decode()
    forged = text.replace("hash_of /proc", "hash_of() { printf '#%s read 9 %s %s #%s' \"$frame_nonce\" 7"
                          " \"$1\" \"$frame_nonce\"; }\nhash_of /proc")  # fmt: skip
    answers = parse(framing, ReadsBack(bare).run(Script("ask", forged, changes=False)).stdout)
    assert ticks.isdecimal() and int(ticks) > 7
    assert answers.text("sha") == ""


def test_a_token_of_another_run_reads_nothing(bare: BusyBoxTransport, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the board's own")
    framing, other = Framing.new(), Framing.new()
    token = f"#{other.nonce} read 18  {tmp_path}/secret #{other.nonce}"
    text = f"{framing.prelude()}{framing.section('said', f'echo {quote(token)}')}{framing.close()}"
    board = ReadsBack(bare)
    assert parse(framing, board.run(Script("ask", text, changes=False)).stdout).text("said") == token
    assert board.round_trips == 1


def test_preflight_has_every_hash_it_needs_of_a_board_that_has_none(tmp_path: Path) -> None:
    layout, now, before = Layout(str(tmp_path / "a pre'fix")), "0123456789abcdef", "fedcba9876543210"
    for release, content in ((now, b"x" * 5000), (before, b"y" * 70_000)):
        binary = Path(layout.binary(release))
        binary.parent.mkdir(parents=True)
        binary.write_bytes(content)
        binary.chmod(0o755)
    Path(f"{layout.binary(before)}.part").write_bytes(b"part")
    Path(layout.current).symlink_to(f"releases/{now}")
    Path(layout.config).write_text("{}")
    board, framing = ReadsBack(BusyBoxTransport(tmp_path / "applets", (*LACKING, "gunzip", "od"))), Framing.new()
    asked = preflight_script(Question(layout, 18_790, prefix_is_fixed=True), framing)
    held = parse_preflight(framing, board.run(asked).stdout).installed
    assert held.releases == {now: sha256(b"x" * 5000), before: ""}  # 70,000 bytes that nobody asked for
    assert (held.parts[before].sha256, held.config_sha256) == (sha256(b"part"), sha256(b"{}"))
    assert board.round_trips == 2
    asked = hash_script(layout, before, framing)
    assert parse_hash(framing, board.run(asked).stdout) == sha256(b"y" * 70_000)
