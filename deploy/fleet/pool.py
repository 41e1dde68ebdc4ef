"""Knows how one deed is done to many members at once, a bounded number at a time; not what the deed is.

The executor is any of the shape of concurrent.futures: threads here, Dask's for workers elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from typing import Protocol

from deploy.errors import Unreachable
from deploy.model.fleet import Member
from deploy.model.rollout import Result, State
from deploy.model.units import show_hosts

LOOK_S = 0.5
"""How often a stop that somebody asks for is noticed while nothing ends."""

Deed = Callable[[Member], Result]


class Executors(Protocol):
    """Which executor a member's deed goes to: one near its site, where there are several."""

    def near(self, site: str) -> Executor:
        """The executor for members of `site`; "" for anywhere."""
        ...


def each_of(
    members: Sequence[Member],
    deed: Deed,
    executors: Executors,
    at_once: int,
    *,
    begun: Callable[[Member], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Result]:
    """The result of each member, as it comes. Once `stop` is true none is begun any more; those under way end.

    Never raises for a member: what its deed raised, or a worker that died, is a FAILED result of its own. At Ctrl-C
    nothing more is begun, what is under way is waited for by the executor, and the KeyboardInterrupt goes on.
    """
    waiting = list(reversed(members))
    running: dict[Future[Result], Member] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once and not stop():
                member = waiting.pop()
                begun(member)
                running[executors.near(member.site).submit(deed, member)] = member
            if not running:
                return
            ended, _ = wait(running, timeout=LOOK_S, return_when=FIRST_COMPLETED)
            for future in ended:
                yield _result(future, running.pop(future))
    finally:
        for future in running:
            future.cancel()


def with_last_tries(
    members: Sequence[Member], deed: Deed, executors: Executors, at_once: int, say: Callable[[str], None]
) -> Iterator[Result]:
    """As `each_of`, but who is out of reach is tried once more when the others have ended, and that result counts.

    Only for a deed that may be done twice: a link can also break half way. `say` is told how many are tried again.
    """
    away = set()
    for result in each_of(members, deed, executors, at_once):
        if result.state is State.UNREACHABLE:
            away.add(result.member)
        else:
            yield result
    if away:
        say(f"{show_hosts(len(away))} out of reach: tried once more")
    yield from each_of([member for member in members if member.name in away], deed, executors, at_once)


def _result(future: Future[Result], member: Member) -> Result:
    try:
        return future.result()
    except Unreachable as error:
        return Result(member.name, State.UNREACHABLE, problem=error.problem, exit_code=4, host=str(member.host))
    except (Exception, CancelledError) as error:  # a fault of ours, or a worker's that is gone: of this member alone
        problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Result(member.name, State.FAILED, problem=problem, exit_code=70, host=str(member.host))
