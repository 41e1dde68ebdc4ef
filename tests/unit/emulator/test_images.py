"""Images in the cache: what comes in is what went out, nothing gets past its folder, and only one is made at a time."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.emulator import image_making, images
from deploy.emulator.machines import Machine, machine_called
from deploy.emulator.user_lands import BUSYBOX, UserLand
from deploy.errors import ImageFailed

RISCV64 = machine_called("riscv64")
NAME = "riscv64-busybox"
FILES = {"kernel": b"a kernel", "initrd": b"a first root", "system": b"the system"}


def document(machine: Machine = RISCV64, land: UserLand = BUSYBOX) -> dict[str, object]:
    return {
        "form": image_making.FORM,
        "name": image_making.image_name(machine, land),
        "recipe": image_making.recipe(machine, land),
        "kernel_release": "6.12.1-riscv64",
        "made_at": "2026-01-02T03:04:05Z",
        "packages": ["busybox-static_1 0123"],
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()},
    }


def put(machine: Machine = RISCV64, land: UserLand = BUSYBOX) -> Path:
    """An image as it stands in the cache, a tiny one."""
    folder = images.images_folder() / image_making.image_name(machine, land)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    (folder / "image.json").write_text(json.dumps(document(machine, land)))
    return folder


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which images were made; making one is a matter of 0.3 s here, and of no download."""
    names: list[str] = []
    running = threading.Lock()

    def make(machine: Machine, land: UserLand, watch: images.Watch) -> images.Image:
        assert running.acquire(blocking=False), "two make the same image at the same time"
        watch.note("making the image")
        time.sleep(0.3)
        names.append(image_making.image_name(machine, land))
        put(machine, land)
        running.release()
        found = images._read(images.images_folder() / names[-1])
        assert found is not None
        return found[0]

    monkeypatch.setattr(images, "_make", make)
    return names


def test_an_image_is_made_once_and_then_taken_from_the_cache(made: list[str]) -> None:
    first = images.image_for(RISCV64, BUSYBOX)
    assert images.image_for(RISCV64, BUSYBOX) == first
    assert made == [NAME]
    assert (first.folder / "kernel").read_bytes() == b"a kernel"
    assert first.size_bytes == sum(map(len, FILES.values()))
    assert first.folder.parent == images.images_folder()


def test_another_recipe_makes_a_new_image(made: list[str]) -> None:
    images.image_for(RISCV64, BUSYBOX)
    images.image_for(RISCV64, dataclasses.replace(BUSYBOX, packages=(*BUSYBOX.packages, "f2fs-tools")))
    images.image_for(dataclasses.replace(RISCV64, modules=("virtio_rng",)), BUSYBOX)
    images.image_for(RISCV64, dataclasses.replace(BUSYBOX, links=(*BUSYBOX.links, ("usr/bin/vi", "busybox"))))
    assert made == [NAME] * 4


def test_how_qemu_is_started_is_no_part_of_the_recipe(made: list[str]) -> None:
    images.image_for(RISCV64, BUSYBOX)
    images.image_for(dataclasses.replace(RISCV64, kernel_kib=1, arguments=("-M", "virt", "-smp", "2")), BUSYBOX)
    assert made == [NAME]


