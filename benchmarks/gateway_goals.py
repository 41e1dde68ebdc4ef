"""Measures the gateway against the project's goals for memory and speed, and says of each whether it is met.

Run it from a checkout that is installed, or as `invoke bench.gateway`; it takes two minutes. It builds the gateway for
this machine (tags telegram and smallbuf), runs it several times under GOMEMLIMIT=5MiB GOGC=20 GOMAXPROCS=1 with a Bot
API stand-in over TLS on 127.0.0.1, has thousands of messages answered, and reads /proc. The worst run counts. As a
user's gateway does, it trusts all authorities of this system, and the stand-in's. Exit code 0 where all goals are met,
1 where one is not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import emulated_goals
import gateway_memory as bench
from emulated_goals import FIRST, LAST, RSS_KIB

from deploy import toolchain
from deploy.catalogue import TARGET_OF_MACHINE
from deploy.model.secret import Secret
from deploy.telegram.served import ServedBotApi
from deploy.telegram.user_side import UserSide

IDLE_S = 20.0

WINDOW = 500
"""A single reading falls before or after the gateway drops pages; the highest of so many messages does not."""


@dataclass(frozen=True, slots=True)
class Row:
    """One goal."""

    what: str
    unit: str
    most: float | None
    """The goal; None where the figure only stands beside the others."""
    measured: float

    @property
    def met(self) -> bool | None:
        """None where there is no goal."""
        return None if self.most is None else self.measured <= self.most


@dataclass(frozen=True, slots=True)
class Load:
    """One run: figures in KiB, and the idle CPU as a share of one CPU."""

    first_kib: int
    last_kib: int
    first_high_kib: int
    """The highest VmRSS while the last WINDOW messages before the first reading were answered."""
    last_high_kib: int
    """And before the last one."""
    highest_kib: int
    """From the first reading on, also within a garbage collection."""
    peak_kib: int
    idle_percent: float


def main() -> int:
    """Parse the flags, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="how often it is run (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--board", help="measure on a board, with --emulate: its memory rows, on a real kernel")
    parser.add_argument("--emulate", action="store_true", help="on the board's emulated machine")
    options = parser.parse_args()
    if bool(options.board) != options.emulate:
        parser.error("--board and --emulate go together: --board licheerv --emulate")
    if options.board:
        found, circumstances = emulated_goals.measure(options.board, options.runs)
        return show([Row(*each) for each in found], circumstances, as_json=options.json)
    go = toolchain.find()
    with tempfile.TemporaryDirectory(prefix="slimdeploy-bench-") as folder:
        gateway = bench.build(go, bench.VARIANTS[0], Path(folder) / "gateway")
        ordinary = bench.build(go, bench.VARIANTS[-1], Path(folder) / "ordinary")
        runs = []
        for number in range(options.runs):
            print(f"run {number + 1} of {options.runs}", file=sys.stderr)
            runs.append(load(gateway))
        rows = [*memory_rows(runs), *speed_rows(go, gateway, Path(folder))]
        rows.append(Row("the same gateway written the ordinary way", "KiB", None, peer(ordinary)))
    machine = {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "Go": go.version,
        "limits": bench.LIMITS,
        "authorities": authorities().count(b"BEGIN CERTIFICATE"),
        "runs": options.runs,
    }
    return show(rows, machine, as_json=options.json)


def show(rows: list[Row], machine: dict[str, object], *, as_json: bool) -> int:
    """Print; 1 where a goal is missed."""
    if as_json:
        print(json.dumps({"rows": [{**asdict(row), "met": row.met} for row in rows], "machine": machine}, indent=2))
    else:
        print(text(rows, machine))
    return int(any(row.met is False for row in rows))


