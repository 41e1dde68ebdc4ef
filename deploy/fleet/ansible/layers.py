"""Knows which of several values of a variable counts for a host, and makes a draft of all that was told.

Ansible's order ("Using variables: where to set a variable"), the last counts: the inventory's own variables of `all`,
then of the other groups; group_vars/all, then group_vars/ of the others; the host's own, then host_vars/. Among groups:
by their depth below `all`, by ansible_group_priority, by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from deploy.fleet.ansible.told import Subject, Told, Variable
from deploy.fleet.ansible.variables import Facts, given, other_connection, unused
from deploy.fleet.draft import Draft, GroupDraft, HostDraft
from deploy.fleet.resolving import check_groups
from deploy.model.fleet import EVERYBODY, UNGROUPED

_MOST_NAMED = 8


def drafted(told: Told, folder: Path) -> Draft:
    """The draft; each host says all for itself in it. `folder` is the inventory's."""
    draft = told.draft
    always = (EVERYBODY, UNGROUPED)
    for group in told.groups.values():
        if group.name not in always:
            children = {name: where for name, where in group.links.items() if name not in always}
            draft.groups[group.name] = GroupDraft(group.name, group.where, children)
    for child, where in (each for name in always for each in told.groups[name].links.items()):
        if child not in told.groups:  # those that are there are in `all` without being told
            draft.faults.add(where, f"there is no group {child!r}")
    check_groups(draft)
    layers = _Layers(told, draft)
    left_out: dict[str, list[str]] = {}
    not_used: dict[tuple[str, str], None] = {}
    for host in told.hosts.values():
        variables = layers.of(host)
        if how := other_connection(variables):
            left_out.setdefault(how, []).append(host.name)
            continue
        not_used |= dict.fromkeys(unused(variables))
        made = HostDraft(host.name, host.where, {name: at for name, at in host.links.items() if name not in always})
        for each in given(variables, Facts(host.name, str(folder)), draft.faults):
            made.said.put(each, draft.faults)
        draft.hosts[host.name] = made
    for how, names in left_out.items():
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        draft.notes.append(
            f"left out, as ansible_connection is {how} and not ssh: {' '.join(names[:_MOST_NAMED])}{more}"
        )
    draft.notes += [f"{name} is not used: {why}" for name, why in not_used]
    return draft


class _Layers:
    """Hosts in the same groups get the same from them; that is worked out once."""

    def __init__(self, told: Told, draft: Draft) -> None:
        self._told = told
        self._parents: dict[str, list[str]] = {name: [] for name in told.groups}
        for group in draft.groups.values():
            for child in group.children:  # without circles, and without those that are not there: check_groups
                self._parents[child].append(group.name)
        self._depths: dict[str, int] = {}
        self._inherited: dict[frozenset[str], dict[str, Variable]] = {}

    def of(self, host: Subject) -> dict[str, Variable]:
        """The variables of one host."""
        direct = frozenset(host.links) - {EVERYBODY, UNGROUPED} or frozenset({UNGROUPED})
        if direct not in self._inherited:
            self._inherited[direct] = self._from_groups(direct)
        return {**self._inherited[direct], **host.told, **host.beside}

    def _from_groups(self, direct: Iterable[str]) -> dict[str, Variable]:
        waiting = sorted(direct)
        for name in waiting:  # grows as it goes
            waiting += [parent for parent in self._parents[name] if parent not in waiting]
        everybody = self._told.groups[EVERYBODY]
        groups = [self._told.groups[name] for name in waiting]
        groups.sort(key=lambda group: (self._depth(group.name), group.priority, group.name))
        found = dict(everybody.told)
        for group in groups:
            found |= group.told
        found |= everybody.beside
        for group in groups:
            found |= group.beside
        return found

    def _depth(self, name: str) -> int:
        """The longest way up to `all`."""
        waiting = [name]
        while waiting:
            last = waiting[-1]
            missing = [parent for parent in self._parents[last] if parent not in self._depths]
            if missing:
                waiting += missing
                continue
            self._depths[last] = 1 + max((self._depths[parent] for parent in self._parents[last]), default=0)
            waiting.pop()
        return self._depths[name]
