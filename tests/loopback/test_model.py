"""A user sets an OpenAI-compatible endpoint, and chats: the model is a stand-in on 127.0.0.1, all else is real."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from program import Slimdeploy

from deploy.emulator import loopback

pytestmark = pytest.mark.usefixtures("gateway_is_built")

KEY = "sk-test-only-0123456789"


class Model(BaseHTTPRequestHandler):
    """Streams an answer about what it was asked."""

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(question | {"key": self.headers["Authorization"]})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for piece in ("You said **", question["messages"][-1]["content"], "** & more"):
            event = {"choices": [{"delta": {"content": piece}}]}
            self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class Endpoint(ThreadingHTTPServer):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Model)
        self.asked: list[dict[str, object]] = []


@pytest.fixture
def model() -> Iterator[Endpoint]:
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join(5)
    server.server_close()


def test_a_chat_with_a_model_behind_the_gateway(slimdeploy: Slimdeploy, model: Endpoint, tmp_path: Path) -> None:
    config = tmp_path / "my.json"
    settings = {
        "agents": {"defaults": {"provider": "openai", "model": "tiny", "system_prompt": "be brief"}},
        "providers": {"openai": {"api_base": f"http://127.0.0.1:{model.server_address[1]}/v1", "api_key": KEY}},
    }
    config.write_text(json.dumps(settings))
    config.chmod(0o644)
    flags = ("--board", "local", "--config-file", str(config))
    refused = slimdeploy("deploy", *flags, "--no-measure")
    assert refused.code == 2 and "chmod 600" in refused.err
    config.chmod(0o600)
    try:
        shown = slimdeploy("deploy", *flags, "--dry-run")
        deployed = slimdeploy("deploy", *flags, "--no-measure", "--json")
        assert deployed.code == 0, deployed.err
        said = slimdeploy("chat", "--board", "local", "--text", "hello <you>")
        assert said.out.strip() == "You said hello <you> & more"
        assert "VmRSS" in slimdeploy("chat", "--board", "local", "--text", "/mem").out
    finally:
        loopback.down("local")
    asked = model.asked[0]
    assert asked["key"] == f"Bearer {KEY}" and asked["model"] == "tiny"
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    for ended in (shown, deployed, said):
        assert KEY not in ended.out + ended.err
