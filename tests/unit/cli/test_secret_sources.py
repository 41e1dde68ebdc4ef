"""Tokens and keys from every source: which one comes first, and that none of them shows in what is said."""

from __future__ import annotations

import getpass
import json
import shlex
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy import catalogue
from deploy.cli import secret_sources
from deploy.cli.cures import cure
from deploy.cli.ending import evidence_of
from deploy.cli.planning import Wishes, plan_for
from deploy.cli.reaching import Place
from deploy.cli.secret_sources import Sources, api_key, bot_token, login_password
from deploy.errors import BadFile, BadToken, NoSecret, UsageError
from deploy.model.gateway_config import GatewayConfig
from deploy.model.host import Host
from deploy.model.secret import Secret


def token(letter: str) -> str:
    return "12345678:" + letter * 35


def prints(text: str, *, then: str = "") -> str:
    """A command that prints `text`, run by this Python."""
    return shlex.join([sys.executable, "-c", f"import sys, time; print({text!r}, flush=True); {then}"])


@pytest.fixture
def private(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(token("f") + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture(autouse=True)
def nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    for name in (secret_sources.TOKEN_VARIABLE, secret_sources.API_KEY_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_the_flag_comes_before_the_environment_then_the_boards_file_then_the_config_then_a_question(
    private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Sources(command=prints(token("b")))
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", token("e"))
    assert bot_token(Sources(file=str(private)), board, token("c")).reveal() == token("f").encode()
    assert bot_token(Sources(command=prints(token("k"))), board, token("c")).reveal() == token("k").encode()
    assert bot_token(Sources(), board, token("c")).reveal() == token("e").encode()
    monkeypatch.delenv("TELEGRAM_BOT_TOKEN")
    assert bot_token(Sources(), board, token("c")).reveal() == token("b").encode()
    assert bot_token(Sources(), configured=token("c")).reveal() == token("c").encode()
    with pytest.raises(BadToken, match="there is no bot token"):
        bot_token(Sources())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(getpass, "getpass", lambda prompt: token("t"))
    assert bot_token(Sources()).reveal() == token("t").encode()


def test_only_the_first_line_of_a_command_is_the_secret() -> None:
    found = bot_token(Sources(command=prints(f"{token('k')}\r\nlogin: me\nurl: https://t.me/bot")))
    assert found.reveal() == token("k").encode()


def test_a_command_is_run_without_a_shell(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(BadToken):
        bot_token(Sources(command=f"echo x; touch {made}"))
    assert not made.exists()


def test_a_command_that_fails_shows_why_and_not_what_it_printed() -> None:
    failing = prints(token("s"), then="print('gpg: no \\x1b[31mkey', file=sys.stderr); sys.exit(2)")
    with pytest.raises(NoSecret, match=r"ended with status 2$") as caught:
        bot_token(Sources(command=failing))
    assert evidence_of(caught.value) == "what was printed:\ngpg: no \\x1b[31mkey"
    assert token("s") not in f"{caught.value!r} {caught.value.log} {cure(caught.value)}"
    assert caught.value.__cause__ is None


def test_a_command_that_does_not_end_is_ended_and_what_it_printed_stays_unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_sources, "COMMAND_S", 0.5)
    began_s = time.monotonic()
    with pytest.raises(NoSecret, match="did not end within") as caught:
        bot_token(Sources(command=prints(token("s"), then="time.sleep(60)")))
    assert time.monotonic() - began_s < 20
    assert caught.value.__suppress_context__ and token("s") not in str(caught.value)


@pytest.mark.parametrize(
    ("command", "kind", "says"),
    [
        ("no-such-program-at-all show bot", NoSecret, "no-such-program-at-all can't be run: No such file"),
        ("pass 'show", UsageError, "--token-command: No closing quotation"),
        ("  ", UsageError, "--token-command is empty"),
        ("echo", BadToken, r"what echo printed \(--token-command\) is not a bot token: it is empty"),
        ("echo secret-without-colon", BadToken, "has no colon"),
    ],
)
def test_a_command_that_gives_no_token_says_so(command: str, kind: type[UsageError], says: str) -> None:
    with pytest.raises(kind, match=says) as caught:
        bot_token(Sources(command=command))
    assert "secret-without" not in str(caught.value)


def test_two_flags_for_one_secret_are_refused(private: Path) -> None:
    with pytest.raises(UsageError, match="--token-file and --token-keyring name the same secret"):
        bot_token(Sources(file=str(private), keyring="a/b"))


def test_a_file_that_others_can_read_is_refused(private: Path) -> None:
    private.chmod(0o644)
    with pytest.raises(UsageError, match=r"--api-key-file: .* can be read by others"):
        api_key(Sources(file=str(private)))


def test_a_keyring_that_is_not_installed_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_sources, "find_spec", lambda name: None)
    with pytest.raises(NoSecret, match="can't read keyrings") as caught:
        bot_token(Sources(keyring="telegram/bot"))
    assert cure(caught.value) == "Install what reads keyrings: pip install 'slimdeploy[keyring]'."


BACKEND = """
from keyring.backend import KeyringBackend

class Held(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        return {("https://telegram.org", "bot"): "%s", ("-x", "-y"): "key"}.get((service, username))

    def set_password(self, service, username, password): ...
    def delete_password(self, service, username): ...
"""


@pytest.mark.install_check
@pytest.mark.skipif(find_spec("keyring") is None, reason="no keyring: pip install 'slimdeploy[keyring]'")
def test_a_secret_in_the_keyring_is_found_by_service_and_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "held.py").write_text(BACKEND % token("r"))
    monkeypatch.setenv("PYTHONPATH", ":".join([str(tmp_path), *sys.path]))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "held.Held")
    assert bot_token(Sources(keyring="https://telegram.org/bot")).reveal() == token("r").encode()
    found = api_key(Sources(), Sources(keyring="-x/-y"))
    assert found is not None and found.reveal() == b"key"
    with pytest.raises(NoSecret, match="has no entry") as caught:
        bot_token(Sources(keyring="https://telegram.org/another"))
    assert token("r") not in caught.value.log
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    with pytest.raises(NoSecret, match="keyring ended with status 1") as caught:
        bot_token(Sources(keyring="https://telegram.org/bot"))
    assert caught.value.log.startswith("keyring.errors.NoKeyringError: ") and "\n" not in caught.value.log


def test_a_keyring_entry_has_a_service_and_a_user() -> None:
    with pytest.raises(UsageError, match="--token-keyring takes SERVICE/USER"):
        bot_token(Sources(keyring="telegram"))


def place_with(tmp_path: Path, *lines: str) -> Place:
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(['title = "Mine"', *lines, "[target]", 'goarch = "riscv64"', "[ram]", 'size = "64MiB"']))
    return Place(catalogue.board(str(path)), Host("192.0.2.7"))


