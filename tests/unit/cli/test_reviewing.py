"""Host keys that nobody has seen are trusted where the user says so, or a list does, and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deploy.cli.fleet.reviewing import Review
from deploy.cli.fleet.seating import Seat, ask_passwords
from deploy.errors import HostKeyUnknown, UsageError
from deploy.fleet.fingerprints import Fingerprints
from deploy.folders import config_folder
from deploy.model.fleet import Member
from deploy.model.host import Host
from deploy.model.rollout import Result, State
from deploy.model.secret import Secret
from deploy.report.silent import Silent

ONE, TWO = "SHA256:" + "1" * 43, "SHA256:" + "2" * 43


def seat(name: str, address: str, fingerprint: str, key_of: str = "") -> Seat:
    made = Seat(Member(name, Host(address, "root")), ())
    made.unknown = HostKeyUnknown(key_of or address, "ssh-ed25519", fingerprint, "AAAA" + name)
    made.unknown.of_jump_host = bool(key_of)
    made.result = Result(name, State.FAILED, problem=made.unknown.problem, cure="x", exit_code=4)
    return made


def remembered() -> list[str]:
    file = config_folder() / "known_hosts"
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)


def test_a_jump_hosts_key_is_shown_once_for_all_behind_it(private_home: Path) -> None:
    behind = [seat(name, f"10.0.0.{number}", ONE, "gate.example:2222") for number, name in enumerate(("a", "b"), 1)]
    review = Review(None, accept_new=True, may_ask=False, shown=[])
    assert review.of(behind, Silent()) == behind
    assert remembered() == ["[gate.example]:2222 ssh-ed25519 AAAAa"]
    assert [(each.key.host, each.trusted) for each in review.shown] == [("gate.example:2222", "accepted")]


def test_a_list_names_members_and_addresses_and_never_a_members_name_for_its_jump_host(private_home: Path) -> None:
    given = Fingerprints("keys", {"a": [ONE], "10.0.0.2": [TWO], "c": [TWO], "d": [ONE]})
    seats = [seat("a", "10.0.0.1", ONE), seat("b", "10.0.0.2", TWO), seat("c", "10.0.0.3", ONE), seat("e", "e", ONE)]
    seats.append(seat("d", "10.0.0.4", ONE, "gate"))
    review = Review(given, accept_new=False, may_ask=True, shown=[])
    assert [each.member.name for each in review.of(seats, Silent())] == ["a", "b"]
    problems = [each.result.problem for each in seats[2:] if each.result]
    assert f"keys expects {TWO}" in problems[0]
    assert "nor does it stand in keys" in problems[1] and "nor does it stand in keys" in problems[2]


@pytest.mark.usefixtures("terminal")
def test_somebody_who_says_no_trusts_none(private_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "")
    with pytest.raises(UsageError, match="no key was trusted"):
        Review(None, accept_new=False, may_ask=True, shown=[]).of([seat("a", "10.0.0.1", ONE)], Silent())
    assert remembered() == []


def test_without_anybody_to_ask_none_is_trusted(private_home: Path) -> None:
    unseen = seat("a", "10.0.0.1", ONE)
    assert Review(None, accept_new=False, may_ask=False, shown=[]).of([unseen], Silent()) == []
    assert unseen.result is not None and "--fingerprints FILE" in unseen.result.cure and remembered() == []


def test_a_password_is_asked_for_once_or_for_each_who_may_be_left_out() -> None:
    seats = [seat(name, name, ONE) for name in "abc"]
    ask_passwords(seats, lambda prompt: "same")
    assert {each.password for each in seats} == {Secret(b"same")}
    seats = [seat(name, name, ONE) for name in "abc"]
    answers = iter(["", "of a", "", "of c"])
    ask_passwords(seats, lambda prompt: next(answers))
    assert [each.password for each in seats] == [Secret(b"of a"), None, Secret(b"of c")]
