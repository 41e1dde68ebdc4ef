"""A process that nobody wrote a PID down for: found by what it is, in the question that samples it. Real processes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from gateways import QUICK, Gateways
from readings import names_no_figure
from shells import BusyBoxTransport

from deploy.board_shell.finding import Finding
from deploy.cli.claims import Claimed, strangers_claim
from deploy.cli.reaching import any_host
from deploy.errors import UsageError
from deploy.memory.budget import judge
from deploy.memory.idle import idle_reading
from deploy.memory.subject import Subject
from deploy.model.reading import Reading
from deploy.model.verdict import Budget, Outcome
from deploy.transport.local import LocalTransport

LARGE = Budget(rss_kib=1 << 30)


@pytest.fixture(params=["sh", pytest.param("busybox", marks=pytest.mark.install_check)])
def transport(request: pytest.FixtureRequest, tmp_path: Path) -> LocalTransport:
    return LocalTransport() if request.param == "sh" else BusyBoxTransport(tmp_path / "applets")


def found_by(transport: LocalTransport, gateways: Gateways, way: str, what: str, **claims: str) -> Reading:
    subject = Subject(gateways.layout, None, None, ours=False, finding=Finding(way, what))
    return idle_reading(transport, replace(subject, **claims), pace=QUICK)


def own_copy(gateways: Gateways, name: str) -> str:
    """A program of that name which no other test runs."""
    path = gateways.folder / name
    shutil.copy(gateways.binary, path)
    return str(path)


def test_it_is_found_by_its_executables_path_or_name_and_by_its_own_name(
    gateways: Gateways, transport: LocalTransport, tmp_path: Path
) -> None:
    name = f"q{abs(hash(str(tmp_path))) % 10**8}"
    path = own_copy(gateways, name)
    process = gateways.spawn(path, "1000")
    for way, what in (("exe", path), ("exe", name), ("name", name)):
        reading = found_by(transport, gateways, way, what)
        verdict = judge(reading, LARGE)
        assert verdict.outcome is Outcome.PASS, verdict
        assert reading.samples[0].process.pid == process.pid
        assert verdict.reason.endswith("(not asked: which binary it is, who started it, under which limits)")


def test_a_name_that_the_kernel_has_cut_is_found_by_all_of_it(gateways: Gateways, transport: LocalTransport) -> None:
    name = f"long-name-{abs(hash(str(gateways.folder))) % 10**4}-of-a-program"
    process = gateways.spawn(own_copy(gateways, name), "1000")
    reading = found_by(transport, gateways, "name", name)
    assert reading.samples[0].process.pid == process.pid


def test_of_several_none_is_taken_and_all_are_named(gateways: Gateways, transport: LocalTransport) -> None:
    path = own_copy(gateways, "twice")
    pids = sorted(gateways.spawn(path, "1000").pid for _ in range(2))
    verdict = judge(found_by(transport, gateways, "exe", path), LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED and names_no_figure(verdict)
    assert "2 processes are found" in verdict.reason and all(str(pid) in verdict.reason for pid in pids)
    assert "--pid" in verdict.reason


@pytest.mark.parametrize(
    ("way", "what"), [("exe", "no-such-program"), ("name", "no-such-name"), ("unit", "no-such-service")]
)
def test_nothing_found_is_nothing_measured(gateways: Gateways, transport: LocalTransport, way: str, what: str) -> None:
    verdict = judge(found_by(transport, gateways, way, what), LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED
    assert verdict.reason.startswith(f"--{way} {what} finds no process")


def test_words_of_the_shell_in_a_name_are_only_a_name(gateways: Gateways, transport: LocalTransport) -> None:
    trap = gateways.folder / "sprung"
    verdict = judge(found_by(transport, gateways, "exe", f"x'; touch {trap} #$(touch {trap})"), LARGE)
    assert verdict.outcome is Outcome.NOT_MEASURED and not trap.exists()


def test_what_is_claimed_is_held_against_the_process_all_the_same(
    gateways: Gateways, transport: LocalTransport
) -> None:
    path = own_copy(gateways, "claimed")
    gateways.spawn(path, "1000")
    sha256 = gateways.sha256
    reading = found_by(transport, gateways, "exe", path, sha256=sha256)
    assert reading.not_asked == ("started_by_us", "limits")
    assert judge(reading, LARGE).outcome is Outcome.PASS
    other = judge(found_by(transport, gateways, "exe", path, sha256="0" * 64), LARGE)
    assert other.outcome is Outcome.NOT_MEASURED and "not the artifact" in other.reason


@pytest.mark.parametrize(
    ("claimed", "why"),
    [
        (Claimed(exe="a", name="b"), "take one of them"),
        (Claimed(pid="1", unit="b"), "take one of them"),
        (Claimed(name="/usr/bin/x"), "--exe takes one"),
        (Claimed(unit="a b"), "no name of a service"),
        (Claimed(exe="a\nb"), "no name"),
        (Claimed(exe="a", sha256="xyz"), "--sha256 takes"),
    ],
)
def test_a_claim_that_makes_no_sense_is_said_to(claimed: Claimed, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        strangers_claim(any_host("root@board"), claimed)


def test_limits_are_asked_for_only_where_they_are_claimed() -> None:
    place = any_host("root@board")
    assert strangers_claim(place, Claimed(exe="a")).subject.limits is None
    limits = strangers_claim(place, Claimed(exe="a", gc_percent="30")).subject.limits
    assert limits is not None and limits.gogc_percent == 30
