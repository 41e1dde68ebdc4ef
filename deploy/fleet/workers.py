"""Knows how deeds are carried out by the workers of a Dask cluster: near a member's site, and once more where one dies.

Dask's scheduler keeps the tasks; there is no queue of our own. What a deed is, and what of a controller it needs, is
the callers'. docs/decisions/0014 says why sites are resources.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, InvalidStateError
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

from deploy import __version__
from deploy.errors import BadCluster, WorkersLost
from deploy.fleet.dask_side import SITE, Seen, look, version
from deploy.fleet.parcels import Parcel
from deploy.model.fleet import Member

CONNECT_S = 10.0
"""How long a scheduler may take to answer."""

LOST_S = 30.0
"""How long hosts wait for a worker of their site after the last one has gone: to start one anew takes seconds."""

_LOOK_S = 10.0

_MOST_NAMES = 5


class Workers:
    """The executors of one cluster, each for a site. See `fleet.pool.Executors`."""

    def __init__(self, client: Any, address: str, *, here: bool, lost_s: float = LOST_S) -> None:
        self.address, self._client, self._here, self._lost_s = address, client, here, lost_s
        self.lost = False
        """Whether the scheduler has gone: no deed is begun any more."""
        self._lock = threading.Lock()
        self._running: dict[Future[Any], str] = {}
        self._ended = threading.Event()
        self._deliveries: list[str] = []

    def near(self, site: str) -> Executor:
        """The workers of `site`; of any site where it is "", or where all workers run on this machine."""
        return _Near(self, "" if self._here else site)

    def check(self, members: Sequence[Member]) -> Seen:
        """What the scheduler sees. Raises BadCluster where it can't do the work, or nobody stands at a site."""
        seen = self._same_version()
        if not seen.threads:
            raise BadCluster(f"no worker is connected to the scheduler at {self.address}")
        missing = {} if self._here else _missing(members, seen.all_sites)
        if missing:
            told = "; ".join(f"{site} ({_named(names)})" for site, names in sorted(missing.items()))
            problem = f"no worker of {self.address} stands at the site of these hosts: {told}"
            raise BadCluster(problem, site=min(missing))
        return seen

    def _same_version(self) -> Seen:
        try:
            seen = self._look()
            told: dict[str, Any] = {"the scheduler": seen.version} | self._client.run(version, on_error="return")
        except Exception as error:  # whatever an installation without slimdeploy, or another one, makes of it
            raise BadCluster(f"the scheduler at {self.address} can't do it: {_said(error)}") from error
        for where, what in told.items():
            if isinstance(what, BaseException):
                raise BadCluster(f"the worker {where} can't do it: {_said(what)}")
            if what != __version__:
                raise BadCluster(f"{where} has slimdeploy {what}, and this is {__version__}: they have to be the same")
        return seen

    def _look(self) -> Seen:
        found: Seen = self._client.run_on_scheduler(look)
        return found

    def deliver(self, parcels: Sequence[Parcel]) -> None:
        """Send them once to every worker, also to those that come later. Raises BadCluster where one takes none."""
        from deploy.fleet.delivery import Delivery

        name = f"slimdeploy-{secrets.token_hex(6)}"
        self._deliveries.append(name)
        try:
            self._client.register_plugin(Delivery(name, parcels, deaf=self._here), name)
        except Exception as error:  # what a worker raised comes as it is
            raise BadCluster(f"a worker of {self.address} can't take the files: {_said(error)}") from error

    def submit(self, site: str, deed: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """The deed's result, or WorkersLost where nobody is left who could carry it out."""
        outer: Future[Any] = Future()
        if self.lost or self._client.status == "closed":
            self.lost = True
            outer.set_exception(WorkersLost(f"the scheduler at {self.address} has gone"))
            return outer
        resources = {"resources": {f"{SITE}{site}": 1}} if site else {}
        inner = self._client.get_executor(pure=False, **resources).submit(deed, *arguments, key=_key(deed, arguments))
        with self._lock:
            self._running[outer] = site
        # Weakly: a result that is still referred to stays with its worker, and would be made again where that one dies.
        outer.add_done_callback(partial(self._over, weakref.ref(inner)))
        inner.add_done_callback(partial(self._pass_on, outer))
        return outer

    def _over(self, inner: weakref.ref[Future[Any]], outer: Future[Any]) -> None:
        with self._lock:
            self._running.pop(outer, None)
        if (task := inner()) is not None:
            task.cancel()

    def _pass_on(self, outer: Future[Any], inner: Future[Any]) -> None:
        from distributed import KilledWorker

        with suppress(InvalidStateError):  # it was cancelled, or given up, meanwhile
            if outer.done():
                return
            if inner.cancelled():
                self.lost = True
                outer.set_exception(WorkersLost(f"the connection to the scheduler at {self.address} broke"))
            elif isinstance(error := inner.exception(), KilledWorker):
                times = error.allowed_failures + 1
                outer.set_exception(WorkersLost(f"the workers that were to do it died, {times} times in a row"))
            elif error is not None:
                outer.set_exception(error)
            else:
                outer.set_result(inner.result())

    def watch(self) -> None:
        """Until `end`: give up hosts for which no worker is left. They would wait for one for ever."""
        served: dict[str, float] = {}
        while not self._ended.wait(min(_LOOK_S, self._lost_s / 4)):
            with self._lock:
                running = dict(self._running)
            if not running:
                served.clear()
                continue
            with suppress(Exception):  # a scheduler that has gone is seen by its tasks, which are cancelled then
                seen = self._look()
                now_s = time.monotonic()
                for site in set(running.values()):
                    there = site in seen.all_sites if site else bool(seen.threads)
                    if there or now_s < served.setdefault(site, now_s) + self._lost_s:
                        served[site] = now_s if there else served[site]
                        continue
                    where = f"no worker is left that stands at {site}" if site else "no worker is left"
                    for outer in [each for each, its_site in running.items() if its_site == site]:
                        with suppress(InvalidStateError):
                            outer.set_exception(WorkersLost(where))

    def end(self) -> None:
        """Nothing more is sent; parcels are not kept for workers that come later."""
        self._ended.set()
        for name in self._deliveries:
            with suppress(Exception):  # the scheduler may be what has gone
                self._client.unregister_worker_plugin(name)


class _Near(Executor):
    """The workers of one site, of the shape of concurrent.futures."""

    def __init__(self, workers: Workers, site: str) -> None:
        self._workers, self._site = workers, site

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See Executor.submit."""
        return self._workers.submit(self._site, partial(fn, **kwargs) if kwargs else fn, *args)


@contextmanager
def connected(address: str, *, connect_s: float = CONNECT_S, lost_s: float = LOST_S) -> Iterator[Workers]:
    """The workers of the scheduler at `address`. Raises BadCluster. Certificates are those of Dask's own settings."""
    _hush()
    try:
        client = _client(address, connect_s)
    except (OSError, ValueError, TypeError, RuntimeError, AssertionError) as error:
        # Dask asserts that its own thread starts within 10 s, which takes a machine with thirty times its work longer.
        raise BadCluster(f"the scheduler at {address} can't be reached: {_said(error)}") from error
    with client, _working(Workers(client, address, here=False, lost_s=lost_s)) as workers:
        yield workers


@contextmanager
def on_this_machine(count: int, threads: int) -> Iterator[Workers]:
    """`count` worker processes here, with so many deeds at once each, which are gone afterwards.

    They talk over TLS with a certificate of their own: any user of this machine could use a port without.
    """
    import dask
    from distributed import LocalCluster

    _hush()
    cluster_of: Any = LocalCluster
    with ExitStack() as stack:
        # No pages over HTTP: nobody would look, and they would be open to every user of this machine.
        pages: dict[str, list[Any]] = {f"distributed.{which}.http.routes": [] for which in ("scheduler", "worker")}
        stack.enter_context(dask.config.set(pages))
        try:
            cluster = cluster_of(
                n_workers=count,
                threads_per_worker=threads,
                processes=True,
                protocol="tls",
                security=True,
                dashboard_address=None,
                memory_limit=None,
                silence_logs=logging.CRITICAL,
            )
        except (OSError, RuntimeError) as error:
            raise BadCluster(f"the workers can't be started: {_said(error)}") from error
        client = stack.enter_context(_client(stack.enter_context(cluster)))
        yield stack.enter_context(_working(Workers(client, "this machine", here=True)))


def _client(of: Any, connect_s: float = CONNECT_S) -> Any:
    from distributed import Client

    client: Any = Client  # what it is called with has no types
    return client(of, timeout=connect_s, set_as_default=False, name="slimdeploy")


@contextmanager
def _working(workers: Workers) -> Iterator[Workers]:
    watch = threading.Thread(target=workers.watch, name="workers", daemon=True)
    watch.start()
    try:
        yield workers
    finally:
        workers.end()


def _hush() -> None:
    """What Dask logs of connections that come and go is raised as well, or is in a result."""
    for name in ("distributed", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _missing(members: Sequence[Member], sites: frozenset[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for member in members:
        if member.site and member.site not in sites:
            found.setdefault(member.site, []).append(member.name)
    return found


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _key(deed: Callable[..., Any], arguments: Sequence[Any]) -> str:
    """What Dask's own pages call the task; of its own for every attempt."""
    what = getattr(getattr(deed, "func", deed), "__name__", "deed")
    names = [argument.name for argument in arguments if isinstance(argument, Member)]
    return "-".join([what, *names, secrets.token_hex(8)])


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
