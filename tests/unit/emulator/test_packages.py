"""A real APT fetches from an archive of the test's own on 127.0.0.1, and takes nothing without the key's word."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from debian_archive import DebianArchive, Signer, signer

from deploy.emulator import packages
from deploy.emulator.packages import MIRROR_VARIABLE, Packages, contents, packages_for
from deploy.errors import ImageFailed, Unsupported

KERNEL = "linux-image-6.12.1-riscv64"


def need(*programs: str) -> None:
    owners = {"apt-get": "apt", "dpkg-deb": "dpkg", "gpg": "gnupg"}
    if missing := [program for program in programs if shutil.which(program) is None]:
        pytest.skip(
            f"this machine has no {' and no '.join(missing)}; install it: "
            f"apt-get install {' '.join(owners[program] for program in missing)}"
        )


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def key() -> Iterator[Signer]:
    need("apt-get", "dpkg-deb", "gpg")
    with signer() as made:
        yield made


@pytest.fixture
def archive(tmp_path: Path, key: Signer) -> DebianArchive:
    """A kernel with its meta package, and a program that needs a library; nothing published yet."""
    made = DebianArchive(tmp_path / "debian", "riscv64")
    made.add(KERNEL, {"boot/vmlinux-6.12.1-riscv64": b"a kernel" * 1000})
    made.add("linux-image-riscv64", {}, Depends=f"{KERNEL} (= 1.0-1)")
    made.add("dropbear-bin", {"usr/sbin/dropbear": b"a server"}, Depends="libc6", Recommends="manpages")
    made.add("libc6", {"usr/lib/libc.so.6": b"a library"})
    made.add("manpages", {"usr/share/man/man1/dropbear.1": b"a page"})
    return made


@pytest.fixture
def mirror(archive: DebianArchive, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The archive's address; no proxy of this machine is between it and APT."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = functools.partial(Quiet, directory=str(archive.folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def trixie(mirror: str, tmp_path: Path, key: Signer) -> Packages:
    """Debian's packages as this machine's cache holds them; the folder's name has a space."""
    return Packages(tmp_path / "the cache" / ".apt-riscv64", "trixie", "riscv64", mirror, key.keyring)


def indexes(found: Packages) -> list[str]:
    return [path.name for path in found.folder.rglob("*Packages*") if path.is_file()]


pytestmark = pytest.mark.install_check


def test_packages_and_all_that_they_need_are_fetched_and_nothing_more(
    archive: DebianArchive, trixie: Packages, key: Signer, tmp_path: Path
) -> None:
    archive.publish("trixie", "trixie", key)
    trixie.update()
    assert trixie.kernel_of("linux-image-riscv64") == KERNEL
    assert sorted(trixie.closure(["dropbear-bin"])) == ["dropbear-bin", "libc6"]
    seen: list[tuple[int, int]] = []
    files = trixie.download([KERNEL, "dropbear-bin", "libc6"], tmp_path / "into", lambda *far: seen.append(far))
    assert [path.name.partition("_")[0] for path in files] == ["dropbear-bin", "libc6", KERNEL]
    for path in files:
        assert path.read_bytes() == (archive.folder / "pool" / path.name).read_bytes()
    assert all(0 <= done <= total == 1000 for done, total in seen)
    assert seen == sorted(seen)


def test_a_release_that_another_key_signed_is_not_taken(
    archive: DebianArchive, trixie: Packages, tmp_path: Path
) -> None:
    with signer() as stranger:
        archive.publish("trixie", "trixie", stranger)
        archive.publish("stable", "trixie", stranger)
    with pytest.raises(ImageFailed, match="lists of Debian trixie for riscv64 can't be fetched") as refused:
        trixie.update()
    assert "NO_PUBKEY" in refused.value.log or "signature" in refused.value.log.lower()
    assert indexes(trixie) == []
    with pytest.raises(ImageFailed):
        trixie.download([KERNEL], tmp_path / "into")
    assert list((tmp_path / "into").iterdir()) == []


def test_a_release_that_nobody_signed_is_not_taken(archive: DebianArchive, trixie: Packages) -> None:
    archive.publish("trixie", "trixie", None)
    with pytest.raises(ImageFailed, match="can't be fetched"):
        trixie.update()
    assert indexes(trixie) == []


