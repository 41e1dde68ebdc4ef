"""The main job, whole: the program as a user runs it, against OpenSSH and against Dropbear, without SFTP and with it.

The gateway is the real one; its Bot API is the stand-in, over TLS. Each test removes what it put on the "board".
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from program import REPOSITORY, Slimdeploy
from servers import DROPBEAR_WITH_SFTP, Server, free_port

from deploy.model.secret import Secret
from deploy.telegram.served import ServedBotApi

pytestmark = [pytest.mark.install_check, pytest.mark.usefixtures("gateway_is_built")]

TOKEN = "1234567890:" + "Tt" * 17 + "T"

DETACHED = ("--service", "detached")
"""The board is this machine: its own service manager is not for a test to change."""


@dataclass
class Seat:
    """A user with a board behind a server, and the flags that reach it."""

    run: Slimdeploy
    server: Server
    api: ServedBotApi
    prefix: Path
    flags: tuple[str, ...]
    about_the_api: tuple[str, ...]

    def deploy(self, *more: str) -> tuple[int, dict[str, object], str]:
        ended = self.run("deploy", *self.flags, *self.about_the_api, *DETACHED, "--json", *more)
        return ended.code, ended.document, ended.err

    @property
    def pid(self) -> int:
        return int((self.prefix / "run" / "gateway.pid").read_text().split()[0])


@pytest.fixture
def seat(real_server: Server, slimdeploy: Slimdeploy, tmp_path: Path) -> Iterator[Seat]:
    prefix = tmp_path / "board with blanks"
    board = tmp_path / "thisboard.toml"
    board.write_text(
        f'title = "this machine"\nprefix = {json.dumps(str(prefix))}\nhealth_port = {free_port()}\n'
        '[target]\ngoarch = "host"\n'
    )
    slimdeploy.settings["TELEGRAM_BOT_TOKEN"] = TOKEN
    known = Path(os.environ["HOME"]) / ".ssh" / "known_hosts"
    known.parent.mkdir()
    known.write_text(Path(str(real_server.host.known_hosts)).read_text())
    flags = ("--board", str(board), "--host", real_server.address, "--identity", real_server.key)
    with ServedBotApi(Secret(TOKEN.encode())) as api:
        ca_file = tmp_path / "ca.pem"
        ca_file.write_bytes(api.ca_pem)
        yield Seat(slimdeploy, real_server, api, prefix, flags, ("--base-url", api.base_url, "--ca-file", str(ca_file)))
        slimdeploy("uninstall", *flags)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("real_server", ["OpenSSH", "Dropbear", DROPBEAR_WITH_SFTP], indirect=True)
def test_a_deployment_ends_with_a_gateway_that_answers_and_a_second_one_changes_nothing(seat: Seat) -> None:
    code, document, err = seat.deploy()
    assert code == 0, err + json.dumps(document, indent=1)
    assert document["verdict"] == "PASS" and document["kind"] == "idle"
    environment = Path(f"/proc/{seat.pid}/environ").read_bytes().split(b"\0")
    assert {b"GOMEMLIMIT=5MiB", b"GOGC=20", b"GOMAXPROCS=1"} <= set(environment)
    assert not any(TOKEN.encode() in value for value in environment)
    assert TOKEN.encode() not in Path(f"/proc/{seat.pid}/cmdline").read_bytes()
    assert TOKEN not in json.dumps(document)
    assert (seat.prefix / "config.json").stat().st_mode & 0o777 == 0o600

    count = seat.api.user_side.burst(20)
    assert count.complete and count.tls_version == "TLSv1.3"

    pid = seat.pid
    code, document, err = seat.deploy("--no-measure")
    assert code == 0, err
    skipped = {step["title"] for step in document["steps"] if step["skipped"]}  # type: ignore[attr-defined]
    assert skipped == {"Build", "Push", "Configure", "Start"}
    assert document["changed"] is False
    assert document["round_trips_before_measure"] == 2
    assert seat.pid == pid

    measured = seat.run("memory", *seat.flags, "--json")
    assert (measured.code, measured.document["verdict"]) == (0, "PASS")
    kept = list((Path(os.environ["SLIMDEPLOY_HOME"]) / "data").iterdir())
    assert kept and not any(TOKEN.encode() in path.read_bytes() for path in kept)
    listed = seat.run("memory.history", "--json").document["readings"]
    assert [each["id"] for each in listed] == [1, measured.document["history"]]


def test_an_update_sends_only_what_changed(seat: Seat) -> None:
    def push() -> str:
        return str(next(step["detail"] for step in document["steps"] if step["title"] == "Push"))  # type: ignore[attr-defined]

    code, document, err = seat.deploy("--no-measure")
    assert code == 0, err
    assert " sent as " in push()
    first = Path(seat.prefix, "current").resolve().name
    code, document, err = seat.deploy("--no-measure", "--version", "0.1.1-rc.2")
    assert code == 0, err
    assert push().endswith(f" KiB sent: what changed since {first}")
    assert (
        hashlib.sha256(Path(f"/proc/{seat.pid}/exe").read_bytes())
        .hexdigest()
        .startswith(Path(seat.prefix, "current").resolve().name)
    )
    assert seat.run("status", *seat.flags, "--json").document["version"] == "0.1.1-rc.2"


def test_a_push_goes_on_where_a_broken_link_has_left_it(seat: Seat) -> None:
    def push() -> str:
        return str(next(step["detail"] for step in document["steps"] if step["title"] == "Push"))  # type: ignore[attr-defined]

    code, document, err = seat.deploy("--no-measure")
    assert code == 0, err
    binary = Path(seat.prefix, "current", "picoclaw").resolve()
    whole = binary.read_bytes()
    assert seat.run("uninstall", *seat.flags).code == 0
    binary.parent.mkdir(parents=True)
    binary.with_suffix(".part").write_bytes(whole[:3_000_000])
    code, document, err = seat.deploy("--no-measure")
    assert code == 0, err
    assert "of which 2.9 MiB were there from an earlier push" in push()
    assert binary.read_bytes() == whole
    assert sorted(path.name for path in binary.parent.iterdir()) == ["picoclaw"]


def test_a_token_that_a_command_prints_shows_nowhere_but_in_the_config(seat: Seat, tmp_path: Path) -> None:
    del seat.run.settings["TELEGRAM_BOT_TOKEN"]
    kept = tmp_path / "kept token"
    kept.write_text(f"{TOKEN}\nlogin: me\n")
    command = ("--token-command", f"cat '{kept}'")
    code, document, err = seat.deploy("--no-measure", "--dry-run", *command)
    assert code == 0, err
    assert TOKEN not in json.dumps(document) + err and str(kept) not in json.dumps(document)
    code, document, err = seat.deploy("--no-measure", *command)
    assert code == 0, err
    assert TOKEN not in json.dumps(document) + err
    assert json.loads((seat.prefix / "config.json").read_text())["channels"]["telegram"]["token"] == TOKEN
    code, document, err = seat.deploy(
        "--no-measure", "--token-command", f"sh -c 'echo {TOKEN}; echo locked >&2; exit 3'"
    )
    assert (code, document["error"]["kind"]) == (2, "NoSecret")  # type: ignore[index]
    assert TOKEN not in json.dumps(document) + err
    assert seat.api.user_side.burst(3).complete


def test_the_gateway_trusts_what_was_sent_along_and_says_which_roots(seat: Seat, tmp_path: Path) -> None:
    base_url, ca_file = seat.about_the_api[1], Path(seat.about_the_api[3])
    seat.about_the_api = ("--base-url", base_url)
    # A list of roots that holds the stand-in's authority, which this machine does not trust.
    package = tmp_path / "roots" / "certifi"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"def where() -> str:\n    return {str(ca_file)!r}\n")
    seat.run.settings["PYTHONPATH"] = f"{package.parent}:{REPOSITORY}"
    code, document, err = seat.deploy("--no-measure", "--ca", "trimmed")
    assert code == 0, err + json.dumps(document, indent=1)
    details = {step["title"]: step["detail"] for step in document["steps"]}  # type: ignore[attr-defined]
    assert "it trusts all 1 roots of certifi" in details["Configure"]
    assert "as which roots 127.0.0.1 needs is not known here" in details["Configure"]
    assert (seat.prefix / "ca.pem").stat().st_mode & 0o777 == 0o600
    assert seat.api.user_side.burst(3).complete
    code, document, _ = seat.deploy("--no-measure", "--ca", "trimmed")
    assert (code, document["changed"]) == (0, False)


def test_another_limit_restarts_the_gateway_and_pushes_nothing(seat: Seat) -> None:
    assert seat.deploy("--no-measure")[0] == 0
    before = seat.pid
    code, document, _ = seat.deploy("--no-measure", "--memory-limit", "6MiB")
    assert code == 0
    steps = {step["title"]: step["skipped"] for step in document["steps"]}  # type: ignore[attr-defined]
    assert steps["Push"] and steps["Configure"] and not steps["Start"]
    assert seat.pid != before
    assert b"GOMEMLIMIT=6MiB" in Path(f"/proc/{seat.pid}/environ").read_bytes().split(b"\0")


def test_a_token_that_telegram_refuses_leaves_what_ran_before_running(seat: Seat) -> None:
    assert seat.deploy("--no-measure")[0] == 0
    config = (seat.prefix / "config.json").read_bytes()
    seat.run.settings["TELEGRAM_BOT_TOKEN"] = "1234567890:" + "x" * 35
    code, document, _ = seat.deploy("--no-measure")
    assert code == 4
    assert document["error"]["kind"] == "NotReady"  # type: ignore[index]
    assert any("is back and runs" in note for note in document["error"]["notes"])  # type: ignore[index]
    assert alive(seat.pid)
    assert (seat.prefix / "config.json").read_bytes() == config
    assert seat.api.user_side.burst(3).complete


def test_a_first_deployment_that_fails_leaves_nothing_running(seat: Seat) -> None:
    seat.run.settings["TELEGRAM_BOT_TOKEN"] = "1234567890:" + "x" * 35
    code, document, _ = seat.deploy("--no-measure")
    assert code == 4
    assert any("nothing runs now" in note for note in document["error"]["notes"])  # type: ignore[index]
    assert not (seat.prefix / "run" / "gateway.pid").exists()
    assert not (seat.prefix / "current").exists()


def test_a_gateway_that_is_killed_comes_back_and_stop_means_stop(seat: Seat) -> None:
    assert seat.deploy("--no-measure")[0] == 0
    first = seat.pid
    os.kill(first, signal.SIGKILL)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        status = seat.run("status", *seat.flags, "--json")
        if status.code == 0 and status.document["pid"] != first:
            break
    assert status.code == 0 and status.document["restarted_when_it_ends"] is True
    assert seat.run("stop", *seat.flags).code == 0
    assert seat.run("status", *seat.flags, "--json").code == 3
    measured = seat.run("memory", *seat.flags, "--json")
    assert (measured.code, measured.document["verdict"], measured.document["reading"]) == (3, "NOT MEASURED", None)
    assert seat.run("start", *seat.flags).code == 0
    assert seat.run("restart", *seat.flags).code == 0
    assert "level=info" in seat.run("logs", *seat.flags).out
    assert seat.run("uninstall", *seat.flags).code == 0
    assert not seat.prefix.exists()


def test_a_wrapper_in_front_of_the_gateway_is_the_wrong_process(seat: Seat) -> None:
    assert seat.deploy("--no-measure")[0] == 0
    assert seat.run("stop", *seat.flags).code == 0
    binary = str(seat.prefix / "current" / "picoclaw")
    limits = {"GOMEMLIMIT": "5MiB", "GOGC": "20", "GOMAXPROCS": "1", "PATH": os.defpath}
    command = f'"{binary}" gateway --config "{seat.prefix / "config.json"}" & wait'
    with subprocess.Popen(["sh", "-c", command], env=limits, start_new_session=True) as wrapper:
        try:
            measured = seat.run("memory", *seat.flags, "--pid", str(wrapper.pid), "--json")
        finally:
            os.killpg(wrapper.pid, signal.SIGKILL)
    assert measured.code == 3
    assert "wrong process" in measured.document["reason"]
    assert measured.document["reading"] is None


def test_a_dry_run_shows_every_script_changes_nothing_and_tells_no_secret(seat: Seat) -> None:
    ended = seat.run("deploy", *seat.flags, *seat.about_the_api, *DETACHED, "--dry-run")
    assert ended.code == 0, ended.err
    assert not seat.prefix.exists()
    assert TOKEN not in ended.out + ended.err
    for word in ("releases/", "config.json", "GOMEMLIMIT=", "Nothing was changed."):
        assert word in ended.out


def peak_kib(pid: int) -> int:
    """VmHWM of /proc/PID/status."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0])


