"""Knows with which keys we log in, and in which order; where they lead and whose host key it is is `ssh.py`'s.

Paramiko's own way of doing it is not used: it stops at a key file that is missing, reads every file three times, and
tells a broken file from a refused key by the words of the message only.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing, suppress
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path

from paramiko import (
    Agent,
    AuthenticationException,
    BadAuthenticationType,
    PasswordRequiredException,
    PKey,
    SSHException,
    Transport,
)

from deploy.errors import AuthenticationRefused, NoPublicKey, PasswordRefused
from deploy.model.public_key import PublicKey, parse_public_key
from deploy.model.secret import Secret
from deploy.once import Once
from deploy.transport.file_version import FileVersion

DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
"""In ~/.ssh, as ssh(1) has them; the fastest first."""


_READ: Once[PKey] = Once()
"""The keys, by their files and when those were written: a fleet's hosts share one, and reading it takes a ms."""


@dataclass(slots=True)
class Login:
    """How one connection logs in. `only` leaves out the agent's other keys and those of ~/.ssh."""

    user: str
    host: str
    files: tuple[Path, ...]
    only: bool
    problems: list[str] = field(default_factory=list)
    """What was wrong with keys that could not be offered."""
    certificates: tuple[Path, ...] = ()
    """Certificates of keys (ssh_config(5), CertificateFile), beside those that lie as FILE-cert.pub by their keys."""
    password: Secret | None = None
    """Where there is one, it is all that is offered: servers count what they refuse."""

    def authenticate(self, transport: Transport) -> None:
        """Offer one key after the other, or the password; nothing is ever asked of the user.

        Raises AuthenticationRefused, or PasswordRefused.
        """
        if self.password is not None:
            self._by_password(transport, self.password)
            return
        offered: set[bytes] = set()
        with closing(Agent()) as agent:
            for key in self._keys(agent):
                shown = key.public_blob.key_blob if key.public_blob else key.asbytes()
                if shown in offered:
                    continue
                offered.add(shown)
                if self._taken(transport, key):
                    return
        refused = f"the server takes no key of ours for {self.user}"
        if not offered:
            refused = f"there is no key to log in with as {self.user}"
        raise AuthenticationRefused("; ".join((refused, *self.problems)), self.host)

    def _by_password(self, transport: Transport, password: Secret) -> None:
        """By RFC 4252, section 8; else by RFC 4256, which is how OpenSSH with PAM may ask for it."""
        asked: list[str] = []

        def answers(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[bytes]:
            hidden = [prompt for prompt, shown in prompts if not shown]
            asked.extend(hidden)
            # One hidden prompt, once, is for the password. A second is for something else: a code, or a new password.
            return [password.reveal() if len(asked) == 1 and not shown else b"" for _, shown in prompts]

        try:
            try:
                still_wanted = transport.auth_password(self.user, password.reveal(), fallback=False)
            except BadAuthenticationType as error:
                if "keyboard-interactive" not in error.allowed_types:
                    raise
                still_wanted = transport.auth_interactive(self.user, answers)
        except BadAuthenticationType as error:
            kinds = ", ".join(error.allowed_types) or "nothing"
            problem = f"the server takes no password for {self.user}; it takes {kinds}"
            raise PasswordRefused(problem, self.host, takes_any=False) from None
        except AuthenticationException:
            more = "; it asks for more than a password" if len(asked) > 1 else ""
            raise PasswordRefused(f"the server does not take that password for {self.user}{more}", self.host) from None
        if still_wanted:
            problem = f"the server wants more than a password for {self.user}: {', '.join(still_wanted)}"
            raise PasswordRefused(problem, self.host)

    def _taken(self, transport: Transport, key: PKey) -> bool:
        try:
            still_wanted = transport.auth_publickey(self.user, key)
        except BadAuthenticationType as error:
            kinds = ", ".join(error.allowed_types) or "nothing"
            raise AuthenticationRefused(
                f"the server takes no keys for {self.user}; it takes {kinds}", self.host
            ) from error
        except AuthenticationException as error:
            if transport.is_active():
                return False
            raise AuthenticationRefused(
                f"the server ended the login of {self.user} before a key fitted", self.host
            ) from error
        if still_wanted:
            raise AuthenticationRefused(
                f"the server wants more than a key for {self.user}: {', '.join(still_wanted)}", self.host
            )
        return True

    def _keys(self, agent: Agent) -> Iterator[PKey]:
        held: list[PKey] = []
        with suppress(SSHException, OSError):  # an agent that does not answer properly is none
            held = list(agent.get_keys())
        for file in self.files:
            yield from self._of_file(file, held)
        if self.only:
            return
        yield from held
        for name in DEFAULT_KEYS:
            file = Path("~/.ssh").expanduser() / name
            if file.is_file():
                yield from self._of_file(file, held)

    def _of_file(self, file: Path, held: list[PKey]) -> Iterator[PKey]:
        """The key in `file`; where it has a passphrase, the agent's copy of it, found by the public file beside it.

        Each with a certificate first, and then as it is: a certificate may have expired, or its authority be unknown.
        """
        try:
            key = copy(
                _READ.get((file, FileVersion.of(file)), lambda: PKey.from_path(file))
            )  # certificates are put into it
            yield from self._certified(key, Path(f"{file}-cert.pub"))
            key.public_blob = None  # the certificate, which Paramiko has read along
            yield key
        except (PasswordRequiredException, TypeError):  # what cryptography raises for a passphrase is a TypeError
            public = _public_part(file)
            in_agent = [key for key in held if key.get_base64() == public]
            if not in_agent:
                self.problems.append(f"the key {file} has a passphrase and no SSH agent holds it")
            for key in in_agent:
                yield from self._certified(key, Path(f"{file}-cert.pub"))
                key.public_blob = None
                yield key
        except OSError as error:
            self.problems.append(f"the key {file} can't be read ({error.strerror or error})")
        except Exception:  # whatever is wrong with one file, the others are tried
            self.problems.append(f"{file} is no private key that can be used here")

    def _certified(self, key: PKey, *beside: Path) -> Iterator[PKey]:
        """`key` with each certificate that is of it. A certificate holds the key's own fields (PROTOCOL.certkeys)."""
        blob = key.asbytes()
        fields = blob[4 + int.from_bytes(blob[:4], "big") :]  # all behind the name of its type
        for file in (*beside, *self.certificates):
            with suppress(Exception):  # whatever is wrong with a certificate, the key is tried without it
                if fields in base64.b64decode(file.read_text(encoding="ascii").split()[1]):
                    key.load_certificate(str(file))
                    yield key


def _public_part(file: Path) -> str:
    with suppress(OSError, IndexError):
        return file.with_name(file.name + ".pub").read_text(encoding="utf-8", errors="replace").split()[1]
    return ""


def public_key(identity: Path | None = None) -> PublicKey:
    """The public key that ssh would log in with: of `identity`, else the agent's first, else of ~/.ssh.

    Raises NoPublicKey.
    """
    if identity is not None:
        return _public_of(identity)
    with closing(Agent()) as agent, suppress(SSHException, OSError, ValueError):
        for key in agent.get_keys():
            comment = getattr(key, "comment", "")
            return parse_public_key(f"{key.get_name()} {key.get_base64()} {comment}", "your SSH agent")
    for name in DEFAULT_KEYS:
        file = Path("~/.ssh").expanduser() / name
        if file.is_file() or file.with_name(name + ".pub").is_file():
            return _public_of(file)
    raise NoPublicKey("you have no SSH key: neither an agent holds one, nor does ~/.ssh")


def _public_of(file: Path) -> PublicKey:
    public = file.with_name(file.name + ".pub")
    try:
        if public.is_file():
            return parse_public_key(public.read_text(encoding="utf-8", errors="replace"), str(public))
        key = PKey.from_path(file)
        return parse_public_key(f"{key.get_name()} {key.get_base64()}", str(file))
    except ValueError as error:
        raise NoPublicKey(f"{public} holds no public key: {error}") from None
    except Exception:  # whatever PKey.from_path raises for a passphrase or a file that is none
        how = f"ssh-keygen -y -f {file} >{public}"
        raise NoPublicKey(f"{file} has no public part beside it, which can be made of it: {how}") from None