def test_what_this_machine_allows_its_own_apt_is_not_allowed_here(
    archive: DebianArchive, trixie: Packages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings that stand before ours on the command line count as those of /etc/apt/apt.conf.d do: -c is read last."""
    hook = tmp_path / "hook ran"
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "apt-get").write_text(
        f"#!/bin/sh\nexec {shutil.which('apt-get')} -o Acquire::AllowInsecureRepositories=true "
        f"-o APT::Get::AllowUnauthenticated=true -o 'APT::Update::Post-Invoke::=touch \"{hook}\"' "
        f'-o \'APT::Update::Pre-Invoke::=touch "{hook}"\' "$@"\n'
    )
    (tools / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    archive.publish("trixie", "trixie", None)
    with pytest.raises(ImageFailed):
        trixie.update()
    assert indexes(trixie) == []
    assert not hook.exists()


def test_a_package_that_is_not_the_one_in_the_index_is_refused(
    archive: DebianArchive, trixie: Packages, key: Signer, tmp_path: Path
) -> None:
    archive.publish("trixie", "trixie", key)
    trixie.update()
    there = archive.folder / "pool" / f"{KERNEL}_1.0-1_riscv64.deb"
    data = there.read_bytes()
    there.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ImageFailed, match="can't be downloaded") as refused:
        trixie.download([KERNEL], tmp_path / "into")
    assert "Hash Sum mismatch" in refused.value.log
    assert list((tmp_path / "into").glob("*.deb")) == []


def test_where_the_code_name_is_in_mid_sync_an_alias_of_the_same_release_serves(
    archive: DebianArchive, trixie: Packages, key: Signer, tmp_path: Path
) -> None:
    archive.publish("trixie", "trixie", key, fits=False)
    archive.publish("stable", "forky", key)
    archive.publish("oldstable", "trixie", key)
    trixie.update()
    assert " oldstable main" in (trixie.folder / "sources.list").read_text()
    assert [path.name for path in trixie.download(["libc6"], tmp_path / "into")] == ["libc6_1.0-1_riscv64.deb"]


def test_an_alias_of_another_release_is_not_taken_for_this_one(
    archive: DebianArchive, trixie: Packages, key: Signer
) -> None:
    archive.publish("trixie", "trixie", key, fits=False)
    archive.publish("stable", "forky", key)
    with pytest.raises(ImageFailed) as refused:
        trixie.update()
    assert indexes(trixie) == []
    assert "trixie" in refused.value.log, "what is shown is why the code name failed"


def test_an_update_after_a_failed_one_starts_afresh(archive: DebianArchive, trixie: Packages, key: Signer) -> None:
    with pytest.raises(ImageFailed):
        trixie.update()
    archive.publish("trixie", "trixie", key)
    trixie.update()
    trixie.update()
    assert trixie.kernel_of("linux-image-riscv64") == KERNEL


def test_a_package_that_there_is_not_is_named(
    archive: DebianArchive, trixie: Packages, key: Signer, tmp_path: Path
) -> None:
    archive.publish("trixie", "trixie", key)
    trixie.update()
    with pytest.raises(ImageFailed, match="no-such-thing can't be had from Debian trixie"):
        trixie.closure(["no-such-thing"])
    with pytest.raises(ImageFailed, match="dropbear-bin of Debian trixie names no kernel"):
        trixie.kernel_of("dropbear-bin")
    with pytest.raises(ImageFailed, match="can't be downloaded"):
        trixie.download(["no-such-thing"], tmp_path / "into")


def test_the_files_of_a_package_are_read_and_a_damaged_one_is_named(archive: DebianArchive, tmp_path: Path) -> None:
    file = archive.folder / "pool" / "libc6_1.0-1_riscv64.deb"
    with contents(file) as members:
        read = {
            member.name: source.read()
            for member in members
            if member.isfile() and (source := members.extractfile(member))
        }
    assert read == {"./usr/lib/libc.so.6": b"a library"}
    for number, damaged in enumerate((b"", b"no package", file.read_bytes()[:-100])):
        bad = tmp_path / f"bad{number}.deb"
        bad.write_bytes(damaged)
        with pytest.raises(ImageFailed, match=rf"bad{number}\.deb can't be unpacked"), contents(bad) as members:
            list(members)


def test_a_machine_without_apt_is_told_to_bring_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match=r"no apt-get and no dpkg-deb; .*--export FILE.*--import FILE"):
        packages_for(tmp_path / "apt", "trixie", "riscv64")


def test_a_machine_without_debians_keys_is_told_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("apt-get", "dpkg-deb")
    monkeypatch.setattr(packages, "_KEYRINGS", (tmp_path / "none.gpg",))
    with pytest.raises(Unsupported, match="apt-get install debian-archive-keyring"):
        packages_for(tmp_path / "apt", "trixie", "riscv64")


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    need("apt-get", "dpkg-deb")
    (tmp_path / "keys.gpg").touch()
    monkeypatch.setattr(packages, "_KEYRINGS", (tmp_path / "none.gpg", tmp_path / "keys.gpg"))
    return tmp_path / "keys.gpg"


def test_the_mirror_that_the_user_names_stands_before_the_machines(
    keyring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, "http://127.0.0.1:9/debian")
    found = packages_for(tmp_path / "apt", "trixie", "riscv64")
    assert found == Packages(tmp_path / "apt", "trixie", "riscv64", "http://127.0.0.1:9/debian", keyring)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ("deb http://127.0.0.1:9/debian trixie main", "http://127.0.0.1:9/debian/"),
        ("deb http://127.0.0.1:9/debian-security trixie-security main", None),
        ("deb http://127.0.0.1:9/ubuntu noble main", None),
        ("", None),
    ],
)
@pytest.mark.usefixtures("keyring")
def test_the_mirror_is_that_of_the_machines_own_apt(
    sources: str, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sources.list").write_text(f"{sources}\n")
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        f'Dir::State::lists "{tmp_path}/lists/";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    if expected is None:
        with pytest.raises(Unsupported, match=f"knows no mirror.*export {MIRROR_VARIABLE}=http://MIRROR/debian"):
            packages_for(tmp_path / "apt", "trixie", "riscv64")
    else:
        assert packages_for(tmp_path / "apt", "trixie", "riscv64").mirror == expected


def test_a_tool_that_does_not_end_is_told_of_and_ended(tmp_path: Path) -> None:
    with pytest.raises(ImageFailed, match=r"sh did not end within 0\.2 s"):
        packages._ended("sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 60", deadline_s=0.2)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
