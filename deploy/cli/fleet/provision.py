"""`fleet.provision`: what every board of a fleet is given before its first deployment, from a first password on."""

from __future__ import annotations

import getpass
import json as json_format
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from invoke.context import Context
from invoke.tasks import task

from deploy.cli import options, provision
from deploy.cli.ending import command
from deploy.cli.fleet.choosing import HELP, Chosen, choose, show_notes
from deploy.cli.fleet.look import all_of
from deploy.cli.fleet.order import Order
from deploy.cli.fleet.overriding import overridden
from deploy.cli.fleet.readied import document, show_changes, show_end, show_scripts
from deploy.cli.fleet.reviewing import Review
from deploy.cli.fleet.seating import Seat, ask_passwords, look, make
from deploy.cli.fleet.telling import worst_exit_code
from deploy.cli.options import help_for
from deploy.cli.provision import VARIABLE, confirm
from deploy.cli.terminals import somebody_types
from deploy.errors import UsageError
from deploy.fleet import fingerprints as lists
from deploy.fleet.draft import SLOTS
from deploy.fleet.files import read_text
from deploy.fleet.resolving import filled
from deploy.fleet.settings import checked
from deploy.model.fleet import PROVISIONING, Member
from deploy.model.rollout import Result
from deploy.model.secret import Secret
from deploy.model.units import show_hosts
from deploy.provisioning.wish import Wish
from deploy.report import silent
from deploy.report.problems import problem_lines, problems_of
from deploy.report.silent import Shows

_MOST_ROUNDS = 6
"""A key behind each of several jump hosts, and a password: each stops a host once."""

_ROOT = "root"
_SILENT = silent.Silent()

_PASSWORD_HELP = {
    "password_file": "a file (mode 0600) with a login's password, such as passwords/{name}; else SLIMDEPLOY_PASSWORD, "
    "else you are asked once",
    "password_command": 'a command that prints it, such as "pass show boards/{name}"; run without a shell',
    "password_keyring": "SERVICE/USER: where it lies in your keyring, such as boards/{name}",
}


@task(
    name="provision",
    help=help_for(
        "json",
        "accept_new_host_key",
        "identity",
        "no_password_login",
        **HELP | _PASSWORD_HELP,
        fingerprints="a list of the host keys to be trusted: lines NAME SHA256:…, or of ssh-keyscan or ssh-keygen -l",
        dry_run="list the changes with their scripts, and make none",
        yes="make the changes without asking",
        hostname="what each board is called, such as {name}",
        time_zone="their time zone, such as Europe/Vienna",
        user="a system user that the gateway may run as, such as picoclaw",
        prefix="a folder for the gateway, made for that user",
        swap="swap on their storage: a size such as 64MiB, or off",
        zram="swap in compressed memory: a size such as 32MiB, or off",
        ca="send CA certificates where a board has none",
    ),
    auto_shortflags=False,
)
@command
def provision_fleet(
    context: Context,
    inventory: str = "",
    limit: str = "",
    at_once: str = "64",
    hostname: str = "",
    time_zone: str = "",
    user: str = "",
    prefix: str = "",
    swap: str = "",
    zram: str = "",
    ca: bool = False,
    no_password_login: bool = False,
    password_file: str = "",
    password_command: str = "",
    password_keyring: str = "",
    fingerprints: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    accept_new_host_key: bool = False,
    identity: str = "",
) -> int:
    """Make new boards ready, as `provision` does with one: host keys reviewed, your SSH key on them, and what you wish.

    Wishes stand in the inventory (fleet.toml, a CSV file, …) or are flags, with {name} for the host's own name. Every
    change is listed first; you are asked, or say --yes. What is so already is left alone.

    Exit codes: 0 all is as wished, 2 something here is wrong, 4 a host is out of reach, refused or can't have it.
    Examples: invoke fleet.provision --inventory boards.csv --hostname {name} --time-zone Europe/Vienna
              invoke fleet.provision --fingerprints keys.txt --password-command "pass show boards/{name}" --yes
    """
    flags: dict[str, str | bool] = {
        "hostname": hostname,
        "time_zone": time_zone,
        "swap": swap,
        "zram": zram,
        "no_password_login": no_password_login,
        "password_file": password_file,
        "password_command": password_command,
        "password_keyring": password_keyring,
    }
    if fingerprints and accept_new_host_key:
        raise UsageError("--fingerprints and --accept-new-host-key contradict each other")
    given = _fingerprints(fingerprints) if fingerprints else None
    chosen = choose(inventory, limit, at_once)
    own = {"user": user, "prefix": prefix, "identity": identity}
    members = _with_flags(overridden(chosen.members, own), flags)
    seats = [Seat(member, _wishes(member, ca=ca)) for member in members]
    screen = silent.screen(as_json=json)
    show_notes(screen, chosen)
    began_s = time.monotonic()
    review = Review(given, accept_new_host_key, may_ask=not json, shown=[])
    screen.say(f"Asking {show_hosts(len(seats))}, {min(chosen.at_once, len(seats))} at the same time")
    _look(chosen, seats, review, screen)
    show_changes(seats, screen)
    changing = [seat for seat in seats if seat.is_well and seat.titles]
    if changing and dry_run:
        show_scripts(changing, screen)
    elif changing:
        confirm(sum(len(seat.titles) for seat in changing), yes=yes, as_json=json)
        _over(chosen, changing, make, screen)
    results = [seat.result for seat in seats if seat.result is not None]
    for line in problem_lines(problems_of(results)):
        screen.say(line)
    show_end(seats, screen, dry_run=dry_run)
    if json:
        print(json_format.dumps(document(seats, review, time.monotonic() - began_s, dry_run=dry_run), indent=2))
    return worst_exit_code(results)


