"""The users of the loopback board: their messages reach a bot over TLS, are counted, and obey the controller alone."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from bot import TinyBot

from deploy.emulator import loopback
from deploy.emulator.kept import KeptBoard
from deploy.errors import LoopbackFailed


def bot_of(board: KeptBoard, deaf: int = 0) -> TinyBot:
    return TinyBot(board.base_url, board.ca_file.read_bytes(), board.token().reveal().decode(), deaf)


def tell(board: KeptBoard, line: bytes) -> bytes:
    """What the control port answers."""
    with socket.create_connection((board.address, board.control_port), timeout=10) as connection:
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as lines:
            return lines.read()


def question(board: KeptBoard, **changed: Any) -> bytes:
    secret = (board.folder / "control").read_text()
    return json.dumps({"secret": secret, "operation": "counts", "arguments": {}, **changed}).encode() + b"\n"


def test_every_message_of_a_burst_is_delivered_and_answered(board: KeptBoard) -> None:
    told: list[tuple[int, int]] = []
    with bot_of(board):
        count = board.user_side().burst(20, deadline_s=20, progress=lambda done, sent: told.append((done, sent)))
    assert count.complete and (count.sent, count.delivered, count.answered) == (20, 20, 20)
    assert count.tls_version == "TLSv1.3" and count.tls_cipher
    assert told[-1] == (20, 20)


def test_a_message_without_a_reply_is_not_counted_as_answered(board: KeptBoard) -> None:
    with bot_of(board, deaf=2):
        count = board.user_side().burst(5, deadline_s=2)
    assert not count.complete and (count.sent, count.delivered, count.answered) == (5, 5, 3)


def test_a_conversation_gets_its_replies(board: KeptBoard) -> None:
    users = board.user_side()
    chat_id = users.new_chat()
    assert users.replies(chat_id) == ()
    with bot_of(board):
        message_id = users.say(chat_id, "Grüße 🙂")
        (reply,) = users.replies(chat_id, wait_s=10)
    assert (reply.text, reply.answers, reply.chat_id) == ("Grüße 🙂", message_id, chat_id)


def test_the_control_port_refuses_strangers(shared_board: KeptBoard) -> None:
    assert b"result" in tell(shared_board, question(shared_board))
    for stranger in ("0" * 64, "", None, "ü", ["x"]):
        assert tell(shared_board, question(shared_board, secret=stranger)) == b""
    for nonsense in (b"\n", b"[]\n", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfe\n", b"x" * 2_000_000 + b"\n"):
        with suppress(OSError):  # closed before it had all been read
            assert tell(shared_board, nonsense) == b""
    assert b"result" in tell(shared_board, question(shared_board))
    log = (shared_board.folder / "daemon.log").read_text()
    assert "Traceback" not in log and "exception" not in log, log


@pytest.mark.parametrize("operation", ["no_such", "", None, 7])
def test_an_operation_that_is_not_there_is_an_error(shared_board: KeptBoard, operation: object) -> None:
    assert json.loads(tell(shared_board, question(shared_board, operation=operation)))["error"]


def test_bad_arguments_are_the_askers_fault(shared_board: KeptBoard) -> None:
    with pytest.raises(ValueError, match="a burst has 1 to"):
        shared_board.user_side().burst(0)
    assert json.loads(tell(shared_board, question(shared_board, arguments={"surprise": 1})))["error"]


def test_users_of_a_board_that_is_down_say_so(private_home: Path) -> None:
    board = loopback.up("local")
    users = board.user_side()
    loopback.down("local")
    with pytest.raises(LoopbackFailed, match="does not answer"):
        users.counts()
