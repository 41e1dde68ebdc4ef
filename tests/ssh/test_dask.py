"""Past one controller: workers of a Dask cluster over TLS, one of them killed in mid-wave, and no host is lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import deeds_for_workers
import pytest
from dask_cluster import Cluster, dask_cluster
from program import Slimdeploy
from servers import descendants, free_port
from ssh_fleet import SshFleet, ssh_fleet

from deploy import deployments
from deploy.errors import BadCluster
from deploy.fleet.parcels import Parcel, of_file
from deploy.fleet.pool import each_of
from deploy.history import Wanted, find
from deploy.model.fleet import Member
from deploy.model.host import Host
from deploy.model.rollout import State

pytestmark = pytest.mark.install_check

NAMES = ("h1", "h2", "h3", "h4")
"""Their tokens are only in the homes of the workers."""

GIVE_TOKEN = """\
#!/bin/sh
# The first time on the worker that is to die, it waits there: the hosts of that worker are in the midst of it.
echo "$PPID $$" >"{asked}/$(basename "$HOME")-$1"
[ "$(basename "$HOME")" != doomed ] || exec sleep 300
exec cat "$HOME/tokens/$1"
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with dask_cluster(folder) as made:
        yield made


@pytest.fixture
def certified(cluster: Cluster) -> Iterator[None]:
    """This process is a client that the scheduler lets in."""
    import dask

    prefix = "DASK_"
    found = {name.removeprefix(prefix).replace("__", ".").lower(): value for name, value in cluster.tls.items()}
    with dask.config.set(found):
        yield


