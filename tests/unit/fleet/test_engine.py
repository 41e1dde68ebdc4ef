"""How a rollout goes over its waves: judged, stopped, rolled back, gone on with; no host twice, and none forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest

from deploy.errors import UnknownName, UsageError
from deploy.fleet.engine import Run, Work
from deploy.fleet.rollouts import Rollouts
from deploy.fleet.waves import parse_waves, plan_waves
from deploy.model.fleet import Member
from deploy.model.host import Host
from deploy.model.rollout import Missed, OnFailure, Phase, Policy, Result, Rollout, State, Wave

ID = "20261128-101112-abcd"
NAMES = tuple(f"edge-{number}" for number in range(10))
MEMBERS = {name: Member(name, Host(f"10.0.0.{number}")) for number, name in enumerate(NAMES)}


class Here:
    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.executor = executor

    def near(self, site: str) -> ThreadPoolExecutor:
        return self.executor


@dataclass
class Hosts:
    """Hosts that do as they are told, and note what was done to them."""

    results: dict[str, Result] = field(default_factory=dict)
    deployed: list[str] = field(default_factory=list)
    led_back: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    no_way_back: tuple[str, ...] = ()

    def deploy(self, member: Member) -> Result:
        self.before(member.name)
        self.deployed.append(member.name)
        well = Result(member.name, State.DEPLOYED, release="new", release_before="old", verdict="PASS", rss_kib=3000,
                      rss_error_kib=0, seconds=1.0, document={"whole": member.name})  # fmt: skip
        return self.results.get(member.name, well)

    def roll_back(self, releases: Mapping[str, str]) -> Callable[[Member], Result]:
        def deed(member: Member) -> Result:
            self.led_back.append((member.name, releases[member.name]))
            if member.name in self.no_way_back:
                return Result(member.name, State.UNREACHABLE, problem="nothing answers", exit_code=4)
            return Result(member.name, State.ROLLED_BACK, release="old", release_before="new")

        return deed


@dataclass
class Notes:
    waves: list[tuple[int, int]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    def wave(self, wave: Wave, count: int) -> None:
        self.waves.append((wave.number, count))

    def began(self, member: str) -> None:
        pass

    def ended(self, result: Result) -> None:
        self.ends.append(result.member)

    def missed(self, wave: Wave, missed: Sequence[Missed]) -> None:
        self.misses += [each.gate for each in missed]

    def waits(self, left_s: float) -> None:
        self.waited.append(left_s)


@dataclass
class Trial:
    """A rollout over NAMES, kept in a file of the test's own."""

    kept: Rollouts
    hosts: Hosts = field(default_factory=Hosts)
    notes: Notes = field(default_factory=Notes)
    run: Run | None = None

    def begin(self, waves: str = "1,3,rest", **policy: object) -> None:
        made = Policy(parse_waves(waves), **policy)  # type: ignore[arg-type]
        planned = plan_waves(made.waves, NAMES)
        self.kept.begin(Rollout(ID, "2026-11-28T10:11:12Z", Phase.RUNNING, made, "fleet.toml", {}, planned))

    def go(self, **more: object) -> Phase:
        with ThreadPoolExecutor(4) as executor:
            work = Work(self.hosts.deploy, self.hosts.roll_back)
            members = more.pop("members", MEMBERS)
            given = (self.kept.one(ID), members, work, Here(executor), self.kept, self.notes)
            self.run = Run(*given, **more)  # type: ignore[arg-type]
            return self.run.carry_out()

    @property
    def states(self) -> dict[str, State]:
        return {name: result.state for name, result in self.kept.results(ID).items()}


@pytest.fixture
def trial() -> Iterator[Trial]:
    with Rollouts() as kept:
        yield Trial(kept)


def bad(name: str, state: State = State.FAILED) -> Result:
    return Result(name, state, problem="it did not become ready", exit_code=4)


def test_every_host_is_deployed_to_once_in_its_wave_and_the_documents_are_kept_on_disk_alone(trial: Trial) -> None:
    trial.begin()
    assert trial.go() is Phase.ENDED
    assert sorted(trial.hosts.deployed) == sorted(NAMES) and trial.hosts.deployed[0] == "edge-0"
    assert trial.notes.waves == [(1, 1), (2, 3), (3, 6)]
    assert set(trial.hosts.deployed[1:4]) == {"edge-1", "edge-2", "edge-3"}
    assert trial.run and all(result.document is None for result in trial.run.results.values())
    results = trial.kept.results(ID)
    assert all(results[name].document == {"whole": name} for name in NAMES)
    assert [results[name].wave for name in NAMES] == [1, 2, 2, 2, 3, 3, 3, 3, 3, 3]
    assert trial.kept.holder(ID) is None and trial.kept.one(ID).phase is Phase.ENDED