def memory_rows(runs: list[Load]) -> list[Row]:
    """What /proc says of the gateway; the worst run of each."""
    return [
        Row(
            f"VmRSS after {FIRST:,} messages over TLS",
            "KiB",
            RSS_KIB.get(TARGET_OF_MACHINE[platform.machine()][0]),
            max(run.first_kib for run in runs),
        ),
        Row(f"VmRSS after {LAST:,} messages", "KiB", None, max(run.last_kib for run in runs)),
        Row("VmRSS between, highest", "KiB", None, max(run.highest_kib for run in runs)),
        Row("VmHWM", "KiB", 5120, max(run.peak_kib for run in runs)),
        Row(
            f"growth from message {FIRST:,} to {LAST:,}, of the highest VmRSS in {WINDOW} messages",
            "KiB",
            64,
            max(run.last_high_kib - run.first_high_kib for run in runs),
        ),
        Row("CPU while a long poll waits", "%", 0.1, max(run.idle_percent for run in runs)),
    ]


def speed_rows(go: toolchain.Toolchain, gateway: Path, folder: Path) -> list[Row]:
    """What Go itself says, and the size of the binary for a RISC-V board."""
    allocated = go_test(
        go, "./internal/telegram", r": (\d+) bytes a message", "-v", "-run", "TestAMessageAllocatesLittle"
    )
    markdown = go_test(go, "./internal/markdown", r"(\d+) allocs/op", "-run", "^$", "-bench", "AppendHTML", "-benchmem")
    working, whole = collector_percent(gateway, folder)
    os.environ["GOARCH"] = "riscv64"
    size = bench.build(go, bench.VARIANTS[0], folder / "riscv64").stat().st_size
    del os.environ["GOARCH"]
    return [
        Row("allocated for one message, TLS included", "bytes", 512, max(allocated)),
        Row("Markdown to HTML", "allocations", 1, max(markdown)),
        Row("garbage collector's CPU fraction under load", "%", 0.88, working),
        Row("the same with what it marked while idle", "%", None, whole),
        Row("stripped binary for riscv64", "bytes", 4.6e6, size),
    ]


@contextmanager
def running(
    binary: Path, stderr: int | BinaryIO = subprocess.DEVNULL, own_ca_file: bool = False, **more: str
) -> Iterator[tuple[UserSide, int]]:
    """The gateway with a stand-in of its own: the users' side, and its PID. `more` stands in its environment."""
    with ServedBotApi(Secret(bench.TOKEN.encode())) as api, tempfile.TemporaryDirectory() as folder:
        port = bench.free_port()
        config, ca_file = Path(folder) / "config.json", Path(folder) / "ca.pem"
        ca_file.write_bytes(authorities() + api.ca_pem)
        telegram = {"enabled": True, "token": bench.TOKEN, "base_url": api.base_url}
        if own_ca_file:
            telegram["ca_file"] = str(ca_file)
        config.touch(mode=0o600)
        config.write_text(json.dumps({"channels": {"telegram": telegram}, "gateway": {"port": port}}))
        environment = {**bench.LIMITS, "SSL_CERT_FILE": str(ca_file), **more}
        with subprocess.Popen(
            [str(binary), "gateway", "--config", str(config)], env=environment, stderr=stderr
        ) as process:
            try:
                bench.wait_until_ready(port)
                yield api.user_side, process.pid
            finally:
                process.kill()


def authorities() -> bytes:
    """Those of this system, as PEM; none where it has no bundle."""
    path = ssl.get_default_verify_paths().cafile
    found = [Path(path)] if path else []
    found.append(Path("/etc/ssl/certs/ca-certificates.crt"))
    return next((file.read_bytes() for file in found if file.is_file()), b"")


