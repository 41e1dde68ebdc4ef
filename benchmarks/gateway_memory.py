"""Measures how much memory the gateway takes after many messages, against the same gateway written the ordinary way.

Run it from a checkout that is installed. It builds the gateway for this machine with several tags, and the peer in
benchmarks/peers/ordinary (net/http, encoding/json); starts each under GOMEMLIMIT=5MiB GOGC=20 GOMAXPROCS=1 with a Bot
API stand-in over TLS on 127.0.0.1; lets users write; and reads /proc. It asserts nothing: read the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from deploy import toolchain  # noqa: E402
from deploy.build import linking  # noqa: E402
from deploy.model.secret import Secret  # noqa: E402
from deploy.telegram.served import ServedBotApi  # noqa: E402

TOKEN = "1234567890:" + "b" * 35
LIMITS = {"GOMEMLIMIT": "5MiB", "GOGC": "20", "GOMAXPROCS": "1"}
FIGURES = ("VmRSS", "VmHWM", "RssAnon", "RssFile")


@dataclass(frozen=True)
class Variant:
    """One binary: what it is called here, where its source is, and how it is tagged."""

    name: str
    root: Path
    package: str
    tags: str = ""


GATEWAY = REPOSITORY / "gateway"
VARIANTS = (
    Variant("the gateway: telegram smallbuf", GATEWAY, "./cmd/picoclaw", "telegram,smallbuf"),
    Variant("without smallbuf", GATEWAY, "./cmd/picoclaw", "telegram"),
    Variant("with pprof (links net/http)", GATEWAY, "./cmd/picoclaw", "telegram,smallbuf,pprof"),
    Variant("the ordinary way: net/http, encoding/json", REPOSITORY / "benchmarks/peers/ordinary", "."),
)


def main() -> int:
    """Parse the flags, build, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", default="50,1000", help="after how many messages it is read (default: 50,1000)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    counts = sorted({int(count) for count in options.messages.split(",")})
    go = toolchain.find()
    rows = []
    with tempfile.TemporaryDirectory(prefix="slimdeploy-bench-") as folder:
        for number, variant in enumerate(VARIANTS):
            binary = build(go, variant, Path(folder) / f"binary{number}")
            print(f"{variant.name}: {binary.stat().st_size:,} bytes", file=sys.stderr)
            rows.append({"name": variant.name, "bytes": binary.stat().st_size, "readings": run(binary, counts)})
    machine = {"kernel": platform.release(), "machine": platform.machine(), "Go": go.version, "limits": LIMITS}
    print(json.dumps({"rows": rows, "machine": machine}, indent=2) if options.json else text(rows, machine))
    return 0


def build(go: toolchain.Toolchain, variant: Variant, output: Path) -> Path:
    """As a release is built: static, trimmed, stripped."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    ldflags = linking(environment.get("GOARCH", ""))
    command = [str(go.path), "build", "-trimpath", "-buildvcs=false", "-ldflags", ldflags, "-tags", variant.tags]
    subprocess.run([*command, "-o", str(output), variant.package], cwd=variant.root, env=environment, check=True)
    return output


def run(binary: Path, counts: list[int]) -> dict[int, dict[str, int]]:
    """Start it with a stand-in of its own; the figures in KiB after each of `counts` messages, all answered."""
    found: dict[int, dict[str, int]] = {}
    with ServedBotApi(Secret(TOKEN.encode())) as api, tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config, ca_file = Path(folder) / "config.json", Path(folder) / "ca.pem"
        ca_file.write_bytes(api.ca_pem)
        telegram = {"enabled": True, "token": TOKEN, "base_url": api.base_url, "ca_file": str(ca_file)}
        gateway = {"host": "127.0.0.1", "port": port}
        config.touch(mode=0o600)
        config.write_text(json.dumps({"channels": {"telegram": telegram}, "gateway": gateway}))
        command = [str(binary), "gateway", "--config", str(config)]
        with subprocess.Popen(command, env=LIMITS, stderr=subprocess.DEVNULL) as process:
            try:
                wait_until_ready(port)
                sent = 0
                for count in counts:
                    while sent < count:
                        piece = min(50, count - sent)  # as people write: not all at once
                        burst = api.user_side.burst(piece)
                        if not burst.complete:
                            sys.exit(f"{binary}: {burst}")
                        sent += piece
                    time.sleep(1)
                    found[count] = status(process.pid)
            finally:
                process.kill()
    return found


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(port: int) -> None:
    """Until /ready answers 200; ten seconds at most."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
    sys.exit("the gateway is not ready after 10 s")


def status(pid: int) -> dict[str, int]:
    """The figures of /proc/PID/status, in KiB."""
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: int(value.split()[0]) for name, _, value in lines if name in FIGURES}


def text(rows: list[dict[str, object]], machine: dict[str, object]) -> str:
    """The figures for people, in KiB."""
    lines = []
    for row in rows:
        lines.append(f"{row['name']}, {row['bytes']:,} bytes")
        for count, found in row["readings"].items():  # type: ignore[attr-defined]
            lines.append(f"  after {count:>6,} messages: " + ", ".join(f"{name} {found[name]:,}" for name in FIGURES))
    return "\n".join([*lines, str(machine)])


if __name__ == "__main__":
    sys.exit(main())