def test_a_canary_that_misses_its_gate_keeps_the_others_as_they_were(trial: Trial) -> None:
    trial.begin(gates=("p95-rss<=2MiB",))
    assert trial.go() is Phase.STOPPED
    assert trial.hosts.deployed == ["edge-0"] and trial.notes.misses == ["p95-rss<=2MiB"]
    kept = trial.kept.one(ID)
    assert "wave 1: p95-rss<=2MiB" in kept.why and "edge-0" in kept.why


def test_going_on_after_a_stop_means_to_accept_the_wave_that_missed(trial: Trial) -> None:
    trial.begin(gates=("pass-share>=99%",))
    trial.hosts.results["edge-0"] = replace(trial.hosts.deploy(MEMBERS["edge-0"]), verdict="FAIL", exit_code=1)
    trial.hosts.deployed.clear()
    assert trial.go() is Phase.STOPPED
    assert trial.go() is Phase.ENDED
    assert sorted(trial.hosts.deployed) == sorted(NAMES), "no host twice, none forgotten"


def test_a_wave_that_was_through_when_its_controller_was_killed_is_judged_by_the_next_one(trial: Trial) -> None:
    trial.begin(gates=("p95-rss<=2MiB",))
    trial.kept.put(ID, Result("edge-0", State.DEPLOYED, 1, verdict="PASS", rss_kib=4000, rss_error_kib=0))
    assert trial.go() is Phase.STOPPED and trial.hosts.deployed == []


def test_a_failed_wave_is_led_back_to_what_ran_before_and_only_that_wave(trial: Trial) -> None:
    trial.begin(on_failure=OnFailure.ROLLBACK, max_fail="0")
    trial.hosts.results["edge-2"] = bad("edge-2")
    assert trial.go() is Phase.STOPPED
    assert sorted(trial.hosts.led_back) == [("edge-1", "old"), ("edge-3", "old")]
    assert trial.states["edge-0"] is State.DEPLOYED and trial.states["edge-2"] is State.FAILED
    assert trial.states["edge-1"] is trial.states["edge-3"] is State.ROLLED_BACK
    assert "2 hosts of the wave run the release of before again" in trial.kept.one(ID).why


def test_a_host_that_can_not_be_led_back_is_told_and_stays_what_it_is(trial: Trial) -> None:
    trial.begin("2,rest", on_failure=OnFailure.ROLLBACK, gates=("max-rss<=1MiB",))
    trial.hosts.no_way_back = ("edge-1",)
    first = trial.hosts.deploy(MEMBERS["edge-0"])
    trial.hosts.results["edge-0"] = replace(first, release_before="")
    assert trial.go() is Phase.STOPPED
    result = trial.kept.results(ID)["edge-1"]
    assert (result.state, result.release, result.problem) == (State.DEPLOYED, "new", "nothing answers")
    why = trial.kept.one(ID).why
    assert "1 host could not be led back" not in why.partition(";")[0] and "could not be led back" in why
    assert "on 1 host there was none before" in why


def test_leading_back_that_a_kill_cut_short_is_finished_first(trial: Trial) -> None:
    trial.begin("4,rest", on_failure=OnFailure.ROLLBACK)
    for name in NAMES[:4]:
        trial.kept.put(ID, Result(name, State.DEPLOYED, 1, release="new", release_before="old"))
    trial.kept.put(ID, Result("edge-1", State.ROLLED_BACK, 1, release="old"))
    trial.kept.phase(ID, Phase.ROLLING_BACK, "wave 1: it was too much")
    assert trial.go() is Phase.STOPPED
    assert sorted(name for name, _ in trial.hosts.led_back) == ["edge-0", "edge-2", "edge-3"]
    assert trial.hosts.deployed == []


def test_too_many_failures_stop_a_wave_in_its_middle(trial: Trial) -> None:
    trial.begin("rest", max_fail="1", at_once=1)
    for name in ("edge-1", "edge-2"):
        trial.hosts.results[name] = bad(name)
    assert trial.go() is Phase.STOPPED
    assert trial.hosts.deployed == list(NAMES[:3])
    assert "more than --max-fail 1" in trial.kept.one(ID).why


def test_failures_that_were_seen_before_going_on_do_not_stop_it_again(trial: Trial) -> None:
    trial.begin("rest", at_once=1)
    trial.hosts.results["edge-1"] = bad("edge-1")
    assert trial.go() is Phase.STOPPED
    assert trial.go() is Phase.ENDED
    assert trial.hosts.deployed == list(NAMES)