def answered(users: UserSide, count: int) -> None:
    """Have so many messages answered, 50 at a time."""
    for _ in range(count // 50):
        burst = users.burst(50)
        if not burst.complete:
            sys.exit(f"not all were answered: {burst}")


def load(binary: Path) -> Load:
    """One run."""
    with running(binary) as (users, pid):
        peaks = []

        def window(messages: int) -> int:
            """The highest VmRSS while so many are answered; VmHWM counts anew from each of them on (proc(5))."""
            peaks.append(bench.status(pid)["VmHWM"])
            Path(f"/proc/{pid}/clear_refs").write_text("5")
            answered(users, messages)
            return bench.status(pid)["VmHWM"]

        answered(users, FIRST - WINDOW)
        first_high = window(WINDOW)
        time.sleep(1)
        first = bench.status(pid)
        between = window(LAST - FIRST - WINDOW)
        last_high = window(WINDOW)
        time.sleep(1)
        last = bench.status(pid)
        before, began = cpu_s(pid), time.monotonic()
        time.sleep(IDLE_S)
        idle = 100 * (cpu_s(pid) - before) / (time.monotonic() - began)
        highest = max(between, last_high, last["VmHWM"])
        return Load(first["VmRSS"], last["VmRSS"], first_high, last_high, highest, max(*peaks, last["VmHWM"]), idle)


def peer(binary: Path) -> int:
    """VmRSS in KiB of another gateway in the same run; this one takes authorities only from its config."""
    with running(binary, own_ca_file=True) as (users, pid):
        answered(users, FIRST)
        time.sleep(1)
        return bench.status(pid)["VmRSS"]


def cpu_s(pid: int) -> float:
    """CPU time of all threads, in seconds: /proc/PID/task/TID/schedstat, the first field, in nanoseconds."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def collector_percent(binary: Path, folder: Path) -> tuple[float, float]:
    """Its shares of the CPU time that the process took: without and with marking while nothing else was to do.

    Go's own GCCPUFraction leaves out the latter too, and is a share of all CPU time that the process could have had,
    which is less. The runtime writes a line a collection: "gc 1 @0.1s 0%: … ms clock, 0.021+0/0.043/0.44+0.005 ms cpu,
    …", where the fields are the stop, assists, background and idle marking, and the second stop (package runtime).
    """
    trace = folder / "gctrace"
    with trace.open("wb") as stderr, running(binary, stderr, GODEBUG="gctrace=1") as (users, pid):
        answered(users, LAST)
        spent = cpu_s(pid)
    pattern = re.compile(r"^gc .* ([\d.]+)\+([\d.]+)/([\d.]+)/([\d.]+)\+([\d.]+) ms cpu", re.MULTILINE)
    idle = whole = 0.0
    for parts in pattern.findall(trace.read_text()):
        whole += sum(map(float, parts)) / 1000
        idle += float(parts[3]) / 1000
    return 100 * (whole - idle) / spent, 100 * whole / spent


def go_test(go: toolchain.Toolchain, package: str, pattern: str, *flags: str) -> list[int]:
    """The figures that a test or a benchmark of Go prints."""
    command = [str(go.path), "test", "-count=1", "-tags", bench.VARIANTS[0].tags, *flags, package]
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    done = subprocess.run(command, cwd=bench.GATEWAY, env=environment, capture_output=True, text=True, check=False)
    found = [int(figure) for figure in re.findall(pattern, done.stdout)]
    if not found:
        sys.exit(f"{' '.join(command)} says nothing:\n{done.stdout}{done.stderr}")
    return found


def text(rows: list[Row], machine: dict[str, object]) -> str:
    """A Markdown table, and the circumstances."""
    lines = ["| what | goal | measured | met |", "|---|---|---|---|"]
    for row in rows:
        goal = "" if row.most is None else f"<= {row.most:,.10g} {row.unit}"
        measured = f"{row.measured:,.3f}" if row.unit == "%" else f"{row.measured:,}"
        lines.append(
            f"| {row.what} | {goal} | {measured} {row.unit} | {({True: 'yes', False: 'NO', None: ''})[row.met]} |"
        )
    return "\n".join([*lines, "", ", ".join(f"{name} {value}" for name, value in machine.items())])


if __name__ == "__main__":
    sys.exit(main())
