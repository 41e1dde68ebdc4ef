"""One deed on many members: never more at once than may be, nobody forgotten, and one's failure is nobody else's."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.cli.fleet.choosing import Here
from deploy.cli.fleet.telling import in_order, worst_exit_code
from deploy.errors import Unreachable
from deploy.fleet.pool import each_of, with_last_tries
from deploy.model.fleet import Member
from deploy.model.host import Host
from deploy.model.rollout import Result, State

MEMBERS = [Member(f"m{number}", Host("127.0.0.1", port=number + 1)) for number in range(40)]


def well(member: Member) -> Result:
    return Result(member.name, State.UNCHANGED)


def test_each_has_one_result_and_never_are_more_under_way_than_may_be() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def deed(member: Member) -> Result:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        time.sleep(0.005)
        with lock:
            now -= 1
        return well(member)

    with ThreadPoolExecutor(40) as threads:
        results = list(each_of(MEMBERS, deed, Here(threads), 7))
    assert sorted(result.member for result in results) == sorted(member.name for member in MEMBERS)
    assert 1 < most <= 7


def test_what_a_deed_raises_is_that_members_failure_alone() -> None:
    def deed(member: Member) -> Result:
        if member.name == "m3":
            raise RuntimeError("a fault of ours")
        return well(member)

    with ThreadPoolExecutor(4) as threads:
        results = {result.member: result for result in each_of(MEMBERS, deed, Here(threads), 4)}
    assert len(results) == 40 and results["m3"].state is State.FAILED
    assert results["m3"].problem == "RuntimeError: a fault of ours" and results["m3"].exit_code == 70
    assert all(result.state is State.UNCHANGED for name, result in results.items() if name != "m3")


def test_once_somebody_asks_for_a_stop_none_is_begun_and_those_under_way_end() -> None:
    begun: list[str] = []
    with ThreadPoolExecutor(4) as threads:
        ended = []
        for result in each_of(
            MEMBERS,
            well,
            Here(threads),
            4,
            begun=lambda member: begun.append(member.name),
            stop=lambda: len(begun) >= 9,
        ):
            ended.append(result.member)
    assert sorted(ended) == sorted(begun) and len(begun) == 9


@pytest.mark.parametrize(("codes", "worst"), [((0, 0), 0), ((0, 3), 3), ((3, 1, 0), 1), ((1, 4, 3), 4), ((), 0)])
def test_the_worst_host_decides_the_exit_code_and_stands_first(codes: tuple[int, ...], worst: int) -> None:
    results = [Result(f"m{number}", State.UNCHANGED, exit_code=code) for number, code in enumerate(codes)]
    assert worst_exit_code(results) == worst
    assert [each.exit_code for each in in_order(results)][:1] == ([worst] if codes else [])


def test_who_is_out_of_reach_is_tried_once_more_when_the_others_have_ended_and_that_counts() -> None:
    tried: list[str] = []

    def deed(member: Member) -> Result:
        tried.append(member.name)
        if member.name == "m3" or (member.name == "m5" and tried.count("m5") == 1):
            raise Unreachable(member.name, "nothing listens")
        return well(member)

    said: list[str] = []
    with ThreadPoolExecutor(4) as threads:
        results = list(with_last_tries(MEMBERS[:10], deed, Here(threads), 4, said.append))
    assert sorted(result.member for result in results) == sorted(member.name for member in MEMBERS[:10])
    assert [result.member for result in results if result.state is State.UNREACHABLE] == ["m3"]
    assert sorted(tried[-2:]) == ["m3", "m5"] and len(tried) == 12, "nobody else is tried twice"
    assert said == ["2 hosts out of reach: tried once more"]
