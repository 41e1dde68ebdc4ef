"""Files get onto a board through standard input alone: hashed there, renamed, secrets readable by nobody else."""

from __future__ import annotations

import gzip
import hashlib
import stat
import time
from pathlib import Path

import pytest
from shells import BusyBoxTransport

from deploy.board_shell.push import (
    CANNOT_RUN_STATUS,
    FOLDER_STATUS,
    HASH_DIFFERS_STATUS,
    TRIAL_S,
    forget_push,
    push_release,
    stage_file,
)
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.secret import Secret
from deploy.service.detached import Detached
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Script

BINARY = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(BINARY).hexdigest()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path / "a prefix's $HOME"))


def push(
    layout: Layout, payload: bytes | Path, *, gzipped: bool, sha256: str = SHA256, size: int = len(BINARY)
) -> Script:
    return push_release(
        layout, "aaaa", sha256, payload, packed="gzip" if gzipped else "", size_bytes=size, deadline_s=30, trial=False
    )


def tried(layout: Layout, program: str) -> Script:
    """A push of a program that is a script, which is run there once."""
    data = program.encode()
    return push_release(layout, "aaaa", hashlib.sha256(data).hexdigest(), data, deadline_s=30)


@pytest.mark.parametrize("gzipped", [True, False])
def test_a_release_arrives_byte_for_byte_and_executable(board: LocalTransport, layout: Layout, gzipped: bool) -> None:
    payload = gzip.compress(BINARY) if gzipped else BINARY
    assert board.run(push(layout, payload, gzipped=gzipped)).exit_status == 0
    binary = Path(layout.binary("aaaa"))
    assert binary.read_bytes() == BINARY
    assert stat.S_IMODE(binary.stat().st_mode) == 0o755
    assert [path.name for path in binary.parent.iterdir()] == ["picoclaw"]


def test_a_file_on_the_controller_is_a_payload_too(layout: Layout, tmp_path: Path) -> None:
    file = tmp_path / "artifact"
    file.write_bytes(BINARY)
    assert LocalTransport().run(push(layout, file, gzipped=False)).exit_status == 0
    assert Path(layout.binary("aaaa")).read_bytes() == BINARY


@pytest.mark.parametrize(
    ("payload", "gzipped", "status"),
    [
        (BINARY[:-1] + b"x", False, HASH_DIFFERS_STATUS),
        (b"", False, 1),
        (gzip.compress(BINARY + b"x"), True, HASH_DIFFERS_STATUS),
        (b"no gzip data", True, 1),
    ],
    ids=["other byte", "nothing", "other", "not gzip"],
)
def test_what_did_not_arrive_whole_is_refused_and_leaves_nothing(
    board: LocalTransport, layout: Layout, payload: bytes, gzipped: bool, status: int
) -> None:
    assert board.run(push(layout, payload, gzipped=gzipped)).exit_status == status
    assert not Path(layout.release("aaaa")).exists()


def test_a_bad_second_push_leaves_the_first_one_as_it_is(board: LocalTransport, layout: Layout) -> None:
    assert board.run(push(layout, BINARY, gzipped=False)).exit_status == 0
    assert board.run(push(layout, b"bad", gzipped=False, size=3)).exit_status == HASH_DIFFERS_STATUS
    assert Path(layout.binary("aaaa")).read_bytes() == BINARY


def test_a_folder_that_can_not_be_made_has_a_status_of_its_own(board: LocalTransport, layout: Layout) -> None:
    Path(layout.prefix).write_text("a file stands there")
    assert board.run(push(layout, BINARY, gzipped=False)).exit_status == FOLDER_STATUS


@pytest.mark.install_check
def test_without_a_tool_for_hashes_nothing_is_believed(layout: Layout, tmp_path: Path) -> None:
    board = BusyBoxTransport(tmp_path / "applets", ("sha256sum", "openssl"))
    assert board.run(push(layout, BINARY, gzipped=False)).exit_status == HASH_DIFFERS_STATUS
    assert not Path(layout.release("aaaa")).exists()


