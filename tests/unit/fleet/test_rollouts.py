"""The store of rollouts: whole again after any end of the process, written by many threads, held by one process."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.errors import BadRollouts, UnknownName, UsageError
from deploy.fleet.holders import this_process
from deploy.fleet.rollouts import Rollouts, new_id, rollouts_file
from deploy.model.rollout import OnFailure, Phase, Policy, Result, Rollout, State, Wave

ID = "20261123-221503-3f9a"
WAVES = (Wave(1, ("edge-2",)), Wave(2, ("edge-1", "edge-3")), Wave(3, ("edge-0",)))


def rollout(id_: str = ID, waves: tuple[Wave, ...] = WAVES) -> Rollout:
    policy = Policy(("1", "50%", "rest"), ("p95-rss<=5MiB",), "5%", OnFailure.ROLLBACK, 2.5, 64)
    return Rollout(id_, "2026-11-23T22:15:03Z", Phase.RUNNING, policy, "fleet.toml", {"port": "8081"}, waves)


@pytest.fixture
def store() -> Iterator[Rollouts]:
    with Rollouts() as found:
        found.begin(rollout())
        yield found


def test_a_rollout_and_its_results_come_back_whole(store: Rollouts) -> None:
    result = Result(
        "edge-3",
        State.DEPLOYED,
        2,
        problem="né\x00\u202e",
        seconds=3.25,
        board="licheerv",
        host="root@edge-3:22",
        release="ab" * 8,
        verdict="PASS",
        rss_kib=3056,
        rss_error_kib=8,
        hwm_kib=4000,
        document={"reading": {"rss_kib": 3056}, "steps": [1, None, "x"]},
    )
    store.put(ID, result)
    with Rollouts() as another:
        assert another.one(ID) == rollout()
        assert another.results(ID) == {"edge-3": result}
        assert another.results(ID, documents=False)["edge-3"].document is None


def test_nothing_is_made_by_looking() -> None:
    with Rollouts() as store:
        assert store.all() == () and store.newest() is None
        for ask in (store.one, store.results, store.unfinished, store.counts, store.holder, store.asked):
            with pytest.raises(UnknownName):
                ask(ID)
    assert not rollouts_file().exists()


def test_others_can_not_read_it(store: Rollouts) -> None:
    for path in rollouts_file().parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(rollouts_file().parent.stat().st_mode) == 0o700


def test_the_last_result_of_a_host_is_what_holds_and_no_attempt_is_lost(store: Rollouts) -> None:
    for state in (State.UNDER_WAY, State.UNREACHABLE, State.UNDER_WAY, State.DEPLOYED):
        store.put(ID, Result("edge-1", state, 2))
    store.put(ID, Result("edge-2", State.FAILED, 1))
    assert [(name, result.state) for name, result in store.results(ID).items()] == [
        ("edge-2", State.FAILED),
        ("edge-1", State.DEPLOYED),
    ]
    with sqlite3.connect(rollouts_file()) as database:
        assert database.execute("SELECT count(*) FROM result WHERE member = 'edge-1'").fetchone() == (4,)


def test_what_is_left_is_who_is_not_final_in_the_order_of_the_fleet(store: Rollouts) -> None:
    assert store.unfinished(ID) == ("edge-2", "edge-1", "edge-3", "edge-0")
    store.put(ID, Result("edge-2", State.UNCHANGED))
    store.put(ID, Result("edge-1", State.UNREACHABLE))
    store.put(ID, Result("edge-3", State.UNDER_WAY))
    assert store.unfinished(ID) == ("edge-1", "edge-3", "edge-0")
    assert {state: count for state, count in store.counts(ID).items() if count} == {
        State.UNCHANGED: 1,
        State.UNREACHABLE: 1,
        State.UNDER_WAY: 1,
        State.WAITING: 1,
    }


def test_two_rollouts_over_the_same_hosts_do_not_mix(store: Rollouts) -> None:
    store.begin(rollout("20261124-000000-0000"))
    store.put(ID, Result("edge-1", State.DEPLOYED))
    store.put("20261124-000000-0000", Result("edge-1", State.FAILED))
    assert store.results(ID)["edge-1"].state is State.DEPLOYED
    assert len(store.unfinished("20261124-000000-0000")) == 3


def test_a_host_of_no_fleet_and_a_rollout_of_nobody_are_refused(store: Rollouts) -> None:
    with pytest.raises(UnknownName, match="host in the rollout"):
        store.put(ID, Result("stranger", State.DEPLOYED))
    with pytest.raises(UnknownName):
        store.put("2026", Result("edge-1", State.DEPLOYED))
    with pytest.raises(UsageError, match="already"):
        store.begin(rollout())
    assert store.results(ID) == {} and len(store.all()) == 1


def test_a_phase_is_kept_with_its_reason_and_an_abort_is_for_good(store: Rollouts) -> None:
    store.phase(ID, Phase.STOPPED, "p95-rss<=5MiB: too much")
    assert (store.one(ID).phase, store.one(ID).why) == (Phase.STOPPED, "p95-rss<=5MiB: too much")
    store.phase(ID, Phase.ABORTED, "by somebody")
    for action in (lambda: store.phase(ID, Phase.RUNNING), lambda: store.claim(ID)):
        with pytest.raises(UsageError, match="was aborted"):
            action()
    with pytest.raises(UnknownName):
        store.phase("2026", Phase.ENDED)
    assert store.one(ID).phase is Phase.ABORTED


def test_the_newest_comes_first(store: Rollouts) -> None:
    store.begin(rollout("20260101-000000-aaaa"))  # begun later, by a clock that was set back
    assert [each.id for each in store.all()] == ["20260101-000000-aaaa", ID]
    assert [each.id for each in store.all(last=1)] == ["20260101-000000-aaaa"]
    assert store.newest() == rollout("20260101-000000-aaaa")


def test_an_id_is_found_by_its_beginning_or_its_last_digits(store: Rollouts) -> None:
    store.begin(rollout("20261124-101112-beef"))
    assert store.find(ID) == store.find("20261123") == store.find("3f9a") == ID
    with pytest.raises(UsageError, match=f"could be each of these rollouts: 20261124-101112-beef, {ID}"):
        store.find("202611")
    for text in ("20261125", "", "%", "_0261123"):
        with pytest.raises(UnknownName):
            store.find(text)
    assert store.one("last").id == "20261124-101112-beef"
    with pytest.raises(UnknownName) as caught:
        store.one("20261123-221503-3f9b")
    assert caught.value.near[0] == ID


def test_a_whole_id_is_itself_even_where_another_begins_so(store: Rollouts) -> None:
    store.begin(rollout(f"{ID}0"))
    assert store.find(ID) == ID


def test_an_id_tells_when_it_was_begun() -> None:
    assert new_id(datetime(2026, 11, 23, 22, 15, 3, tzinfo=UTC)).startswith("20261123-221503-")
    assert len({new_id() for _ in range(50)}) > 1


def test_a_claim_keeps_everybody_else_away_until_it_is_released(store: Rollouts) -> None:
    assert store.holder(ID) is None
    store.claim(ID)
    found = store.holder(ID)
    assert found is not None and found.pid == os.getpid()
    with Rollouts() as another, pytest.raises(UsageError) as caught:
        another.claim(ID)
    assert caught.value.problem == f"rollout {ID} is being carried out by process {os.getpid()} since {found.since}"
    store.release(ID)
    assert store.holder(ID) is None
    store.claim(ID)


def test_a_claim_of_a_process_whose_number_was_given_away_does_not_hold(store: Rollouts) -> None:
    store.claim(ID)
    with sqlite3.connect(rollouts_file()) as database:
        database.execute("UPDATE rollout SET start_ticks = start_ticks - 1")
    assert store.holder(ID) is None
    store.claim(ID)
    with sqlite3.connect(rollouts_file()) as database:
        database.execute("UPDATE rollout SET boot_id = 'of another boot'")
    store.claim(ID)


def test_where_there_is_no_proc_the_number_tells() -> None:
    from dataclasses import replace

    here = this_process("now")
    assert replace(here, boot_id="", start_ticks=0).is_alive
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait(30)
    assert not replace(here, boot_id="", start_ticks=0, pid=ended.pid).is_alive


def test_only_the_process_that_holds_a_claim_releases_it(store: Rollouts) -> None:
    with program("store.claim(ID); tell('held'); sys.stdin.readline()") as holder:
        assert holder.hear() == "held"
        store.release(ID)
        assert (found := store.holder(ID)) is not None and found.pid == holder.pid


def test_a_request_reaches_the_process_that_holds_and_an_abort_stays(store: Rollouts) -> None:
    with program("store.claim(ID); tell('held'); sys.stdin.readline(); tell(store.asked(ID))") as holder:
        assert holder.hear() == "held" and store.asked(ID) == ""
        store.ask(ID, "pause")
        store.ask(ID, "abort")
        store.ask(ID, "pause")
        assert holder.hear("go on") == "abort"


def test_nobody_is_asked_where_nobody_is_and_a_new_holder_begins_afresh(store: Rollouts) -> None:
    with pytest.raises(UsageError, match="not being carried out"):
        store.ask(ID, "pause")
    store.claim(ID)
    store.ask(ID, "pause")
    store.release(ID)
    store.claim(ID)
    assert store.asked(ID) == ""
    with pytest.raises(ValueError, match="none of"):
        store.ask(ID, "hurry")


def test_a_killed_holder_holds_nothing_even_before_its_parent_waits_for_it(store: Rollouts) -> None:
    with program("store.claim(ID); tell('held'); sys.stdin.readline()") as holder:
        assert holder.hear() == "held"
        with pytest.raises(UsageError, match=f"process {holder.pid} since"):
            store.claim(ID)
        os.kill(holder.pid, signal.SIGKILL)
        # Ended, and not waited for: a zombie, which has its number and its start time still.
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
        assert "State:\tZ" in Path(f"/proc/{holder.pid}/status").read_text()
        assert store.holder(ID) is None
        store.claim(ID)


def test_of_many_processes_that_claim_at_once_one_gets_it(store: Rollouts) -> None:
    source = "sys.stdin.readline()\ntry: store.claim(ID)\nexcept UsageError as e: tell(e.problem)\nelse: tell('mine')\n"
    source += "sys.stdin.readline()"
    with program(source) as a, program(source) as b, program(source) as c:
        for each in (a, b, c):
            each.say("go")
        told = [each.hear() for each in (a, b, c)]
    assert told.count("mine") == 1 and sum("is being carried out by" in each for each in told) == 2


def test_a_killed_controller_loses_no_host_that_it_had_put(store: Rollouts) -> None:
    names = tuple(f"host-{number}" for number in range(2000))
    store.begin(rollout("big", (Wave(1, names),)))
    source = (
        "store.claim('big')\n"
        "for number in range(2000):\n"
        "    store.put('big', Result(f'host-{number}', State.DEPLOYED, document={'n': number})); tell(number)\n"
    )
    with program(source) as doomed:
        for _ in range(20):
            doomed.hear()
        os.kill(doomed.pid, signal.SIGKILL)
        told = 20 + doomed.rest()
    kept = store.results("big")
    assert len(kept) >= told and list(kept) == list(names[: len(kept)])
    assert all(result.document == {"n": number} for number, result in enumerate(kept.values()))
    assert store.unfinished("big") == names[len(kept) :]
    store.claim("big")
    with sqlite3.connect(rollouts_file()) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_many_threads_put_at_once_while_others_look(store: Rollouts) -> None:
    names = tuple(f"host-{number:04}" for number in range(1000))
    store.begin(rollout("big", (Wave(1, names[:1]), Wave(2, names[1:]))))

    def put(name: str) -> None:
        store.put("big", Result(name, State.UNDER_WAY))
        store.put("big", Result(name, State.DEPLOYED, rss_kib=3000, document={"name": name}))

    with ThreadPoolExecutor(32) as threads:
        done = [threads.submit(put, name) for name in names]
        while not done[-1].done():
            assert sum(store.counts("big").values()) == 1000
        assert [each.result(30) for each in done] == [None] * 1000
    assert store.unfinished("big") == ()
    assert [result.document for result in store.results("big").values()] == [{"name": name} for name in names]


def test_many_processes_begin_at_once_on_a_file_that_is_not_there_yet() -> None:
    source = "sys.stdin.readline(); store.begin(rollout(sys.argv[1])); tell('kept')"
    with program(source, "a") as a, program(source, "b") as b, program(source, "c") as c, program(source, "d") as d:
        for each in (a, b, c, d):
            each.say("go")
        assert [each.hear() for each in (a, b, c, d)] == ["kept"] * 4
    with Rollouts() as store:
        assert {each.id for each in store.all()} == {"a", "b", "c", "d"}


def test_a_store_is_used_again_after_it_was_closed(store: Rollouts) -> None:
    store.close()
    store.close()
    store.put(ID, Result("edge-1", State.DEPLOYED))
    assert len(store.results(ID)) == 1


def test_a_file_that_can_not_be_used_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.sqlite3"
    path.write_text("a shopping list, rather long, so that it is no header of anything\n" * 20)
    with Rollouts(path) as store:
        for action in (lambda: store.begin(rollout()), store.all):
            with pytest.raises(BadRollouts, match=r"file of rollouts.*not a database"):
                action()
    newer = tmp_path / "newer.sqlite3"
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version = 999")
    with Rollouts(newer) as store, pytest.raises(BadRollouts, match="newer slimdeploy"):
        store.begin(rollout())


class Program:
    """Another Python process that has the store as `store`, is told lines and tells lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def hear(self, after: str = "") -> str:
        if after:
            self.say(after)
        assert self._process.stdout is not None
        return str(json.loads(self._process.stdout.readline()))

    def rest(self) -> int:
        """How many whole lines are still to be heard."""
        assert self._process.stdout is not None
        return self._process.stdout.read().count("\n")


_BEGINNING = f"""
import json, sys
from deploy.errors import UsageError
from deploy.fleet.rollouts import Rollouts
from deploy.model.rollout import Phase, Policy, Result, Rollout, State, Wave
ID = {ID!r}
store = Rollouts()
def tell(what): print(json.dumps(what), flush=True)
def rollout(id_): return Rollout(id_, "now", Phase.RUNNING, Policy(("rest",)), "", {{}}, (Wave(1, ("a",)),))
"""


@contextmanager
def program(source: str, *arguments: str) -> Iterator[Program]:
    process = subprocess.Popen(
        [sys.executable, "-c", _BEGINNING + source, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        process.communicate(timeout=30)
