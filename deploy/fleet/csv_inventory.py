"""Knows an inventory as a table (CSV), as a spreadsheet writes it: a line a host, its first line the names of the keys.

Source: RFC 4180, with semicolons or tabs where the first line has those.
"""

from __future__ import annotations

import csv
import io

from deploy.fleet.draft import Draft, Given, GroupDraft, HostDraft, Where
from deploy.fleet.resolving import address_fault, group_fault, name_fault
from deploy.fleet.settings import KEYS, checked, fault_of_key
from deploy.toml_keys import near

_OWN = ("name", "address", "groups")
_SEPARATORS = ",;\t"


def read(text: str, file: str) -> Draft:
    """The hosts in `text`; every fault goes to the draft's."""
    draft = Draft(file)
    first = text.lstrip("\n").partition("\n")[0]
    rows = csv.reader(
        io.StringIO(text), delimiter=max(_SEPARATORS, key=first.count), strict=True, skipinitialspace=True
    )
    reader: _Reader | None = None
    try:
        for row in rows:
            where = Where(file, rows.line_num)
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if reader is None:
                reader = _Reader(draft, cells, where)
            else:
                reader.host(cells, where)
    except csv.Error as error:
        draft.faults.add(Where(file, rows.line_num), f"it is no table: {error}")
    if reader is None and not draft.faults.found:
        draft.faults.add(Where(file), "it is empty: its first line has to name the columns, such as name,address,board")
    return draft


class _Reader:
    def __init__(self, draft: Draft, columns: list[str], where: Where) -> None:
        self._draft = draft
        self._columns = [column.lower().replace(" ", "_").replace("-", "_") for column in columns]
        for number, column in enumerate(self._columns):
            if not column:
                draft.faults.add(where, f"column {number + 1} has no name")
            elif self._columns.index(column) < number:
                draft.faults.add(where, f"there are two columns {column}")
            elif column not in _OWN and (fault := fault_of_key(column)):
                draft.faults.add(where, fault + ("" if "did you mean" in fault else near(column, _OWN)))
        if not {"name", "address"} & set(self._columns):
            draft.faults.add(where, "there has to be a column name, or address")

    def host(self, cells: list[str], where: Where) -> None:
        if len(cells) > len(self._columns):
            # What is too much may be a piece of anything: it is not shown.
            self._draft.faults.add(where, f"it has {len(cells)} cells for {len(self._columns)} columns")
            return
        said = {column: cell for column, cell in zip(self._columns, cells, strict=False) if cell}
        name, address = said.get("name", ""), said.get("address", "")
        if not (name or address):
            self._draft.faults.add(where, "it has neither a name nor an address")
            return
        if address and (fault := address_fault(address)):
            self._draft.faults.add(where, fault)
            return
        name = name or address.rpartition("@")[2]
        before = self._draft.hosts.get(name)
        if fault := name_fault(name):
            self._draft.faults.add(where, fault)
        elif before:
            self._draft.faults.add(where, f"there are two hosts called {name}: see {before.where}")
        else:
            host = self._draft.hosts[name] = HostDraft(name, where)
            if address:
                host.said.put(Given("address", address, where), self._draft.faults)
            for group in said.get("groups", "").split():
                self._group(group, where)
                host.groups[group] = where
            self._say(host, said, where)

    def _group(self, name: str, where: Where) -> None:
        if name not in self._draft.groups:
            if fault := group_fault(name):
                self._draft.faults.add(where, fault)
            self._draft.groups[name] = GroupDraft(name, where)

    def _say(self, host: HostDraft, said: dict[str, str], where: Where) -> None:
        for key, text in said.items():
            if key in KEYS:
                try:
                    host.said.put(Given(key, checked(key, text), where), self._draft.faults)
                except ValueError as error:
                    self._draft.faults.add(where, f"{key} {error}")
