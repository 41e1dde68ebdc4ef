"""Times a deployment that changes nothing against pyinfra with two files that have not changed, on one SSH server.

Run it from a checkout that is installed (`make bench` does all of it). It brings a loopback board up in a temporary
folder, deploys once, and then times both programs by turns, as whole processes. It asserts nothing: read the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

PYINFRA = "pyinfra>=3.10,<3.11"


def main() -> int:
    """Parse the flags, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="how often each program is timed (default: 9)")
    parser.add_argument("--pyinfra", type=Path, help="a pyinfra command to use instead of installing one")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    # Both programs run as an installed one does: from bytecode. (Without it a checkout is compiled anew at each start.)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="slimdeploy-bench-") as folder:
        os.environ["SLIMDEPLOY_HOME"] = str(Path(folder) / "home")
        pyinfra = options.pyinfra or install_pyinfra(Path(folder))
        found = measure(Path(folder), pyinfra, options.runs)
    print(json.dumps(found, indent=2) if options.json else text(found))
    return 0


def install_pyinfra(folder: Path) -> Path:
    """A pyinfra of its own, so that neither program's dependencies bend the other's."""
    print(f"installing {PYINFRA} into a temporary environment", file=sys.stderr)
    venv.create(folder / "pyinfra", with_pip=True)
    command = [str(folder / "pyinfra/bin/pip"), "install", "--quiet", "--disable-pip-version-check", PYINFRA]
    if subprocess.run(command, check=False).returncode != 0:
        sys.exit("pip can't install pyinfra here; name one that is installed: --pyinfra PATH")
    return folder / "pyinfra/bin/pyinfra"


def measure(folder: Path, pyinfra: Path, runs: int) -> dict[str, object]:
    """Both programs by turns on one loopback board; every run is held against having changed nothing."""
    from deploy.emulator import loopback

    ours = [sys.executable, "-m", "deploy", "deploy", "--board", "local", "--no-measure", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    try:
        subprocess.run(ours, env=environment, check=True, capture_output=True)
        board = loopback.status("local")
        assert board is not None
        theirs = pyinfra_command(folder, board, pyinfra)
        subprocess.run(theirs, cwd=folder, check=True, capture_output=True)
        times: dict[str, list[float]] = {"slimdeploy": [], "pyinfra": [], "slimdeploy --list": []}
        document: dict[str, object] = {}
        for _ in range(runs):
            seconds, ended = timed(ours, folder, environment)
            document = json.loads(ended.stdout)
            if document["changed"]:
                sys.exit("a deployment changed something: this is no comparison")
            times["slimdeploy"].append(seconds)
            seconds, ended = timed(theirs, folder, dict(os.environ))
            if b"No changes" not in ended.stdout + ended.stderr and b"Changed: 0" not in ended.stdout + ended.stderr:
                said = (ended.stdout + ended.stderr).decode("utf-8", "replace")
                if "2" not in said:  # pyinfra's summary: hosts, success, no change
                    sys.exit(f"pyinfra did not say that nothing changed:\n{said}")
            times["pyinfra"].append(seconds)
            times["slimdeploy --list"].append(timed([sys.executable, "-m", "deploy", "--list"], folder, environment)[0])
    finally:
        loopback.down("local")
    ratio = statistics.median(times["slimdeploy"]) / statistics.median(times["pyinfra"])
    return {
        "seconds": {
            name: {"min": min(found), "median": statistics.median(found), "max": max(found)}
            for name, found in times.items()
        },
        "ratio_of_medians": ratio,
        "runs": runs,
        "round_trips": document["round_trips_before_measure"],
        "steps_s": {step["title"]: round(step["seconds"], 4) for step in document["steps"]},  # type: ignore[attr-defined]
        "machine": {
            "CPUs": os.cpu_count(),
            "kernel": platform.release(),
            "Python": platform.python_version(),
            "paramiko": version("paramiko"),
            "fabric": version("fabric"),
        },
    }


def pyinfra_command(folder: Path, board: object, pyinfra: Path) -> list[str]:
    """pyinfra's inventory and two `files.put`: the gateway's binary and a config, under names of their own."""
    binary = next(board.home.glob(".picoclaw/releases/*/picoclaw"))  # type: ignore[attr-defined]
    shutil.copy(binary, folder / "binary")
    (folder / "config").write_text("{}\n")
    known_hosts = str(board.known_hosts_file)  # type: ignore[attr-defined]
    data = {
        "ssh_user": board.user,  # type: ignore[attr-defined]
        "ssh_port": board.port,  # type: ignore[attr-defined]
        "ssh_key": str(board.key_file),  # type: ignore[attr-defined]
        "ssh_known_hosts_file": known_hosts,
        "ssh_look_for_keys": False,
        "ssh_allow_agent": False,
    }
    (folder / "inventory.py").write_text(f"boards = [({board.address!r}, {data!r})]\n")  # type: ignore[attr-defined]
    (folder / "put.py").write_text(
        "from pyinfra.operations import files\n"
        "files.put(name='binary', src='binary', dest='theirs/binary', mode='755')\n"
        "files.put(name='config', src='config', dest='theirs/config', mode='600')\n"
    )
    return [str(pyinfra), "-y", "inventory.py", "put.py"]


def timed(
    command: list[str], folder: Path, environment: dict[str, str]
) -> tuple[float, subprocess.CompletedProcess[bytes]]:
    """How long the whole process took, and what it said. Ends the program where it failed."""
    began = time.perf_counter()
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    seconds = time.perf_counter() - began
    if ended.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{ended.stdout.decode()}\n{ended.stderr.decode()}")
    return seconds, ended


def text(found: dict[str, object]) -> str:
    """The figures for people."""
    rows = [f"{'seconds':<20} {'min':>7} {'median':>7} {'max':>7}"]
    for name, each in found["seconds"].items():  # type: ignore[attr-defined]
        rows.append(f"{name:<20} {each['min']:7.3f} {each['median']:7.3f} {each['max']:7.3f}")
    rows.append(f"ratio of the medians: {found['ratio_of_medians']:.2f} (the goal is 0.5 or less)")
    rows.append(f"round trips of slimdeploy: {found['round_trips']}; steps: {found['steps_s']}")
    rows.append(f"{found['runs']} runs each, by turns; {found['machine']}")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
