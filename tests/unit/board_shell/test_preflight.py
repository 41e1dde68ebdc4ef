"""One script tells what a board is: on this machine under three shells, and read from what odd boards print."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shells import BusyBoxTransport

from deploy.board_shell.framing import Framing
from deploy.board_shell.observe import Location, locate_script, observe_script, parse_location, parse_observation
from deploy.board_shell.place import parse_place
from deploy.board_shell.preflight import (
    Question,
    parse_elf,
    parse_port,
    parse_preflight,
    preflight_script,
)
from deploy.board_shell.proc_files import parse_stat
from deploy.board_shell.quoting import quote
from deploy.board_shell.running import parse_running
from deploy.errors import BadAnswer
from deploy.model.facts import ElfIdentity, HostFacts
from deploy.model.layout import Layout
from deploy.model.reading import Process
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Completed, Progress, Script, Transport

SECTIONS = ("system", "elf", "memory", "login", "ca", "tools", "place", "port", "installed", "running")


def ask(board: Transport, question: Question) -> HostFacts:
    framing = Framing.new()
    ended = board.run(preflight_script(question, framing))
    assert ended.exit_status == 0
    return parse_preflight(framing, ended.stdout)


def ticks(pid: int) -> int:
    return parse_stat(Path(f"/proc/{pid}/stat").read_text()).start_ticks


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_this_machine_is_told_as_python_knows_it(board: LocalTransport, tmp_path: Path, free_port: int) -> None:
    before = time.time()
    prefix = tmp_path / "not there" / "yet's $HOME"
    facts = ask(board, Question(Layout(str(prefix)), free_port, prefix_is_fixed=True))
    assert (facts.system, facts.machine, facts.kernel_release) == ("Linux", platform.machine(), platform.release())
    header = Path("/bin/sh").read_bytes()[:20]
    assert facts.elf == ElfIdentity(32 * header[4], header[5] == 1, int.from_bytes(header[18:20], "little"))
    assert facts.ram_kib == int(Path("/proc/meminfo").read_text().split()[1])
    assert 0 < facts.mem_available_kib < facts.ram_kib
    assert facts.overcommit == int(Path("/proc/sys/vm/overcommit_memory").read_text())
    assert facts.is_root == (os.geteuid() == 0)
    assert before - 2 <= facts.clock_s <= time.time() + 2
    assert facts.ca_bundle == "" or Path(facts.ca_bundle).stat().st_size > 0
    assert facts.tools & {"sha256sum", "openssl"}
    assert facts.place.prefix == str(prefix)
    assert facts.place.writable
    assert facts.place.free_kib == pytest.approx(shutil.disk_usage(tmp_path).free // 1024, rel=0.05)
    assert tmp_path.is_relative_to(facts.place.mount_point)
    assert facts.place.file_system
    assert {"rw", "ro"} & set(facts.place.mount_options)
    assert not facts.port_taken
    assert facts.installed.releases == {}
    assert (facts.installed.current, facts.installed.previous, facts.running) == ("", "", None)
    assert not prefix.parent.exists()  # it only looked


def test_a_port_that_another_process_listens_on_is_taken(
    board: LocalTransport, tmp_path: Path, listener: socket.socket
) -> None:
    question = Question(Layout(str(tmp_path)), listener.getsockname()[1])
    assert ask(board, question).port_taken
    with socket.create_connection(listener.getsockname()) as client:  # a connection's port is nobody's listener
        assert not ask(board, replace(question, health_port=client.getsockname()[1])).port_taken
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "gateway.pid").write_text(f"{os.getpid()} {ticks(os.getpid())}\n")
    assert not ask(board, question).port_taken  # the running gateway's own


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Two releases, one of which arrived only in part; a config and a supervisor."""
    prefix = tmp_path / "a prefix's"
    for release, name in (("aaaa", "picoclaw"), ("bbbb", "picoclaw.part")):
        folder = prefix / "releases" / release
        folder.mkdir(parents=True)
        shutil.copy(os.path.realpath("/bin/sleep"), folder / name)
    (prefix / "run").mkdir()
    (prefix / "current").symlink_to("releases/aaaa")
    (prefix / "previous").symlink_to("releases/0000")  # leads nowhere
    (prefix / "config.json").write_text("{}")
    (prefix / "run" / "supervise").write_text("#!/bin/sh\n")
    return prefix


