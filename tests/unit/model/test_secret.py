"""A secret shows itself to nobody who did not ask for it by name."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from dataclasses import asdict, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.model.gateway_config import GatewayConfig
from deploy.model.secret import Secret, token_fault

TOKEN = "123456789:AAE-token_that_nobody_may_see_01234"
SECRET = Secret(TOKEN.encode())


@dataclass(frozen=True)
class Holder:
    name: str
    secret: Secret


def test_the_secret_is_what_it_was() -> None:
    assert SECRET.reveal() == TOKEN.encode()
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"
    assert len({Secret(b"a"), Secret(b"a"), Secret(b"b")}) == 2


def test_no_way_of_printing_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    holder = Holder("gateway", SECRET)
    shown = [repr(SECRET), str(SECRET), f"{SECRET}", f"{SECRET!r:>60}", f"{SECRET:>60}", f"{SECRET} {SECRET!r}"]
    shown += [repr(holder), str([SECRET]), str({"a": SECRET}), repr(GatewayConfig(SECRET)), repr(ValueError(SECRET))]
    shown += [str(asdict(holder)), json.dumps({"a": SECRET}, default=str), ascii(SECRET)]
    logging.getLogger("test").warning("with %s and %r", SECRET, holder)
    for text in [*shown, caplog.text]:
        assert "token_that" not in text
        assert "12345" not in text


def test_it_goes_into_no_pickle_and_no_json() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(SECRET, protocol)
    with pytest.raises(TypeError):
        pickle.dumps(Holder("gateway", SECRET))
    with pytest.raises(TypeError):
        json.dumps(SECRET)
    with pytest.raises(TypeError):
        bytes(SECRET)  # type: ignore[call-overload]
    assert not hasattr(SECRET, "__dict__")


def test_a_noun_that_holds_a_secret_can_still_be_copied() -> None:
    for copied in (copy.copy(SECRET), copy.deepcopy(SECRET)):
        assert copied == SECRET


def test_the_config_holds_the_token_only_inside_another_secret() -> None:
    rendered = GatewayConfig(SECRET, base_url="https://127.0.0.1:1").render("/opt/ca.pem")
    assert TOKEN not in f"{rendered}{rendered!r}"
    assert json.loads(rendered.reveal())["channels"]["telegram"]["token"] == TOKEN


@pytest.mark.parametrize("token", [TOKEN, "12345:" + "a" * 35, "1" * 20 + ":" + "_-9Z" * 8 + "abc"])
def test_a_token_of_botfathers_form_has_no_fault(token: str) -> None:
    assert token_fault(token) is None


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "empty"),
        (f" {TOKEN}", "white space"),
        (f"{TOKEN}\n", "white space"),
        (TOKEN.replace(":", ""), "colon"),
        (TOKEN.replace("123456789", "bot"), "before the colon"),
        (TOKEN.replace("123456789", ""), "before the colon"),
        (TOKEN[:-1], "34 characters follow"),
        (TOKEN + "x", "36 characters follow"),
        (TOKEN[:-1] + "é", "characters other than"),
        (TOKEN[:-1] + "/", "characters other than"),
        (TOKEN.replace("123456789", "1234"), "before the colon"),
        (TOKEN.replace("123456789", "١٢٣٤٥"), "before the colon"),
    ],
)
def test_each_fault_of_a_token_is_said_without_the_token(token: str, said: str) -> None:
    fault = token_fault(token)
    assert fault is not None
    assert said in fault
    assert "token_that" not in fault


@given(st.text(max_size=60))
def test_no_fault_quotes_the_token(token: str) -> None:
    fault = token_fault("secretpart" + token)
    assert fault is not None
    assert "secretpart" not in fault
