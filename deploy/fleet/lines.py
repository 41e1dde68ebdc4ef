"""Knows a plain list of hosts: `user@address:port`, one a line, with ranges and # comments.

What a host is besides is said elsewhere, or asked of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from deploy.fleet.draft import Draft, Given, HostDraft, Where
from deploy.fleet.ranges import expand
from deploy.fleet.resolving import address_fault, name_fault
from deploy.model.host import Host, parse_host


def read(text: str, file: str) -> Draft:
    """The hosts in `text`, a line each; every fault goes to the draft's. A host is called by its address, and port."""
    draft = Draft(file)
    _add(draft, ((line.partition("#")[0], Where(file, number)) for number, line in enumerate(text.split("\n"), 1)))
    return draft


def read_commas(text: str, source: str) -> Draft:
    """The hosts in `text` with commas between, as they stand on a command line."""
    draft = Draft(source)
    _add(draft, ((part, Where(source)) for part in text.split(",")))
    return draft


def _add(draft: Draft, lines: Iterable[tuple[str, Where]]) -> None:
    for line, where in lines:
        text = line.strip()
        if not text:
            continue
        try:
            written = expand(text)
        except ValueError as error:
            draft.faults.add(where, str(error))
            continue
        for each in written:
            if fault := address_fault(each):
                draft.faults.add(where, fault)
                break
            _one(draft, each, where)


def _one(draft: Draft, text: str, where: Where) -> None:
    host = parse_host(text)
    name = str(Host(host.address, port=host.port)) if host.port else host.address
    name = name.replace("[", "").replace("]", "")
    before = draft.hosts.get(name)
    if fault := name_fault(name):
        draft.faults.add(where, fault)
    elif before:
        draft.faults.add(where, f"{name} stands here twice: see {before.where}")
    else:
        draft.hosts[name] = HostDraft(name, where)
        draft.hosts[name].said.put(Given("address", text, where), draft.faults)
