"""Times the push of a changed binary over Dropbear against `gzip -c FILE | ssh HOST 'gunzip >FILE'`, on one server.

Both begin without a connection and end with the whole binary on the board. Ours hashes it there as well, runs it once,
and has it on the storage. By turns; a push of what changed alone is timed too. The script asserts nothing: read the
figures. It wants root (a mount namespace keeps Dropbear from your ~/.ssh), dropbear, and the ssh command.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

VERSIONS = ("0.0.1", "0.0.22")
"""Of two lengths: a version of the same length changes next to nothing."""


def main() -> int:
    """Parse the flags, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="how often each is timed (default: 9)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slimdeploy-bench-") as folder:
        found = measure(Path(folder), options.runs)
    print(json.dumps(found, indent=2) if options.json else text(found))
    return 0


def measure(folder: Path, runs: int) -> dict[str, object]:
    """All three by turns on one Dropbear; what arrived is held against what was sent each time."""
    from servers import Server, dropbear

    from deploy import catalogue, delta
    from deploy.build import build
    from deploy.bundled import gateway_folder
    from deploy.delta import difference
    from deploy.model.gateway_config import GatewayConfig
    from deploy.model.limits import Limits
    from deploy.model.secret import Secret
    from deploy.model.source import Source
    from deploy.once import Once
    from deploy.report.silent import Silent
    from deploy.steps import push
    from deploy.steps.face import Job, Plan
    from deploy.steps.preflight import Preflight
    from deploy.toolchain import find
    from deploy.transport import packing, ssh

    target = catalogue.board("local").target
    source = Source(gateway_folder(), tags=("telegram", "smallbuf"))
    old, new = (build(source, target, version, find()) for version in VERSIONS)
    patch = difference(old.path, new.path, find())
    (folder / "server").mkdir()
    board = replace(catalogue.board("local"), connection="ssh", prefix=str(folder / "board"))
    plan = Plan(
        board, source, Limits(), GatewayConfig(Secret(b"1:" + b"x" * 35)), board.prefix, command=None, ca="full"
    )

    def ours(server: Server, base: bool) -> float:
        """A connection and the push; the facts that Preflight would find are known, as after its round trip."""
        packing._KEPT.clear()  # hosts of a fleet share these; a command for one board makes them
        delta._MADE = Once()
        began_s = time.perf_counter()
        with closing(ssh.connect(server.host, identity=Path(server.key))) as transport:
            job = Job(plan, transport, facts=facts, artifact=new)
            if not base:
                job.facts = replace(facts, installed=replace(facts.installed, current=""))
            push.Push().run(job, Silent())
            seconds = time.perf_counter() - began_s
            whole(job.layout.binary(new.release_id))
            transport.run(job.lock.release(job.layout))
        return seconds

    def theirs(server: Server) -> float:
        there = folder / "board" / "theirs"
        login = (
            f"ssh -q -i {shlex.quote(server.key)} -p {server.host.port} -o UserKnownHostsFile={server.host.known_hosts}"
        )
        command = f"gzip -c {shlex.quote(str(new.path))} | {login} {server.host.user}@127.0.0.1 'gunzip >{there}'"
        began_s = time.perf_counter()
        subprocess.run(command, shell=True, check=True, timeout=60)
        seconds = time.perf_counter() - began_s
        whole(str(there))
        return seconds

    def whole(path: str) -> None:
        if hashlib.sha256(Path(path).read_bytes()).hexdigest() != new.sha256:
            sys.exit(f"{path} did not arrive whole")
        Path(path).unlink()

    with dropbear(folder / "server") as server:
        with closing(ssh.connect(server.host, identity=Path(server.key))) as transport:
            job = Job(plan, transport, artifact=old)
            Preflight().run(job, Silent())
            push.Push().run(job, Silent())
            held = {old.release_id: old.sha256}
            facts = replace(job.known, installed=replace(job.known.installed, current=old.release_id, releases=held))
            transport.run(job.lock.release(job.layout))
        timed: dict[str, Callable[[], float]] = {
            "slimdeploy, all of it": lambda: ours(server, base=False),
            "gzip | ssh gunzip": lambda: theirs(server),
            "slimdeploy, what changed": lambda: ours(server, base=True),
        }
        seconds: dict[str, list[float]] = {name: [] for name in timed}
        for number in range(runs + 1):
            for name, run in timed.items():
                took_s = run()
                if number:  # the first round fills caches
                    seconds[name].append(took_s)
    middle = {name: statistics.median(each) for name, each in seconds.items()}
    return {
        "binary_bytes": new.size_bytes,
        "patch_bytes": len(patch),
        "runs": runs,
        "seconds": {name: [min(each), middle[name], max(each)] for name, each in seconds.items()},
        "ratio": middle["slimdeploy, all of it"] / middle["gzip | ssh gunzip"],
        "ratio_of_what_changed": middle["slimdeploy, what changed"] / middle["gzip | ssh gunzip"],
        "machine": f"{platform.machine()}, {platform.platform(terse=True)}, Python {platform.python_version()}",
    }


def text(found: dict[str, object]) -> str:
    """The figures as a table, and the ratios that the goal is about."""
    lines = [f"{found['binary_bytes']:,} bytes, {found['runs']} runs each, {found['machine']}", ""]
    lines.append(f"{'seconds':28}{'min':>8}{'median':>8}{'max':>8}")
    seconds = found["seconds"]
    assert isinstance(seconds, dict)
    for name, figures in seconds.items():
        lines.append(f"{name:28}" + "".join(f"{figure:8.3f}" for figure in figures))
    lines += ["", f"all of it, against gzip | ssh: {found['ratio']:.2f} (goal: at most 1.15)"]
    lines.append(f"what changed ({found['patch_bytes']:,} bytes), against it: {found['ratio_of_what_changed']:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
