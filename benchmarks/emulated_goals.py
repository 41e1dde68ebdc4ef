"""The memory rows of `gateway_goals.py`, on an emulated board: a real kernel of its architecture (docs/emulated.md).

Everything goes through slimdeploy's own commands, so that each figure is a reading with its evidence; where one is NOT
MEASURED, the script says why and ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

FIRST, LAST = 1_000, 20_000
"""After so many messages VmRSS is read, and again after so many."""

BURSTS = (FIRST, FIRST, 8_500, 8_500, FIRST)
"""Up to LAST; the stand-in takes 10,000 at once at most. Growth is from the second one's peak to the last one's: one
VmRSS falls anywhere between two collections of garbage, and in the first peak are pages of the start."""

RSS_KIB = {"amd64": 3584, "arm64": 3328, "arm": 3072, "riscv64": 3072, "mipsle": 3584}
"""The goal for VmRSS by Go's name of the architecture."""


def slimdeploy(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One command of the product."""
    command = (sys.executable, "-m", "deploy", *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)


def reading(*arguments: str) -> dict[str, Any]:
    """The document of a command that measures. Ends the script where there is no figure."""
    ended = slimdeploy(*arguments, "--json")
    document: dict[str, Any] = json.loads(ended.stdout) if ended.stdout.startswith("{") else {}
    if not document.get("reading"):
        sys.exit(f"{' '.join(arguments)}: {document.get('reason') or ended.stderr.strip()}")
    return document


def measure(board: str, runs: int) -> tuple[list[tuple[str, str, float | None, float]], dict[str, object]]:
    """Rows (what, unit, goal, measured; the worst run counts) and the circumstances."""
    place = ("--board", board, "--emulate")
    was_up = f'"board": "{board}"' in slimdeploy("emulate.list", "--json").stdout
    firsts, lasts, peaks, growths = [], [], [], []
    try:
        print(f"deploying to an emulated {board}", file=sys.stderr)
        deployed = reading("deploy", *place, f"--messages={FIRST}")
        for number in range(runs):
            print(f"run {number + 1} of {runs}", file=sys.stderr)
            if slimdeploy("restart", *place).returncode != 0:
                sys.exit("the gateway can't be started again")
            documents = [reading("memory.live", *place, f"--messages={each}", "--deadline=900") for each in BURSTS]
            figures = [each["reading"] for each in documents]
            firsts.append(figures[0]["rss_kib"] + figures[0]["rss_error_kib"])
            lasts.append(figures[-1]["rss_kib"] + figures[-1]["rss_error_kib"])
            growths.append(figures[-1]["hwm_kib"] - figures[1]["hwm_kib"])
            peaks.append(max(max(each["hwm_kib"], each["hwm_before_load_kib"] or 0) for each in figures))
    finally:
        if not was_up:
            slimdeploy("emulate.down", "--board", board)
    artifact = deployed["artifact"]
    goal = RSS_KIB.get(artifact["target"].split("/")[1])
    rows = [
        (f"VmRSS after {FIRST:,} messages over TLS", "KiB", goal, max(firsts)),
        (f"VmRSS after {LAST:,} messages", "KiB", None, max(lasts)),
        ("VmHWM", "KiB", 5120, max(peaks)),
        (f"growth to message {LAST:,} of the peak under {FIRST:,} messages", "KiB", 64, max(growths)),
        ("stripped binary", "bytes", 4.6e6 if "riscv64" in artifact["target"] else None, artifact["size_bytes"]),
    ]
    about = deployed["circumstances"]
    machine = {
        "board": board,
        "machine": about.get("emulated machine"),
        "kernel": about.get("kernel"),
        "target": artifact["target"],
        "Go": artifact["toolchain"],
        "tags": " ".join(artifact["tags"]),
        "limits": deployed["limits"],
        "runs": runs,
        "VmRSS after the first messages, each run": firsts,
        "after the last": lasts,
        "growth": growths,
    }
    return rows, machine