def has_begun_to_watch(pid: int, reading: subprocess.Popen[str]) -> None:
    """Until a live reading has taken the gateway's counters: it sets the peak back right after."""
    peak, until_s = peak_kib(pid), time.monotonic() + 60
    while peak_kib(pid) >= peak:
        assert reading.poll() is None and time.monotonic() < until_s, "it has ended, or does not begin"
        time.sleep(0.05)


def test_a_live_reading_with_people_waits_for_their_messages_and_proves_them_by_the_offset(seat: Seat) -> None:
    assert seat.deploy("--no-measure")[0] == 0
    assert seat.api.user_side.burst(2, deadline_s=20).complete
    pid = seat.pid
    waiting = ("memory.live", *seat.flags, "--real", "--messages", "4", "--deadline", "60", "--json")
    with seat.run.start(*waiting) as process:
        has_begun_to_watch(pid, process)
        assert seat.api.user_side.burst(4, deadline_s=20).complete
        out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err + out
    document = json.loads(out)
    assert (document["verdict"], document["live"]["received"], document["live"]["answered"]) == ("PASS", 4, 4)
    proof = next(each for each in document["evidence"] if each["name"] == "did_the_work")
    assert "the offset of getUpdates moved by 4" in proof["detail"] and "TLS" in proof["detail"]
    assert seat.pid == pid

    none = seat.run("memory.live", *seat.flags, "--real", "--messages", "1", "--deadline", "1", "--json")
    assert (none.code, none.document["verdict"]) == (3, "NOT MEASURED")
    assert "0 messages of people received" in none.document["reason"]


