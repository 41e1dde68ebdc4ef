"""Knows how a rollout looks as JUnit XML, which CI systems show: a suite a wave, a case a host. Writing it is callers'.

There is no standard; this is the common part of what Jenkins' JUnit plugin, GitLab and GitHub's actions read
(github.com/testmoapp/junitxml describes it). Boards' text is escaped by ElementTree, and before that made visible by
`clean`, which leaves none of the characters that XML 1.0 forbids (section 2.2, Char).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from deploy.model.display import clean
from deploy.model.rollout import Result, Rollout, State, Wave
from deploy.report.problems import problem_of

_MOST_IN_ATTRIBUTE = 500
_SKIPPED = (State.WAITING, State.UNDER_WAY)


def junit_xml(rollout: Rollout, results: Mapping[str, Result]) -> bytes:
    """The document, in UTF-8 with its declaration; times in seconds.

    A host that was not deployed to, or whose verdict is FAIL, is a failure; one that could not be reached, or was not
    measured although that was asked, is an error: nothing is known of it. One whose turn has not come is skipped.
    """
    root = ET.Element("testsuites", name=clean(f"rollout {rollout.id}"))
    totals = [_suite(root, rollout, wave, results) for wave in rollout.waves]
    for number, name in enumerate(("tests", "failures", "errors", "skipped")):
        root.set(name, str(sum(counts[number] for counts in totals)))
    took = sum(results[name].seconds for wave in rollout.waves for name in wave.members if name in results)
    root.set("time", f"{took:.3f}")
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(root: ET.Element, rollout: Rollout, wave: Wave, results: Mapping[str, Result]) -> tuple[int, int, int, int]:
    suite = ET.SubElement(root, "testsuite", name=f"wave {wave.number}", timestamp=clean(rollout.begun_at))
    found = [results.get(name) or Result(name, State.WAITING, wave.number) for name in wave.members]
    kinds = [_case(suite, rollout, wave, result) for result in found]
    counts = (len(kinds), kinds.count("failure"), kinds.count("error"), kinds.count("skipped"))
    for name, count in zip(("tests", "failures", "errors", "skipped"), counts, strict=True):
        suite.set(name, str(count))
    suite.set("time", f"{sum(result.seconds for result in found):.3f}")
    return counts


def _case(suite: ET.Element, rollout: Rollout, wave: Wave, result: Result) -> str:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=clean(f"{rollout.id}.wave-{wave.number}"),
        name=clean(result.member),
        time=f"{result.seconds:.3f}",
    )
    kind = _kind(result)
    if kind == "skipped":
        ET.SubElement(case, kind, message=f"its turn has not come: {result.state.value}")
    elif kind:
        told = problem_of(result)
        first = told.split("\n", 1)[0][:_MOST_IN_ATTRIBUTE]
        element = ET.SubElement(case, kind, type=clean(_type(result)), message=first)
        element.text = "\n".join(part for part in (told, clean(result.cure)) if part)
    if lines := _output(result):
        ET.SubElement(case, "system-out").text = "\n".join(lines)
    return kind


def _kind(result: Result) -> str:
    if result.state in _SKIPPED:
        return "skipped"
    if result.state is State.UNREACHABLE:
        return "error"
    if not result.state.is_well or result.verdict == "FAIL":
        return "failure"
    return "" if result.verdict in ("", "PASS") else "error"


def _type(result: Result) -> str:
    return result.verdict if result.state.is_well else result.state.value


def _output(result: Result) -> Sequence[str]:
    figures = (
        ("host", result.host),
        ("board", result.board),
        ("release", result.release),
        ("verdict", result.verdict),
        ("VmRSS", "" if result.rss_kib is None else f"{result.rss_kib} KiB"),
        ("VmHWM", "" if result.hwm_kib is None else f"{result.hwm_kib} KiB"),
    )
    return [f"{name}: {clean(value)}" for name, value in figures if value]
