"""Knows how to run a stand-in inside this process, in a thread with its own event loop, for synchronous code.

The live check of a remote host runs it on the controller and leads a port of the board back to it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from types import TracebackType
from typing import Any

from deploy.errors import LoopbackFailed
from deploy.model.secret import Secret
from deploy.telegram.bot_api import BotApi
from deploy.telegram.certificate import Certificate, make_certificate
from deploy.telegram.operations import Operations
from deploy.telegram.user_side import AskedUserSide, UserSide

_START_S = 15.0


class ServedBotApi:
    """A stand-in that serves while the `with` block lasts: `with ServedBotApi(token) as served: served.base_url`."""

    def __init__(
        self, token: Secret, certificate: Certificate | None = None, listener: socket.socket | None = None
    ) -> None:
        """Serves on `listener`, a bound socket, or on a free port of 127.0.0.1."""
        self._listener = listener
        self._bot_api = BotApi(token, certificate or make_certificate())
        self._operations = Operations(self._bot_api)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="bot-api", daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def __enter__(self) -> ServedBotApi:
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._bot_api.start(self._listener), self._loop).result(_START_S)
        except BaseException:
            self._end_loop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self._bot_api.stop(), self._loop).result(_START_S)
        finally:
            self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_S)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._bot_api.port

    @property
    def was_reached(self) -> bool:
        """Whether anybody has connected so far."""
        return self._bot_api.was_reached

    @property
    def base_url(self) -> str:
        """What stands before "/bot<token>/…", for a gateway on this machine."""
        return self._bot_api.base_url

    @property
    def ca_pem(self) -> bytes:
        """The authority that the gateway has to trust; its certificate names 127.0.0.1 and localhost, on any port."""
        return self._bot_api.ca_pem

    @property
    def user_side(self) -> UserSide:
        """The user's side."""
        return AskedUserSide(self._ask)

    def _ask(self, name: str, arguments: dict[str, Any], deadline_s: float) -> dict[str, Any]:
        answer = asyncio.run_coroutine_threadsafe(self._operations.answer(name, arguments), self._loop)
        try:
            return answer.result(deadline_s)
        except TimeoutError:
            answer.cancel()
            raise LoopbackFailed("the Bot API stand-in does not answer") from None