def _until(look: Callable[[], bool], within_s: float = 60.0) -> None:
    until = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def _holds(process: subprocess.Popen[bytes], secrets: list[bytes]) -> bool:
    """Whether any of them stands in the memory of a process of ours (proc_pid_mem(5))."""
    maps = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
    with Path(f"/proc/{process.pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            begin, end = (int(part, 16) for part in span.split("-"))
            if rights.startswith("rw"):
                with suppress(OSError):  # a page that the kernel keeps to itself
                    memory.seek(begin)
                    content = memory.read(end - begin)
                    if any(secret in content for secret in secrets):
                        return True
    return False


def _release_files(home: Path) -> list[Path]:
    return sorted((home / "slimdeploy" / "cache" / "artifacts").glob("*/picoclaw"))


@pytest.mark.usefixtures("gateway_is_built")
def test_a_worker_that_is_killed_in_mid_wave_loses_no_host_and_no_secret_leaves_the_workers(
    cluster: Cluster, slimdeploy: Slimdeploy, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    asked.mkdir()
    command = tmp_path / "give-token"
    command.write_text(GIVE_TOKEN.format(asked=asked))
    command.chmod(0o755)
    folder = tmp_path / "fleet"
    folder.mkdir()
    with ssh_fleet(slimdeploy, folder, NAMES) as fleet:
        for number, name in enumerate(NAMES):
            fleet.own[name] = {"site": "hall-1"} if number % 2 else {}
        fleet.write({"token_command": f"{command} {{name}}"})
        _without(fleet, "token_file")
        for worker in ("doomed", "other"):
            cluster.worker(worker, site="hall-1")
            kept = cluster.home(worker) / "tokens"
            kept.mkdir(mode=0o700)
            for name, token in zip(NAMES, fleet.tokens(), strict=True):
                (kept / name).write_text(token + "\n")
                (folder / "tokens" / name).unlink(missing_ok=True)
        cluster.wait_for("doomed", "other")
        where = ("--inventory", str(fleet.inventory), "--scheduler", cluster.address)

        with slimdeploy.start("fleet.deploy", *where, "--json", env=cluster.tls) as rollout:
            try:
                _until(lambda: bool(list(asked.glob("doomed-*"))) or rollout.poll() is not None, 120)
                assert rollout.poll() is None, rollout.communicate()
                first = [path.read_text().split() for path in asked.glob("doomed-*")]
                assert {int(parent) for parent, _ in first} == {cluster.processes["doomed"].pid}
                cluster.processes["doomed"].kill()
                out, err = rollout.communicate(timeout=180)
            except BaseException:
                rollout.kill()
                raise
            finally:
                for path in asked.glob("doomed-*"):
                    with suppress(ProcessLookupError):
                        os.kill(int(path.read_text().split()[1]), signal.SIGKILL)
        assert rollout.returncode == 0, (out, err, cluster.log("scheduler")[-3000:])
        hosts = {each["member"]: each for each in json.loads(out)["hosts"]}
        assert {each["state"] for each in hosts.values()} == {"deployed"} and set(hosts) == set(NAMES)
        assert {each["verdict"] for each in hosts.values()} == {"PASS"}
        again = {path.name.partition("-")[2] for path in asked.glob("other-*")}
        assert again == set(NAMES), "every host ended on the worker that lives"

        # What the deployments leave is the controller's: records, readings, the rollout.
        for name in NAMES:
            record = deployments.recall("thisboard", hosts[name]["host"])
            assert record is not None and record.sha256.startswith(fleet.current(name)), name
        assert len(find(Wanted())) == len(NAMES)
        home = cluster.home("other")
        assert not (home / "slimdeploy" / "state").exists() and not (home / "slimdeploy" / "data").exists()
        assert len(_release_files(home)) == 1, "the binary came once"

        secrets = [token.encode() for token in fleet.tokens()]
        assert not _holds(cluster.processes["scheduler"], secrets)
        for text in (out, err, cluster.log("scheduler"), cluster.log("other"), cluster.log("doomed")):
            assert not any(token in text for token in fleet.tokens())

        read = slimdeploy("fleet.memory", *where, "--json", env=cluster.tls)
        assert read.code == 0, (read.out, read.err)
        assert {each["verdict"] for each in read.document["hosts"]} == {"PASS"}
        assert all(each["document"]["circumstances"]["version"] for each in read.document["hosts"]), "by the record"
        assert len(find(Wanted())) == 2 * len(NAMES)


def _without(fleet: SshFleet, setting: str) -> None:
    lines = [line for line in fleet.inventory.read_text().splitlines() if not line.startswith(f"{setting} = ")]
    fleet.inventory.write_text("\n".join(lines) + "\n")


def _members(*sites: str) -> list[Member]:
    return [Member(f"m{number}", Host("192.0.2.1", port=number + 1), site=site) for number, site in enumerate(sites)]


@pytest.mark.usefixtures("certified")
def test_hosts_go_to_workers_of_their_site_and_come_back_where_nobody_is_left(cluster: Cluster, tmp_path: Path) -> None:
    from deploy.fleet.workers import connected

    for name, site in (("north", "north"), ("south", "south"), ("any", "")):
        cluster.worker(name, site=site)
    cluster.wait_for("north", "south", "any")
    pids = {name: process.pid for name, process in cluster.processes.items()}
    with connected(cluster.address, lost_s=2) as workers:
        with pytest.raises(BadCluster, match=r"stands at the site of these hosts: attic \(m1\)"):
            workers.check(_members("north", "attic"))
        workers.check(_members("north", "south", ""))
        found = {}
        for result in each_of(_members("north", "south", "", "north"), deeds_for_workers.who, workers, 4):
            found[result.member] = (result.document or {})["pid"]
        assert (found["m0"], found["m1"], found["m3"]) == (pids["north"], pids["south"], pids["north"])

        ca = tmp_path / "ca.pem"
        ca.write_text("-----BEGIN CERTIFICATE-----\n")
        parcel = of_file(ca)
        workers.deliver([parcel])
        for name in ("north", "south", "any"):
            there = cluster.home(name) / "slimdeploy" / "cache" / parcel.place
            assert there.read_bytes() == ca.read_bytes()
        with pytest.raises(BadCluster, match="is not what was sent"):
            workers.deliver([Parcel("parcels/x", "00" * 32, b"something else")])

        # One that dies in mid-wave: its host is done once more. One whose site is empty then is given up.
        begun = tmp_path / "begun"
        begun.mkdir()
        cluster.worker("south-2", site="south")
        cluster.wait_for("south-2")
        slowly = partial(deeds_for_workers.once_slowly, str(begun))
        killer = threading.Thread(target=_kill_who_began, args=(begun, 2))
        killer.start()
        results = {result.member: result for result in each_of(_members("south", "north"), slowly, workers, 2)}
        killer.join()
        assert results["m0"].state is State.UNCHANGED and (results["m0"].document or {})["pid"] in _alive(cluster)
        assert results["m1"].state is State.UNREACHABLE and "stands at north" in results["m1"].problem
        # A deed that takes every worker with it ends as well.
        (lost,) = each_of(_members("south"), deeds_for_workers.dies, workers, 1)
        assert lost.state is State.UNREACHABLE and lost.exit_code == 4, lost
        assert not workers.lost

        cluster.processes["scheduler"].kill()
        _until(lambda: next(iter(each_of(_members(""), deeds_for_workers.who, workers, 1))).state is State.UNREACHABLE)
        _until(lambda: workers.lost)


def _kill_who_began(begun: Path, count: int) -> None:
    _until(lambda: sum(bool(path.read_text()) for path in begun.iterdir()) == count)
    for path in begun.iterdir():
        os.kill(int(path.read_text()), signal.SIGKILL)


def _alive(cluster: Cluster) -> list[int]:
    return [process.pid for process in cluster.processes.values() if process.poll() is None]


@pytest.mark.usefixtures("gateway_is_built")
def test_ctrl_c_lets_hosts_on_workers_of_this_machine_come_to_their_end_and_threads_go_on(
    slimdeploy: Slimdeploy, tmp_path: Path
) -> None:
    command = tmp_path / "give-token"
    command.write_text(f'#!/bin/sh\ntouch "{tmp_path}/asked-$1"\nwhile [ ! -e "{tmp_path}/go" ]; do sleep 0.05; done\n'
                       f'exec cat "{tmp_path}/fleet/tokens/$1"\n')  # fmt: skip
    command.chmod(0o755)
    folder = tmp_path / "fleet"
    folder.mkdir()
    with ssh_fleet(slimdeploy, folder, ("first", "second")) as fleet:
        fleet.write({"token_command": f"{command} {{name}}"})
        _without(fleet, "token_file")
        flags = ("--inventory", str(fleet.inventory), "--local-cluster", "1", "--at-once", "1", "--no-measure")
        rollout = subprocess.Popen(
            [sys.executable, "-m", "deploy", "fleet.deploy", *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=slimdeploy.environment(),
            start_new_session=True,  # a group of its own, as a terminal's
        )
        try:
            _until(lambda: (tmp_path / "asked-first").exists() or rollout.poll() is not None)
            os.killpg(rollout.pid, signal.SIGINT)
            time.sleep(0.3)
            (tmp_path / "go").touch()
            out, err = rollout.communicate(timeout=60)
        finally:
            for pid in descendants(rollout.pid) if rollout.poll() is None else []:
                os.kill(pid, signal.SIGKILL)
        assert rollout.returncode == 130 and "Traceback" not in err, (out, err)
        assert fleet.current("first") and not fleet.current("second"), (out, err)
        (begun,) = fleet("rollouts", "--json").document["rollouts"]
        resumed = fleet("resume", begun["id"], "--json")
        assert resumed.code == 0, (resumed.out, resumed.err)
        states = {each["member"]: each["state"] for each in resumed.document["hosts"]}
        assert states == {"first": "deployed", "second": "deployed"}


def test_a_scheduler_that_is_not_there_is_said_in_a_sentence_before_any_host_is_touched(slimdeploy: Slimdeploy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody_asks:
        nobody_asks.setblocking(False)
        host = f"root@127.0.0.1:{nobody_asks.getsockname()[1]}"
        scheduler = f"tcp://127.0.0.1:{free_port()}"
        ended = slimdeploy("fleet.memory", "--inventory", host, "--scheduler", scheduler)
        assert ended.code == 2 and f"the scheduler at {scheduler} can't be reached" in ended.err, ended.err
        assert "cure: Is a scheduler up there" in ended.err and "Traceback" not in ended.err
        with pytest.raises(BlockingIOError):
            nobody_asks.accept()