def config_file(tmp_path: Path, document: dict[str, object]) -> str:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    return str(path)


MODEL = {
    "agents": {"defaults": {"provider": "openai", "model": "m"}},
    "providers": {"openai": {"api_key_file": "/etc/key", "api_key": "of-the-file", "api_base": "https://m.example/v1"}},
}


def sent(config: GatewayConfig) -> dict[str, dict[str, dict[str, str]]]:
    document: dict[str, dict[str, dict[str, str]]] = json.loads(config.render("/ca.pem").reveal())
    return document


def test_the_boards_file_names_where_token_and_key_come_from(tmp_path: Path) -> None:
    lines = (f"token_command = {json.dumps(prints(token('b')))}", f"api_key_command = {json.dumps(prints('the-key'))}")
    place = place_with(tmp_path, *lines)
    document = sent(plan_for(place, Wishes(config_file=config_file(tmp_path, MODEL))).config)
    assert document["channels"]["telegram"]["token"] == token("b")
    assert document["providers"]["openai"] == {"api_key": "the-key", "api_base": "https://m.example/v1"}


def test_a_key_given_elsewhere_wins_over_the_configs_which_stays_without_one(
    tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wishes = Wishes(token=Sources(file=str(private)), config_file=config_file(tmp_path, MODEL))
    place = place_with(tmp_path)
    assert sent(plan_for(place, wishes).config)["providers"] == MODEL["providers"]
    monkeypatch.setenv("SLIMDEPLOY_API_KEY", " from-the-environment\n")
    plan = plan_for(place, wishes)
    assert sent(plan.config)["providers"]["openai"]["api_key"] == "from-the-environment"
    assert "from-the-environment" not in repr(plan) and token("f") not in repr(plan)


def test_a_key_without_a_model_is_refused_as_a_flag_and_left_alone_in_the_environment(
    tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, file = place_with(tmp_path), Sources(file=str(private))
    monkeypatch.setenv("SLIMDEPLOY_API_KEY", "a-key")
    assert "providers" not in sent(plan_for(place, Wishes(token=file)).config)
    with pytest.raises(UsageError, match="the API key is for a model, and --config-file names none"):
        plan_for(place, Wishes(token=file, api_key=file))


@pytest.mark.parametrize("key", ["", "two words", "schlüssel", "k" * 4097])
def test_a_key_that_no_header_can_carry_is_refused_without_being_said(key: str) -> None:
    with (
        pytest.raises(NoSecret, match="SLIMDEPLOY_API_KEY is not an API key") as caught,
        pytest.MonkeyPatch.context() as own,
    ):
        own.setenv("SLIMDEPLOY_API_KEY", key)
        api_key(Sources())
    assert not key or key not in str(caught.value)


def test_a_board_file_that_names_a_command_must_not_be_everybodys_to_write(tmp_path: Path) -> None:
    place_with(tmp_path, 'token_command = "pass show bot"')
    (tmp_path / "mine.toml").chmod(0o666)
    with pytest.raises(BadFile, match="names a command, and everybody can write it"):
        catalogue.board(str(tmp_path / "mine.toml"))


def test_no_board_that_comes_with_slimdeploy_runs_anything() -> None:
    assert not [board.name for board in catalogue.boards() if board.token_command or board.api_key_command]


def test_a_command_in_a_boards_file_that_cant_be_split_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="token_command can't be split into words: no closing quotation"):
        place_with(tmp_path, 'token_command = "pass \'show"')


def test_a_first_logins_password_is_taken_as_it_is_with_its_blanks(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.touch(0o600)
    file.write_bytes(b" two words \r\n")
    assert login_password(Sources(file=str(file))) == Secret(b" two words ")
    assert login_password(Sources(command=f"cat {file}", asks=False)) == Secret(b" two words ")
    assert login_password(Sources()) is None
    with pytest.raises(NoSecret, match="password_command: false ended with status 1"):
        login_password(Sources(command="false", asks=False))
    file.chmod(0o644)
    with pytest.raises(UsageError, match="can be read by others"):
        login_password(Sources(file=str(file)))
