"""Knows where a bot token or a model's API key comes from: a file, a command, a keyring, the environment, the board.

What a gateway is told with them is `planning.py`'s. None of them is taken as a flag: every user of a machine sees each
other's argv; and what a source printed is never in a message.
"""

from __future__ import annotations

import getpass
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec

from deploy.cli.options import private_file
from deploy.cli.terminals import somebody_types
from deploy.errors import BadToken, NoSecret, UsageError
from deploy.model.display import clean
from deploy.model.secret import Secret, api_key_fault, token_fault

TOKEN_VARIABLE = "TELEGRAM_BOT_TOKEN"  # noqa: S105  the variable's name
API_KEY_VARIABLE = "SLIMDEPLOY_API_KEY"
"""A name that nothing else uses: a key that lies in OPENAI_API_KEY by chance is not to end on a board."""

COMMAND_S = 120.0
"""How long a command may take: somebody may have to type a passphrase."""

_SHOWN = 2000
"""Characters of what a failed command wrote to its standard error: its end, where the reason stands."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where one secret is to come from, as the user wrote it; "" where a source is not named."""

    file: str = ""
    command: str = ""
    keyring: str = ""
    """SERVICE/USER: the user is what follows the last slash."""
    asks: bool = True
    """Whether somebody may sit here who can be asked; not where many hosts are worked on at once."""

    def __bool__(self) -> bool:
        return bool(self.file or self.command or self.keyring)


@dataclass(frozen=True, slots=True)
class _Found:
    text: Secret
    origin: str


def bot_token(flags: Sources, board: Sources = Sources(), configured: str = "") -> Secret:
    """The token of the first that names one: flags, environment, the board's file, `configured`, whoever is asked.

    Raises BadToken, NoSecret or UsageError; none of them repeats what the source gave.
    """
    found = _first(flags, "token", TOKEN_VARIABLE, board)
    if found is None and configured:
        found = _Found(Secret(configured.encode()), "channels.telegram.token of --config-file")
    if found is None and flags.asks and somebody_types():
        typed = getpass.getpass("Bot token (from @BotFather): ").strip()
        found = _Found(Secret(typed.encode("utf-8", "replace")), "what you typed")
    if found is None:
        raise BadToken("there is no bot token")
    if fault := token_fault(found.text.reveal().decode("utf-8", "replace")):
        raise BadToken(f"{found.origin} is not a bot token: {fault}")
    return found.text


def api_key(flags: Sources, board: Sources = Sources()) -> Secret | None:
    """The model's API key of the first that names one: flags, environment, the board's file; None where none does.

    Raises NoSecret or UsageError.
    """
    found = _first(flags, "api-key", API_KEY_VARIABLE, board)
    if found is None:
        return None
    if fault := api_key_fault(found.text.reveal().decode("utf-8", "replace")):
        raise NoSecret(f"{found.origin} is not an API key: {fault}")
    return found.text


def login_password(sources: Sources) -> Secret | None:
    """The password of a first login, from the one source that is named; None where none is.

    Raises NoSecret or UsageError; neither repeats what the source gave.
    """
    if sources.file:
        return password_in(sources.file)
    if sources.command:
        return _of_command(sources.command, "password_command", asks=sources.asks, exact=True).text
    if sources.keyring:
        return _of_keyring(sources.keyring, "password_keyring", asks=sources.asks, exact=True).text
    return None


def password_in(file: str) -> Secret:
    """The password in a file of mode 0600, all of it but the end of its line. Raises UsageError."""
    return Secret(private_file(file, "password-file").read_bytes().removesuffix(b"\n").removesuffix(b"\r"))


def _first(flags: Sources, flag: str, variable: str, board: Sources) -> _Found | None:
    named = [f"--{flag}-{kind}" for kind in ("file", "command", "keyring") if getattr(flags, kind)]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} name the same secret: take one of them")
    if flags.file:
        path = private_file(flags.file, f"{flag}-file")
        return _Found(Secret(path.read_bytes().strip()), flags.file)
    if flags.command:
        return _of_command(flags.command, f"--{flag}-command", asks=flags.asks)
    if flags.keyring:
        return _of_keyring(flags.keyring, f"--{flag}-keyring", asks=flags.asks)
    if variable in os.environ:
        return _Found(Secret(os.environb[variable.encode()].strip()), variable)
    key = flag.replace("-", "_")
    if board.command:
        return _of_command(board.command, f"{key}_command of the board's file", asks=flags.asks)
    if board.keyring:
        return _of_keyring(board.keyring, f"{key}_keyring of the board's file", asks=flags.asks)
    return None


def _of_command(command: str, origin: str, *, asks: bool, exact: bool = False) -> _Found:
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{origin}: {error}") from None
    if not argv:
        raise UsageError(f"{origin} is empty")
    found = _first_line(argv, f"{origin}: {argv[0]}", asks=asks, exact=exact)
    return _Found(found, f"what {argv[0]} printed ({origin})")


def _of_keyring(entry: str, origin: str, *, asks: bool, exact: bool = False) -> _Found:
    service, _, user = entry.rpartition("/")
    if not (service and user):
        raise UsageError(f"{origin} takes SERVICE/USER, not {entry!r}")
    if find_spec("keyring") is None:
        raise NoSecret(f"{origin}: this installation can't read keyrings", extra="keyring")
    # A process of its own: a keyring that waits for somebody to unlock it has no time limit. -P: no module of that name
    # in the folder that happens to be the current one is taken for it.
    argv = [sys.executable, "-P", "-m", "keyring", "get", "--", service, user]
    try:
        found = _first_line(argv, f"{origin}: keyring", asks=asks, exact=exact)
        return _Found(found, f"the keyring's {entry}")
    except NoSecret as error:
        # keyring(1) says nothing at all of an entry that is not there.
        if error.log:  # a traceback, whose last line says it
            raise NoSecret(error.problem, log=error.log.rpartition("\n")[2]) from None
        if not error.problem.endswith(" status 1"):
            raise
        raise NoSecret(f"{origin}: the keyring has no entry {entry}") from None


def _first_line(argv: list[str], what: str, *, asks: bool, exact: bool) -> Secret:
    """The first line that `argv` prints, run without a shell. Raises NoSecret, with its standard error.

    `exact` keeps blanks at its ends, which a password may have.
    """
    asks = asks and somebody_types()
    try:
        done = subprocess.run(
            argv,
            stdin=None if asks else subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_S,
            check=False,
        )
    except OSError as error:
        raise NoSecret(f"{what} can't be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        # "from None": the exception holds what was printed so far.
        raise NoSecret(f"{what} did not end within {COMMAND_S:.0f} s") from None
    if done.returncode != 0:
        raise NoSecret(f"{what} ended with status {done.returncode}", log=clean(done.stderr, _SHOWN).strip())
    line = done.stdout.split(b"\n", 1)[0]
    return Secret(line.removesuffix(b"\r") if exact else line.strip())
