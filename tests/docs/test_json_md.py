"""docs/json.md is the schema: each document's keys stand in its section, and its tables have no key that is gone."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit
from probes import probed
from readings import proven, sample

from deploy import history, manifest
from deploy.board_shell.releases import Held, HeldRelease
from deploy.cli import (
    boards,
    build,
    claims,
    compare,
    doctor,
    emulate,
    hosts,
    images,
    ladder,
    matrix,
    profile,
    provision,
    releases,
    service,
)
from deploy.cli.contender import Contender
from deploy.cli.dry_run import show_rehearsal
from deploy.cli.ending import problem_document
from deploy.cli.fleet import discover, readied
from deploy.cli.fleet.reviewing import Review, Shown
from deploy.cli.fleet.seating import Seat
from deploy.cli.going_back import Gone
from deploy.cli.reaching import Place
from deploy.emulator.image import NAMES, Image
from deploy.emulator.kept import KeptBoard
from deploy.errors import HostKeyUnknown, NoHost
from deploy.fleet.discovered import Heard
from deploy.memory.budget import judge
from deploy.memory.comparison import difference
from deploy.memory.ladder import Climbed
from deploy.model.artifact import Artifact
from deploy.model.board import Board
from deploy.model.fleet import Member
from deploy.model.gateway_config import GatewayConfig
from deploy.model.host import Host
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.probed import Device
from deploy.model.reading import LiveCount, Phase, Process, Reading
from deploy.model.rollout import Result, State
from deploy.model.secret import Secret
from deploy.model.source import Source
from deploy.model.target import Target
from deploy.model.verdict import Budget
from deploy.pipeline import Rehearsed
from deploy.provisioning.asking import Found
from deploy.provisioning.carrying_out import Done
from deploy.provisioning.hostname import Hostname
from deploy.provisioning.public_key import TakenKey
from deploy.provisioning.wish import Already, Change
from deploy.recognising import recognise
from deploy.report.documents import deployment_document, limits_document, process_document, reading_document
from deploy.report.probe import probe_document
from deploy.report.silent import screen
from deploy.steps.face import Job, Plan, StepRecord
from deploy.telegram.counts import BurstCount
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Script
from deploy.transport.scripted import ScriptedTransport

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
PROCESS = Process(4242, 123456)
READING = proven(
    sample(3000, rollup_kib=3000),
    kind="live",
    live=LiveCount(50, 50, 50, "TLSv1.3", 1.5),
    circumstances={"RAM": "1"},
    phases=(Phase("1-baseline", 3000, 1, 2, 3, 3000, 3000, 3000),),
)
UNPROVEN = replace(READING, evidence=(replace(READING.evidence[0], ok=False), *READING.evidence[1:]))
ARTIFACT = Artifact(
    path=Path("/somewhere/picoclaw"),
    name="picoclaw",
    size_bytes=4_000_000,
    sha256="ab" * 32,
    target=Target("riscv64"),
    tags=("telegram",),
    ldflags="",
    package="./cmd/picoclaw",
    version="0.1.0",
    toolchain="go1.27.3",
    revision="cafe",
    source_digest="digest",
    elf="ELF 64-bit LSB EM_RISCV, static",
)
BOARD = Board("some-board", "A board", Target("riscv64"), 65536)


def section(title: str) -> str:
    """The text below one heading, its examples left out, so that a key in an example alone does not count."""
    _, found, rest = PAGE.partition(f"\n## {title}\n")
    assert found, f"docs/json.md has no section {title!r}"
    return re.sub(r"```.*?```", "", rest.partition("\n## ")[0], flags=re.DOTALL)


def keys(value: object, depth: int = 2) -> set[str]:
    """The keys of the first `depth` levels. A list is no level; circumstances and hosts hold names, no keys."""
    if isinstance(value, list):
        return set().union(*(keys(one, depth) for one in value))
    if not isinstance(value, dict) or not depth:
        return set()
    below = (keys(inner, depth - 1) for name, inner in value.items() if name not in ("circumstances", "hosts"))
    return set(value) | set().union(*below)


def told(text: str) -> set[str]:
    """Everything in the text that stands as `key`."""
    return set(re.findall(r"`([A-Za-z0-9_]+)`", text))


def in_tables(text: str) -> set[str]:
    """The keys in the tables' first column."""
    return set(re.findall(r"^\| `([A-Za-z0-9_]+)` \|", text, flags=re.MULTILINE))


def of_memory(reading: Reading) -> dict[str, Any]:
    return reading_document(reading, judge(reading, Budget())) | {
        "board": BOARD.name,
        "host": "root@board",
        "artifact": {"sha256": ARTIFACT.sha256},
        "process": process_document(PROCESS),
        "limits": limits_document(Limits()),
        "history": 7,
    }


