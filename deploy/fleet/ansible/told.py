"""Knows an Ansible inventory as its files tell it, before it is worked out which variable of a host counts.

How each form is written is the readers' beside this; what counts is `layers.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from deploy.fleet.ansible.variables import matters
from deploy.fleet.draft import Draft, Where
from deploy.fleet.ranges import MOST, expand, is_ipv6, is_range
from deploy.fleet.resolving import group_fault, name_fault
from deploy.model.fleet import EVERYBODY, UNGROUPED
from deploy.toml_keys import shown

PRIORITY = "ansible_group_priority"

_MOST_GROUPS = 20_000


@dataclass(frozen=True, slots=True)
class Variable:
    """One value as a file has it, and the line."""

    value: object
    where: Where


@dataclass(slots=True)
class Subject:
    """A group or a host. `told` is what the inventory itself says of it, `beside` what the folders beside it say."""

    name: str
    where: Where
    told: dict[str, Variable] = field(default_factory=dict)
    beside: dict[str, Variable] = field(default_factory=dict)
    links: dict[str, Where] = field(default_factory=dict)
    """Of a group: the groups in it. Of a host: the groups that it is in by itself."""
    priority: int = 1

    def put(self, name: str, value: object, where: Where) -> None:
        """One variable; a later one of that name counts. What means nothing here is not kept."""
        if matters(name):
            self.told[name] = Variable(value, where)


class Told:
    """All that was told so far. Faults and notes go to the draft that is made of it."""

    def __init__(self, source: str) -> None:
        self.draft = Draft(source)
        self.groups: dict[str, Subject] = {}
        self.hosts: dict[str, Subject] = {}
        nowhere = Where(source)
        for name in (EVERYBODY, UNGROUPED):
            self.groups[name] = Subject(name, nowhere)

    def fault(self, where: Where, sentence: str) -> None:
        """One more."""
        self.draft.faults.add(where, sentence)

    def group(self, name: str, where: Where) -> Subject:
        """The group of that name, which is there from now on."""
        if name not in self.groups:
            if fault := group_fault(name):
                self.fault(where, fault)
            if len(self.groups) >= _MOST_GROUPS:
                self.fault(Where(where.file), f"there are more than {_MOST_GROUPS:,} groups")
                return Subject(name, where)
            self.groups[name] = Subject(name, where)
        return self.groups[name]

    def group_variable(self, group: Subject, name: str, value: object, where: Where) -> None:
        """A variable of a group; its priority is one, though only here and not in group_vars/."""
        if name != PRIORITY:
            group.put(name, value, where)
            return
        try:
            group.priority = int(str(value))
        except ValueError:
            self.fault(where, f"{PRIORITY} has to be a whole number, not {shown(value)}")

    def add_hosts(self, pattern: str, group: str, where: Where, *, as_it_is: bool = False) -> list[Subject]:
        """The hosts that `pattern` stands for, such as edge-[01:20]:2222, each in `group` from now on.

        `as_it_is` takes it for a name, whatever stands in it.
        """
        name, port = (pattern, "") if as_it_is else split_port(pattern)
        try:
            names = (name,) if as_it_is or not is_range(name) else expand(name)
        except ValueError as error:
            self.fault(where, str(error))
            return []
        new = {name for name in names if name not in self.hosts}
        found = [each for each in (self._host(name, where) for name in names) if each]
        for host in found:
            host.links.setdefault(group, where)
            if port and host.name in new:
                host.put("ansible_port", int(port), where)
            elif port:
                why = f"as Ansible has it: {host.name} stands at {host.where} already"
                self.draft.notes.append(f"{where}: the port {port} has no effect, {why}")
        return found

    def _host(self, name: str, where: Where) -> Subject | None:
        if name not in self.hosts:
            if fault := name_fault(name):
                self.fault(where, fault)
                return None
            if len(self.hosts) >= 5 * MOST:
                self.fault(Where(where.file), f"there are more than {5 * MOST:,} hosts")
                return None
            self.hosts[name] = Subject(name, where)
        return self.hosts[name]


def split_port(pattern: str) -> tuple[str, str]:
    """The pattern without its port, and the port or "": `edge-1:2222`, `edge-[1:3]:2222`, `[2001:db8::1]:2222`."""
    if is_ipv6(pattern):
        return pattern, ""
    head, _, port = pattern.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5):
        return pattern, ""
    inner = head.removeprefix("[").removesuffix("]")
    if head == f"[{inner}]" and is_ipv6(inner):
        return inner, port
    outside = head
    while "[" in outside and "]" in outside.partition("[")[2]:
        before, _, rest = outside.partition("[")
        outside = before + rest.partition("]")[2]
    return (pattern, "") if not outside or any(each in outside for each in ":[]") else (head, port)
