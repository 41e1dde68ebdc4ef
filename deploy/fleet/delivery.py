"""Knows how parcels get into every worker of a Dask cluster. Imports Dask: it is loaded late, and by its name there."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import suppress

from distributed import Worker, WorkerPlugin

from deploy.fleet.parcels import Parcel, unpack


class Delivery(WorkerPlugin):
    """Parcels for every worker that is there, and for those that come later or come back."""

    def __init__(self, name: str, parcels: Sequence[Parcel], *, deaf: bool) -> None:
        self.name, self._parcels, self._deaf = name, tuple(parcels), deaf

    def setup(self, worker: Worker) -> None:
        """In the worker, before it gets its first deed. Raises MachineFault."""
        if self._deaf:
            # Ctrl-C reaches every process of a terminal's group; hosts under way come to their end all the same.
            for number in (signal.SIGINT, signal.SIGHUP):
                with suppress(ValueError):  # not in the main thread
                    signal.signal(number, signal.SIG_IGN)
        unpack(self._parcels)
