"""User lands: what they keep of packages, which files of ours they add, and what they refuse, with the cure."""

from __future__ import annotations

import stat

import pytest
from cpio import Entry, entries

from deploy.emulator.archive import Archive
from deploy.emulator.switches import Switches
from deploy.emulator.user_lands import BUSYBOX, OPENRC, SYSTEMD, USER_LANDS, UserLand, user_land_called
from deploy.errors import UsageError

PLENTY_KIB = 1024 * 1024


def own(land: UserLand) -> dict[str, Entry]:
    """The files and links that are ours, by path."""
    archive = Archive()
    land.add_own(archive, "system")
    return {entry.path: entry for entry in entries(archive.data())}


def test_an_unknown_name_is_answered_with_all_that_there_are() -> None:
    assert user_land_called("openrc") is OPENRC
    with pytest.raises(UsageError, match=r"--user-land takes busybox, openrc, systemd, and not 'runit'"):
        user_land_called("runit")


@pytest.mark.parametrize("land", USER_LANDS.values(), ids=USER_LANDS)
def test_every_script_of_ours_can_be_run_and_says_by_what(land: UserLand) -> None:
    files = [entry for entry in own(land).values() if stat.S_ISREG(entry.mode)]
    assert "system/etc/passwd" in {entry.path for entry in files}
    for entry in files:
        assert bool(entry.mode & 0o111) == entry.data.startswith(b"#!"), entry.path
        assert entry.mode & 0o022 == 0, entry.path


@pytest.mark.parametrize(
    ("land", "started_by"), [(OPENRC, "etc/runlevels"), (SYSTEMD, ".target.wants/")], ids=["openrc", "systemd"]
)
def test_every_service_of_ours_is_there_and_is_started(land: UserLand, started_by: str) -> None:
    found = own(land)
    for name in ("board", "network", "dropbear"):
        starts = [
            each for path, each in found.items() if started_by in path and path.endswith((name, f"{name}.service"))
        ]
        assert len(starts) == 1, name
        service = starts[0].data.decode().rpartition("/")[2]
        assert any(path.endswith(f"/{service}") and stat.S_ISREG(each.mode) for path, each in found.items()), name


def test_what_a_running_system_never_opens_is_left_out() -> None:
    assert not any(map(SYSTEMD.keep, ("usr/share/man/man1/ls.1.gz", "usr/lib/udev/hwdb.d/20-usb.hwdb", "var/lib/x")))
    assert all(map(SYSTEMD.keep, ("usr/bin/systemctl", "usr/lib/systemd/systemd", "usr/bin/sha256sum")))
    assert not any(map(BUSYBOX.keep, ("usr/bin/openssl", "usr/share/doc/x", "usr/lib/rc/sh/init.sh")))
    assert all(map(OPENRC.keep, ("usr/lib/rc/sh/init.sh", "usr/sbin/supervise-daemon", "usr/bin/busybox")))


@pytest.mark.parametrize("switches", [Switches(cgroup="v1"), Switches(cgroup="")], ids=["v1", "none"])
def test_systemd_is_refused_without_cgroup_v2(switches: Switches) -> None:
    with pytest.raises(UsageError, match=r"Debian with systemd starts with cgroup v2 alone"):
        SYSTEMD.refuse(switches, PLENTY_KIB, PLENTY_KIB)
    OPENRC.refuse(switches, PLENTY_KIB, PLENTY_KIB)


def test_too_small_a_memory_or_flash_is_refused_with_what_it_takes() -> None:
    with pytest.raises(UsageError, match=r"takes 96 MiB of memory or more.*--memory 96MiB"):
        SYSTEMD.refuse(Switches(), 64 * 1024, PLENTY_KIB)
    with pytest.raises(UsageError, match=r"a flash of 80 MiB or more \(--disk 80MiB\)"):
        SYSTEMD.refuse(Switches(), PLENTY_KIB, 32 * 1024)
    SYSTEMD.refuse(Switches(), 96 * 1024, SYSTEMD.disk_kib)
    BUSYBOX.refuse(Switches(), 0, BUSYBOX.disk_kib)
