"""Knows how messages are sent from a user's own Telegram account: through Telethon, which speaks MTProto.

The only module that knows Telethon, and it imports that late: most commands never need it. A bot can't do this: it
receives no bot's messages. What the gateway makes of them is `deploy/memory/real.py`'s.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from deploy.errors import MachineFault, TelegramRefused, UsageError
from deploy.model.secret import Secret

T = TypeVar("T")

SESSION_SUFFIX = ".session"
"""Telethon adds it to the name of a session that does not end so."""

KINDS = ("short", "long", "markdown", "emoji")
"""Of `writing.KINDS`, those that one person alone can write as a text."""

_CONNECT_S = 30.0
_LOOK_S = 0.3

_TELEGRAM = "Telegram"
"""What stands in the place of the host, where Telegram itself refuses."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What my.telegram.org gives a program of yours: `api_id` is a number, `api_hash` 32 hexadecimal digits."""

    api_id: int
    api_hash: Secret


@dataclass(frozen=True, slots=True)
class UserCount:
    """What the user's account saw: messages that Telegram took, and those after which the bot wrote something."""

    sent: int
    answered: int
    seconds: float


MakeClient = Callable[[Path, Credentials], Any]
"""Makes what Telethon calls a TelegramClient, for a session file: the seam at which tests put another."""

Ask = Callable[[str, bool], str]
"""Asks the person at the terminal a question; True for an answer that is not to be seen."""


def telethon_client(session: Path, credentials: Credentials) -> Any:
    """Telethon's own. Raises UsageError where it is not installed."""
    if find_spec("telethon") is None:
        raise UsageError("--as-user needs Telethon, which is not installed (pip install 'slimdeploy[telegram]')")
    from telethon import TelegramClient

    # Telegram's waits are ours to obey: within the deadline, and told.
    return TelegramClient(
        str(session), credentials.api_id, credentials.api_hash.reveal().decode(), flood_sleep_threshold=0
    )


def prepare_session(path: Path) -> None:
    """The session file, made where it is not there: mode 0600 from its first byte on, in a folder of the same kind.

    Whoever reads it is that user to Telegram. SQLite gives its journal the same mode (sqlite3's os_unix.c,
    findCreateFileMode). Raises UsageError where others can read it, MachineFault where it can't be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        mode = path.stat()
    except OSError as error:
        raise MachineFault(f"the session file {path} can't be had: {error.strerror}") from error
    if stat.S_IMODE(mode.st_mode) & 0o077 or mode.st_uid != os.geteuid():
        raise UsageError(
            f"the session file {path} is a login to your account, and others can read it (chmod 600 {path})"
        )


def log_in(session: Path, credentials: Credentials, ask: Ask | None, make: MakeClient = telethon_client) -> str:
    """Log the account in where the session is not yet; what it is called. `ask` is None where nobody can be asked.

    Raises UsageError where somebody would have to be asked, or the account is a bot's, and TelegramRefused.
    """
    prepare_session(session)

    async def work() -> str:
        async with _connected(session, credentials, make) as client:
            if not await client.is_user_authorized():
                if ask is None:
                    raise UsageError("your account is not logged in here yet: run the command once at a terminal")
                await _sign_in(client, ask)
            me = await client.get_me()
            if me.bot:
                raise UsageError("that account is a bot's: a bot receives no messages of another")
            return f"@{me.username}" if me.username else str(me.first_name or me.id)

    return _run(work())


def converse(
    session: Path,
    credentials: Credentials,
    bot: str,
    texts: Sequence[str],
    *,
    rate_hz: float,
    deadline_s: float,
    make: MakeClient = telethon_client,
    clock: Callable[[], float] = time.monotonic,
) -> UserCount:
    """Send the texts to the bot of that username, `rate_hz` a second at most, each after the answer to the one before.

    So an answer belongs to one message. Where Telegram asks for a pause it is made, if the deadline allows it. What is
    not sent or answered by then is missing in the count. Raises UsageError for a name that is no bot's, and
    TelegramRefused.
    """

    async def work() -> UserCount:
        began_s = clock()
        until_s = began_s + deadline_s
        sent = answered = 0
        async with _connected(session, credentials, make) as client:
            who = await _bot(client, bot)
            for text in texts:
                next_s = clock() + 1 / rate_hz
                message = await _send(client, who, text, until_s, clock)
                if message is None:
                    break
                sent += 1
                if not await _answered(client, who, message.id, until_s, clock):
                    break
                answered += 1
                if sent < len(texts):
                    await asyncio.sleep(max(0.0, min(next_s, until_s) - clock()))
        return UserCount(sent, answered, round(clock() - began_s, 3))

    return _run(work())


async def _sign_in(client: Any, ask: Ask) -> None:
    from telethon import errors

    phone = ask("Phone number of your account, as +41791234567: ", False).strip()
    await client.send_code_request(phone)
    code = ask("The code that Telegram has sent you: ", True).strip()
    try:
        await client.sign_in(phone=phone, code=code)
    except errors.SessionPasswordNeededError:
        await client.sign_in(password=ask("The password of your account (two-step verification): ", True))


async def _bot(client: Any, name: str) -> Any:
    try:
        found = await client.get_entity(name)
    except ValueError as error:  # Telethon's word for a name that nobody has
        raise UsageError(f"--bot: Telegram knows no {name}") from error
    if not getattr(found, "bot", False):
        raise UsageError(f"--bot: {name} is no bot")
    return found


async def _send(client: Any, who: Any, text: str, until_s: float, clock: Callable[[], float]) -> Any:
    """The message, None where the deadline came first."""
    from telethon import errors

    while clock() < until_s:
        try:
            return await client.send_message(who, text, parse_mode=None)
        except errors.FloodWaitError as wait:
            if clock() + wait.seconds > until_s:
                raise TelegramRefused(
                    f"Telegram asks to wait {wait.seconds} s, longer than --deadline", _TELEGRAM
                ) from wait
            await asyncio.sleep(wait.seconds)
    return None


async def _answered(client: Any, who: Any, after: int, until_s: float, clock: Callable[[], float]) -> bool:
    """Whether the bot has written something after that message."""
    while True:
        async for message in client.iter_messages(who, min_id=after, limit=20):
            if not message.out:
                return True
        if clock() >= until_s:
            return False
        await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def _connected(session: Path, credentials: Credentials, make: MakeClient) -> AsyncIterator[Any]:
    client = make(session, credentials)
    try:
        async with asyncio.timeout(_CONNECT_S):
            await client.connect()
        yield client
    finally:
        await client.disconnect()


def _run(work: Coroutine[Any, Any, T]) -> T:
    """What it comes to; Telethon's errors become ours, and hold nothing that was typed."""
    try:
        return asyncio.run(work)
    except (ConnectionError, TimeoutError) as error:
        raise TelegramRefused("Telegram is out of reach", _TELEGRAM) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "telethon":
            raise
        raise TelegramRefused(f"Telegram refuses: {_sentence(error)}", _TELEGRAM) from error


def _sentence(error: Exception) -> str:
    """Telethon's sentence without the request that it ends with, which may hold what was typed."""
    return str(error).partition(" (caused by")[0].strip() or type(error).__name__