@pytest.mark.parametrize("name", ["guard", "guard.now"])
def test_a_deployment_that_has_not_ended_is_seen_by_its_guard(
    board: LocalTransport, installed: Path, free_port: int, name: str
) -> None:
    question = Question(Layout(str(installed)), free_port)
    assert not ask(board, question).installed.guarded
    (installed / "run" / f"{name}.done").touch()  # one that has acted
    assert not ask(board, question).installed.guarded
    (installed / "run" / name).touch()
    assert ask(board, question).installed.guarded


def test_what_is_installed_and_what_runs_is_told_with_hashes(
    board: LocalTransport, installed: Path, free_port: int
) -> None:
    binary = installed / "current" / "picoclaw"
    environment = {"GOMEMLIMIT": "5MiB", "GOGC": "20", "TELEGRAM_BOT_TOKEN": "hidden-token", "X": "a\nGOMAXPROCS=9"}
    with subprocess.Popen([binary, "600"], env=environment, stdin=subprocess.DEVNULL) as process:
        try:
            (installed / "run" / "gateway.pid").write_text(f"{process.pid} {ticks(process.pid)}\n")
            (installed / "run" / "supervisor.pid").write_text(f"{os.getpid()} {ticks(os.getpid())}\n")
            framing = Framing.new()
            ended = board.run(preflight_script(Question(Layout(str(installed)), free_port), framing))
        finally:
            process.kill()
    facts = parse_preflight(framing, ended.stdout)
    sha256 = hashlib.sha256(binary.read_bytes()).hexdigest()
    assert facts.installed.releases == {"aaaa": sha256, "bbbb": ""}
    assert (facts.installed.current, facts.installed.previous) == ("aaaa", "0000")
    assert facts.installed.config_sha256 == hashlib.sha256(b"{}").hexdigest()
    assert facts.installed.service_sha256["run/supervise"] == hashlib.sha256(b"#!/bin/sh\n").hexdigest()
    assert facts.installed.ca_sha256 == ""
    assert facts.running is not None
    assert facts.running.process.pid == process.pid
    assert (facts.running.exe_path, facts.running.exe_sha256) == (str(binary.resolve()), sha256)
    assert facts.running.limits["GOMEMLIMIT"] == "5MiB"
    assert facts.running.limits["GOGC"] == "20"
    assert "GOMAXPROCS" not in facts.running.limits  # it stood inside another variable's value
    assert facts.running.supervised
    assert b"hidden-token" not in ended.stdout


def test_a_pid_file_of_a_process_that_is_gone_or_another_by_now_names_nobody(
    board: LocalTransport, installed: Path, free_port: int
) -> None:
    question = Question(Layout(str(installed)), free_port)
    for content in ("", "\n", "x\n", f"{os.getpid()}\n", f"{os.getpid()} 1\n", "4194305 1\n", "$(id) 1\n", "self 1\n"):
        (installed / "run" / "gateway.pid").write_text(content)
        assert ask(board, question).running is None, content


@pytest.mark.install_check
def test_without_the_usual_tools_the_answer_says_what_is_lacking(tmp_path: Path, free_port: int) -> None:
    board = BusyBoxTransport(tmp_path / "applets", ("sha256sum", "openssl", "od", "setsid", "xz", "readlink"))
    facts = ask(board, Question(Layout(str(tmp_path)), free_port))
    assert not facts.tools & {"sha256sum", "openssl", "od", "setsid", "xz", "readlink"}
    assert facts.elf.machine > 0  # hexdump stood in for od
    board = BusyBoxTransport(tmp_path / "fewer", ("od", "hexdump"))
    with pytest.raises(BadAnswer, match="od and hexdump"):
        ask(board, Question(Layout(str(tmp_path)), free_port))


