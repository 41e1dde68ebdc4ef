"""Knows what this machine remembers of a fleet's hosts: given to the deeds, and written down when their results come.

A deed may be carried out on another machine; the records of deployments and the history are the controller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from deploy import catalogue, deployments
from deploy.cli import history
from deploy.model.fleet import Member
from deploy.model.rollout import Result, State

Book = Callable[[Result], Result]
"""Writes down what a result says, and returns it as it is shown and kept from then on."""


def with_records(members: Sequence[Member]) -> tuple[Member, ...]:
    """The members, each with what is remembered of it. Raises UsageError's leaves, BadFile for a record with faults."""
    names = {board: catalogue.board(board).name for board in {member.board for member in members if member.board}}
    # Which board such a host is shows when it is asked.
    by_host = deployments.by_host() if any(not member.board for member in members) else {}
    found = []
    for member in members:
        host = str(member.host)
        if member.board:
            record = deployments.recall(names[member.board], host)
            found.append(replace(member, records=(record,) if record else ()))
        else:
            found.append(replace(member, records=tuple(by_host.get(host, ()))))
    return tuple(found)


def book(*, keep: bool) -> Book:
    """Readings go to the history where `keep`, records of deployments in any case."""

    def enter(result: Result) -> Result:
        if result.document is not None and "verdict" in result.document:
            number = history.kept(result.document, wanted=keep)
            result = replace(result, document=result.document | {"history": number})
        try:
            if result.record is not None:
                deployments.remember(result.record)
            elif result.state is State.ROLLED_BACK:
                deployments.go_back(result.board, result.host, "", result.release)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            why = f"this machine: {where}{error.strerror or error}"
            told = f"{why}, so that there is no record to hold a later reading against"
            result = replace(result, problem=told, cure="", exit_code=result.exit_code or 2)
        return replace(result, record=None)

    return enter
