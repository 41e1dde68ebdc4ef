"""Knows what each host gets from the groups that it is in, and what in an inventory contradicts itself.

How the files are written is the readers'; what one value has to be is `settings.py`'s.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deploy.errors import BadFile
from deploy.fleet.draft import Draft, Given, HostDraft
from deploy.fleet.settings import board_fault
from deploy.model.fleet import EVERYBODY, PROVISIONING, SETTINGS, UNGROUPED, Inventory, Member
from deploy.model.host import Host, parse_host
from deploy.toml_keys import near, shown

# Such a name has no meaning of its own in a pattern (patterns.py), in a shell or in a path.
_NAME = re.compile(r"(?:\w|::)[\w.:@%+-]*")
_GROUP = re.compile(r"\w[\w.@%+-]*")
_MOST_NAME = 255

_SSH_PORT = 22
"""What a host without a port is compared by (RFC 4253, section 4)."""

_FILLED = frozenset({"identity", "ca_file", "config_file", "hostname"}) | {
    f"{secret}_{kind}" for secret in ("token", "api_key", "password") for kind in ("file", "command", "keyring")
}
"""Settings in which {name} and {address} stand for the host's own."""


@dataclass(frozen=True, slots=True)
class _Inherited:
    """What hosts get that are in the same groups. `contested` names the two groups that are equally near."""

    by_slot: Mapping[str, Given]
    contested: Mapping[str, tuple[str, str]]
    groups: frozenset[str]


def name_fault(name: str) -> str:
    """Why no host can be called `name`, as a sentence; "" where one can."""
    if len(name) <= _MOST_NAME and _NAME.fullmatch(name) and name not in (EVERYBODY, UNGROUPED):
        return ""
    if name in (EVERYBODY, UNGROUPED):
        return f"a host can't be called {name}: that is the name of a group that every inventory has"
    return f"a host can't be called {shown(name)}: letters, digits and . - _ do, and a letter or digit begins it"


def group_fault(name: str) -> str:
    """Why no group can be called `name`, as a sentence; "" where one can."""
    if len(name) <= _MOST_NAME and _GROUP.fullmatch(name):
        return ""
    return f"a group can't be called {shown(name)}: letters, digits and . - _ do, and a letter or digit begins it"


def resolve(draft: Draft) -> Inventory:
    """The fleet that `draft` describes. Raises BadFile with every fault, those that its readers found included."""
    _check_boards(draft)
    check_groups(draft)
    resolver = _Resolver(draft)
    members = [resolver.member(host) for host in draft.hosts.values()]
    _check_addresses(draft, members)
    if draft.faults.found:
        raise BadFile(draft.source, draft.faults.sentences())
    return Inventory(tuple(member for member in members if member), draft.source, tuple(draft.notes))


def _check_boards(draft: Draft) -> None:
    known: dict[str, str] = {}
    for said in draft.all_said():
        given = said.by_slot.get("board")
        if given is None:
            continue
        board = str(given.value)
        if board not in known:
            known[board] = board_fault(board)
        if known[board]:
            draft.faults.add(given.where, known[board])


def check_groups(draft: Draft) -> None:
    """Every group that is named has to be there, and none may be in itself; a cycle is cut where it is found.

    What is wrong goes to the draft's faults, and is there no more afterwards.
    """
    named_by = [*(host.groups for host in draft.hosts.values()), *(group.children for group in draft.groups.values())]
    for named in named_by:
        for name in [each for each in named if each not in draft.groups]:
            draft.faults.add(named.pop(name), f"there is no group {shown(name)}{near(name, draft.groups)}")
    done: set[str] = set()
    for start in draft.groups:
        # Depth first without recursion: the path from `start`, each with the children that are still to be seen.
        path = [start] if start not in done else []
        waiting = [list(draft.groups[name].children) for name in path]
        while path:
            if not waiting[-1]:
                done.add(path.pop())
                waiting.pop()
                continue
            child = waiting[-1].pop(0)
            if child in path:
                where = draft.groups[path[-1]].children.pop(child)
                circle = " > ".join([*path[path.index(child) :], child])
                draft.faults.add(where, f"the group {child} is in itself: {circle}")
            elif child not in done:
                path.append(child)
                waiting.append(list(draft.groups[child].children))


def _check_addresses(draft: Draft, members: Iterable[Member | None]) -> None:
    first: dict[tuple[str, str, int], str] = {}
    for member in members:
        if member is None:
            continue
        host = member.host
        reached = (host.user or "", host.address.lower(), host.port or _SSH_PORT)
        before = first.setdefault(reached, member.name)
        if before != member.name:
            other = draft.hosts[before].where
            draft.faults.add(
                draft.hosts[member.name].where,
                f"{shown(member.name)} and {shown(before)} ({other}) are the same host, {shown(str(host))}",
            )


