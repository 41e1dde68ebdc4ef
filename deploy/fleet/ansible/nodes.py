"""Knows how YAML is read so that each value keeps its line, with the library PyYAML; only here it is imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.fleet.ansible.variables import ENCRYPTED
from deploy.fleet.draft import Faults, Where

_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"
_BOOL = "tag:yaml.org,2002:bool"
_INT = "tag:yaml.org,2002:int"
_TRUE = frozenset({"yes", "true", "on", "y"})

_DEEPEST = 100
"""Lists and mappings in one another: no inventory of people's comes near it."""


class Document:
    """One file; nodes are PyYAML's."""

    def __init__(self, file: str, faults: Faults) -> None:
        self._file, self._faults = file, faults
        self._seen: dict[int, dict[str, tuple[Any, Any]]] = {}
        self.doubled: dict[Where, str] = {}
        """Keys that stand twice in one mapping, by the line of the second."""

    def root(self, text: str) -> Any:
        """The node of the whole text; None with a fault, and for an empty one."""
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            if _depth(text, loader) > _DEEPEST:
                self._faults.add(Where(self._file), "its lists or mappings lie too deep in one another")
                return None
            return yaml.compose(text, Loader=loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            said = " ".join(part for part in (error.context, error.problem) if part)
            self._faults.add(Where(self._file, mark.line + 1 if mark else 0), f"it is not YAML: {said}")
        except yaml.reader.ReaderError as error:
            self._faults.add(Where(self._file), f"it is not YAML: {error.reason} (position {error.position})")
        except (yaml.YAMLError, RecursionError):
            self._faults.add(Where(self._file), "it is not YAML")
        return None

    def where(self, node: Any) -> Where:
        """The line that `node` begins in."""
        return Where(self._file, node.start_mark.line + 1)

    def pairs(self, node: Any) -> dict[str, tuple[Any, Any]]:
        """Key and value of a mapping by the key's text, those of merges (<<) filled in; {} for null.

        Raises ValueError, with a clause, where it is no mapping.
        """
        if is_null(node):
            return {}
        if type(node).__name__ != "MappingNode":
            raise ValueError("has to be a mapping, written as `name:` and what belongs to it, indented")
        if id(node) not in self._seen:
            self._seen[id(node)] = {}  # a mapping that is merged into itself adds nothing
            self._seen[id(node)] = self._flat(node)
        return self._seen[id(node)]

    def _flat(self, node: Any) -> dict[str, tuple[Any, Any]]:
        own: dict[str, tuple[Any, Any]] = {}
        merged: dict[str, tuple[Any, Any]] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for each in value.value if type(value).__name__ == "SequenceNode" else [value]:
                    merged = {**self.pairs(each), **merged}  # of several, the first counts
            elif type(key).__name__ == "ScalarNode":
                if key.value in own:
                    self.doubled[self.where(key)] = key.value
                own[key.value] = (key, value)
            else:
                self._faults.add(self.where(key), "a name can't be a list or a mapping")
        return {**merged, **own}


def is_null(node: Any) -> bool:
    """Whether nothing stands there."""
    return node is None or node.tag == _NULL


def text_of(node: Any) -> str | None:
    """The text of a scalar as it is written; None for anything else."""
    return str(node.value) if type(node).__name__ == "ScalarNode" else None


def value_of(node: Any) -> object:
    """What a scalar or a list of scalars says; {} for a mapping."""
    kind = type(node).__name__
    if kind == "SequenceNode":
        return [value_of(each) if type(each).__name__ == "ScalarNode" else {} for each in node.value]
    if kind != "ScalarNode":
        return {}
    text = str(node.value)
    if node.tag == "!vault":
        return ENCRYPTED
    if node.tag == _NULL:
        return None
    if node.tag == _BOOL:
        return text.lower() in _TRUE
    if node.tag == _INT:
        return _whole(node)
    return text


def _whole(node: Any) -> object:
    import yaml

    try:
        return yaml.constructor.SafeConstructor().construct_yaml_int(node)
    except ValueError:
        return str(node.value)


def _depth(text: str, loader: Any) -> int:
    """How deep it goes at the most; nodes are not made. Raises what the library raises."""
    import yaml

    depth = deepest = 0
    for event in _events(text, loader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            deepest = max(deepest, depth)
            if deepest > _DEEPEST:
                break
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
    return deepest


def _events(text: str, loader: Any) -> Iterator[Any]:
    import yaml

    yield from yaml.parse(text, Loader=loader)
