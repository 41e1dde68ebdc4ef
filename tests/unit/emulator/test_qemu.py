"""QEMU is told to keep the guest to itself, and what each start brings is read back by those who read it on a board."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.emulator import qemu
from deploy.emulator.machines import MACHINES, Machine, machine_called
from deploy.emulator.switches import Switches
from deploy.errors import Unsupported


def command(machine: Machine, flash: Path = Path("/b/flash.img")) -> list[str]:
    return qemu.arguments(
        machine,
        f"/usr/bin/{machine.program}",
        kernel=Path("/i/kernel"),
        initrd=Path("/b/initrd"),
        flash=flash,
        memory_kib=64 * 1024,
        ssh_port=20022,
    )


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_guest_has_one_restricted_network_and_one_port_of_127_0_0_1_leads_in(machine: Machine) -> None:
    argv = command(machine)
    networks = [argv[at + 1] for at, each in enumerate(argv) if each in ("-netdev", "-nic", "-net")]
    assert networks == ["user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:20022-:22"]
    assert argv[argv.index("-m") + 1] == "64M"


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_nothing_else_of_qemu_listens_or_is_read(machine: Machine) -> None:
    argv = command(machine)
    assert {"-nodefaults", "-no-user-config", "-no-reboot"} <= set(argv)
    assert (argv[argv.index("-monitor") + 1], argv[argv.index("-display") + 1]) == ("none", "none")
    assert not {"-vnc", "-spice", "-gdb", "-s", "-qmp", "-chardev", "-virtfs", "-fsdev"} & set(argv)


def test_a_comma_in_a_folders_name_stays_in_the_name() -> None:
    argv = command(machine_called("riscv64"), Path("/b/mine,readonly=on/flash.img"))
    assert argv[argv.index("-drive") + 1].startswith("file=/b/mine,,readonly=on/flash.img,format=raw,")


def test_a_missing_qemu_is_named_with_the_package_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match=r"no qemu-system-mipsel; install it: apt-get install qemu-system-mips$"):
        qemu.program_of(machine_called("mipsle"))


words = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20)


@settings(max_examples=25, deadline=None)
@given(st.lists(words, max_size=3), words)
def test_a_real_shell_reads_the_switches_as_they_were_meant(without: list[str], cgroup: str) -> None:
    text = Switches(without=tuple(without), cgroup=cgroup, flash_left_kib=16384).text(1_700_000_000)
    script = text + b'printf "%s\\0" "$without" "$cgroup" "$flash_left_kib" "$clock_s" "$tmp_options" "$ca_bundle"\n'
    said = subprocess.run(["sh"], input=script, capture_output=True, check=True, timeout=30)
    expected = (" ".join(without), cgroup, "16384", "1700000000", "exec", "1", "")
    assert said.stdout.decode().split("\0") == list(expected)


def test_each_switch_changes_its_own_line() -> None:
    plain = Switches().text(5).decode().splitlines()
    changed = {
        "tmp_options=noexec": Switches(tmp_noexec=True),
        "ca_bundle=0": Switches(ca_bundle=False),
        "clock_s=3600": Switches(clock_at_1970=True),
        "without='sha256sum gunzip'": Switches(without=("sha256sum", "gunzip")),
        "cgroup=''": Switches(cgroup=""),
        "swap=zram": Switches(swap_on_zram=True),
        "flash_left_kib=16384": Switches(flash_left_kib=16384),
    }
    for line, switches in changed.items():
        assert line not in plain
        assert line in switches.text(5).decode().splitlines()


def test_switches_come_back_from_json_values() -> None:
    assert Switches.read({}) == Switches()
    assert Switches.read({"without": ["gunzip"], "cgroup": "v1"}) == Switches(without=("gunzip",), cgroup="v1")
    with pytest.raises(TypeError):
        Switches.read({"unheard_of": True})


def test_keys_in_the_settings_are_for_root_alone() -> None:
    packed = qemu.settings_archive("duo", "ssh-ed25519 AAAA", b"host key", Switches().text(7))
    data = gzip.decompress(packed)
    assert packed == qemu.settings_archive("duo", "ssh-ed25519 AAAA", b"host key", Switches().text(7))
    for name in (b"authorized_keys", b"dropbear_ed25519_host_key"):
        header = data[data.index(b"settings/" + name + b"\0") - 110 :]
        assert int(header[14:22], 16) == 0o100600


@pytest.mark.install_check
def test_dropbear_reads_its_host_key(tmp_path: Path) -> None:
    if shutil.which("dropbearkey") is None:
        pytest.skip("this machine has no dropbearkey; install it: apt-get install dropbear-bin")
    key = Ed25519PrivateKey.generate()
    private, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    (tmp_path / "key").write_bytes(qemu.dropbear_host_key(private, public))
    said = subprocess.run(
        ["dropbearkey", "-y", "-f", str(tmp_path / "key")], capture_output=True, text=True, check=True, timeout=30
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    ours = asyncssh.import_private_key(pem).export_public_key("openssh").decode().split()[1]
    assert ours in said.stdout.split()
