"""How the workers of pytest-xdist share the tests out: the longest first, and together what shares a machine.

xdist's own way gives the first worker the first eighth of all tests at once, which here are all that take long.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

from xdist.scheduler import LoadScopeScheduling

LONGEST_FIRST = (
    *("emulated/test_services.py", "emulated/test_power_cuts.py", "emulated/test_deploy.py"),
    *("emulated/", "loopback/", "ssh/", "traps/"),
)
"""The files whose tests take longest: a worker that gets one last keeps all others waiting."""

CPUS = os.cpu_count() or 1

_SHARES_A_MACHINE = re.compile(r"tests/emulated/test_(?:machines|probe)\.py::.*(riscv64|arm64|armv7|mipsle)")
# Short files; and one whose tests look for processes of the whole machine, and would find each other's.
_SHORT = re.compile(r"tests/(?:(?:unit|docs)/[^:]*|ssh/test_any_process\.py)")


def rank(path: str) -> int:
    """The place of a file, as its path below tests/, among all."""
    return next((number for number, start in enumerate(LONGEST_FIRST) if path.startswith(start)), len(LONGEST_FIRST))


class LongestFirst(LoadScopeScheduling):
    """In the order of the collection; one test at a time, but a file of short ones, or all of a machine, at once.

    As many workers as there are CPUs begin with the emulated boards, which keep a CPU busy, and the others with the
    rest, most of which waits.
    """

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        if self.nodes.index(node) >= CPUS:
            waits = next((scope for scope, unit in self.workqueue.items() if not _is_emulated(unit)), None)
            if waits is not None:
                self.workqueue.move_to_end(waits, last=False)
        super()._assign_work_unit(node)


def _is_emulated(unit: Iterable[str]) -> bool:
    return any(nodeid.startswith("tests/emulated/") for nodeid in unit)


def together(nodeid: str) -> str:
    """The same for all tests that go to one worker."""
    if machine := _SHARES_A_MACHINE.match(nodeid):
        return machine[1]
    file = _SHORT.match(nodeid)
    return file[0] if file else nodeid
