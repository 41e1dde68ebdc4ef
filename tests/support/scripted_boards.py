"""Boards for ScriptedTransport: what they print for the scripts of a deployment, written from what they are."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.model.artifact import Artifact
from deploy.model.board import Board
from deploy.model.facts import ElfIdentity, HostFacts, Installed, OwnUser, Place, Running
from deploy.model.gateway_config import GatewayConfig
from deploy.model.limits import Limits
from deploy.model.reading import Process
from deploy.model.secret import Secret
from deploy.model.source import Source
from deploy.model.target import Target
from deploy.steps.face import Job, Plan, StepRecord
from deploy.transport.protocol import Completed, Script
from deploy.transport.scripted import Answer, ScriptedTransport

NOW_S = 1_760_000_000
TOKEN = "12345678:" + "s3cret-" * 5
PREFIX = "/opt/picoclaw"
OLD, OLDER, OLDEST = "0123456789abcdef", "00000000deadbeef", "0000000000000bad"
NEW_PROCESS = Process(501, 90_001)

# The titles by which a deployment's scripts are answered.
ASK, LOOK, LOG = "ask the board what it is and what it holds", "look at the running gateway", "read the log"
CONFIG, CA = "write the config", "write the CA bundle"
SUPERVISOR = "write what detached keeps the gateway running by"
SWITCH = "switch to the new release and start it under its limits"
RESTORE = "put back what ran before"
HASH_RELEASE = "hash a release that it holds"
FORGET_PUSH, DROP_STAGED = "remove what the interrupted push left", "remove what was staged"
COMMIT = "stand the guard down and clear up"

BLANK = HostFacts(
    system="Linux",
    machine="riscv64",
    kernel_release="5.10.4",
    elf=ElfIdentity(64, True, 243),
    ram_kib=60_000,
    mem_available_kib=30_000,
    is_root=True,
    clock_s=NOW_S,
    ca_bundle="/etc/ssl/certs/ca-certificates.crt",
    tools=frozenset({"sha256sum"}),
    place=Place(PREFIX, 100_000, "/", ("rw", "relatime"), "ext4", writable=True),
    port_taken=False,
    installed=Installed("", "", {}, "", "", {}),
    running=None,
)
"""A board on which nothing was ever put."""


class Silent:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.begun: list[str] = []
        self.records: list[StepRecord] = []

    def started(self, title: str) -> None:
        self.begun.append(title)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, done: int, total: int) -> None: ...

    def finished(self, record: StepRecord) -> None:
        self.records.append(record)


def plan_of(source: Source | None = None, **config: Any) -> Plan:
    """A plan for a RISC-V board; `config` are settings of the gateway's."""
    board = Board("duo", "A board", Target("riscv64"), 65536)
    settings = GatewayConfig(Secret(TOKEN.encode()), **config)
    return Plan(board, source or Source(Path("/nowhere")), Limits(), settings, board.prefix)


def artifact_in(folder: Path, content: bytes = b"\x7fELF" + bytes(9000)) -> Artifact:
    """A file that goes for a binary: no step but Build looks into one."""
    path = folder / "picoclaw"
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return Artifact(path, "picoclaw", len(content), sha256, Target("riscv64"), (), "", ".", "1", "go1.27.3", "", "", "")


def job_on(
    facts: HostFacts | None,
    artifact: Artifact | None,
    answers: dict[str, Answer | list[Answer]] | None = None,
    plan: Plan | None = None,
    **transport: Any,
) -> tuple[Job, ScriptedTransport]:
    """A deployment that has come as far as `facts` and `artifact` say, and what it talks to."""
    fake = ScriptedTransport(answers or {}, **transport)
    return Job(plan or plan_of(), fake, facts=facts, artifact=artifact), fake


def running_release(artifact: Artifact, plan: Plan, process: Process = NEW_PROCESS) -> Running:
    """The release as it runs when all has gone well."""
    path = f"{PREFIX}/releases/{artifact.release_id}/{artifact.name}"
    return Running(process, path, artifact.sha256, plan.limits.environment(), supervised=True)


def deployed(artifact: Artifact, plan: Plan) -> HostFacts:
    """A board on which `plan` was carried out already."""
    job, _ = job_on(BLANK, artifact, plan=plan)
    layout, service = job.layout, job.service
    installed = Installed(
        current=artifact.release_id,
        previous=OLD,
        releases={artifact.release_id: artifact.sha256, OLD: "cd" * 32},
        config_sha256=plan.config.sha256(layout.ca_file),
        ca_sha256=plan.config.ca_sha256,
        service_sha256={
            text.path.removeprefix(f"{layout.prefix}/"): hashlib.sha256(text.content.encode()).hexdigest()
            for text in service.texts()
        },
    )
    return replace(BLANK, installed=installed, running=running_release(artifact, plan))


def older(*, runs: bool = True) -> HostFacts:
    """A board with another release on it, another config, another supervisor, and releases nobody needs any more."""
    running = Running(Process(77, 5), f"{PREFIX}/releases/{OLD}/picoclaw", "cd" * 32, {}, supervised=True)
    installed = Installed(
        OLD, OLDER, {OLD: "cd" * 32, OLDER: "", OLDEST: ""}, "aa" * 32, "", {"run/supervise": "bb" * 32}
    )
    return replace(BLANK, installed=installed, running=running if runs else None)


