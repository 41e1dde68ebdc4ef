"""Knows how the controller drives the stand-in's user side: a line of JSON to a port of 127.0.0.1, a line back.

Every question carries the secret that lies in the board's folder, which only its owner can read. What the operations
are is `deploy/telegram/operations.py`'s.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from contextlib import suppress
from typing import Any, Protocol

from deploy.telegram.operations import LONGEST_WAIT_S

_MOST_QUESTION_BYTES = 1024 * 1024
_ASKING_S = 10.0
_CLOSING_S = 2.0


class Answers(Protocol):
    """Who answers: `deploy.telegram.operations.Operations`, or what has more to offer than that."""

    def __contains__(self, name: str) -> bool:
        """Whether there is an operation of that name."""
        ...

    async def answer(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Its result. Raises ValueError, TypeError or KeyError where the arguments don't fit."""
        ...


class Control:
    """The control port of one board."""

    def __init__(self, operations: Answers, secret: str) -> None:
        self._operations = operations
        self._secret = secret
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_MOST_QUESTION_BYTES)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_ASKING_S):
                line = await reader.readline()
            async with asyncio.timeout(LONGEST_WAIT_S + _ASKING_S):
                answer = await self._answer(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # a question that is no question, or an asker who has gone
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CLOSING_S):
                    await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        question = json.loads(line)
        told = str(question.get("secret")).encode() if isinstance(question, dict) else b""
        if not hmac.compare_digest(told, self._secret.encode()):
            raise ValueError("a stranger asks")
        operation, arguments = question.get("operation"), question.get("arguments")
        if not isinstance(operation, str) or operation not in self._operations or not isinstance(arguments, dict):
            return {"error": "there is no such operation"}
        try:
            return {"result": await self._operations.answer(operation, arguments)}
        except (ValueError, TypeError, KeyError) as error:
            return {"error": str(error)}
        except Exception:
            logging.exception("the operation %s failed", operation)
            return {"error": "the operation failed"}
