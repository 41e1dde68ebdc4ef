"""Measures what each thing that made the gateway small gives: the gateway with that one thing undone, beside it.

Run it from a checkout that is installed, or as `invoke bench.undone`; it takes some minutes. What is undone stands in
undone_steps.py and in benchmarks/undone/: `go build -overlay` puts it in the place of the gateway's own files, so that
nothing else differs. Each is built twice, with the release of pages and without: that one hides what the others give,
for it gives back what they link. Each build runs with GOMEMLIMIT=5MiB GOGC=20 GOMAXPROCS=1 against a Bot API stand-in
over TLS on 127.0.0.1, with a full PicoClaw config and this system's authorities; a round runs them all, one after the
other. It asserts nothing: read the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import gateway_memory as bench
from gateway_goals import answered, authorities
from undone_steps import FURTHER, PAGES, STEPS, UNDONE, Step

from deploy import toolchain
from deploy.build import linking
from deploy.model.secret import Secret
from deploy.telegram.served import ServedBotApi

FIRST, LAST = 1_000, 3_000


@dataclass(frozen=True, slots=True)
class Figures:
    """One run, in KiB."""

    first: int
    last: int
    peak: int


def main() -> int:
    """Parse the flags, build, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="how often each build is run (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    go = toolchain.find()
    rows = []
    with tempfile.TemporaryDirectory(prefix="slimdeploy-bench-") as folder:
        built = []
        for number, step in enumerate((*STEPS, *FURTHER)):
            print(f"building: {step.name}", file=sys.stderr)
            pair = [build(go, each, Path(folder) / f"{number}.{place}") for place, each in enumerate(both(step))]
            built.append((step, pair))
        runs: dict[tuple[str, int], list[Figures]] = {}
        for number in range(options.runs):
            print(f"round {number + 1} of {options.runs}", file=sys.stderr)
            for step, pair in built:
                for place, binary in enumerate(pair):
                    figures = run(binary, step, FIRST if place else LAST)
                    print(f"{step.name}{', all pages kept' if place else ''}: {figures}", file=sys.stderr)
                    runs.setdefault((step.name, place), []).append(figures)
        for step, pair in built:
            rows.append(row(step, pair[0], runs[step.name, 0], runs.get((step.name, 1), [])))
    machine = {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "Go": go.version,
        "limits": bench.LIMITS,
        "runs": options.runs,
        "authorities": authorities().count(b"BEGIN CERTIFICATE"),
    }
    print(json.dumps({"rows": rows, "machine": machine}, indent=2) if options.json else text(rows, machine))
    return 0


def both(step: Step) -> tuple[Step, ...]:
    """The step, and the step with the release of pages undone too."""
    return (step, replace(step, edits=(*step.edits, PAGES))) if PAGES not in step.edits else (step,)


def build(go: toolchain.Toolchain, step: Step, folder: Path) -> Path:
    """The gateway with one thing undone; its own files stay as they are."""
    folder.mkdir()
    replaced: dict[str, str] = {}
    changed: dict[str, str] = {}
    for name, old, new in step.edits:
        before = changed.get(name) or (bench.GATEWAY / name).read_text()
        if before.count(old) != 1:
            sys.exit(f"{step.name}: {old!r} stands {before.count(old)} times in {name}")
        changed[name] = before.replace(old, new)
    for name, source in step.added:
        changed[name] = (UNDONE / f"{source}.go.txt").read_text()
    for number, (name, source) in enumerate(changed.items()):
        (folder / f"{number}.go").write_text(source)
        replaced[str(bench.GATEWAY / name)] = str(folder / f"{number}.go")
    overlay = folder / "overlay.json"
    overlay.write_text(json.dumps({"Replace": replaced}))
    output = folder / "gateway"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    command = [str(go.path), "build", "-trimpath", "-buildvcs=false", "-ldflags", linking(""), "-tags", step.tags]
    command += ["-overlay", str(overlay), "-o", str(output), "./cmd/picoclaw"]
    subprocess.run(command, cwd=bench.GATEWAY, env=environment, check=True)
    return output