def test_what_an_interrupted_push_left_is_forgotten_and_a_whole_binary_stays(
    board: LocalTransport, layout: Layout
) -> None:
    part = Path(layout.binary("aaaa") + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")
    assert board.run(forget_push(layout, "aaaa")).exit_status == 0
    assert not part.parent.exists()
    board.run(push(layout, BINARY, gzipped=False))
    part.write_bytes(b"half")
    assert board.run(forget_push(layout, "aaaa")).exit_status == 0
    assert [path.name for path in part.parent.iterdir()] == ["picoclaw"]


def test_a_staged_secret_is_readable_by_its_owner_alone_and_in_no_script(board: LocalTransport, layout: Layout) -> None:
    script = stage_file("write the config", layout.config, Secret(b"token\0\xff'"))
    assert "token" not in script.text + script.shown() + repr(script)
    assert board.run(script).exit_status == 0
    staged = Path(layout.config + ".next")
    assert staged.read_bytes() == b"token\0\xff'"
    assert stat.S_IMODE(staged.stat().st_mode) == 0o600
    assert stat.S_IMODE(staged.parent.stat().st_mode) == 0o700
    assert [path.name for path in staged.parent.iterdir()] == ["config.json.next"]  # in place is the switch's business


def test_what_was_staged_is_dropped_and_what_is_in_use_stays(board: LocalTransport, layout: Layout) -> None:
    board.run(stage_file("write the config", layout.config, b"new"))
    Path(layout.config).write_text("in use")
    Path(layout.config + ".next.part").write_text("half")
    assert board.run(Detached(layout, Limits()).drop([layout.config, layout.ca_file])).exit_status == 0
    assert [path.name for path in Path(layout.prefix).iterdir()] == ["config.json"]


@pytest.mark.parametrize("gzipped", [False, True])
def test_a_push_goes_on_after_what_a_broken_link_has_left(board: LocalTransport, layout: Layout, gzipped: bool) -> None:
    folder, there = Path(layout.release("aaaa")), 300_001
    whole = gzip.compress(BINARY) if gzipped else BINARY
    broken = board.run(push(layout, whole[: len(whole) // 2], gzipped=gzipped))
    assert broken.exit_status != 0
    part = folder / "picoclaw.part"
    assert BINARY.startswith(part.read_bytes())
    part.write_bytes(BINARY[:there])
    rest = gzip.compress(BINARY[there:]) if gzipped else BINARY[there:]
    script = push_release(
        layout, "aaaa", SHA256, rest, packed="gzip" if gzipped else "", goes_on=True, deadline_s=30, trial=False
    )
    assert board.run(script).exit_status == 0
    assert (folder / "picoclaw").read_bytes() == BINARY
    assert not part.exists()


def test_a_program_that_runs_is_run_once_to_tell_its_version(board: LocalTransport, layout: Layout) -> None:
    seen = Path(layout.prefix).parent / "seen"
    done = board.run(tried(layout, f"#!/bin/sh\necho \"$*\" >>'{seen}'\necho 1.2.3\n"))
    assert (done.exit_status, done.stdout) == (0, b""), done.stderr
    assert seen.read_text() == "version\n"
    assert [path.name for path in Path(layout.release("aaaa")).iterdir()] == ["picoclaw"]


@pytest.mark.parametrize(
    "program",
    [
        "#!/bin/sh\nkill -ILL $$\n",
        "#!/bin/sh\necho 'SIGILL: illegal instruction' >&2; echo 'PC=0x1 m=0' >&2; exit 2\n",
        "#!/bin/sh\necho 'This program can only be run on AMD64 processors with v3 support.'; exit 1\n",
        "#!/nowhere/sh\n",
        "\0\1\2",
    ],
)
def test_one_that_can_not_run_there_is_told_of_and_removed(board: LocalTransport, layout: Layout, program: str) -> None:
    done = board.run(tried(layout, program))
    assert done.exit_status == CANNOT_RUN_STATUS
    assert b"it ended with status " in done.stderr
    assert not Path(layout.release("aaaa")).exists()


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 2\n", f"#!/bin/sh\nexec sleep {TRIAL_S + 20}\n"])
def test_one_that_knows_no_version_or_does_not_end_runs_all_the_same(
    board: LocalTransport, layout: Layout, program: str
) -> None:
    began_s = time.monotonic()
    assert board.run(tried(layout, program)).exit_status == 0
    assert time.monotonic() - began_s < TRIAL_S + 10
    assert Path(layout.binary("aaaa")).exists()