class OrdinaryLogin(LocalTransport):
    """This machine with a login that may not write everywhere, also where the tests run as root."""

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        if os.geteuid() == 0:
            if shutil.which("setpriv") is None:
                pytest.skip("setpriv is not installed (apt-get install util-linux)")
            text = f"exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -c {quote(script.text)}"
            script = replace(script, text=text)
        return super().run(script, progress)


def test_a_prefix_that_can_not_be_written_gives_way_to_the_home_folder_unless_it_was_named(
    private_home: Path, free_port: int
) -> None:
    board = OrdinaryLogin()
    question = Question(Layout("/sys/nowhere/picoclaw"), free_port)
    assert ask(board, question).place.prefix == f"{private_home}/.picoclaw"
    fixed = ask(board, replace(question, prefix_is_fixed=True))
    assert (fixed.place.prefix, fixed.place.writable, fixed.is_root) == ("/sys/nowhere/picoclaw", False, False)


# --- looking at the running gateway later


def test_the_running_gateway_and_its_own_word_are_observed(board: LocalTransport, installed: Path) -> None:
    layout = Layout(str(installed))
    binary = installed / "current" / "picoclaw"
    sleeping = installed / "sleeping"
    shutil.copy(binary, sleeping)
    binary.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    framing = Framing.new()
    with subprocess.Popen([sleeping, "600"], env={}, stdin=subprocess.DEVNULL) as process:
        try:
            (installed / "run" / "gateway.pid").write_text(f"{process.pid} {ticks(process.pid)}\n")
            running, word = parse_observation(framing, board.run(observe_script(layout, framing)).stdout)
            known = Process(process.pid, ticks(process.pid))
        finally:
            process.kill()
    assert running is not None
    assert (running.process, running.exe_path, running.limits, running.supervised) == (known, str(sleeping), {}, False)
    assert word == f"status|--json|--config|{layout.config}|".encode()


def test_where_the_gateway_is_installed_is_found_under_the_prefix_and_then_at_home(
    board: LocalTransport, installed: Path, private_home: Path
) -> None:
    framing = Framing.new()

    def located(*prefixes: str) -> str:
        found = parse_location(framing, board.run(locate_script(prefixes, framing)).stdout)
        return found.layout.prefix if found else ""

    assert located(str(installed), "~/.picoclaw") == str(installed)
    assert located("/nowhere at all", "~/.picoclaw") == ""
    (private_home / ".picoclaw").mkdir()
    (private_home / ".picoclaw" / "current").symlink_to("releases/aaaa")
    assert located("/nowhere at all", "~/.picoclaw") == f"{private_home}/.picoclaw"
    assert located("/nowhere at all") == "", "and nowhere else"
    assert located(str(installed), "~/.picoclaw") == str(installed)


@pytest.mark.parametrize("said", ["relative/path", "-rf", "/a\n/b"])
def test_a_location_that_is_no_path_is_a_bad_answer(said: str) -> None:
    framing = Framing.new()
    with pytest.raises(BadAnswer):
        parse_location(framing, printed(framing, {"prefix": said, "binary": "", "manager": ""}))