def test_a_live_reading_in_place_leads_the_gateway_back_to_its_own_bot_api(seat: Seat) -> None:
    assert seat.deploy("--no-measure")[0] == 0
    assert seat.api.user_side.burst(5, deadline_s=20).complete
    before, pid = seat.api.user_side.counts(), seat.pid
    offset = seat.prefix / "telegram.offset"
    kept = {path: path.read_bytes() for path in (seat.prefix / "config.json", seat.prefix / "ca.pem", offset)}
    live = seat.run("memory.live", *seat.flags, "--messages", "20", "--in-place", "--json")
    assert live.code == 0, live.err + live.out
    assert (live.document["verdict"], live.document["live"]["answered"]) == ("PASS", 20)
    assert "the one in service" in live.document["circumstances"]["instance"]
    assert {path: path.read_bytes() for path in kept} == kept
    assert seat.pid != pid and alive(seat.pid) and not alive(pid)
    assert seat.api.user_side.counts() == before, "its own users saw nothing of it"
    assert seat.api.user_side.burst(5, deadline_s=20).complete, "and are answered again"
    left = {path.name for path in seat.prefix.rglob("*") if path.name.endswith((".next", ".part"))}
    assert not left and not list((seat.prefix / "run").glob("guard*"))


def test_a_live_reading_beside_a_gateway_in_service_leaves_that_alone_and_nothing_behind(seat: Seat) -> None:
    assert seat.deploy("--no-measure")[0] == 0
    before, pid = seat.api.user_side.counts(), seat.pid
    live = seat.run("memory.live", *seat.flags, "--messages", "20", "--json")
    assert live.code == 0, live.err + live.out
    document = live.document
    assert (document["verdict"], document["kind"]) == ("PASS", "live")
    assert (document["live"]["sent"], document["live"]["received"], document["live"]["answered"]) == (20, 20, 20)
    assert document["live"]["tls"].startswith("TLSv1.3")
    assert "second" in document["circumstances"]["instance"]
    assert seat.pid == pid and alive(pid)
    assert seat.api.user_side.counts() == before
    assert not (seat.prefix / "run" / "live").exists()
    assert (
        seat.run("deploy", *seat.flags, *seat.about_the_api, *DETACHED, "--no-measure", "--json").document["changed"]
        is False
    )