def of_deploy() -> dict[str, Any]:
    source = Source(Path("/nowhere"))
    plan = Plan(BOARD, source, Limits(), GatewayConfig(Secret(b"1:" + b"s" * 35)), "/opt/picoclaw")
    job = Job(plan, ScriptedTransport({}), artifact=ARTIFACT, process=PROCESS, reading=READING)
    job.verdict = judge(READING, Budget())
    records = [StepRecord("Push", None, "sent", 0.5, 2)]
    return deployment_document(job, records, board=BOARD.name, host="root@board", seconds=4.0) | {"history": 7}


@pytest.mark.parametrize("reading", [READING, UNPROVEN], ids=["proven", "not-measured"])
def test_a_reading(reading: Reading) -> None:
    text = section("memory, memory.live, memory.bench")
    assert keys(of_memory(reading), depth=3) <= told(text)


def test_the_tables_of_a_reading_hold_nothing_else() -> None:
    both = keys(of_memory(READING), depth=3) | keys(of_memory(UNPROVEN), depth=3)
    assert in_tables(section("memory, memory.live, memory.bench")) <= both


def test_what_memory_itself_adds_to_a_reading_is_what_is_held_against_the_page_here() -> None:
    # The five keys around a reading are put there by the commands, out of reach without a board.
    source = Path(claims.__file__).read_text(encoding="utf-8")
    around = source.partition("return reading_document(")[2].partition("def ")[0]
    assert set(re.findall(r'"(\w+)": ', around)) - {"sha256"} == {"board", "host", "artifact", "process", "limits"}


def test_a_ladder() -> None:
    rung = ladder._document(Climbed("GOGC", Limits(), holds=True, why=""))
    rung["limits"] = {}
    agrees("memory.ladder", {"rungs": [rung], "recommended": "", "no_hard_limits": None})


def test_a_comparison() -> None:
    each = compare._document(Contender("main", Path("/x"), "ab" * 32, 5), [1, 2], [3, 4])
    found = asdict(difference([1, 2], [3, 5]))
    document = {"a": each, "b": each, "rss_kib": found, "hwm_kib": found, "tolerance_kib": 64, "worse": False}
    agrees("memory.compare", document | {"open": False, "board": "b", "host": "h", "messages": 9, "limits": {}})


def test_a_profile(tmp_path: Path) -> None:
    (tmp_path / "heap").write_bytes(b"of four")
    count = BurstCount(5, 5, 5, "TLSv1.3", "X", 0.1)
    place = Place(BOARD, Host("board"))
    agrees("memory.profile", profile.document_of(place, "it", tmp_path / "heap", count, 0, "inuse_space", "one\ntwo"))


def test_the_history_of_readings() -> None:
    number = history.keep(of_memory(READING))
    agrees("memory.history", {"readings": [asdict(each) for each in history.find(history.Wanted())]})
    assert number == 1


def test_a_deployment() -> None:
    text = section("deploy")
    assert keys(of_deploy()) <= told(text) | told(section("memory, memory.live, memory.bench"))
    own = keys(of_deploy()) - keys(of_memory(READING))
    assert own <= told(text)
    assert in_tables(text) <= keys(of_deploy())


def test_a_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    show_rehearsal([Rehearsed("Push", "it is there", ())], screen(as_json=True), as_json=True)
    agrees("deploy --dry-run", json.loads(capsys.readouterr().out))


def test_a_problem() -> None:
    agrees("A problem", problem_document(NoHost("some-board")))


def test_status_of_nothing_of_a_silent_process_and_of_a_gateway(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "prefix"))
    asked = LocalTransport()
    nothing = service.status_rows(asked, layout, "detached")
    assert not nothing["running"]
    Path(layout.run).mkdir(parents=True)
    ticks = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    Path(layout.pid_file).write_text(f"{os.getpid()} {ticks}\n", encoding="ascii")
    silent = service.status_rows(asked, layout, "detached")
    assert silent["running"] and silent["health"] == "no answer"
    said = {"status": "ok", "version": "1", "pid": 1, "uptime_s": 1, "inbound": 1, "outbound": 1, "refused": 0}
    said |= {"errors": 0, "telegram": {"state": "ok", "tls_version": "TLS 1.3", "tls_cipher": "X", "detail": ""}}
    program = Path(layout.current) / layout.name
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{json.dumps(said)}'\n", encoding="ascii")
    program.chmod(0o755)
    answering = service.status_rows(asked, layout, "detached")
    assert answering["received"] == 1
    agrees("status", {"board": "b", "host": "h"} | nothing | silent | answering)


