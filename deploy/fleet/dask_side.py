"""Knows what the processes of a Dask cluster say of themselves when `workers.py` asks: these functions run there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deploy import __version__

SITE = "site:"
"""What the name of a worker's resource begins with that says where it stands: site:hall-2."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A cluster as its scheduler sees it now."""

    version: str
    """Of slimdeploy, where the scheduler runs."""
    threads: dict[str, int]
    """Of each worker, by its address: how many deeds it carries out at once."""
    sites: dict[str, tuple[str, ...]]
    """Where each worker stands, by its address."""

    @property
    def all_sites(self) -> frozenset[str]:
        """Where any stands."""
        return frozenset(site for sites in self.sites.values() for site in sites)


def look(dask_scheduler: Any = None) -> Seen:
    """What the scheduler sees; runs there. Dask fills in the scheduler by its parameter's name."""
    workers = dask_scheduler.workers
    return Seen(
        __version__,
        {address: worker.nthreads for address, worker in workers.items()},
        {
            address: tuple(name.removeprefix(SITE) for name in worker.resources if name.startswith(SITE))
            for address, worker in workers.items()
        },
    )


def version() -> str:
    """Of slimdeploy, where a worker runs."""
    return __version__
