"""`provision`: what a board is given before its first deployment, from a password's first login on."""

from __future__ import annotations

import getpass
import json as json_format
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from invoke.context import Context
from invoke.tasks import task

from deploy.cli import options
from deploy.cli.ending import command
from deploy.cli.options import help_for
from deploy.cli.probing import NOT_ASKED_YET, Where
from deploy.cli.reaching import Place
from deploy.cli.secret_sources import password_in
from deploy.cli.terminals import somebody_types
from deploy.cli.wording import PROGRAM
from deploy.errors import AuthenticationRefused, PasswordRefused, UsageError
from deploy.model.secret import Secret
from deploy.model.units import KIB
from deploy.provisioning import asking
from deploy.provisioning.account import Folder, SystemUser, user_fault
from deploy.provisioning.asking import Found
from deploy.provisioning.ca_bundle import ca_bundle
from deploy.provisioning.carrying_out import Done, Doors, carry_out
from deploy.provisioning.hostname import Hostname, hostname_fault
from deploy.provisioning.password_login import PasswordLogin
from deploy.provisioning.public_key import TakenKey
from deploy.provisioning.swap import Swap, Zram
from deploy.provisioning.wish import Already, Change, Wish
from deploy.report import silent
from deploy.report.silent import Shows
from deploy.steps.face import StepRecord
from deploy.transport.protocol import Transport

VARIABLE = "SLIMDEPLOY_PASSWORD"

_LEAST_SWAP_BYTES, _MOST_SWAP_BYTES = 1 << 20, 16 << 30