def run(binary: Path, step: Step, messages: int) -> Figures:
    """Start it with a stand-in of its own, have so many messages answered, read /proc after FIRST and at the end."""
    with ServedBotApi(Secret(bench.TOKEN.encode())) as api, tempfile.TemporaryDirectory() as folder:
        config, bundle = Path(folder) / "config.json", Path(folder) / "ca.pem"
        bundle.write_bytes(api.ca_pem if step.trimmed else authorities() + api.ca_pem)
        telegram = {"enabled": True, "token": bench.TOKEN, "base_url": api.base_url}
        config.touch(mode=0o600)
        config.write_text(json.dumps(full_config(telegram, bench.free_port())))
        with subprocess.Popen(
            [str(binary), "gateway", "--config", str(config)],
            env={**bench.LIMITS, "SSL_CERT_FILE": str(bundle), "SSL_CERT_DIR": folder},
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                answered(api.user_side, FIRST)
                time.sleep(1)
                first = bench.status(process.pid)
                answered(api.user_side, messages - FIRST)
                time.sleep(1)
                last = bench.status(process.pid)
            finally:
                process.kill()
    return Figures(first["VmRSS"], last["VmRSS"], last["VmHWM"])


def full_config(telegram: dict[str, object], port: int) -> dict[str, object]:
    """As large as PicoClaw's own example: other channels, tools and providers, of which this gateway uses nothing."""
    off = {"enabled": False, "token": "", "app_id": "", "app_secret": "", "allow_from": []}
    channels = ("discord", "slack", "qq", "line", "feishu", "dingtalk", "whatsapp", "onebot", "maixcam", "wecom")
    providers = ("anthropic", "openrouter", "groq", "zhipu", "gemini", "deepseek", "mistral", "ollama", "nvidia")
    tool = {"enabled": True, "api_key": "", "max_results": 5, "timeout": 30}
    return {
        "agents": {"defaults": {"workspace": "~/.picoclaw/workspace", "restrict_to_workspace": True}},
        "model_list": [
            {"model_name": each, "model": f"{each}/default", "api_base": "", "api_key": ""} for each in providers
        ],
        "channels": {"telegram": telegram, **dict.fromkeys(channels, off)},
        "providers": {each: {"api_key": "", "api_base": "", "proxy": ""} for each in providers},
        "tools": dict.fromkeys(("web", "exec", "cron", "skills", "mcp", "i2c", "spi"), tool),
        "heartbeat": {"enabled": False, "interval": 30},
        "gateway": {"host": "127.0.0.1", "port": port},
    }


def allocated(binary: Path) -> float | None:
    """Bytes for one message, by the program's own account; 4 KiB of text, without TLS. None with net/http's client: the
    Telegram in memory serves no such one."""
    command = [str(binary), "simulate", "--burst", "3000", "--kinds", "4k", "--json"]
    try:
        ended = subprocess.run(command, env=bench.LIMITS, capture_output=True, text=True, check=True, timeout=60)
    except subprocess.SubprocessError:
        return None
    return float(json.loads(ended.stdout)["bytes_per_message"])


def row(step: Step, binary: Path, runs: list[Figures], kept: list[Figures]) -> dict[str, object]:
    """The medians; `kept` are the runs without the release of pages, none where that is the step."""
    return {
        "name": step.name,
        "bytes": binary.stat().st_size,
        "first": statistics.median_high(each.first for each in runs),
        "last": statistics.median_high(each.last for each in runs),
        "peak": statistics.median_high(each.peak for each in runs),
        "kept": statistics.median_high(each.first for each in kept or runs),
        "allocated": allocated(binary),
    }


def text(rows: list[dict[str, object]], machine: dict[str, object]) -> str:
    """A Markdown table, and the circumstances."""
    head = f"| undone | VmRSS after {FIRST:,} | after {LAST:,} | VmHWM | after {FIRST:,}, all pages kept "
    lines = [f"{head}| bytes a message of 4 KiB | binary |", "|---|---|---|---|---|---|---|"]
    for each in rows:
        allocated = "" if each["allocated"] is None else f"{each['allocated']:,.0f}"
        lines.append(
            f"| {each['name']} | {each['first']:,} | {each['last']:,} | {each['peak']:,} | {each['kept']:,} "
            f"| {allocated} | {each['bytes']:,} |"
        )
    return "\n".join([*lines, "", ", ".join(f"{name} {value}" for name, value in machine.items())])


if __name__ == "__main__":
    sys.exit(main())
