"""Systemd and OpenRC for real, on real kernels: they run the board, keep a limit, and a deployment is at home there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulated_board import EmulatedBoard, ImageOf, slot

from deploy.board_shell.framing import Framing
from deploy.board_shell.probe import parse_probe, probe_script
from deploy.model.probed import Probed

pytestmark = [pytest.mark.install_check, pytest.mark.timeout(600)]


def board_with(image_of: ImageOf, cache: Path, machine: str, land: str, **more: Any) -> Iterator[EmulatedBoard]:
    image = image_of(machine, land)
    with slot(cache):
        folder = Path(tempfile.mkdtemp(prefix="emulated-"))
        try:
            made = EmulatedBoard(folder / "board", machine, image, user_land=land, **more)
            try:
                yield made
            finally:
                made.stop()
            assert made.daemon.returncode == 0, made.words()
        finally:
            shutil.rmtree(folder)


@pytest.fixture(scope="module")
def systemd(image_of: ImageOf, emulated_cache: Path) -> Iterator[EmulatedBoard]:
    yield from board_with(image_of, emulated_cache, "arm64", "systemd", memory_kib=96 * 1024, disk_kib=128 * 1024)


@pytest.fixture(scope="module")
def openrc(image_of: ImageOf, emulated_cache: Path) -> Iterator[EmulatedBoard]:
    yield from board_with(image_of, emulated_cache, "armv7", "openrc", disk_kib=40 * 1024)


def test_systemd_is_the_first_process_and_nothing_failed(systemd: EmulatedBoard) -> None:
    assert systemd.run("readlink /proc/1/exe").out.strip() == "/usr/lib/systemd/systemd"
    waited = systemd.run("systemctl is-system-running --wait; systemctl --failed --no-legend --plain")
    assert waited.out.splitlines() == ["running"], waited.out
    assert systemd.run("cat /proc/1/comm; systemctl is-active dropbear network board").out.split() == [
        "systemd",
        *["active"] * 3,
    ]
    assert systemd.run("hostname; readlink /usr/bin/sh; ls -l /usr/bin/head | wc -l").out.split()[:2] == [
        "arm64",
        "dash",
    ]


def test_a_memory_limit_of_a_systemd_unit_is_the_kernels_and_it_kills(systemd: EmulatedBoard) -> None:
    unit = "[Service]\nExecStart=/bin/sleep 1000\nMemoryMax=16M\n"
    systemd.run(
        "cat >/run/systemd/system/held.service && systemctl daemon-reload && systemctl start held", unit.encode()
    )
    limit = systemd.run("cat /sys/fs/cgroup/system.slice/held.service/memory.max")
    assert limit.out.strip() == str(16 * 1024 * 1024)
    systemd.run("systemctl stop held")
    eats = "[Service]\nExecStart=/bin/sh -c 'x=a; while :; do x=$x$x; done'\nMemoryMax=8M\nMemorySwapMax=0\n"
    systemd.run(
        "cat >/run/systemd/system/eats.service && systemctl daemon-reload && systemctl start eats", eats.encode()
    )
    ended = systemd.run(
        "for i in 1 2 3 4 5 6 7 8 9; do systemctl is-active -q eats || break; sleep 1; done; "
        "systemctl show -p Result --value eats; systemctl reset-failed"
    )
    assert ended.out.strip() == "oom-kill"


def test_openrc_runs_the_board_and_mounted_the_cgroups(openrc: EmulatedBoard) -> None:
    services = openrc.run("for each in cgroups board network dropbear; do rc-service $each status; done 2>&1")
    assert services.out.count("started") == 4, services.out
    assert openrc.run("rc-status --runlevel").out.strip() == "default"
    assert openrc.run("cat /proc/1/comm").out.strip() == "init"
    assert "memory" in openrc.run("cat /sys/fs/cgroup/cgroup.subtree_control").out.split()


def test_openrc_sets_a_memory_limit_where_its_cgroups_are_mounted(openrc: EmulatedBoard) -> None:
    script = """#!/usr/sbin/openrc-run
supervisor=supervise-daemon
command=/bin/sleep
command_args=1000
rc_cgroup_settings='memory.max 16777216'
"""
    openrc.run("cat >/etc/init.d/held && chmod 755 /etc/init.d/held && rc-service held start", script.encode())
    assert openrc.run("cat /sys/fs/cgroup/openrc.held/memory.max").out.strip() == str(16 * 1024 * 1024)
    first = openrc.run("pidof sleep").out.split()
    again = openrc.run("kill -9 $(pidof sleep); sleep 3; pidof sleep")
    assert again.out.split() and set(again.out.split()).isdisjoint(first), "supervise-daemon starts it again"
    openrc.run("rc-service held stop; rm /etc/init.d/held")


def probed(board: EmulatedBoard) -> Probed:
    framing = Framing.new()
    said = board.run("sh", probe_script(framing).text.encode())
    assert said.status == 0, said.out
    return parse_probe(framing, said.out.encode())


def test_the_probe_names_systemd(systemd: EmulatedBoard) -> None:
    found = probed(systemd)
    assert (found.init, found.first_process, found.libc, found.busybox) == ("systemd", "systemd", "glibc", "")


def test_the_probe_names_openrc(openrc: EmulatedBoard) -> None:
    found = probed(openrc)
    assert (found.init, found.first_process, found.ssh_server) == ("openrc", "init", "dropbear")
