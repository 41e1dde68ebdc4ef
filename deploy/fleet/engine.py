"""Knows how a rollout goes: wave after wave, judged in between, stopped, rolled back, and its last hosts tried again.

What is done to one host is a deed that it is given, who is shown it an `Onlooker`; all that is needed to go on with a
rollout after a kill is in `rollouts.py` before anything else happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from deploy.errors import UnknownName
from deploy.fleet.gates import judge, parse_gate, too_many
from deploy.fleet.pool import LOOK_S, Deed, Executors, each_of
from deploy.fleet.rollouts import Rollouts
from deploy.model.fleet import Member
from deploy.model.rollout import Missed, OnFailure, Phase, Result, Rollout, State, Wave
from deploy.model.units import show_hosts

_LAST_TRIES = "the last tries"


class Onlooker(Protocol):
    """Who is told how a rollout goes."""

    def wave(self, wave: Wave, count: int) -> None:
        """A wave begins, with `count` of its hosts left to do; number 0 is those that are tried again at the end."""
        ...

    def began(self, member: str) -> None:
        """A host's turn begins."""
        ...

    def ended(self, result: Result) -> None:
        """A host has its result, or another one after it was rolled back."""
        ...

    def missed(self, wave: Wave, missed: Sequence[Missed]) -> None:
        """A wave has missed its gates, or too many hosts have failed."""
        ...

    def waits(self, left_s: float) -> None:
        """The pause between two waves, with so many seconds of it left."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """What is done to a member. Both never raise: what goes wrong is in the result."""

    deploy: Deed
    roll_back: Callable[[Mapping[str, str]], Deed]
    """The deed that leads each member back to its release in the mapping."""


@dataclass(slots=True)
class Run:
    """One process's way through a rollout. It claims the rollout before anything, and lets go of it at the end."""

    rollout: Rollout
    members: Mapping[str, Member]
    work: Work
    executors: Executors
    kept: Rollouts
    onlooker: Onlooker
    interrupted: Callable[[], bool] = lambda: False
    """Whether whoever runs this has asked for its end; hosts under way still come to theirs."""
    book: Callable[[Result], Result] = lambda result: result
    """Writes down what the controller is to remember of a result; what it returns is kept and shown."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    results: dict[str, Result] = field(default_factory=dict)
    """The latest of every host, without its document."""
    missed: list[Missed] = field(default_factory=list)
    _failed_before: frozenset[str] = frozenset()
    _asked: str = ""
    _looked_s: float = float("-inf")
    _wave_of: dict[str, int] = field(default_factory=dict)

    def carry_out(self) -> Phase:
        """Go on until there is nothing left to do, or a reason to stop; the phase in which it then stands.

        Raises UsageError where another process carries it out, or it was aborted; UnknownName for a host that is left
        to do and that `members` lacks. Both before anything is done.
        """
        for name in self.kept.unfinished(self.rollout.id):
            if name not in self.members:
                raise UnknownName(f"host in {self.rollout.inventory}", name)
        self.kept.claim(self.rollout.id)
        try:
            self.results = dict(self.kept.results(self.rollout.id, documents=False))
            # Who resumes has seen those; only what fails from now on is held against --max-fail.
            self._failed_before = frozenset(_in_state(self.results.values(), State.FAILED))
            before = self.rollout.phase
            if before is Phase.ROLLING_BACK:
                phase, why = self._rest_of_rolling_back()
            else:
                self.kept.phase(self.rollout.id, Phase.RUNNING)
                phase, why = self._go(accepted=before is Phase.STOPPED)
            self.kept.phase(self.rollout.id, phase, why)
        finally:
            self.kept.release(self.rollout.id)
        return phase

    def _rest_of_rolling_back(self) -> tuple[Phase, str]:
        """What a process that was killed meanwhile has left of it."""
        tried = [wave for wave in self.rollout.waves if any(name in self.results for name in wave.members)]
        is_wave = bool(tried) and not self.rollout.why.startswith(_LAST_TRIES)
        return Phase.STOPPED, self.rollout.why + (self._led_back(tried[-1]) if is_wave else "")

    def _go(self, *, accepted: bool) -> tuple[Phase, str]:
        """`accepted`: whether the waves that are through were judged already, and somebody wants to go on all the same.

        Otherwise they are judged now: a process that was killed may not have come to it.
        """
        worked = False
        for wave in self.rollout.waves:
            left = [name for name in wave.members if self._is_left(name)]
            if left and worked:
                self._pause()
            if ended := self._cut_short():
                return ended
            if left:
                worked = True
                self.onlooker.wave(wave, len(left))
                self._work(left, self.work.deploy)
            if ended := self._cut_short():
                return ended
            if (left or not accepted) and (ended := self._judged(wave)):
                return ended
            if worked and (ended := self._paused()):
                return ended
        return self._last_tries() or (Phase.ENDED, "")

    def _is_left(self, name: str) -> bool:
        """Whether a host's turn in its wave is to come; who is out of reach has had it, and is tried at the end."""
        result = self.results.get(name)
        return result is None or not (result.state.is_final or result.state is State.UNREACHABLE)

    def _last_tries(self) -> tuple[Phase, str] | None:
        """Once more those that are out of reach; whoever answers now is judged as a wave is."""
        names = _in_state(self.results.values(), State.UNREACHABLE)
        if not names:
            return None
        self.onlooker.wave(Wave(0, names), len(names))
        self._work(names, self.work.deploy)
        if ended := self._cut_short():
            return ended
        reached = tuple(name for name in names if self.results[name].state is not State.UNREACHABLE)
        return self._judged(Wave(0, reached)) if reached else None

    def _work(self, names: Sequence[str], deed: Deed, *, lead_back: bool = False) -> None:
        """The deed on each of them, every result kept as it comes. A wave is led back whatever is asked meanwhile."""
        members = [self.members[name] for name in names]
        stop = (lambda: False) if lead_back else self._enough
        at_once = self.rollout.policy.at_once
        results = each_of(members, deed, self.executors, at_once, begun=self._begun, stop=stop)
        for result in map(self.book, results):
            if lead_back and result.state is not State.ROLLED_BACK:
                # There the new release runs on: that stays its state, so that it can be led back later.
                told = replace(self.results[result.member], problem=result.problem, cure=result.cure)
                self._keep(replace(told, exit_code=result.exit_code, document=result.document))
            else:
                self._keep(result)

    def _begun(self, member: Member) -> None:
        before = self.results.get(member.name)
        if before is None or before.state is State.WAITING:
            # After a kill this is how it is known that the host may be half way.
            self._keep(Result(member.name, State.UNDER_WAY, board=member.board, host=str(member.host)), tell=False)
        self.onlooker.began(member.name)

    def _keep(self, result: Result, *, tell: bool = True) -> None:
        result = replace(result, wave=self._waves[result.member])
        self.kept.put(self.rollout.id, result)
        # A thousand documents of 20 KiB each are not held in memory: who wants them reads them from the file.
        self.results[result.member] = result = replace(result, document=None)
        if tell:
            self.onlooker.ended(result)

    def _judged(self, wave: Wave) -> tuple[Phase, str] | None:
        """Hold what was asked against the wave, and do what a miss brings about; None where the rollout goes on."""
        policy = self.rollout.policy
        results = [self.results[name] for name in wave.members if name in self.results]
        missed = [*judge([parse_gate(text) for text in policy.gates], results)] if results else []
        if (failures := self._too_many()) is not None:
            missed.append(failures)
        if not missed:
            return None
        self.missed += missed
        self.onlooker.missed(wave, missed)
        if policy.on_failure is OnFailure.CONTINUE:
            return None
        what = f"wave {wave.number}" if wave.number else _LAST_TRIES
        why = f"{what}: " + "; ".join(each.sentence for each in missed)
        if policy.on_failure is OnFailure.ROLLBACK:
            self.kept.phase(self.rollout.id, Phase.ROLLING_BACK, why)
            why += self._led_back(wave)
        return Phase.STOPPED, why

    def _led_back(self, wave: Wave) -> str:
        """Lead the hosts of a wave back that got a new release in it; what became of them, as a clause."""
        new = [name for name in wave.members if (it := self.results.get(name)) and it.state is State.DEPLOYED]
        back = {name: self.results[name].release_before for name in new if self.results[name].release_before}
        self._work(list(back), self.work.roll_back(back), lead_back=True)
        done = sum(self.results[name].state is State.ROLLED_BACK for name in back)
        clause = f"; {show_hosts(done)} of the wave {'runs' if done == 1 else 'run'} the release of before again"
        if len(back) > done:
            clause += f", {show_hosts(len(back) - done)} could not be led back"
        if len(new) > len(back):
            clause += f", on {show_hosts(len(new) - len(back))} there was none before"
        return clause

    @property
    def _waves(self) -> Mapping[str, int]:
        if not self._wave_of:
            self._wave_of = {name: wave.number for wave in self.rollout.waves for name in wave.members}
        return self._wave_of

    def _too_many(self) -> Missed | None:
        results = [it for it in self.results.values() if it.member not in self._failed_before]
        return too_many(self.rollout.policy, results, len(self._waves))

    def _enough(self) -> bool:
        """Whether no further host is begun."""
        if self.interrupted() or self._request() == "abort":
            return True
        return self.rollout.policy.on_failure is not OnFailure.CONTINUE and self._too_many() is not None

    def _cut_short(self) -> tuple[Phase, str] | None:
        if self._request() == "abort":
            return Phase.ABORTED, "somebody asked for it (fleet.abort)"
        if self.interrupted() and self._has_more():
            return Phase.PAUSED, "it was interrupted"
        return None

    def _paused(self) -> tuple[Phase, str] | None:
        if self._request(fresh=True) == "pause" and self._has_more():
            return Phase.PAUSED, "somebody asked for it (fleet.pause)"
        return None

    def _has_more(self) -> bool:
        done = sum(it.state.is_final for it in self.results.values())
        return done < len(self._waves)

    def _pause(self) -> None:
        """The time between two waves, cut short by whoever asks for an end."""
        until_s = self.clock() + self.rollout.policy.pause_s
        while (left_s := until_s - self.clock()) > 0 and not self.interrupted() and not self._request():
            self.onlooker.waits(left_s)
            self.sleep(min(LOOK_S, left_s))

    def _request(self, *, fresh: bool = False) -> str:
        """What another process has asked for; looked up now and then only, as it is asked for every host."""
        now_s = self.clock()
        if fresh or now_s >= self._looked_s + LOOK_S:
            self._asked, self._looked_s = self.kept.asked(self.rollout.id), now_s
        return self._asked


def _in_state(results: Iterable[Result], state: State) -> tuple[str, ...]:
    return tuple(result.member for result in results if result.state is state)
