"""A board in 1970 without a CA bundle, on a real kernel: refused, its clock set, its bundle sent, and deployed to."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulated_board import TOKEN, EmulatedBoard, ImageOf, slot
from program import REPOSITORY, Slimdeploy

pytestmark = [pytest.mark.install_check, pytest.mark.timeout(600)]

MACHINE = "riscv64"
YEAR_S = 365 * 24 * 3600


@pytest.fixture
def bare_board(image_of: ImageOf, emulated_cache: Path) -> Iterator[EmulatedBoard]:
    """As many boards in the field are at first: no battery for the clock, and no CA certificates."""
    image = image_of(MACHINE)
    with slot(emulated_cache):
        folder = Path(tempfile.mkdtemp(prefix="emulated-"))
        try:
            switches = {"clock_at_1970": True, "ca_bundle": False}
            made = EmulatedBoard(folder / "board", MACHINE, image, switches=switches)
            try:
                yield made
            finally:
                made.stop()
        finally:
            shutil.rmtree(folder)


def clock_of(board: EmulatedBoard) -> int:
    return int(board.run("date +%s").out)


def test_a_board_in_1970_without_authorities_is_deployed_to_once_that_is_asked_for(
    bare_board: EmulatedBoard, slimdeploy: Slimdeploy, private_home: Path, emulated_cache: Path, tmp_path: Path
) -> None:
    home = private_home / "slimdeploy"
    home.mkdir()
    (home / "cache").symlink_to(emulated_cache / "cache")
    # The list of roots holds the authority of the board's Bot API stand-in; no flag names it.
    package = tmp_path / "roots" / "certifi"
    package.mkdir(parents=True)
    ca_file = bare_board.folder / "ca.pem"
    (package / "__init__.py").write_text(f"def where() -> str:\n    return {str(ca_file)!r}\n")
    slimdeploy.settings = {"PYTHONPATH": f"{package.parent}:{REPOSITORY}", "TELEGRAM_BOT_TOKEN": TOKEN}
    host = f"{bare_board.state['user']}@127.0.0.1:{bare_board.state['port']}"
    login = ("--board", "licheerv", "--host", host, "--identity", str(bare_board.folder / "id_ed25519"))
    flags = (*login, "--accept-new-host-key", "--base-url", f"https://127.0.0.1:{bare_board.state['bot_api_port']}")

    def deploy(*more: str) -> tuple[int, dict[str, object]]:
        ended = slimdeploy("deploy", *flags, "--no-measure", "--json", *more, timeout_s=550)
        return ended.code, ended.document

    assert clock_of(bare_board) < YEAR_S, bare_board.run("cat /etc/slimdeploy.conf").out
    code, document = deploy()
    assert code == 4, document
    assert (code, document["error"]["kind"]) == (4, "Refused")  # type: ignore[index]
    assert "the board's clock says 1970-01-01" in str(document["reason"])
    assert "--set-clock" in document["error"]["cure"]  # type: ignore[index]
    code, document = deploy("--set-clock", "--ca", "board")
    assert (code, "no CA bundle" in str(document["reason"])) == (4, True)
    assert clock_of(bare_board) < YEAR_S, "what is refused changes nothing"

    code, document = deploy("--set-clock")
    assert code == 0, document
    steps = {step["title"]: step for step in document["steps"]}  # type: ignore[attr-defined]
    assert steps["Clock"]["detail"].startswith("it said 1970-01-01, and says 20")
    assert abs(clock_of(bare_board) - time.time()) < 60
    assert "it trusts all 1 roots" in steps["Configure"]["detail"]
    prefix = next(line for line in bare_board.run("ls -d /opt/picoclaw /root/.picoclaw").out.split())
    assert bare_board.run(f"cat {prefix}/ca.pem").out == ca_file.read_text()

    code, document = deploy("--set-clock")
    assert (code, document["changed"]) == (0, False)
    steps = {step["title"]: step for step in document["steps"]}  # type: ignore[attr-defined]
    assert steps["Clock"]["skipped"] == "the board's clock is right to a day"
    assert steps["Configure"]["skipped"]
    assert slimdeploy("uninstall", *login).code == 0