class _Resolver:
    """Hosts that are in the same groups get the same from them; that is worked out once."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._parents: dict[str, list[str]] = {name: [] for name in draft.groups}
        for group in draft.groups.values():
            for child in group.children:
                self._parents[child].append(group.name)
        self._inherited: dict[frozenset[str], _Inherited] = {}

    def member(self, host: HostDraft) -> Member | None:
        """The host as everything that is said makes it; None with a fault."""
        direct = frozenset(host.groups)
        if direct not in self._inherited:
            self._inherited[direct] = self._inherit(direct)
        inherited = self._inherited[direct]
        own = host.said.by_slot
        for slot, (one, other) in inherited.contested.items():
            if slot not in own:
                at = [f"{name} ({self._draft.groups[name].said.by_slot[slot].where})" for name in (one, other)]
                self._draft.faults.add(
                    host.where,
                    f"{slot} of {host.name}: the groups {' and '.join(at)} contradict each other and are equally near; "
                    "let the host say it",
                )
        by_slot = {**inherited.by_slot, **own}
        address = by_slot.pop("address", None)
        try:
            found = parse_host(str(address.value) if address else host.name)
        except ValueError:
            where = address.where if address else host.where
            self._draft.faults.add(where, address_fault(str(address.value) if address else host.name))
            return None
        user, port = by_slot.pop("ssh_user", None), by_slot.pop("ssh_port", None)
        reached = Host(
            found.address,
            found.user or (str(user.value) if user else None),
            found.port or (int(str(port.value)) if port else None),
        )
        board, site, keys = by_slot.pop("board", None), by_slot.pop("site", None), by_slot.pop("host_keys", None)
        values = {
            given.key: _filled(given, host.name, reached.address)
            for given in by_slot.values()
            if not isinstance(given.value, tuple)
        }
        return Member(
            name=host.name,
            host=reached,
            board=str(board.value) if board else "",
            groups=inherited.groups,
            site=str(site.value) if site else "",
            settings={key: value for key, value in values.items() if key in SETTINGS},
            provisioning={key: value for key, value in values.items() if key in PROVISIONING},
            host_keys=keys.value if keys and isinstance(keys.value, tuple) else (),
            origin=str(host.where),
        )

    def _inherit(self, direct: frozenset[str]) -> _Inherited:
        distances = self._distances(direct)
        by_slot = dict(self._draft.everybody.by_slot)
        contested: dict[str, tuple[str, str]] = {}
        said_by: dict[str, str] = {}
        for name in sorted(distances, key=lambda each: -distances[each]):
            for slot, given in self._draft.groups[name].said.by_slot.items():
                before = said_by.get(slot)
                if before is None or distances[before] != distances[name]:
                    contested.pop(slot, None)
                elif (by_slot[slot].key, by_slot[slot].value) != (given.key, given.value):
                    contested[slot] = (before, name)
                by_slot[slot], said_by[slot] = given, name
        return _Inherited(by_slot, contested, frozenset(distances) - {EVERYBODY, UNGROUPED})

    def _distances(self, direct: Iterable[str]) -> dict[str, int]:
        """Every group that leads to one of `direct`, and over how many others at least."""
        distances = dict.fromkeys(sorted(direct), 0)
        waiting = list(distances)
        for name in waiting:  # grows as it goes: breadth first
            for parent in self._parents[name]:
                if parent not in distances:
                    distances[parent] = distances[name] + 1
                    waiting.append(parent)
        return distances


def address_fault(text: str) -> str:
    """Why `text` is no host's address, without it where a password may stand in it."""
    before, at, _ = text.rpartition("@")
    if at and ":" in before:
        return "a password does not stand in an inventory: write a host as user@address or user@address:port"
    try:
        parse_host(text)
    except ValueError as error:
        return str(error).replace(repr(text), shown(text), 1)
    return ""


def _filled(given: Given, name: str, address: str) -> str | bool:
    return given.value if isinstance(given.value, bool) else filled(given.key, str(given.value), name, address)


def filled(key: str, text: str, name: str, address: str) -> str:
    """`text` with {name} and {address} filled in, where `key` is a setting that takes them."""
    if key not in _FILLED:
        return text
    # A command is split into words as a shell would do it (shlex): a name stays inside its word.
    quoted = shlex.quote if key.endswith("_command") else str
    parts = re.split(r"(\{name\}|\{address\})", text)
    return "".join({"{name}": quoted(name), "{address}": quoted(address)}.get(part, part) for part in parts)
