"""Times a fleet of loopback hosts against pyinfra and against bare SSH handshakes, all in one run on one machine.

Every host is a real sshd on an address of its own and a real gateway process whose real VmRSS is read; the controller,
the servers and the gateways share this machine's CPUs. It asserts nothing but that each run did what it is timed for:
read the figures.

    .venv/bin/python benchmarks/fleet.py --sizes 200
    .venv/bin/python benchmarks/fleet.py --sizes 50,200,500,1000 --runs 1
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
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fleet_hosts import Hosts, hosts
from fleet_peers import handshakes_command, pyinfra_command
from noop_deploy import REPOSITORY, install_pyinfra

PARALLEL = (0, 20)
"""How many hosts pyinfra takes at once: all, as it does by itself, or so many; the faster one counts."""

DEPLOY, MEMORY, PYINFRA, HANDSHAKES = "no-op fleet.deploy", "fleet.memory", "pyinfra", "bare handshakes"
LINES = (
    f"goals: {DEPLOY} in at most 0.5 x {PYINFRA}; {MEMORY} in at most 1.3 x {HANDSHAKES};",
    "the controller's peak memory at most 1,536 KiB a host; s/host the same from 50 to 1,000 hosts",
)


@dataclass(frozen=True)
class Timed:
    """One program from its start to its end. `hosts_cpu_s` is what the servers and their shells took meanwhile."""

    seconds: float
    cpu_s: float
    hosts_cpu_s: float
    peak_kib: int
    out: str


def main() -> int:
    """Parse the flags, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="200", help="how many hosts, such as 50,200,500,1000 (default: 200)")
    parser.add_argument("--runs", type=int, default=3, help="how often each program is timed at each size (default: 3)")
    parser.add_argument("--at-once", type=int, default=0, help="for ours and the handshakes (default: ours' own)")
    parser.add_argument("--waves", default="1,5%%,25%%,rest", help="the waves of the first deployment")
    parser.add_argument("--pyinfra", type=Path, help="a pyinfra command to use instead of installing one")
    parser.add_argument(
        "--pyinfra-up-to", type=int, default=200, help="leave pyinfra out of larger sizes (default: 200)"
    )
    parser.add_argument("--cache", type=Path, help="a folder that keeps what Go compiled for the next run")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    sizes = sorted({int(size) for size in options.sizes.split(",")})
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every program runs as an installed one does: from bytecode
    with tempfile.TemporaryDirectory(prefix="slimdeploy-fleet-") as folder:
        os.environ["SLIMDEPLOY_HOME"] = str(Path(folder) / "controller")
        if options.cache:
            options.cache.mkdir(parents=True, exist_ok=True)
            (Path(folder) / "controller").mkdir()
            (Path(folder) / "controller" / "cache").symlink_to(options.cache.resolve())
        wanted = sizes[0] <= options.pyinfra_up_to
        peer = (options.pyinfra or install_pyinfra(Path(folder))) if wanted else None
        with hosts(Path(folder), sizes[-1]) as fleet:
            pyinfra = {size: peer for size in sizes if size <= options.pyinfra_up_to}
            found = measure(fleet, sizes, options.runs, options.at_once, options.waves.replace("%%", "%"), pyinfra)
    print(json.dumps(found, indent=2) if options.json else text(found))
    return 0


def measure(
    fleet: Hosts, sizes: list[int], runs: int, at_once: int, waves: str, peers: dict[int, Path | None]
) -> dict[str, object]:
    """A first deployment to all of them, then everything at each size, by turns."""
    board = str(fleet.folder / "thismachine.toml")
    run(fleet, [sys.executable, "-m", "deploy", "build", "--board", board])  # compiling is not what is timed
    note(f"deploying to {sizes[-1]} hosts in waves {waves}")
    first = run(fleet, ours(fleet, "fleet.deploy", sizes[-1], at_once, "--waves", waves, "--no-measure"), accepts=(0,))
    begun = json.loads(first.out)
    note(f"the first deployment took {first.seconds:.1f} s")
    rows = []
    for size in sizes:
        timed: dict[str, list[Timed]] = {DEPLOY: [], MEMORY: [], PYINFRA: [], HANDSHAKES: []}
        spread: list[int] = []
        pyinfra = peers.get(size)
        parallel = fastest(fleet, size, pyinfra) if pyinfra else 0
        for number in range(runs):
            note(f"{size} hosts, run {number + 1} of {runs}")
            timed[DEPLOY].append(run(fleet, ours(fleet, "fleet.deploy", size, at_once, "--no-measure")))
            states = {host["state"] for host in json.loads(timed[DEPLOY][-1].out)["hosts"]}
            if states != {"unchanged"}:
                sys.exit(f"a deployment that should change nothing ended as {states}: this is no comparison")
            if pyinfra:
                timed[PYINFRA].append(run(fleet, pyinfra_command(fleet, size, pyinfra, parallel), size))
            timed[MEMORY].append(run(fleet, ours(fleet, "fleet.memory", size, at_once)))
            spread = [host["rss_kib"] for host in json.loads(timed[MEMORY][-1].out)["hosts"]]
            timed[HANDSHAKES].append(run(fleet, handshakes_command(fleet, size, at_once or 256)))
        note(str(of(timed)["ratios"]))
        rows.append({"hosts": size, "pyinfra_parallel": parallel or "all", "VmRSS_KiB": quartiles(spread)} | of(timed))
    return {
        "first_deployment": {
            "hosts": sizes[-1],
            "waves": waves,
            "seconds": first.seconds,
            "controller_peak_KiB": first.peak_kib,
            "controller_cpu_s": first.cpu_s,
            "states": begun.get("counts"),
            "gateways_running": fleet.processes(),
        },
        "sizes": rows,
        "runs": runs,
        "at_once": at_once or "each command's own",
        "machine": {
            "CPUs": os.cpu_count(),
            "kernel": platform.release(),
            "Python": platform.python_version(),
            "paramiko": version("paramiko"),
            "fabric": version("fabric"),
            "load before": os.getloadavg()[2],
        },
    }


