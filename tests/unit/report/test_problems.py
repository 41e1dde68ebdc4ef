"""Problems of a fleet: each is told once, with everybody's name and a cure; nobody is left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import HostKeyUnknown
from deploy.model.rollout import Result, State
from deploy.report.problems import problem_lines, problem_of, problems_of


def failed(member: str, problem: str, cure: str = "", *, state: State = State.FAILED, code: int = 4) -> Result:
    return Result(member, state, problem=problem, cure=cure, exit_code=code, host=f"root@{member}.lan:22")


def test_equal_problems_are_told_once_with_the_names_and_the_cure() -> None:
    results = [
        failed(
            f"edge-{number}", HostKeyUnknown(f"root@edge-{number}.lan:22", "ssh-ed25519", key).problem, "Compare it."
        )
        for number, key in enumerate(("SHA256:" + letter * 43 for letter in "abc"), 1)
    ]
    assert problem_lines(problems_of(results)) == [
        "3 hosts: the ssh-ed25519 host key … of … has not been seen before",
        "    edge-1, edge-2, edge-3",
        "    Compare it.",
    ]


def test_a_single_problem_stands_as_it_is() -> None:
    results = [failed("edge-7", "/opt has 312 KiB free, the release needs 4512 KiB", "Free some space.")]
    assert problem_lines(problems_of(results)) == [
        "edge-7: /opt has 312 KiB free, the release needs 4512 KiB",
        "    Free some space.",
    ]


def test_figures_differ_and_the_problem_is_the_same() -> None:
    problems = problems_of(
        [failed(f"e{kib}", f"/opt has {kib} KiB free, the release needs 4,512 KiB") for kib in (312, 7)]
    )
    assert [(each.sentence, each.members) for each in problems] == [
        ("/opt has … KiB free, the release needs … KiB", ("e312", "e7"))
    ]


def test_an_exit_status_is_not_a_figure_and_keeps_problems_apart() -> None:
    results = [failed("a", "the script ended with status 126"), failed("b", "the script ended with status 127")]
    assert len(problems_of(results)) == 2


def test_a_name_is_only_taken_out_where_it_stands_alone() -> None:
    (problem,) = problems_of([failed("a", "a has a bad case at a.lan"), failed("b", "b has b bad case at b.lan")])
    assert problem.sentence == "… has … bad case at …"
    assert len(problems_of([failed("a", "abacus"), failed("b", "bbbcus")])) == 2


def test_addresses_of_the_sixth_version_are_names_too() -> None:
    results = [
        Result(
            name, State.UNREACHABLE, problem=f"root@[fe80::{name}]:22 does not answer", host=f"root@[fe80::{name}]:22"
        )
        for name in ("1", "2")
    ]
    assert [each.sentence for each in problems_of(results)] == ["… does not answer"]


def test_a_cure_that_names_its_host_is_told_for_the_first_one() -> None:
    results = [failed(name, "locked", f"slimdeploy unlock --host root@{name}.lan:22") for name in ("a", "b")]
    assert problem_lines(problems_of(results))[-1] == "    a: slimdeploy unlock --host root@a.lan:22"


def test_failures_come_before_hosts_out_of_reach_and_the_commonest_first() -> None:
    away = [failed(f"away-{number}", "does not answer", state=State.UNREACHABLE) for number in range(5)]
    results = [*away, failed("a", "one"), failed("b", "two"), failed("c", "two")]
    assert [each.sentence for each in problems_of(results)] == ["two", "one", "does not answer"]


def test_a_release_that_runs_may_have_a_problem_and_a_host_that_waits_has_none() -> None:
    assert problem_of(Result("a", State.DEPLOYED, verdict="FAIL")) == "the verdict on its reading is FAIL"
    assert problem_of(Result("a", State.ROLLED_BACK)) == "it was rolled back"
    assert problem_of(Result("a", State.UNREACHABLE)) == "it is unreachable"
    assert problem_of(Result("a", State.FAILED)) == "it failed"
    for quiet in (State.WAITING, State.UNDER_WAY, State.DEPLOYED, State.UNCHANGED):
        assert problem_of(Result("a", quiet)) == ""


def test_what_a_board_said_is_safe_to_show() -> None:
    (line,) = problem_lines(problems_of([failed("a", "it said \x1b[2J\u202e")]))
    assert line == "a: it said \\x1b[2J\\u202e"


RESULTS = st.lists(
    st.builds(
        Result,
        st.text(min_size=1, max_size=6),
        st.sampled_from(State),
        problem=st.text(max_size=12) | st.sampled_from(["full: 3 KiB", "full: 4 KiB"]),
        cure=st.text(max_size=5),
        host=st.text(max_size=8),
    ),
    max_size=30,
    unique_by=lambda result: result.member,
)


@given(RESULTS)
def test_everybody_with_a_problem_is_in_one_group_and_nobody_else_is(results: list[Result]) -> None:
    told = [name for problem in problems_of(results) for name in problem.members]
    assert sorted(told) == sorted(result.member for result in results if problem_of(result))
    assert all(line.isprintable() or "\t" in line or "\n" in line for line in problem_lines(problems_of(results)))
