"""`emulate.images`: the images of emulated boards in this machine's cache, made, listed, moved and removed."""

from __future__ import annotations

import json as json_format
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from deploy.cli.ending import command
from deploy.cli.files import named
from deploy.cli.options import existing_file, help_for
from deploy.cli.wording import PROGRAM
from deploy.emulator.image import Image
from deploy.emulator.user_lands import BUSYBOX, USER_LANDS, user_land_called
from deploy.errors import UsageError
from deploy.model.units import KIB
from deploy.report import silent

_HELP = {
    "make": "make the image of --board now, where it is not there",
    "export": "write the image of --board into this file, for a machine that has no APT",
    "import": "take an image from a file that --export wrote",
    "user_land": "of which user land: " + ", ".join(USER_LANDS),
    "prune": "remove every image; each is made again when it is needed",
}


@task(name="images", help=help_for("board", "json") | _HELP, auto_shortflags=False)
@command
def images(
    context: Context,
    board: str = "",
    user_land: str = "",
    make: bool = False,
    export: str = "",
    import_: str = "",
    prune: bool = False,
    json: bool = False,
) -> int:
    """List the images of emulated boards, or make, move or remove them.

    Example: invoke emulate.images --make --board licheerv
    """
    from deploy.emulator import images as kept

    if sum(map(bool, (make, export, import_, prune))) > 1:
        raise UsageError("one of --make, --export, --import and --prune at a time")
    if (make or export) and not board:
        raise UsageError("which board's image? name it with --board, such as --board licheerv")
    if prune:
        kept.prune()
    elif import_:
        kept.bring_in(existing_file(import_, "import"))
    elif make:
        made_for(board, user_land, json=json)
    elif export:
        _export(board, user_land, named(export, "export"))
    _show(kept.listing(), json=json)
    return 0


def made_for(board_name: str, user_land: str = "", *, json: bool = False) -> Image:
    """The image of a board, made where it is not there, with progress."""
    from deploy import catalogue
    from deploy.emulator.images import image_for
    from deploy.emulator.machines import machine_for

    land = user_land_called(user_land or BUSYBOX.name)
    machine = machine_for(catalogue.board(board_name).target)
    screen = silent.screen(as_json=json)
    with screen.steps() as observer:
        observer.started("Image")
        return image_for(machine, land, observer)


def _export(board_name: str, user_land: str, to: Path) -> None:
    from deploy import catalogue
    from deploy.emulator import images as kept
    from deploy.emulator.image_making import image_name
    from deploy.emulator.machines import machine_for

    land = user_land_called(user_land or BUSYBOX.name)
    kept.export(image_name(machine_for(catalogue.board(board_name).target), land), to)


def _show(found: list[Image], *, json: bool) -> None:
    if json:
        print(json_format.dumps({"images": [document(image) for image in found]}, indent=2))
        return
    from deploy.report.console import Screen

    if not found:
        Screen().say(f"There is no image yet; the first use makes one: {PROGRAM} emulate.up --board licheerv")
        return
    rows = [
        (image.name, f"Linux {image.kernel_release}", f"{image.size_bytes / KIB / KIB:.0f} MiB", image.made_at)
        for image in found
    ]
    Screen().table("", ("image", "kernel", "size", "made at"), rows)
    Screen().say(f"They lie in {found[0].folder.parent}")


def document(image: Image) -> dict[str, object]:
    """One image as JSON (docs/json.md)."""
    return {
        "name": image.name,
        "folder": str(image.folder),
        "kernel_release": image.kernel_release,
        "made_at": image.made_at,
        "size_bytes": image.size_bytes,
        "packages": list(image.packages),
        "sha256": image.hashes,
    }
