"""A login by password against servers of our own (asyncssh): what is answered, and to which prompts only."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from servers import make_key, needs

from deploy.errors import NoPublicKey, PasswordRefused
from deploy.model.host import Host
from deploy.model.secret import Secret
from deploy.transport import ssh
from deploy.transport.login import public_key

PASSWORD = "p\u00e4ss w\u014drd\u20ac"


class Server(asyncssh.SSHServer):
    """Takes the password by the methods that `ways` names; `rounds` are keyboard-interactive's prompts."""

    ways = ("password",)
    rounds: tuple[tuple[tuple[str, bool], ...], ...] = ((("Password: ", False),),)

    def __init__(self, heard: list[Any], connections: list[asyncssh.SSHServerConnection]) -> None:
        self._heard, self.connections = heard, connections
        self._round = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        # Paramiko asks for the service again before each method, which OpenSSH and Dropbear take and asyncssh does not.
        self.connections[-1]._next_service = b"ssh-userauth"
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._heard.append("a key")
        return False

    def password_auth_supported(self) -> bool:
        return "password" in self.ways

    def validate_password(self, username: str, password: str) -> bool:
        self._heard.append(password)
        return password == PASSWORD

    def kbdint_auth_supported(self) -> bool:
        return "keyboard-interactive" in self.ways

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "", list(self.rounds[0])

    def validate_kbdint_response(self, username: str, responses: Any) -> Any:
        self._heard.append(list(responses))
        self._round += 1
        if self._round < len(self.rounds):
            return "", "", "", list(self.rounds[self._round])
        return self._heard == [[PASSWORD]]


@contextmanager
def serving(folder: Path, kind: type[Server], heard: list[Any]) -> Iterator[Host]:
    """A server in a thread of its own, and a host that stands for it."""
    host_key, user_key = make_key(folder / "host_key"), make_key(folder / "user_key")
    connections: list[asyncssh.SSHServerConnection] = []
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def do(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[str(host_key)], server_factory=lambda: kind(heard, connections)
        )

    listener = do(listen())
    port = listener.get_port()
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {host_key.with_suffix('.pub').read_text()}")
    try:
        yield Host("127.0.0.1", "root", port, str(user_key), str(known))
    finally:

        async def end() -> None:
            listener.close()
            await listener.wait_closed()
            for each in connections:
                each.abort()
                await each.wait_closed()
            await asyncio.sleep(0.05)  # what is closed leaves the loop in its next rounds

        do(end())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


@pytest.fixture
def heard() -> list[Any]:
    """What the server was sent."""
    return []


Serve = Callable[..., Host]


@pytest.fixture
def serve(tmp_path: Path, heard: list[Any]) -> Iterator[Serve]:
    with ExitStack() as stack:

        def one(**settings: Any) -> Host:
            return stack.enter_context(serving(tmp_path, type("Own", (Server,), settings), heard))

        yield one


def log_in(host: Host, password: str = PASSWORD) -> None:
    ssh.connect(host, password=Secret(password.encode())).close()


def test_the_password_alone_is_offered_and_no_key(serve: Serve, heard: list[Any]) -> None:
    log_in(serve())
    assert heard == [PASSWORD]


def test_a_wrong_password_is_tried_once_and_stands_in_no_error(serve: Serve, heard: list[Any]) -> None:
    with pytest.raises(PasswordRefused, match="does not take that password for root") as caught:
        log_in(serve(ways=("password", "keyboard-interactive")), "Tr0ub4dor")
    assert heard == ["Tr0ub4dor"] and caught.value.takes_any
    assert "Tr0ub4dor" not in f"{caught.value!r} {caught.value.__notes__ if hasattr(caught.value, '__notes__') else ''}"


def test_a_hidden_prompt_gets_the_password(serve: Serve, heard: list[Any]) -> None:
    log_in(serve(ways=("keyboard-interactive",)))
    assert heard == [[PASSWORD]]


@pytest.mark.parametrize(
    ("rounds", "sent"),
    [
        (((("Password: ", False),), (("New password: ", False),)), [[PASSWORD], [""]]),
        (((("Password: ", False), ("Code: ", False)),), [["", ""]]),
        (((("Who are you? ", True),),), [[""]]),
    ],
    ids=["a new password", "a code beside it", "a shown prompt"],
)
def test_no_other_prompt_ever_gets_it(serve: Serve, heard: list[Any], rounds: Any, sent: list[list[str]]) -> None:
    with pytest.raises(PasswordRefused) as caught:
        log_in(serve(ways=("keyboard-interactive",), rounds=rounds))
    assert heard == sent
    assert ("asks for more than a password" in caught.value.problem) is (sum(len(each) for each in sent) > 1)


def test_a_server_that_takes_keys_alone_says_so(serve: Serve, heard: list[Any]) -> None:
    with pytest.raises(PasswordRefused, match="takes no password for root; it takes publickey") as caught:
        log_in(serve(ways=()))
    assert heard == [] and not caught.value.takes_any


@pytest.mark.install_check
def test_the_key_is_chosen_as_ssh_would(private_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoPublicKey, match="you have no SSH key"):
        public_key()
    folder = private_home / ".ssh"
    folder.mkdir()
    rsa = make_key(folder / "id_ecdsa", "ecdsa")
    assert public_key().line == rsa.with_suffix(".pub").read_text().strip()
    best = make_key(folder / "id_ed25519")
    assert public_key().line == best.with_suffix(".pub").read_text().strip()
    own = make_key(tmp_path / "own")
    assert public_key(own).origin == f"{own}.pub"
    body = public_key(own).body
    own.with_suffix(".pub").unlink()
    assert public_key(own).body == body  # of the private one
    locked = make_key(tmp_path / "locked", passphrase="secret")
    locked.with_suffix(".pub").unlink()
    with pytest.raises(NoPublicKey, match="ssh-keygen -y -f"):
        public_key(locked)
    own.with_suffix(".pub").write_text("nonsense\n")
    with pytest.raises(NoPublicKey, match="holds no public key"):
        public_key(own)
    with agent(tmp_path / "agent") as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        held = make_key(tmp_path / "held")
        subprocess.run([needs("ssh-add", "openssh-client"), "-q", str(held)], check=True, capture_output=True)
        assert public_key().body == held.with_suffix(".pub").read_text().split()[1]
        assert public_key().origin == "your SSH agent"


@contextmanager
def agent(socket: Path) -> Iterator[str]:
    command = [needs("ssh-agent", "openssh-client"), "-D", "-a", str(socket)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ}) as process:
        try:
            for _ in range(100):
                if socket.exists():
                    break
                threading.Event().wait(0.05)
            yield str(socket)
        finally:
            process.terminate()