def _fingerprints(text: str) -> lists.Fingerprints:
    return lists.read(read_text(options.existing_file(text, "fingerprints")).text, text)


def _with_flags(members: Sequence[Member], flags: Mapping[str, str | bool]) -> tuple[Member, ...]:
    """The members with `flags`, keys of PROVISIONING, before their own. Raises UsageError."""
    given: dict[str, str | bool] = {}
    for name, value in flags.items():
        if value:
            try:
                found = checked(name, value)
                assert not isinstance(found, tuple), "none of them is a list"
                given[name] = found
            except ValueError as error:
                raise UsageError(f"--{name.replace('_', '-')} {error}") from None
    called = given.get("hostname")
    if called and len(members) > 1 and "{name}" not in str(called) and "{address}" not in str(called):
        raise UsageError("--hostname would call all of them the same: write --hostname {name}")
    slots = [SLOTS.get(name, name) for name in given]
    if len(set(slots)) < len(slots):
        raise UsageError("--password-file, --password-command and --password-keyring: take one of them")
    made = []
    for member in members:
        kept = {name: value for name, value in member.provisioning.items() if SLOTS.get(name, name) not in slots}
        own = {
            name: value if isinstance(value, bool) else filled(name, str(value), member.name, member.host.address)
            for name, value in given.items()
        }
        made.append(replace(member, provisioning=kept | own))
    return tuple(made)


def _wishes(member: Member, *, ca: bool) -> tuple[Wish, ...]:
    """What is wished for this one. Raises UsageError, with its file and line as a note."""
    named = {name: str(member.provisioning.get(name, "")) for name in PROVISIONING}
    user = str(member.settings.get("user", ""))
    try:
        return provision.wishes(
            named["hostname"],
            named["time_zone"],
            "" if user == _ROOT else user,  # which every board has
            str(member.settings.get("prefix", "")),
            named["swap"],
            named["zram"],
            ca=ca,
            no_password_login=bool(member.provisioning.get("no_password_login")),
        )
    except UsageError as error:
        error.add_note(f"of {member.name}" + (f", {member.origin}" if member.origin else ""))
        raise


def _look(chosen: Chosen, seats: Sequence[Seat], review: Review, screen: Shows) -> None:
    """Ask every member; a host key or a password that stops some is looked at or asked for once, and they again."""
    common = os.environ.pop(VARIABLE, None)  # no program that is started later gets it
    pending = list(seats)
    for _ in range(_MOST_ROUNDS):
        _over(chosen, pending, look)
        again = review.of(pending, screen)
        without = [seat for seat in pending if seat.wants_password and seat.password is None]
        if without and common is not None:
            for seat in without:
                seat.password = Secret(os.fsencode(common))
        elif without and review.may_ask and somebody_types():
            ask_passwords(without, getpass.getpass)
        again += [seat for seat in without if seat.password is not None]
        if not again:
            return
        pending = again


def _over(chosen: Chosen, seats: Sequence[Seat], act: Callable[[Seat], Result], screen: Shows = _SILENT) -> None:
    """Do it to all of them at once; whatever a fault of ours breaks, the others go on."""
    by_name = {seat.member.name: seat for seat in seats}
    over = replace(chosen, members=tuple(seat.member for seat in seats))
    ended = 0

    def tell(result: Result) -> None:
        nonlocal ended
        ended += 1
        by_name[result.member].result = result
        screen.say(f"{ended:>{len(str(len(seats)))}}/{len(seats)}  {result.member}  {result.problem or 'done'}")

    all_of(over, lambda _: lambda member: act(by_name[member.name]), Order(), tell)
