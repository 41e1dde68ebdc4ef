"""Service managers for real, on real kernels: they start the gateway, hold it to its limit, have it back at a boot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulated_board import ImageOf, slot
from login import run
from program import Slimdeploy

from deploy import catalogue
from deploy.emulator import emulated
from deploy.emulator.kept import KeptBoard
from deploy.emulator.machines import machine_for
from deploy.emulator.user_lands import user_land_called

pytestmark = [pytest.mark.install_check, pytest.mark.timeout(900)]

_DEPLOY_S = 550

HOSTS = {
    "systemd": ("rpi-zero-2w", "systemd", "128MiB", ""),
    "openrc": ("luckfox-pico", "openrc", "64MiB", ""),
    "busybox_init": ("milkv-duo", "busybox", "64MiB", "swap-zram"),
}
"""By the service manager: the board, its user land, its memory, and its switches."""

SAYS = {
    "systemd": (
        "readlink /proc/1/exe; systemctl is-system-running --wait; systemctl --failed --no-legend --plain; "
        "systemctl is-active dropbear network board",
        ["/usr/lib/systemd/systemd", "running", *["active"] * 3],
    ),
    "openrc": (
        "cat /proc/1/comm; rc-status --runlevel; "
        "for each in cgroups board network dropbear; do rc-service $each status; done 2>&1 | grep -c started",
        ["init", "default", "4"],
    ),
    "busybox_init": ("cat /proc/1/comm", ["init"]),
}
"""What shows that this init is the board's own and everything of it is up."""


class Host:
    """One board with an init of its own, and the program that is pointed at it."""

    def __init__(self, slimdeploy: Slimdeploy, board: str) -> None:
        self._slimdeploy = slimdeploy
        self.board = board
        self._here = ("--board", board, "--emulate")

    def run(self, command: str, *more: str) -> dict[str, object]:
        ended = self._slimdeploy(command, *self._here, *more, "--json", timeout_s=_DEPLOY_S)
        assert ended.code == 0, ended.err
        return ended.document

    def fails(self, command: str, *more: str) -> str:
        ended = self._slimdeploy(command, *self._here, *more, timeout_s=_DEPLOY_S)
        assert ended.code != 0, ended.out
        return " ".join(ended.err.split())

    def says(self, command: str, *more: str) -> str:
        ended = self._slimdeploy(command, *self._here, *more)
        assert ended.code == 0, ended.err
        return ended.out

    def status(self) -> dict[str, object]:
        ended = self._slimdeploy("status", *self._here, "--json")
        assert ended.code in (0, 3), ended.err
        return ended.document

    def runs_within(self, seconds: float) -> dict[str, object]:
        until_s = time.monotonic() + seconds
        while not (status := self.status())["running"]:
            assert time.monotonic() < until_s, "it does not come back"
            time.sleep(1)
        return status

    def cut_the_power(self) -> None:
        ended = self._slimdeploy("emulate.power-cut", "--board", self.board, timeout_s=_DEPLOY_S)
        assert ended.code == 0, ended.err

    def provision(self, *flags: str) -> dict[str, tuple[str, str]]:
        """State and detail of each wish."""
        wishes = self.run("provision", *flags)["wishes"]
        assert isinstance(wishes, list)
        return {each["name"]: (each["state"], each["detail"]) for each in wishes}

    def on_the_board(self, command: str) -> str:
        return run(self.kept(), command)

    def kept(self) -> KeptBoard:
        found = emulated.status(self.board)
        assert found is not None
        return found

    def probed(self) -> dict[str, object]:
        kept = self.kept()
        there = ("--host", f"{kept.user}@{kept.address}:{kept.port}", "--identity", str(kept.key_file))
        ended = self._slimdeploy("boards.probe", *there, "--accept-new-host-key", "--json", timeout_s=_DEPLOY_S)
        assert ended.code == 0, ended.err
        probed: dict[str, object] = ended.document["probed"]
        return probed


