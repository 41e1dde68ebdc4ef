"""Knows how the stand-in is reached: HTTP over TLS on 127.0.0.1, one task a connection, the token in the path, faults.

What the methods do is `methods.py`'s; how the user's side is driven from synchronous code is `user_side.py`'s.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import socket
import ssl
from dataclasses import replace
from urllib.parse import unquote

from deploy.model.secret import Secret
from deploy.telegram.bell import Bell
from deploy.telegram.certificate import Certificate
from deploy.telegram.counts import Fault
from deploy.telegram.http1 import EndAwareReader, Malformed, Request, parameters, read_request, render_response
from deploy.telegram.mailbox import Mailbox, Tls
from deploy.telegram.methods import ApiError, Methods

CONNECTIONS = 200
"""More at once are closed as they come."""

_WRITE_S = 20.0
_PATH = re.compile(r"/bot([^/]*)/([A-Za-z]*)/?")
_LOG = logging.getLogger("slimdeploy.bot_api")


class BotApi:
    """The Bot API for the one bot with `token`. All of it lives in one event loop; `start` before use."""

    def __init__(self, token: Secret, certificate: Certificate) -> None:
        self._token = token
        self._certificate = certificate
        self.bell = Bell()
        self.mailbox = Mailbox(self.bell.ring)
        bot_id = int(token.reveal().partition(b":")[0])
        self._methods = Methods(bot_id, self.mailbox, self.bell)
        self._faults: list[Fault] = []
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.was_reached = False

    @property
    def ca_pem(self) -> bytes:
        """The authority that a client has to trust."""
        return self._certificate.ca_pem

    @property
    def username(self) -> str:
        """The bot's, without @."""
        return str(self._methods.bot["username"])

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        assert self._server is not None, "not started"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def base_url(self) -> str:
        """What stands before "/bot<token>/…"."""
        return f"https://127.0.0.1:{self.port}"

    async def start(self, listener: socket.socket | None = None) -> None:
        """Listen on `listener`, or on a free port of 127.0.0.1."""
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.StreamReaderProtocol:
            self.was_reached = True  # whatever becomes of the handshake
            return asyncio.StreamReaderProtocol(EndAwareReader(loop), self._accept, loop)

        where = {"sock": listener} if listener is not None else {"host": "127.0.0.1", "port": 0}
        self._server = await loop.create_server(
            protocol, ssl=self._certificate.context(), ssl_handshake_timeout=15, ssl_shutdown_timeout=2, **where
        )

    async def stop(self) -> None:
        """End all connections and listen no more."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def schedule(self, fault: Fault) -> None:
        """Let that happen to the next calls that it names; faults for the same method wait for each other."""
        self._faults.append(fault)

    def clear_faults(self) -> None:
        """Forget the faults that have not happened yet."""
        self._faults.clear()

    def _due(self, method: str) -> Fault | None:
        for number, fault in enumerate(self._faults):
            if fault.method.lower() in ("", method.lower()):
                if fault.calls > 1:
                    self._faults[number] = replace(fault, calls=fault.calls - 1)
                else:
                    del self._faults[number]
                return fault
        return None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= CONNECTIONS:
            writer.transport.abort()
            return
        assert isinstance(reader, EndAwareReader)
        task = asyncio.get_running_loop().create_task(self._connection(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connection(self, reader: EndAwareReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, ssl.SSLError):
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        except Exception:
            # The request itself is not logged: its path holds the token.
            _LOG.exception("a request of the bot could not be answered")
            writer.transport.abort()
        finally:
            writer.close()

    async def _serve(self, reader: EndAwareReader, writer: asyncio.StreamWriter) -> None:
        tls_object = writer.get_extra_info("ssl_object")
        cipher = tls_object.cipher()
        tls = (tls_object.version() or "", cipher[0] if cipher else "")
        keep_alive = True
        while keep_alive:
            try:
                request = await read_request(reader, writer)
                if request is None:
                    return
                keep_alive = request.keep_alive
                answer, fault = await self._answer(request, tls, reader.ended)
            except Malformed as malformed:
                keep_alive = False
                answer, fault = ApiError(malformed.status, str(malformed)), None
            if isinstance(answer, ApiError):
                status, document = answer.code, answer.body()
            else:
                status, document = 200, {"ok": True, "result": answer}
            body = json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode()
            response = render_response(status, body, keep_alive=keep_alive)
            if fault is not None and fault.kind == "drop":
                response = response[: len(response) - (len(body) + 1) // 2]
                keep_alive = False
            writer.write(response)
            async with asyncio.timeout(_WRITE_S):
                await writer.drain()
            if fault is not None and fault.kind == "drop":
                # Closing in good order would be an end of the stream; what a lost connection looks like is a reset.
                await asyncio.sleep(0.02)
                writer.transport.abort()

    async def _answer(
        self, request: Request, tls: Tls, gone: asyncio.Future[None]
    ) -> tuple[object | ApiError, Fault | None]:
        """The result or the error for `request`, and the fault that is to happen to it."""
        path = _PATH.fullmatch(unquote(request.path))
        if path is None or request.method not in ("GET", "POST"):
            return ApiError(404, "Not Found"), None
        token, method = path.groups()
        if ":" not in token:
            return ApiError(401, "Unauthorized: invalid token specified"), None
        if not hmac.compare_digest(token.encode(), self._token.reveal()):
            return ApiError(401, "Unauthorized"), None
        fault = self._due(method)
        if fault is not None and fault.kind == "status":
            return _error(fault), None
        if fault is not None and fault.kind == "slow":
            await asyncio.wait({gone}, timeout=fault.delay_s)
        try:
            return await self._methods.call(method, parameters(request), tls, gone), fault
        except ApiError as error:
            return error, fault


def _error(fault: Fault) -> ApiError:
    """The error that Telegram gives with that status."""
    if fault.status == 429:
        return ApiError(429, f"Too Many Requests: retry after {fault.retry_after_s}", fault.retry_after_s)
    known = {401: "Unauthorized", 403: "Forbidden: bot was blocked by the user", 500: "Internal Server Error"}
    return ApiError(fault.status, known.get(fault.status, "Bad Gateway" if fault.status >= 500 else "Bad Request"))