def test_boards(run_here: None, capsys: pytest.CaptureFixture[str]) -> None:
    boards.listing.body(Context(), json=True)
    listed = json.loads(capsys.readouterr().out)
    boards.show.body(Context(), board="licheerv", json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown in listed.pop("boards") and not listed
    agrees("boards, boards.show", shown)


def test_a_probe() -> None:
    host = probed(devices=(Device("mmcblk0", "disk", 1024),))
    found = recognise(host, ())
    document = probe_document(host, found, host="root@board", toml="…", written=None)
    shown = keys(document, depth=4) - set(host.processor.said)
    text = section("boards.probe")
    assert shown <= told(text)
    assert in_tables(text) <= shown


def test_releases_and_the_way_back(private_home: Path) -> None:
    release = HeldRelease("0123456789abcdef", "0123456789abcdef" * 4, 5, 1_760_000_000, ("config.json",), "systemd")
    held, place = Held((release,), release.release_id, "", runs=True), Place(BOARD, Host("board"))
    agrees("releases", releases.listing(held, place))
    document = Gone(held, release, PROCESS, ("config.json",)).document(place) | {"seconds": 2.5}
    agrees("rollback", document)
    assert "scripts" in told(section("rollback"))  # of a dry run


def test_provisioning() -> None:
    change = Change("name it lichee-1", Script("name it", "text"))
    found = Found("root", True, ((Hostname("lichee-1"), change), (TakenKey(None), Already("it is there"))))
    entered = provision.Entered(ScriptedTransport({}), "key", TakenKey(None))
    place = Place(BOARD, Host("board"))
    document = provision.document(place, entered, found, [Done(found.judged[1][0], "it is there", changed=False)])
    agrees("provision", document)
    rows = document["wishes"]
    assert isinstance(rows, list)
    assert [row["state"] for row in rows] == ["to do", "already"] and rows[0]["script"] and not rows[1]["script"]


def test_provisioning_of_a_fleet() -> None:
    change = Change("name it lichee-1", Script("name it", "text"))
    seat = Seat(Member("one", Host("board", "root")), ())
    seat.found = Found("root", True, ((Hostname("lichee-1"), change),))
    seat.entered = provision.Entered(ScriptedTransport({}), "key", TakenKey(None))
    seat.result = Result("one", State.UNCHANGED, document=seat.row(Place(BOARD, Host("board"))), host="root@board")
    key = Shown(HostKeyUnknown("board", "ssh-ed25519", "SHA256:x", "AAAA"), [seat], "confirmed")
    document = readied.document([seat], Review(None, False, True, [key]), 1.0, dry_run=True)
    agrees("fleet.provision", document)
    (host,) = document["hosts"]
    assert keys(host, 1) <= told(section("fleet.provision")) and host["state"] == "to do"
    agrees("provision", host["provision"])


def test_discovery() -> None:
    document = discover.document([Heard("10.0.0.1", by=("mdns",))], Path("fleet.toml"))
    agrees("fleet.discover", document)


def test_hosts(run_here: None, capsys: pytest.CaptureFixture[str]) -> None:
    hosts.listing.body(Context(), json=True)
    agrees("hosts", json.loads(capsys.readouterr().out))


def test_a_loopback_board_and_their_list(run_here: None, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    emulate.listing.body(Context(), json=True)
    assert json.loads(capsys.readouterr().out) == {"boards": []}
    up = KeptBoard("local", tmp_path, PROCESS, "root", 1, 2, 3, 4, sftp=True)
    agrees("emulate.up, emulate.list", emulate.document(up))


def test_the_images_of_emulated_boards(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_bytes(b"of four")
    image = Image("riscv64-busybox", tmp_path, "6.12.1", "2026-01-02T03:04:05Z", ("busybox 1",), {"kernel": "ab"})
    shown = images.document(image)
    assert shown.pop("sha256") == {"kernel": "ab"}, "an object of texts: its keys are files"
    agrees("emulate.images", {"images": [shown | {"sha256": ""}]})


def test_the_matrix() -> None:
    document = matrix._document(matrix.Row("some-board", {}, "", 4.0))
    agrees("emulate.matrix", {"boards": [document]})


def test_a_build_and_its_manifest() -> None:
    made = build.document(ARTIFACT, built=True, copied=None)
    assert made["artifact"] == manifest.document(ARTIFACT)
    text = section("build")
    assert keys(made, depth=3) <= told(text) | told(section("deploy"))
    assert set(made["artifact"]) - set(of_deploy()["artifact"]) <= told(text)
    assert in_tables(text) <= keys(made)


def test_doctor(run_here: None, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        doctor.doctor.body(Context(), json=True)
    except Exit as ended:  # a machine without a Go
        assert ended.code == 2
    agrees("doctor", json.loads(capsys.readouterr().out))


def agrees(title: str, document: object) -> None:
    """The section has the document's keys, and its tables have no others."""
    text = section(title)
    assert keys(document) <= told(text)
    assert in_tables(text) <= keys(document)


@pytest.fixture
def run_here() -> Iterator[None]:
    """A command run in this process sets what SIGTERM does; it is set back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