@pytest.fixture(params=HOSTS)
def manager(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def host(
    manager: str, private_home: Path, emulated_cache: Path, image_of: ImageOf, slimdeploy: Slimdeploy
) -> Iterator[Host]:
    board, land, memory, switches = HOSTS[manager]
    image_of(machine_for(catalogue.board(board).target).name, land)
    home = private_home / "slimdeploy"
    home.mkdir()
    (home / "cache").symlink_to(emulated_cache / "cache")
    flags = ["--user-land", land, "--memory", memory, *(["--switches", switches] if switches else [])]
    with slot(emulated_cache):
        try:
            up = slimdeploy("emulate.up", "--board", board, *flags, timeout_s=_DEPLOY_S)
            assert up.code == 0 and user_land_called(land).title in up.out, up.err
            yield Host(slimdeploy, board)
        finally:
            emulated.down(board)


def start_detail(document: dict[str, object]) -> str:
    steps = document["steps"]
    assert isinstance(steps, list)
    return str(next(step["detail"] for step in steps if step["title"] == "Start"))


def test_the_hosts_own_service_manager_keeps_the_gateway_and_its_boot_the_swap(manager: str, host: Host) -> None:
    seen_kib = int(host.kept().facts["memory that Linux sees"].removesuffix(" kB"))
    assert abs(seen_kib - int(HOSTS[manager][2].removesuffix("MiB")) * 1024) <= 2048
    command, said = SAYS[manager]
    assert host.on_the_board(command).splitlines() == said
    assert host.probed()["init"] == manager

    deployed = host.run("deploy", "--hard-limit", "16MiB", "--messages", "20")
    assert deployed["verdict"] == "PASS" and str(deployed["reason"]).startswith("live: ")
    assert "hard limit 16.0 MiB (cgroup v2)" in start_detail(deployed)
    assert f"kept running by {manager}, also after a reboot" in start_detail(deployed)
    status = host.status()
    assert (status["kept_by"], status["hard_limit_bytes"]) == (manager, 16 * 1024 * 1024)
    assert status["restarted_when_it_ends"] is True
    assert status["user"] == "picoclaw" and "of its own user picoclaw" in start_detail(deployed)
    assert host.run("deploy", "--hard-limit", "16MiB", "--no-measure")["changed"] is False

    made = host.provision("--swap", "4MiB", "--yes")
    assert made["swap"][0] == "changed" and "/slimdeploy.swap" in made["swap"][1]

    # Nobody deploys after a power cut: it is there again, by itself, under its limits, and so is the swap file.
    host.cut_the_power()
    back = host.runs_within(60)
    assert (back["sha256"], back["hard_limit_bytes"]) == (status["sha256"], 16 * 1024 * 1024)
    assert back["user"] == "picoclaw"
    swap = host.provision("--swap", "4MiB")["swap"]
    assert swap[0] == "already" and "until its next start" not in swap[1]

    # A limit that is too small is found, and what ran before runs again, under the limit of before.
    error = host.fails("deploy", "--hard-limit", "512KiB", "--no-measure")
    assert "hard limit of 512.0 KiB" in error and "is back and runs" in error, error
    assert host.status()["hard_limit_bytes"] == 16 * 1024 * 1024

    assert "nothing runs" in host.says("stop")
    assert host.status()["running"] is False
    assert "process" in host.says("start")
    assert host.status()["running"] is True
    assert host.says("logs", "--lines", "5").count("\n") >= 5

    # Another manager takes over, and nothing is left of the first one's.
    detached = host.run("deploy", "--service", "detached", "--user", "root", "--no-measure")
    assert "not after a reboot" in start_detail(detached)
    assert (host.status()["kept_by"], host.status()["user"]) == ("detached", "root")
    assert host.provision("--swap", "off", "--yes")["swap"] == ("changed", "no swap on its storage")
    assert host.on_the_board("grep -rl slimdeploy.swap /etc || true") == ""
    if manager == "busybox_init":  # the others' boots take too long for a second one
        changes_its_zram(host)  # it starts with some that is none of ours
        host.cut_the_power()
        assert host.status()["running"] is False
        assert host.provision("--swap", "off")["swap"][0] == "already"
    again = host.run("deploy", "--no-measure")
    assert f"kept running by {manager}" in start_detail(again)

    assert "is gone" in host.says("uninstall")
    assert "no gateway is installed" in host.fails("status")
    # Nothing would start it at the next boot: no unit, no script, no link to one.
    assert host.on_the_board("find /etc /opt -name '*picoclaw*' 2>/dev/null") == ""


def changes_its_zram(host: Host) -> None:
    assert host.provision("--zram", "8MiB")["zram"][0] == "already"
    assert host.provision("--zram", "off", "--yes")["zram"] == ("changed", "no swap in compressed memory")
    smaller = host.provision("--zram", "8MiB", "--yes")["zram"]
    assert smaller[0] == "changed" and "/dev/zram0 (8,1" in smaller[1]
