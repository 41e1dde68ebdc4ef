"""Knows which members of an inventory a pattern means, such as `riscv:&hall-2:!edge-007`.

What is done with them is the caller's.

The language is Ansible's ("Patterns: targeting hosts and groups"): a group, a host, a glob, `~` and a regular
expression, a slice (`riscv[0:2]`, both ends included), joined by `:` or `,`; `&` keeps only what is also there, `!`
takes away. Intersections come after all unions and exclusions last, wherever they stand.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
import warnings
from collections.abc import Iterator

from deploy.errors import UnknownName, UsageError
from deploy.fleet.ranges import expand, is_range
from deploy.model.fleet import EVERYBODY, UNGROUPED, Inventory, Member

_SLICE = re.compile(r"(?P<base>.+)\[(?:(?P<one>-?[0-9]{1,9})|(?P<first>-?[0-9]{0,9}):(?P<last>-?[0-9]{0,9}))\]")
_KIND = "host or group"


def select(inventory: Inventory, pattern: str) -> tuple[Member, ...]:
    """The members that `pattern` means, in the inventory's order; all of them for an empty one.

    Raises UnknownName for a part that matches nothing, UsageError for one that can't be read. () where every part
    matches something and nothing is left.
    """
    return _Selection(inventory).select(pattern)


class _Selection:
    def __init__(self, inventory: Inventory) -> None:
        self._members = inventory.members
        self._names = {member.name for member in inventory.members}
        self._groups: dict[str, set[str]] = {EVERYBODY: set(self._names), UNGROUPED: set()}
        for member in inventory.members:
            for group in member.groups or (UNGROUPED,):
                self._groups.setdefault(group, set()).add(member.name)
        # An address with a port or of IPv6 has colons of its own.
        self._with_colons = sorted((name for name in self._names if ":" in name), key=len, reverse=True)

    def select(self, pattern: str) -> tuple[Member, ...]:
        unions, intersections, exclusions = set[str](), list[set[str]](), set[str]()
        begins_with_all = True
        for part in self._parts(pattern):
            sign = part[0] if part[0] in "&!" else ""
            found = self._matched(part.removeprefix(sign).strip())
            if sign == "&":
                intersections.append(found)
            elif sign == "!":
                exclusions |= found
            else:
                begins_with_all = False
                unions |= found
        kept = self._names if begins_with_all else unions
        kept = kept.intersection(*intersections) - exclusions
        return tuple(member for member in self._members if member.name in kept)

    def _parts(self, pattern: str) -> Iterator[str]:
        """What stands between the separators; one in brackets of any kind, or after a backslash, is none."""
        begin = at = depth = 0
        while at < len(pattern):
            if at == begin and (name := self._name_at(pattern, at)):
                at += len(name)
                continue
            character = pattern[at]
            if character == "\\":
                at += 1
            elif character in "[({":
                depth += 1
            elif character in "])}":
                depth = max(depth - 1, 0)
            elif character in ":," and not depth:
                if part := pattern[begin:at].strip():
                    yield part
                begin = at + 1
            at += 1
        if part := pattern[begin:].strip():
            yield part

    def _name_at(self, pattern: str, at: int) -> str:
        """The sign and the name, if a name with colons in it stands there as a whole part."""
        sign = pattern[at] if pattern[at] in "&!" else ""
        for name in self._with_colons:
            end = at + len(sign) + len(name)
            if pattern.startswith(name, at + len(sign)) and pattern[end : end + 1] in ("", ":", ","):
                return sign + name
        return ""

    def _matched(self, part: str) -> set[str]:
        if not part:
            raise UsageError("a pattern has a & or ! with nothing after it")
        if part.startswith("~"):
            return self._of_expression(part)
        # riscv[0] is the first of riscv where there is a riscv; otherwise brackets are a glob's or a range's.
        if (match := _SLICE.fullmatch(part)) and (base := self._plain(match["base"])) is not None:
            return self._sliced(base, match, part)
        found = self._plain(part)
        if found is None and is_range(part):
            found = self._of_range(part)
        if found is None:
            known = self._known()
            raise UnknownName(_KIND, part, difflib.get_close_matches(part[:60], known, n=3, cutoff=0.5), known)
        return found

    def _known(self) -> list[str]:
        """Every name that a pattern may have: the groups, then the hosts."""
        return [*sorted(self._groups), *sorted(self._names)]

    def _plain(self, text: str) -> set[str] | None:
        """A group, a host or a glob; None where it matches nothing. A group goes before a host of its name."""
        if text in self._groups:
            return self._groups[text]
        if text in self._names:
            return {text}
        if text == "*":
            return self._groups[EVERYBODY]
        if not any(character in text for character in "*?["):
            return None
        return self._of_regex(re.compile(fnmatch.translate(text)))

    def _of_expression(self, part: str) -> set[str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "possible nested set": of what a later Python may read otherwise
                found = self._of_regex(re.compile(part[1:]))
        except (re.error, RecursionError, OverflowError) as error:
            raise UsageError(f"{part!r} is not a regular expression: {error}") from None
        if found is None:
            raise UnknownName(_KIND, part, known=self._known())
        return found

    def _of_regex(self, form: re.Pattern[str]) -> set[str] | None:
        """Everything whose name begins so, as Ansible has it; None where nothing does.

        But `all` and `ungrouped` have to be called by their names: who writes a* does not mean every host there is.
        """
        groups = [
            members for name, members in self._groups.items() if name not in (EVERYBODY, UNGROUPED) and form.match(name)
        ]
        hosts = {name for name in self._names if form.match(name)}
        return hosts.union(*groups) if hosts or groups else None

    def _of_range(self, part: str) -> set[str] | None:
        try:
            found = set(expand(part))
        except ValueError as error:
            raise UsageError(str(error)) from None
        return found & self._names or None

    def _sliced(self, base: set[str], match: re.Match[str], part: str) -> set[str]:
        names = [member.name for member in self._members if member.name in base]
        if match["one"] is not None:
            first = last = int(match["one"])
        else:
            first, last = int(match["first"] or 0), int(match["last"] or -1)
        first, last = (number + len(names) if number < 0 else number for number in (first, last))
        found = set(names[max(first, 0) : max(last + 1, 0)])
        if not found:
            raise UsageError(f"{part!r} means nobody: {match['base']} has {len(names)}, counted from 0")
        return found