def test_to_continue_whatever_fails_reaches_everybody_and_tells_all_that_was_missed(trial: Trial) -> None:
    trial.begin(on_failure=OnFailure.CONTINUE, gates=("max-rss<=1MiB",))
    trial.hosts.results["edge-4"] = bad("edge-4")
    assert trial.go() is Phase.ENDED
    assert sorted(trial.hosts.deployed) == sorted(NAMES)
    assert trial.notes.misses.count("max-rss<=1MiB") == 3 and "max-fail 0" in trial.notes.misses


def test_who_is_out_of_reach_is_tried_again_at_the_end_and_left_for_later(trial: Trial) -> None:
    trial.begin()
    for name in ("edge-0", "edge-5"):
        trial.hosts.results[name] = bad(name, State.UNREACHABLE)

    def back_again(name: str) -> None:
        if name == "edge-9":
            del trial.hosts.results["edge-5"]

    trial.hosts.before = back_again
    assert trial.go() is Phase.ENDED
    assert trial.notes.waves[-1] == (0, 2) and set(trial.hosts.deployed[-2:]) == {"edge-0", "edge-5"}
    assert trial.states["edge-5"] is State.DEPLOYED and trial.kept.results(ID)["edge-5"].wave == 3
    assert trial.kept.unfinished(ID) == ("edge-0",)
    del trial.hosts.results["edge-0"]
    assert trial.go() is Phase.ENDED and trial.hosts.deployed.count("edge-0") == 3
    assert trial.kept.unfinished(ID) == ()


def test_a_pause_that_somebody_asks_for_comes_after_the_wave(trial: Trial) -> None:
    trial.begin("4,rest", at_once=1)
    trial.hosts.before = lambda name: trial.kept.ask(ID, "pause") if name == "edge-1" else None
    assert trial.go() is Phase.PAUSED
    assert trial.hosts.deployed == list(NAMES[:4])
    trial.hosts.before = lambda _: None
    assert trial.go() is Phase.ENDED and sorted(trial.hosts.deployed) == sorted(NAMES)


def test_an_abort_begins_no_other_host_and_is_for_good(trial: Trial) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1
        return now[0]

    trial.begin("rest", at_once=1)
    trial.hosts.before = lambda name: trial.kept.ask(ID, "abort") if name == "edge-2" else None
    assert trial.go(clock=clock) is Phase.ABORTED
    assert trial.hosts.deployed == list(NAMES[:3])
    with pytest.raises(UsageError, match="never gone on with"):
        trial.go()


def test_an_interrupt_lets_hosts_under_way_end_and_keeps_what_became_of_them(trial: Trial) -> None:
    trial.begin("rest", at_once=2)
    assert trial.go(interrupted=lambda: len(trial.hosts.deployed) >= 3) is Phase.PAUSED
    assert 3 <= len(trial.hosts.deployed) <= 4
    assert set(trial.states) == set(trial.hosts.deployed) and set(trial.states.values()) == {State.DEPLOYED}
    assert trial.go() is Phase.ENDED
    assert sorted(trial.hosts.deployed) == sorted(NAMES)


def test_between_waves_there_is_time_to_look(trial: Trial) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    trial.begin("1,1,rest", pause_s=2.0)
    assert trial.go(clock=lambda: now[0], sleep=sleep) is Phase.ENDED
    assert now[0] == pytest.approx(4.0) and trial.notes.waited[0] == pytest.approx(2.0)


def test_a_host_that_was_half_way_when_the_controller_was_killed_is_done_again(trial: Trial) -> None:
    trial.begin("rest")
    for name in NAMES[:3]:
        trial.kept.put(ID, Result(name, State.DEPLOYED, 1, release="new"))
    trial.kept.put(ID, Result("edge-3", State.UNDER_WAY, 1))
    assert trial.go() is Phase.ENDED
    assert sorted(trial.hosts.deployed) == list(NAMES[3:])


def test_nothing_is_done_where_the_inventory_has_lost_a_host_that_is_left(trial: Trial) -> None:
    trial.begin()
    with pytest.raises(UnknownName, match="edge-7"):
        trial.go(members={name: member for name, member in MEMBERS.items() if name != "edge-7"})
    assert trial.hosts.deployed == [] and trial.kept.holder(ID) is None


def test_two_processes_do_not_carry_out_one_rollout(trial: Trial) -> None:
    trial.begin()
    trial.kept.claim(ID)
    with pytest.raises(UsageError, match="is being carried out by process"):
        trial.go()
