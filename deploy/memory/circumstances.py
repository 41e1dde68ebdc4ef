"""Knows what is worth showing beside a reading's proofs: ceiling, container, instances, huge pages.

The other proofs are evidence.py's.
"""

from __future__ import annotations

from collections.abc import Sequence

from deploy.board_shell.observation import Observation
from deploy.model.reading import Evidence, Sample

MOST_NAMED = 6
"""So many PIDs are named, where there are several."""

# cgroup v1 says "no ceiling" by a number near 2 ** 63: 19 digits. A longer one is no number of bytes.
_NO_CEILING = 1 << 62
_MOST_DIGITS = 20


def circumstances(last: Observation, steady: Sequence[Sample], hard_bytes: int | None) -> tuple[Evidence, ...]:
    """What the last sample set shows of the process's surroundings; only a ceiling that is claimed is required."""
    return _ceiling(last, hard_bytes), _container(last, steady), _instances(last), _huge_pages(steady)


def _ceiling(last: Observation, hard_bytes: int | None) -> Evidence:
    """The hard ceiling is shown. Where it is claimed, and this kernel could hold one, it has to be that one.

    A kernel without a memory controller holds none, whatever was asked for: deployments say so, and go on.
    """
    page_bytes = (last.kernel.page_kib or 64) * 1024
    is_number = last.ceiling.isdecimal() and len(last.ceiling) <= _MOST_DIGITS
    if last.ceiling == "max" or (is_number and int(last.ceiling) >= _NO_CEILING):
        detail = f"memory controller {last.kernel.memory_controller or 'in force'}, no ceiling set on its cgroup"
    elif last.ceiling:
        detail = f"{last.ceiling} bytes on its own cgroup"
    elif last.kernel.memory_controller:
        detail = f"memory controller {last.kernel.memory_controller}; its own cgroup has no ceiling of its own"
    else:
        detail = "no memory controller in this kernel, or none that is switched on"
    if hard_bytes is None:
        return Evidence("ceiling", "the kernel's own ceiling", True, detail, required=False)
    # The kernel cuts it down to whole pages (mm/page_counter.c, page_counter_memparse).
    ok = is_number and hard_bytes - page_bytes < int(last.ceiling) <= hard_bytes
    if not ok:
        detail = f"a hard limit of {hard_bytes} bytes is claimed, and the kernel has: {detail}"
    return Evidence("ceiling", "the kernel's own ceiling", ok, detail, required=bool(last.kernel.memory_controller))


def _container(last: Observation, steady: Sequence[Sample]) -> Evidence:
    what = last.kernel.container
    if any((sample.pid_namespaces or 1) > 1 for sample in steady):
        what = ", ".join(part for part in (what, "the process has a PID namespace of its own") if part)
    return Evidence("container", "container", True, what or "none that shows", required=False)


def _instances(last: Observation) -> Evidence:
    """Whose figure it is, where the same program runs several times: a second gateway, or a process that it started."""
    others = last.instances
    some = ", ".join(map(str, others[:MOST_NAMED])) + (" …" if len(others) > MOST_NAMED else "")
    if not others:
        detail = "no other process that this login sees executes the same file"
    elif len(others) == 1:
        detail = f"another process executes the same file: PID {some}; its memory is not in this reading"
    else:
        detail = f"{len(others)} others execute the same file: PIDs {some}; their memory is not in this reading"
    return Evidence("instances", "other instances", True, detail, required=False)


def _huge_pages(steady: Sequence[Sample]) -> Evidence:
    detail = "none" if all(sample.huge_kib is not None for sample in steady) and steady else "none that shows"
    if any(sample.huge_kib for sample in steady):
        detail = "part of its memory stands in huge pages, which count whole though one byte of them was touched"
    if any(sample.hugetlb_kib for sample in steady):
        detail = "it has HugeTLB pages, which no VmRSS holds: they are added"
    return Evidence("huge_pages", "huge pages", True, detail, required=False)