@task(
    help=help_for(
        "host",
        "board",
        "emulate",
        "json",
        "accept_new_host_key",
        "identity",
        "password_file",
        "no_password_login",
        dry_run="list the changes with their scripts, and make none",
        yes="make the changes without asking",
        hostname="what the board is called",
        time_zone="its time zone, such as Europe/Vienna",
        user="a system user that the gateway may run as, such as picoclaw",
        prefix="a folder for the gateway, made for that user",
        swap="swap on its storage: a size such as 64MiB, or off",
        zram="swap in compressed memory: a size such as 32MiB, or off",
        ca="send CA certificates where it has none",
    ),
    auto_shortflags=False,
)
@command
def provision(
    context: Context,
    host: str = "",
    board: str = "",
    emulate: bool = False,
    hostname: str = "",
    time_zone: str = "",
    user: str = "",
    prefix: str = "",
    swap: str = "",
    zram: str = "",
    ca: bool = False,
    no_password_login: bool = False,
    password_file: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Make a new board ready: your SSH key on it, and whatever else you name. What is so already is left alone.

    The first login may be by password, which is asked for and kept nowhere. Everything that would be changed is listed
    first; you are asked, or say --yes.

    Examples: invoke provision --host root@192.168.42.1
              invoke provision --host root@192.168.42.1 --hostname lichee-1 --time-zone Europe/Vienna --user picoclaw
    """
    where = Where(board, host, emulate, accept_new_host_key, identity)
    wanted = wishes(hostname, time_zone, user, prefix, swap, zram, ca=ca, no_password_login=no_password_login)
    place = where.place()
    screen = silent.screen(as_json=json)
    entered = enter(where, place, lambda: ask_password(password_file, str(place.host)))
    transport = entered.transport
    try:
        found = asking.ask(transport, (entered.key, *wanted))
        asking.refuse(found, transport.host)
        show_changes(screen, found, place, entered)
        if dry_run or not found.changes:
            if json:
                done = [
                    Done(wish, each.reason, changed=False) for wish, each in found.judged if isinstance(each, Already)
                ]
                print(json_format.dumps(document(place, entered, found, done), indent=2))
            elif dry_run:
                show_scripts(screen, found)
            return 0
        confirm(len(found.changes), yes=yes, as_json=json)
        done = []
        transport = carry(transport, found, doors(where, place), screen, done)
    finally:
        transport.close()
    if json:
        print(json_format.dumps(document(place, entered, found, done), indent=2))
    else:
        screen.say(f"Deploy to it: {PROGRAM} deploy {place.flags if board else f'--host {place.host}'}")
    return 0


def wishes(
    hostname: str, time_zone: str, user: str, prefix: str, swap: str, zram: str, *, ca: bool, no_password_login: bool
) -> tuple[Wish, ...]:
    """What was wished for, in the order in which it is made. Raises UsageError's leaves."""
    from deploy.provisioning import time_zone as zones

    found: list[Wish] = []
    if hostname:
        if fault := hostname_fault(hostname):
            raise UsageError(f"--hostname is {hostname!r}, {fault}")
        found.append(Hostname(hostname))
    if time_zone:
        found.append(zones.time_zone(time_zone))
    if user:
        if fault := user_fault(user):
            raise UsageError(f"--user is {user!r}, {fault}")
        found.append(SystemUser(user))
    if prefix:
        found.append(Folder(options.prefix(prefix), user))
    if swap:
        found.append(Swap(_swap_kib(swap, "swap")))
    if zram:
        found.append(Zram(_swap_kib(zram, "zram")))
    if ca:
        found.append(ca_bundle())
    if no_password_login:
        found.append(PasswordLogin())
    return tuple(found)


def _swap_kib(text: str, flag: str) -> int:
    if text == "off":
        return 0
    size = options.size_bytes(text, flag)
    if not _LEAST_SWAP_BYTES <= size <= _MOST_SWAP_BYTES:
        raise UsageError(f"--{flag} takes a size from 1MiB to 16GiB, or off, not {text!r}")
    return size // KIB


@dataclass(frozen=True, slots=True)
class Entered:
    """The first connection, how it was opened, and the key that is put on the board where it was by password."""

    transport: Transport
    by: str
    """key or password."""
    key: TakenKey


def enter(where: Where, place: Place, ask: Callable[[], Secret | None]) -> Entered:
    """Log in by key, else by the password that `ask` gives. Raises HostError's leaves, NoPublicKey, UsageError."""
    from deploy.transport import login

    identity = where.identity or place.host.key_file or ""
    key_file = options.existing_file(identity, "identity") if identity else None
    try:
        transport = where.connect(place)
    except AuthenticationRefused as refused:
        key = login.public_key(key_file)
        password = ask()
        if password is None:
            refused.add_note(f"no password to log in with: neither --password-file nor {VARIABLE} nor a terminal")
            raise
        return Entered(where.connect(place, password), "password", TakenKey(key))
    return Entered(transport, "key", TakenKey(None))


def ask_password(file: str, host: str) -> Secret | None:
    """From --password-file, else SLIMDEPLOY_PASSWORD, else asked for; None without any. Raises UsageError.

    The variable is taken out of the environment: no program that is started later gets it.
    """
    if file:
        return password_in(file)
    if (set_to := os.environ.pop(VARIABLE, None)) is not None:
        return Secret(os.fsencode(set_to))
    if somebody_types():
        return Secret(getpass.getpass(f"Password of {host} (kept nowhere): ").encode())
    return None


def doors(where: Where, place: Place) -> Doors:
    """The ways in, for the proofs."""

    def takes_passwords() -> bool:
        try:
            where.connect(place, Secret(secrets.token_urlsafe(16).encode("ascii"))).close()
        except PasswordRefused as error:
            return error.takes_any
        return True

    return Doors(lambda: where.connect(place), takes_passwords)


def show_changes(screen: Shows, found: Found, place: Place, entered: Entered) -> None:
    """What is so already, and what would be changed."""
    screen.say(f"Logged in to {place.host} as {found.user}, by {entered.by}")
    for wish, each in found.judged:
        if isinstance(each, Already):
            screen.say(f"  {label(wish)}: nothing to do, {each.reason}")
    if not found.changes:
        screen.say("Nothing is to be changed.")
        return
    screen.say("To be changed:", style="bold")
    for number, (_, change) in enumerate(found.changes, 1):
        screen.say(f"  {number}. {change.title}")


def show_scripts(screen: Shows, found: Found) -> None:
    """Each change as it would run."""
    for wish, change in found.changes:
        screen.say(f"\n== {label(wish)}", style="bold")
        screen.say(change.script.shown())
    screen.say("\nNothing was changed.")


def label(wish: Wish) -> str:
    """The wish's name for people."""
    short = {"ca": "CA bundle", "password_login": "Passwords"}
    return short.get(wish.name, wish.name.replace("_", " ").capitalize())


def confirm(count: int, *, yes: bool, as_json: bool) -> None:
    """Raises UsageError where the user does not want it, or can't be asked."""
    if yes:
        return
    what = "this change" if count == 1 else f"these {count} changes"
    if as_json or not somebody_types():
        raise UsageError(f"nothing was changed: there is nobody to ask for {what}; --yes makes them without asking")
    if input(f"Make {what}? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was changed, as you said")


def carry(transport: Transport, found: Found, ways: Doors, screen: Shows, done: list[Done]) -> Transport:
    """Make the changes and show each; `done` gets every wish that is fulfilled. The connection that is open then."""
    with screen.steps() as observer:
        began_s = time.monotonic()

        def began(change: Change) -> None:
            nonlocal began_s
            began_s = time.monotonic()
            observer.started(change.script.title)

        def told(each: Done) -> None:
            done.append(each)
            if each.changed:
                observer.finished(StepRecord(label(each.wish), None, each.detail, time.monotonic() - began_s, 0))

        return carry_out(transport, found, ways, told, began)


def document(place: Place, entered: Entered, found: Found, done: Sequence[Done]) -> dict[str, object]:
    """All of it as JSON (docs/json.md); without changes in `done`, what is to be done."""
    by_wish = {id(each.wish): each for each in done}
    rows = []
    for wish, judged in found.judged:
        ended = by_wish.get(id(wish))
        if ended is not None:
            state, detail = "changed" if ended.changed else "already", ended.detail
        else:
            state, detail = "to do", judged.title if isinstance(judged, Change) else ""
        script = judged.script.shown() if state == "to do" and isinstance(judged, Change) else None
        rows.append({"name": wish.name, "state": state, "detail": detail, "script": script})
    return {
        "host": str(place.host),
        "board": place.board.name if place.board is not NOT_ASKED_YET else None,
        "user": found.user,
        "logged_in_by": entered.by,
        "changed": any(each.changed for each in done),
        "wishes": rows,
    }