def ours(fleet: Hosts, command: str, size: int, at_once: int, *more: str) -> list[str]:
    """One of our commands over the first `size` hosts."""
    flags = ["--at-once", str(at_once)] if at_once else []
    inventory = str(fleet.inventory(size))
    return [sys.executable, "-m", "deploy", command, "--inventory", inventory, *flags, *more, "--json"]


def fastest(fleet: Hosts, size: int, pyinfra: Path) -> int:
    """Put the files there once, and see with how many hosts at once pyinfra is quickest when they are there."""
    run(fleet, pyinfra_command(fleet, size, pyinfra, PARALLEL[-1]), size)
    took = {each: run(fleet, pyinfra_command(fleet, size, pyinfra, each), size).seconds for each in PARALLEL}
    return min(took, key=lambda each: took[each])


def run(fleet: Hosts, command: list[str], size: int = 0, accepts: tuple[int, ...] = (0,)) -> Timed:
    """A whole process, timed; ends the benchmark where it failed. With `size` it is pyinfra's, in its folder."""
    where = fleet.folder / f"pyinfra-{size}" if size else fleet.folder
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    hosts_before_s = fleet.cpu_s()
    with tempfile.TemporaryFile(dir=fleet.folder) as out, (fleet.folder / "said.log").open("wb") as said:
        began_s = time.perf_counter()
        process = subprocess.Popen(command, cwd=where, env=environment, stdout=out, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began_s
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode("utf-8", "replace")
    if process.returncode not in accepts:
        log = (fleet.folder / "said.log").read_text(errors="replace")
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{text[-3000:]}\n{log[-3000:]}")
    time.sleep(1)  # sessions end after their connection does
    return Timed(seconds, used.ru_utime + used.ru_stime, fleet.cpu_s() - hosts_before_s, used.ru_maxrss, text)


def of(timed: dict[str, list[Timed]]) -> dict[str, object]:
    """The medians of each program, and the ratios that the goals are about."""
    medians = {
        name: {
            "seconds": statistics.median(each.seconds for each in found),
            "controller_cpu_s": statistics.median(each.cpu_s for each in found),
            "hosts_cpu_s": statistics.median(each.hosts_cpu_s for each in found),
            "controller_peak_KiB": max(each.peak_kib for each in found),
            "all_s": [round(each.seconds, 2) for each in found],
        }
        for name, found in timed.items()
        if found
    }
    ratios = {}
    for name, peer in ((DEPLOY, PYINFRA), (MEMORY, HANDSHAKES), (DEPLOY, HANDSHAKES)):
        if peer in medians:
            ratios[f"{name} / {peer}"] = medians[name]["seconds"] / medians[peer]["seconds"]  # type: ignore[operator]
            key = "controller_cpu_s"
            ratios[f"{name} / {peer}, controller's CPU"] = medians[name][key] / medians[peer][key]  # type: ignore[operator]
    return {"medians": medians, "ratios": ratios}


def quartiles(figures: list[int]) -> dict[str, float]:
    """How VmRSS is spread over the fleet."""
    ordered = sorted(figures)
    share = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    found = {name: ordered[min(len(ordered) - 1, int(len(ordered) * part))] for name, part in share.items()}
    return {"count": len(ordered), "min": ordered[0], **found, "max": ordered[-1]}


def text(found: dict[str, object]) -> str:
    """The figures for people."""
    first = found["first_deployment"]
    rows = [
        f"first deployment: {first['hosts']} hosts, waves {first['waves']}, {first['seconds']:.1f} s, "  # type: ignore[index]
        f"{first['gateways_running']} gateways run",  # type: ignore[index]
        "",
        f"{'hosts':>5}  {'program':<20} {'seconds':>8} {'ms/host':>8} {'CPU here':>9} {'CPU hosts':>9} "
        f"{'peak MiB':>8} {'KiB/host':>8}",
    ]
    for each in found["sizes"]:  # type: ignore[attr-defined]
        size = each["hosts"]
        for name, figures in each["medians"].items():
            rows.append(
                f"{size:>5}  {name:<20} {figures['seconds']:>8.2f} {figures['seconds'] / size * 1000:>8.1f} "
                f"{figures['controller_cpu_s']:>9.2f} {figures['hosts_cpu_s']:>9.2f} "
                f"{figures['controller_peak_KiB'] / 1024:>8.1f} {figures['controller_peak_KiB'] / size:>8.0f}"
            )
        rows += [f"{size:>5}  {ratio:>6.2f}  {name}" for name, ratio in each["ratios"].items()]
        rows += [f"{size:>5}  VmRSS in KiB: {each['VmRSS_KiB']}", ""]
    return "\n".join([*rows, *LINES, f"{found['runs']} runs each, by turns; {found['machine']}"])


def note(said: str) -> None:
    """Where it stands, for who waits."""
    print(said, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