def bare(script: Script) -> Script:
    """The script without the lock that it takes first."""
    return replace(script, text=re.split(r"^trap 'k_s=.*' 0\n", script.text, maxsplit=1, flags=re.MULTILINE)[-1])


def framed(script: Script, sections: dict[str, str]) -> bytes:
    """What a shell prints for `script`, as its nonce asks for it."""
    match = re.search(r"^frame_nonce=([0-9a-f]+)$", script.text, re.MULTILINE)
    assert match, f"{script.title} frames nothing"
    mark = f"\n#{match[1]} "
    return (
        "".join(f"{mark}begin {n}\n{text}{mark}end {n} 0\n" for n, text in sections.items()) + f"{mark}close\n"
    ).encode()


def _running_lines(running: Running | None) -> str:
    if running is None:
        return ""
    lines = [f"pid {running.process.pid}", f"ticks {running.process.start_ticks}"]
    lines += [f"exe {running.exe_path}", f"sha256 {running.exe_sha256}"]
    lines += ["supervised"] if running.supervised else []
    lines += [f"user {running.user}"] if running.user else []
    return "\n".join(lines + [f"{name}={value}" for name, value in running.limits.items()])


def _own_user_lines(own: OwnUser) -> str:
    said = {"exists": own.exists, "can be made": own.can_be_made, f"way {own.way}": own.way, "reaches": own.reaches}
    return "\n".join(line for line, so in said.items() if so)


def tells(facts: HostFacts) -> Callable[[Script], bytes]:
    """The answer to preflight's question of a board that is as `facts` say."""
    place, held = facts.place, facts.installed
    order = "little" if facts.elf.little_endian else "big"
    head = (
        bytes([facts.elf.bits // 32, 1 if order == "little" else 2]) + bytes(12) + facts.elf.machine.to_bytes(2, order)
    )
    files = {"config.json": held.config_sha256, "ca.pem": held.ca_sha256, **held.service_sha256}
    installed = [f"current {held.current}", f"previous {held.previous}"]
    installed += [f"file {name} {sha256}" for name, sha256 in files.items() if sha256]
    installed += [f"release {name} {sha256}" for name, sha256 in held.releases.items()]
    installed += [f"size {name} {size}" for name, size in held.sizes.items()]
    sections = {
        "system": f"{facts.system} {facts.kernel_release} {facts.machine}",
        "elf": (b"\x7fELF" + head).hex(" "),
        "memory": f"MemTotal: {facts.ram_kib} kB\nMemAvailable: {facts.mem_available_kib} kB",
        "login": f"{0 if facts.is_root else 1000}\n{facts.clock_s}",
        "ca": facts.ca_bundle,
        "tools": "\n".join(sorted(facts.tools)),
        "place": f"{place.prefix}\n{'writable' if place.writable else 'read-only'}\n"
        f"/dev/root 1 1 {place.free_kib} 1% {place.mount_point}\n"
        f"mounts\n/dev/root {place.mount_point} {place.file_system} {','.join(place.mount_options)} 0 0",
        "port": "listens 9" if facts.port_taken else "",
        "installed": "\n".join(installed),
        "running": _running_lines(facts.running),
        "init": f"init {facts.init.name}\nversion {facts.init.version}\nmanager {facts.init.manager}"
        + (f"\nuser {facts.init.user}" if facts.init.user else ""),
        "own_user": _own_user_lines(facts.own_user),
    }
    return lambda script: framed(script, sections)


def health(state: str = "ok", detail: str = "", inbound: int = 3) -> bytes:
    """The gateway's own document."""
    return json.dumps(
        {
            "status": "ready" if state == "ok" else "not ready",
            "version": "1",
            "pid": NEW_PROCESS.pid,
            "uptime_s": 4,
            "inbound": inbound,
            "outbound": 2,
            "errors": 0,
            "telegram": {"state": state, "detail": detail},
        }
    ).encode()


def ready(state: str = "ok", detail: str = "") -> bytes:
    """The answer to GET /ready."""
    status = b"200 OK" if state == "ok" else b"503 Service Unavailable"
    return b"HTTP/1.1 " + status + b"\r\nConnection: close\r\n\r\n" + health(state, detail)


def seen(running: Running | None, document: bytes = b"") -> Callable[[Script], bytes]:
    """The answer to a look at the running gateway."""
    document = document or health()
    return lambda script: framed(script, {"running": _running_lines(running), "status": document.decode()})


def send_title(artifact: Artifact) -> str:
    """The title of the push."""
    return f"send the binary to {PREFIX}/releases/{artifact.release_id}"


def good_answers(artifact: Artifact, plan: Plan, facts: HostFacts) -> dict[str, Answer | list[Answer]]:
    """Every answer of a board on which a deployment goes well."""
    done = Completed(0, b"", b"", 0.0)
    titles = (CONFIG, CA, SUPERVISOR, RESTORE, FORGET_PUSH, DROP_STAGED, COMMIT, send_title(artifact))
    return dict.fromkeys(titles, done) | {
        ASK: tells(facts),
        SWITCH: f"{NEW_PROCESS.pid} {NEW_PROCESS.start_ticks}\n".encode(),
        LOOK: seen(running_release(artifact, plan)),
        LOG: b"the log's last line\n",
    }


def without_nonce(script: Script) -> Script:
    """The script with a nonce that is the same every time."""
    return replace(script, text=re.sub(r"frame_nonce=[0-9a-f]+", "frame_nonce=NONCE", script.text))