def test_a_program_of_another_name_is_found_by_its_release(board: LocalTransport, tmp_path: Path) -> None:
    release = tmp_path / "releases" / "aaaa"
    release.mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/aaaa")
    for name in ("my bot", "my bot.part"):
        (release / name).write_text("")
        (release / name).chmod(0o755)
    framing = Framing.new()
    found = parse_location(framing, board.run(locate_script([str(tmp_path)], framing)).stdout)
    assert found == Location(Layout(str(tmp_path), "my bot"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manager").write_text("systemd\n")
    found = parse_location(framing, board.run(locate_script([str(tmp_path)], framing)).stdout)
    assert found is not None and found.manager == "systemd"


# --- what odd boards print


def printed(framing: Framing, sections: dict[str, str]) -> bytes:
    text = "".join(
        f"\n#{framing.nonce} begin {name}\n{body}\n#{framing.nonce} end {name} 0\n" for name, body in sections.items()
    )
    return f"{text}\n#{framing.nonce} close\n".encode()


BOARD = {
    "system": "Linux 5.10.4-tag- riscv64",
    "elf": "7f 45 4c 46 02 01 01 00 00 00 00 00 00 00 00 00 02 00 f3 00",
    "memory": "MemTotal:          29632 kB\nMemFree:            4120 kB\nMemAvailable:      11228 kB\n"
    "SwapTotal: 14 kB\novercommit: 0",
    "login": "0\n1760000000",
    "ca": "/etc/ssl/certs/ca-certificates.crt",
    "tools": "gunzip\nsha256sum",
    "place": "/opt/picoclaw\nwritable\n/dev/root 7384008 1234 7000000 1% /\nmounts\n/dev/root / ext4 rw,noatime 0 0",
    "port": "",
    "installed": "current \nprevious ",
    "running": "",
    "init": "init systemd\nversion 257\nfolder writable\ncgroup v2\nmanager detached\nuser picoclaw",
    "own_user": "exists\nway setpriv\nreaches",
}


def facts_of(**changes: str) -> HostFacts:
    framing = Framing.new()
    return parse_preflight(framing, printed(framing, BOARD | changes))


def test_a_small_board_is_read_whole() -> None:
    facts = facts_of()
    assert (facts.machine, facts.elf, facts.ram_kib) == ("riscv64", ElfIdentity(64, True, 243), 29632)
    assert (facts.swap_kib, facts.overcommit) == (14, 0)
    assert (facts.mem_available_kib, facts.is_root, facts.clock_s) == (11228, True, 1_760_000_000)
    assert facts.place.mount_options == ("rw", "noatime")
    assert (facts.place.free_kib, facts.place.file_system) == (7_000_000, "ext4")


def test_before_mem_available_free_memory_is_the_lower_bound() -> None:
    assert facts_of(memory="MemTotal: 29632 kB\nMemFree: 4120 kB").mem_available_kib == 4120


@pytest.mark.parametrize(
    ("section", "body"),
    [
        ("system", "Linux"),
        ("memory", "MemFree: 1 kB"),
        ("memory", "MemTotal: lots kB"),
        ("memory", ""),
        ("login", "0"),
        ("login", "0\nThu Jan  1 00:00:00 UTC 1970"),
        ("login", "0\n" + "9" * 5000),
        ("memory", "MemTotal: " + "9" * 5000 + " kB"),
        ("elf", ""),
        ("elf", "sh: od: not found"),
        ("place", ""),
        ("place", "/opt\nwritable\n/dev/root 1 1 " + "9" * 5000 + " 1% /\nmounts\n"),
        ("running", "pid x\nticks 5"),
        ("running", "pid 5\nticks " + "9" * 5000),
    ],
)
def test_what_can_not_be_read_is_a_bad_answer(section: str, body: str) -> None:
    with pytest.raises(BadAnswer):
        facts_of(**{section: body})


@pytest.mark.parametrize("section", SECTIONS)
def test_a_missing_section_is_a_bad_answer_that_names_it(section: str) -> None:
    framing = Framing.new()
    with pytest.raises(BadAnswer, match=section):
        parse_preflight(framing, printed(framing, {name: body for name, body in BOARD.items() if name != section}))


@pytest.mark.parametrize(
    ("table", "free_kib", "mount_point"),
    [
        ("/dev/root 7384008 1234 7000000 1% /", 7_000_000, "/"),
        ("/dev/mapper/a-very-long-name-of-a-volume\n      7384008 1234 7000000 1% /data", 7_000_000, "/data"),
        ("/dev/sda1 10 10 0 100% /mnt/a b", 0, "/mnt/a b"),
        ("ubi0:rootfs 5 1 4 20% /overlay", 4, "/overlay"),
    ],
)
def test_df_tables_of_every_kind(table: str, free_kib: int, mount_point: str) -> None:
    place = parse_place(f"/opt/x\nwritable\n{table}\nmounts\n")
    assert (place.free_kib, place.mount_point, place.mount_options) == (free_kib, mount_point, ())


@pytest.mark.parametrize(
    "table", ["", "df: /opt: No such file", "/dev/root - - - - /", "/dev/root 1 1 -5 1% /", "/dev/root 1 1 ² 1% /"]
)
def test_a_df_that_says_nothing_is_a_bad_answer(table: str) -> None:
    with pytest.raises(BadAnswer):
        parse_place(f"/opt/x\nwritable\n{table}\nmounts\n")
    with pytest.raises(BadAnswer):
        parse_place("~/x\nwritable\n/dev/root 1 1 1 1% /\nmounts\n")


def test_the_last_mount_on_a_point_is_in_force_and_octal_names_are_read() -> None:
    mounts = (
        "rootfs / rootfs rw 0 0\noverlay / overlay ro,noexec 0 0\n/dev/sda1 /mnt/a\\040b\\134040 vfat rw,noexec 0 0\n"
    )
    table = "/opt/x\nread-only\n/dev/sda1 10 5 5 50% {}\nmounts\n" + mounts
    place = parse_place(table.format("/"))
    assert (place.file_system, place.mount_options, place.writable) == ("overlay", ("ro", "noexec"), False)
    place = parse_place(table.format("/mnt/a b\\040"))
    assert (place.file_system, place.mount_options) == ("vfat", ("rw", "noexec"))


@pytest.mark.parametrize(
    ("hex_bytes", "identity"),
    [
        ("7f 45 4c 46 01 01 01 00 00 00 00 00 00 00 00 00 02 00 08 00", ElfIdentity(32, True, 8)),
        ("7f 45 4c 46 01 02 01 00 00 00 00 00 00 00 00 00 00 02 00 08", ElfIdentity(32, False, 8)),
        ("7f454c46020101000000000000000000\n0300b700", ElfIdentity(64, True, 183)),
        ("7F 45 4C 46 01 01 01 00 00 00 00 00 00 00 00 00 02 00 28 00 ff ff", ElfIdentity(32, True, 40)),
    ],
)
def test_elf_headers_of_every_width_and_order(hex_bytes: str, identity: ElfIdentity) -> None:
    assert parse_elf(hex_bytes) == identity


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7f 45 4c 46",
        "4d 5a" + " 00" * 18,
        "7f 45 4c 46 03 01" + " 00" * 14,
        "7f 45 4c 46 01 03" + " 00" * 14,
        "zz" * 20,
    ],
)
def test_what_is_no_elf_header_is_a_bad_answer(text: str) -> None:
    with pytest.raises(BadAnswer):
        parse_elf(text)


def test_a_port_is_taken_only_by_sockets_that_are_not_the_gateways() -> None:
    assert not parse_port("")
    assert not parse_port("ours 5\nours 6")
    assert parse_port("listens 5")
    assert not parse_port("listens 5\nours 5\nours 9")
    assert parse_port("listens 5\nlistens 6\nours 5")
    assert not parse_port("a banner\n\nlisten 5")


def test_a_gateway_that_ended_between_two_lines_does_not_run() -> None:
    assert parse_running("") is None
    assert parse_running("pid 5\nticks \nexe \nsha256 ") is None


@settings(deadline=None)
@given(section=st.sampled_from(SECTIONS), body=st.binary(max_size=80))
def test_whatever_one_answer_holds_it_is_facts_or_a_bad_answer(section: str, body: bytes) -> None:
    framing = Framing.new()
    with suppress(BadAnswer):
        parse_preflight(framing, printed(framing, BOARD | {section: "BODY"}).replace(b"BODY", body))
