"""A bot of a few lines, for tests of the stand-in: standard library only, over TLS that it verifies."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any

DEADLINE_S = 15


class TinyBot:
    """Calls methods of the Bot API; within a `with` block it also answers every message with its own text."""

    def __init__(self, base_url: str, ca_pem: bytes, token: str, deaf: int = 0) -> None:
        """`deaf`: so many messages it takes and does not answer."""
        self._url = f"{base_url}/bot{token}"
        self._trust = ssl.create_default_context(cadata=ca_pem.decode("ascii"))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._deaf = deaf

    def call(self, method: str, /, **parameters: Any) -> tuple[int, dict[str, Any]]:
        """The HTTP status and the document."""
        request = urllib.request.Request(
            f"{self._url}/{method}", json.dumps(parameters).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S, context=self._trust) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)

    def ask(self, method: str, /, **parameters: Any) -> Any:
        """The result of a call that has to succeed."""
        status, document = self.call(method, **parameters)
        assert (status, document["ok"]) == (200, True), document
        return document["result"]

    def _serve(self) -> None:
        offset = 0
        while not self._ended.is_set():
            for update in self.ask("getUpdates", offset=offset, timeout=1):
                offset = update["update_id"] + 1
                message = update["message"]
                if self._deaf:
                    self._deaf -= 1
                else:
                    self.ask("sendMessage", chat_id=message["chat"]["id"], text=message["text"])

    def __enter__(self) -> TinyBot:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