def test_an_image_of_an_older_form_is_made_anew(made: list[str]) -> None:
    folder = put()
    (folder / "image.json").write_text(json.dumps({**document(), "form": image_making.FORM - 1}))
    assert images.listing() == []
    images.image_for(RISCV64, BUSYBOX)
    assert made == [NAME]


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"form": 2}', "{" * 3000, "\udcff"])
def test_what_is_no_description_of_an_image_counts_as_no_image(made: list[str], text: str) -> None:
    (put() / "image.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert images.listing() == []
    images.image_for(RISCV64, BUSYBOX)
    assert made == [NAME]


def test_a_damaged_image_is_refused_with_the_cure(made: list[str]) -> None:
    (put() / "kernel").write_bytes(b"another kernel")
    with pytest.raises(ImageFailed, match=r"kernel is not what was made.*--prune"):
        images.image_for(RISCV64, BUSYBOX)
    assert made == []


def test_two_makers_at_once_wait_for_each_other(made: list[str]) -> None:
    found: list[images.Image] = []
    makers = [threading.Thread(target=lambda: found.append(images.image_for(RISCV64, BUSYBOX))) for _ in range(3)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join(30)
    assert made == [NAME]
    assert len(found) == 3


def test_a_maker_that_never_ends_is_not_waited_for_for_ever(made: list[str]) -> None:
    with (
        images._locked(NAME),
        pytest.raises(ImageFailed, match=r"another command is making the image riscv64-busybox.*0\.1 s"),
        images._locked(NAME, 0.1),
    ):
        pass
    images.image_for(RISCV64, BUSYBOX)
    assert made == [NAME]


def test_what_is_exported_is_what_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put()
    exported = images.export(NAME, tmp_path / "image.tar")
    monkeypatch.setenv("SLIMDEPLOY_HOME", str(tmp_path / "another machine"))
    assert images.listing() == []
    taken = images.bring_in(tmp_path / "image.tar")
    assert taken == dataclasses.replace(exported, folder=images.images_folder() / NAME)
    assert images.listing() == [taken]
    assert {path.name: path.read_bytes() for path in taken.folder.iterdir()}.items() >= FILES.items()
    assert images.image_for(RISCV64, BUSYBOX) == taken, "no second making where its recipe is ours"
    assert [path.name for path in images.images_folder().glob(".import-*")] == []
    assert [path.name for path in tmp_path.glob(".*.part")] == []


def test_only_an_image_that_is_there_and_whole_is_exported(tmp_path: Path) -> None:
    with pytest.raises(ImageFailed, match=f"no image {NAME}"):
        images.export(NAME, tmp_path / "image.tar")
    (put() / "initrd").write_bytes(b"damaged")
    with pytest.raises(ImageFailed, match="initrd is not what was made"):
        images.export(NAME, tmp_path / "image.tar")
    assert not (tmp_path / "image.tar").exists()


def test_an_export_that_cant_be_written_is_an_image_failed(tmp_path: Path) -> None:
    put()
    with pytest.raises(ImageFailed, match="can't be written"):
        images.export(NAME, tmp_path / "no such folder" / "image.tar")


Pack = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """A tar file with members of the test's own; None leaves one out."""

    def make(prefix: str = NAME, described: dict[str, object] | None = None, **changed: bytes | None) -> Path:
        contents: dict[str, bytes | None] = {**FILES, "image.json": json.dumps(described or document()).encode()}
        with tarfile.open(tmp_path / "made.tar", "w") as archive:
            for name, data in {**contents, **changed}.items():
                if data is not None:
                    member = tarfile.TarInfo(f"{prefix}/{name}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
        return tmp_path / "made.tar"

    return make


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_packed_image_of_these_tests_is_taken_as_it_is(pack: Pack) -> None:
    assert images.bring_in(pack()).name == NAME


@pytest.mark.parametrize("prefix", ["..", "../..", "/root", "", ".", f"{NAME}/..", f"../{NAME}", "vax"])
def test_a_name_that_leads_elsewhere_is_refused_and_nothing_is_written(pack: Pack, tmp_path: Path, prefix: str) -> None:
    file = pack(prefix)
    before = files_of(tmp_path)
    with pytest.raises(ImageFailed):
        images.bring_in(file)
    assert images.listing() == []
    assert {each for each in files_of(tmp_path) - before if not each.endswith(".lock")} == set()


def test_members_that_are_not_an_images_stay_in_the_file(pack: Pack, tmp_path: Path) -> None:
    taken = images.bring_in(pack(**{"../../../escaped": b"x", "initrd.d/S99": b"x"}))
    assert files_of(taken.folder) == {*FILES, "image.json"}
    assert list(tmp_path.rglob("escaped")) == []


def test_a_link_in_a_files_place_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"a kernel")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        with tarfile.open(tmp_path / "linked.tar", "w") as archive:
            others = {name: FILES[name] for name in ("initrd", "system")}
            for name, data in {"image.json": json.dumps(document()).encode(), **others}.items():
                member = tarfile.TarInfo(f"{NAME}/{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            link = tarfile.TarInfo(f"{NAME}/kernel")
            link.type, link.linkname = kind, str(secret)
            archive.addfile(link)
        with pytest.raises(ImageFailed, match="is no exported image"):
            images.bring_in(tmp_path / "linked.tar")
        assert images.listing() == []


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"kernel": b"another"}, id="another kernel"),
        pytest.param({"initrd": None}, id="no initrd"),
        pytest.param({"image.json": None}, id="no description"),
        pytest.param({"image.json": b"{}"}, id="an empty description"),
        pytest.param({"image.json": b"\xff"}, id="a description that is no text"),
    ],
)
def test_a_damaged_import_leaves_the_image_that_was_there(pack: Pack, changed: dict[str, bytes | None]) -> None:
    there = put()
    (there / "mark").touch()
    with pytest.raises(ImageFailed):
        images.bring_in(pack(**changed))
    assert (there / "mark").exists()


