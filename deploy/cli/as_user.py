"""Knows the flags by which a live reading writes from a user's own Telegram account, and asks that user to log in."""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.cli.options import private_file, words
from deploy.cli.terminals import somebody_types
from deploy.errors import UsageError
from deploy.model.secret import Secret
from deploy.telegram.user_account import KINDS, SESSION_SUFFIX, Credentials, UserCount, converse, log_in
from deploy.telegram.writing import written

ID_VARIABLE, HASH_VARIABLE = "TELEGRAM_API_ID", "TELEGRAM_API_HASH"

_BOT = re.compile(r"@?([A-Za-z][A-Za-z0-9_]{2,30}[Bb][Oo][Tt])")
"""A bot's username ends in "bot" (core.telegram.org/bots/features, "Creating a new bot")."""

_HASH = re.compile(r"[0-9a-f]{32}")

USUAL_HZ = 1.0
"""Messages a second in one chat, more of which Telegram asks to leave (core.telegram.org/bots/faq, "My bot is hitting
limits"; what a user's account may is not published)."""

HELP = {
    "as_user": "with --real: send the messages from your own Telegram account (pip install 'slimdeploy[telegram]')",
    "bot": "with --as-user: the bot's username, such as @my_board_bot",
    "api_file": f"with --as-user: a file (mode 0600) with api_id and api_hash; else {ID_VARIABLE} and {HASH_VARIABLE}",
    "session": "with --as-user: the file (mode 0600) that keeps your account logged in; else one in the data folder",
}


@dataclass(frozen=True, slots=True)
class AsUser:
    """The flags, as they were written."""

    bot: str
    api_file: str
    session: str
    kinds: str
    rate_hz: float

    def sender(self, messages: int, within_s: float, say: Callable[[str], None]) -> Callable[[], UserCount]:
        """What sends them, after the account is logged in. Raises UsageError, TelegramRefused."""
        found = _BOT.fullmatch(self.bot)
        if found is None:
            raise UsageError(f"--bot takes a bot's username, which ends in bot, and not {self.bot!r}")
        bot = found[1]
        kinds = KINDS if self.kinds == "all" else words(self.kinds)
        if not kinds or (unknown := [kind for kind in kinds if kind not in KINDS]):
            what = f"not {unknown[0]!r}" if kinds else "at least one of them"
            raise UsageError(f"--kinds takes {', '.join(KINDS)} or all with --as-user, and {what}")
        credentials, session = _credentials(self.api_file), _session(self.session)
        texts = [each.text for each in written(kinds, messages, bot)]
        rate_hz = self.rate_hz or USUAL_HZ
        account = log_in(session, credentials, _ask if _somebody_is_there() else None)
        say(f"logged in to Telegram as {account}; the session is kept in {session}")
        return lambda: converse(session, credentials, bot, texts, rate_hz=rate_hz, deadline_s=within_s)


def _credentials(api_file: str) -> Credentials:
    if api_file:
        found, origin = private_file(api_file, "api-file").read_text("utf-8", "replace").split(), api_file
    else:
        found = [os.environ[name] for name in (ID_VARIABLE, HASH_VARIABLE) if os.environ.get(name)]
        origin = f"{ID_VARIABLE} and {HASH_VARIABLE}"
    if not found:
        raise UsageError(
            f"--as-user takes an api_id and api_hash of yours (my.telegram.org, API development tools): --api-file, or "
            f"{origin}"
        )
    if len(found) != 2 or not re.fullmatch(r"[0-9]{1,12}", found[0]) or not _HASH.fullmatch(found[1].lower()):
        raise UsageError(f"{origin}: that is not an api_id (a number) and an api_hash (32 hexadecimal digits)")
    return Credentials(int(found[0]), Secret(found[1].lower().encode()))


def _session(text: str) -> Path:
    from deploy.folders import data_folder

    path = Path(text).expanduser().absolute() if text else data_folder().absolute() / "telegram" / "user"
    return path if path.name.endswith(SESSION_SUFFIX) else path.with_name(path.name + SESSION_SUFFIX)


def _somebody_is_there() -> bool:
    return somebody_types() and sys.stderr is not None and sys.stderr.isatty()


def _ask(question: str, hidden: bool) -> str:
    if hidden:
        return getpass.getpass(question)
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline()
