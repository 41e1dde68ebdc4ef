"""`fleet.discover`: which boards are on the local link. Who is contacted is shown before, and bounded."""

from __future__ import annotations

import json as json_format
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from deploy.cli import options
from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.cli.probing import today
from deploy.cli.terminals import somebody_types
from deploy.cli.wording import PROGRAM
from deploy.errors import UsageError
from deploy.fleet.discovered import Heard, fleet_toml, together
from deploy.report import silent
from deploy.report.silent import Shows

_AT_ONCE = 32
_GREETING_S = 3.0
_MOST_SECONDS = 60.0


@task(
    help=help_for(
        "json",
        interface="only on these links, with commas between, such as eth0; without it on all",
        deadline="how long to wait for answers to the multicast",
        mdns="ask by multicast; --no-mdns does not: nobody hears of it then, and only the kernel's table is looked at",
        most="how many addresses are asked at the most",
        write="write an inventory of those that answer to this file, such as fleet.toml, which must not be there yet",
        yes="ask them without asking you first",
    ),
    auto_shortflags=False,
)
@command
def discover(
    context: Context,
    interface: str = "",
    deadline: str = "3s",
    mdns: bool = True,
    most: str = "256",
    write: str = "",
    yes: bool = False,
    json: bool = False,
) -> int:
    """Find boards on the local link: who says by multicast DNS that it has SSH, and whom the kernel has talked to.

    It shows whom it will contact, and asks you, before it does. Nothing logs in anywhere: from each address one SSH
    greeting is read.

    Example: invoke fleet.discover --interface eth0 --write fleet.toml
    """
    from deploy.transport.mdns import SERVICES, Announced, announced
    from deploy.transport.neighbours import neighbours

    interfaces = options.words(interface)
    seconds = options.duration_s(deadline, "deadline", least=0.5, most=_MOST_SECONDS)
    bound = options.count(most, "most", most=4096)
    path = _new_file(write) if write else None
    screen = silent.screen(as_json=json)
    told: tuple[Announced, ...] = ()
    if mdns:
        _require_mdns()
        where = " and ".join(interfaces) or "every interface of this machine"
        services = ", ".join(each.removesuffix(".local.") for each in SERVICES)
        screen.say(
            f"By multicast on {where} (224.0.0.251 and ff02::fb, UDP port 5353) everybody is asked for {services}, "
            f"for {seconds:g} s. All on the link can see that."
        )
        _confirm("Ask them?", yes=yes, as_json=json)
        told = announced(seconds, interfaces)
    table = [each for each in neighbours() if not interfaces or each.interface in interfaces]
    heard = together(told, table)
    if len(heard) > bound:
        screen.say(f"{len(heard)} addresses are known, and {bound} of them are asked (--most)")
        heard = heard[:bound]
    if heard:
        _show_contacts(heard, screen)
        _confirm("Contact them?", yes=yes, as_json=json)
    answered = _greeted(heard)
    speaking = [each for each in answered if each.greeting]
    if path is not None and speaking:
        _write(path, fleet_toml(speaking, today()))
    if json:
        print(json_format.dumps(document(answered, path if speaking else None), indent=2))
        return 0
    rows = [(each.host, "  ".join(part for part in (each.name, each.greeting, each.mac) if part)) for each in speaking]
    screen.pairs(f"{len(speaking)} of {len(answered)} addresses have an SSH server", rows)
    if path is not None and speaking:
        screen.say(f"Written: {path}. What becomes of it: {PROGRAM} fleet.provision --inventory {path}")
    return 0


def document(answered: Sequence[Heard], written: Path | None) -> dict[str, Any]:
    """What was found as JSON (docs/json.md)."""
    found = [asdict(each) | {"host": each.host, "by": list(each.by)} for each in answered]
    return {"found": found, "written": str(written) if written else None}


def _require_mdns() -> None:
    from deploy.transport import mdns

    if not mdns.is_there():
        raise UsageError(
            "multicast DNS takes a library more: pip install 'slimdeploy[discover]'; or leave it out with --no-mdns"
        )


def _new_file(text: str) -> Path:
    """Raises UsageError where it can't be written, before anybody is asked."""
    path = Path(text).expanduser()
    if path.suffix != ".toml":
        raise UsageError(f"--write takes a file such as fleet.toml, not {text}")
    if not path.parent.is_dir():
        raise UsageError(f"--write: there is no folder {path.parent}")
    if path.exists():
        raise UsageError(f"there is a file {path} already, which is left as it is")
    return path


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {os.strerror(error.errno or 0)}") from None


def _confirm(question: str, *, yes: bool, as_json: bool) -> None:
    if yes:
        return
    if as_json or not somebody_types():
        raise UsageError("nobody was contacted: there is nobody here to say so; --yes does it without asking")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise UsageError("nobody else was contacted, as you said")


def _show_contacts(heard: Sequence[Heard], screen: Shows) -> None:
    screen.say(f"Of these {len(heard)} the SSH greeting is read, over one TCP connection each; nothing logs in:")
    for each in heard:
        about = "  ".join(part for part in (each.name, each.mac, " and ".join(each.by)) if part)
        screen.say(f"  {each.address} port {each.port}  {about}")


def _greeted(heard: Sequence[Heard]) -> list[Heard]:
    from deploy.transport.greeting import greeting

    def ask(each: Heard) -> Heard:
        return replace(each, greeting=greeting(each.address, each.port, _GREETING_S))

    if not heard:
        return []
    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(heard)), thread_name_prefix="greeting") as executor:
        return list(executor.map(ask, heard))
