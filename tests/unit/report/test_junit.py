"""JUnit XML of a rollout: every host is one case, of the right kind, and no board's words break the document."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from deploy.model.rollout import Phase, Policy, Result, Rollout, State, Wave
from deploy.report.junit import junit_xml


def rollout(*waves: tuple[str, ...]) -> Rollout:
    numbered = tuple(Wave(number, names) for number, names in enumerate(waves, 1))
    return Rollout("20261123-221503-3f9a", "2026-11-23T22:15:03Z", Phase.ENDED, Policy(("rest",)), "f", {}, numbered)


RESULTS = (
    Result("fine", State.DEPLOYED, verdict="PASS", seconds=3.25, rss_kib=3056, host="root@fine:22"),
    Result("same", State.UNCHANGED, seconds=1.0),
    Result("full", State.FAILED, problem="no space\nat all", cure="Free some.", seconds=2.0, exit_code=4),
    Result("gone", State.UNREACHABLE, problem="does not answer"),
    Result("large", State.DEPLOYED, verdict="FAIL"),
    Result("dark", State.DEPLOYED, verdict="NOT MEASURED"),
    Result("back", State.ROLLED_BACK),
    Result("busy", State.UNDER_WAY),
)


def document() -> ET.Element:
    waves = (("fine", "same", "full", "gone"), ("large", "dark", "back", "busy", "later"))
    return ET.fromstring(junit_xml(rollout(*waves), {result.member: result for result in RESULTS}))


def test_every_host_is_one_case_of_its_kind() -> None:
    kinds = {}
    for case in document().iter("testcase"):
        (kind,) = [each.tag for each in case if each.tag != "system-out"] or [""]
        kinds[case.get("name")] = kind
    assert kinds == {
        "fine": "",
        "same": "",
        "full": "failure",
        "gone": "error",
        "large": "failure",
        "dark": "error",
        "back": "failure",
        "busy": "skipped",
        "later": "skipped",
    }


def test_suites_are_waves_and_their_sums_are_right() -> None:
    root = document()
    names = ("name", "tests", "failures", "errors", "skipped", "time")
    assert [tuple(suite.get(name) for name in names) for suite in root.iter("testsuite")] == [
        ("wave 1", "4", "1", "1", "0", "6.250"),
        ("wave 2", "5", "2", "1", "2", "0.000"),
    ]
    assert [root.get(name) for name in names[1:]] == ["9", "3", "2", "2", "6.250"]


def test_a_failure_holds_the_problem_the_cure_and_what_is_known_of_the_host() -> None:
    root = document()
    failure = root.find(".//testcase[@name='full']/failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("failed", "no space")
    assert failure.text == "no space\nat all\nFree some."
    output = root.find(".//testcase[@name='fine']/system-out")
    assert output is not None and output.text == "host: root@fine:22\nverdict: PASS\nVmRSS: 3056 KiB"
    case = root.find(".//testcase[@name='fine']")
    assert case is not None and case.get("time") == "3.250"


def test_forbidden_characters_become_visible_and_markup_stays_text() -> None:
    said = "\x00\x1b[31m <failure/> ]]> & \ud800 \ufffe \uffff \x85 é"
    result = Result("a<b>&\x01", State.FAILED, problem=said)
    found = ET.fromstring(junit_xml(rollout((result.member,)), {result.member: result}))
    (case,) = found.iter("testcase")
    assert case.get("name") == "a<b>&\\x01"
    assert case[0].text == "\\x00\\x1b[31m <failure/> ]]> & \\ud800 \\ufffe \\uffff \\x85 é"


ANY = st.text(st.characters(), max_size=40)


@given(
    st.lists(
        st.builds(Result, ANY, st.sampled_from(State), problem=ANY, cure=ANY, board=ANY, host=ANY, verdict=ANY),
        max_size=6,
        unique_by=lambda result: result.member,
    )
)
def test_whatever_boards_say_it_is_a_document_with_every_host_once(results: list[Result]) -> None:
    text = junit_xml(rollout(tuple(result.member for result in results)), {each.member: each for each in results})
    assert len(list(ET.fromstring(text).iter("testcase"))) == len(results)
