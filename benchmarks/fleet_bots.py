"""A Bot API stand-in for very many bots in one process: any token is one. It serves the fleet benchmark, and only that.

Each bot is told who it is, and its long polls end empty when their time is over; nobody writes to it. The product's own
stand-in (`deploy/telegram`) is for one bot, and counts what it says. As a program: `fleet_bots.py FOLDER` writes the
authority to FOLDER/ca.pem, prints its port, and serves until it gets SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploy.telegram.certificate import make_certificate

LONGEST_POLL_S = 50
_PATH = re.compile(r"/bot([0-9]+):[^/]*/([A-Za-z]+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: request after request, until the other side ends."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            status, answer = await answered(head.split(b" ", 2)[1].decode(), body)
            text = json.dumps(answer, separators=(",", ":")).encode()
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode()
                + text
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
        pass
    finally:
        writer.close()


async def answered(path: str, body: bytes) -> tuple[str, dict[str, object]]:
    """The status line and the document for one call."""
    found = _PATH.fullmatch(path)
    if found is None:
        return "404 Not Found", {"ok": False, "error_code": 404, "description": "Not Found"}
    bot, method = int(found[1]), found[2].lower()
    if method == "getme":
        return "200 OK", {
            "ok": True,
            "result": {"id": bot, "is_bot": True, "first_name": "Bench", "username": f"bench_{bot}_bot"},
        }
    if method == "getupdates":
        asked = json.loads(body or b"{}").get("timeout", 0)
        await asyncio.sleep(min(int(asked), LONGEST_POLL_S))
        return "200 OK", {"ok": True, "result": []}
    return "200 OK", {"ok": True, "result": True}


async def main(folder: Path) -> None:
    """Listen, say where, serve."""
    certificate = make_certificate()
    context: ssl.SSLContext = certificate.context()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context, backlog=1024)
    (folder / "ca.pem").write_bytes(certificate.ca_pem)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()
    os._exit(0)  # every bot's poll is still waiting: there is nothing to be put in order, and much to be cancelled


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