def test_a_description_with_another_name_is_refused(pack: Pack) -> None:
    with pytest.raises(ImageFailed):
        images.bring_in(pack(described={**document(), "name": "\x1b[2Jgone"}))


@pytest.mark.parametrize("data", [b"", b"no tar at all" * 100, b"\x1f\x8b\x08\0\0\0\0\0"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "image.tar").write_bytes(data)
    with pytest.raises(ImageFailed):
        images.bring_in(tmp_path / "image.tar")
    with pytest.raises(ImageFailed):
        images.bring_in(tmp_path / "none.tar")


def test_half_of_an_archive_is_refused(pack: Pack) -> None:
    file = pack(kernel=b"k" * 50_000)
    file.write_bytes(file.read_bytes()[:30_000])
    with pytest.raises(ImageFailed):
        images.bring_in(file)


def test_prune_says_what_it_removed_and_leaves_nothing() -> None:
    put()
    (images.images_folder() / ".apt-riscv64" / "lists").mkdir(parents=True)
    assert [image.name for image in images.prune()] == [NAME]
    assert images.listing() == images.prune() == []
    assert {path.suffix for path in images.images_folder().iterdir()} == {".lock"}


def test_an_image_is_removed_under_no_makers_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    put()
    monkeypatch.setattr(images, "_PRUNE_S", 0.1)
    with images._locked(NAME), pytest.raises(ImageFailed, match="another command"):
        images.prune()
    assert [image.name for image in images.listing()] == [NAME]


@pytest.mark.parametrize(
    ("other", "at_a_time"),
    [((RISCV64, dataclasses.replace(BUSYBOX, name="another")), 1), ((machine_called("arm64"), BUSYBOX), 2)],
    ids=["one architecture", "two architectures"],
)
def test_one_apt_root_is_used_by_one_maker_at_a_time(
    other: tuple[Machine, UserLand], at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching: list[str] = []
    most: list[int] = []

    def fetch(packages: object, machine: Machine, land: UserLand, into: Path, watch: images.Watch) -> list[Path]:
        fetching.append(land.name)
        time.sleep(0.3)
        most.append(len(fetching))
        fetching.remove(land.name)
        into.mkdir()
        return []

    def make(files: list[Path], machine: Machine, land: UserLand, folder: Path) -> None:
        for name, data in FILES.items():
            (folder / name).write_bytes(data)
        (folder / "image.json").write_text(json.dumps(document(machine, land)))

    monkeypatch.setattr(images, "packages_for", lambda *about: about)
    monkeypatch.setattr(images, "fetch", fetch)
    monkeypatch.setattr(images, "make", make)
    found: list[images.Image] = []
    threads = [
        threading.Thread(target=lambda each=each: found.append(images.image_for(*each)))
        for each in ((RISCV64, BUSYBOX), other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 2 and max(most) == at_a_time
    assert {path.name for path in images.images_folder().iterdir() if path.is_dir()} == {each.name for each in found}
