"""Which CA bundle a board is sent: none where it has its own, else what is needed, or what was asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from scripted_boards import ASK, BLANK, CA, CONFIG, PREFIX, Silent, artifact_in, good_answers, job_on, plan_of

from deploy.bundled import gateway_folder
from deploy.ca_roots import ROOTS, full, trimmed
from deploy.cli.planning import Wishes, plan_for
from deploy.cli.reaching import Place
from deploy.errors import Refused, UsageError
from deploy.model.board import Board
from deploy.model.gateway_config import OPENAI, TELEGRAM
from deploy.model.host import Host
from deploy.model.secret import Secret
from deploy.model.target import Target
from deploy.steps.authorities import settled
from deploy.steps.configure import Configure
from deploy.steps.preflight import Preflight

WITHOUT = replace(BLANK, ca_bundle="")
MODEL: dict[str, Any] = {"agents": {"defaults": {"provider": "openai"}}}


def settings(**document: Any) -> Secret:
    return Secret(json.dumps(document).encode())


def rendered(config: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(config.render("/p/ca.pem").reveal())
    return document


def test_a_board_with_a_bundle_is_sent_none_and_a_board_without_what_telegram_needs() -> None:
    assert settled(plan_of(), BLANK) == plan_of()
    config = settled(plan_of(), WITHOUT).config
    assert config.ca_pem == trimmed(["api.telegram.org"]).pem
    assert rendered(config)["channels"]["telegram"]["ca_file"] == "/p/ca.pem"
    assert "providers" not in rendered(config)


@pytest.mark.parametrize("facts", [BLANK, WITHOUT])
def test_what_is_asked_for_is_sent_whatever_the_board_has(facts: Any) -> None:
    assert settled(replace(plan_of(), ca="full"), facts).config.ca_pem == full().pem
    assert settled(replace(plan_of(), ca="trimmed"), facts).config.ca_pem == trimmed(["api.telegram.org"]).pem
    assert settled(replace(plan_of(), ca="board"), facts).config.ca_pem is None


def test_a_bundle_of_the_users_own_stays_and_serves_the_model_where_the_board_has_none() -> None:
    plan = plan_of(ca_pem=b"own", settings=settings(**MODEL))
    assert "providers" not in rendered(settled(plan, BLANK).config)
    config = settled(plan, WITHOUT).config
    assert (config.ca_pem, rendered(config)["providers"]) == (b"own", {"openai": {"ca_file": "/p/ca.pem"}})


def test_the_model_is_checked_against_the_same_bundle_unless_it_has_its_own() -> None:
    config = settled(plan_of(settings=settings(**MODEL)), WITHOUT).config
    assert config.ca_pem == trimmed(["api.telegram.org", "api.openai.com"]).pem
    assert rendered(config)["providers"]["openai"]["ca_file"] == "/p/ca.pem"
    own = settings(**MODEL, providers={"openai": {"ca_file": "/etc/own.pem", "api_base": "https://10.0.0.2/v1"}})
    config = settled(plan_of(settings=own), WITHOUT).config
    assert config.ca_pem == trimmed(["api.telegram.org"]).pem
    assert rendered(config)["providers"]["openai"]["ca_file"] == "/etc/own.pem"


@pytest.mark.parametrize(
    ("config", "hosts"),
    [
        ({}, ("api.telegram.org",)),
        ({"base_url": "https://Bots.Example:8443/x"}, ("bots.example",)),
        ({"base_url": "http://10.0.0.2:8081"}, ()),
        ({"settings": settings(channels={"telegram": {"base_url": "https://b.example"}})}, ("b.example",)),
        ({"settings": settings(channels={"telegram": {"ca_file": "/etc/own.pem"}})}, ()),
        ({"settings": settings(**MODEL)}, ("api.telegram.org", "api.openai.com")),
        (
            {"settings": settings(**MODEL, providers={"openai": {"api_base": "http://10.0.0.2/v1"}})},
            ("api.telegram.org",),
        ),
        ({"base_url": "https://[fe80::1%zone"}, ()),
    ],
)
def test_the_hosts_that_are_checked_are_those_that_are_spoken_to_over_tls(
    config: dict[str, Any], hosts: tuple[str, ...]
) -> None:
    assert plan_of(**config).config.checked_hosts() == hosts
    if not hosts:
        assert settled(plan_of(**config), WITHOUT).config.ca_pem is None


def test_the_gateways_own_addresses_are_the_ones_that_are_taken_here() -> None:
    folder = gateway_folder() / "internal" / "config"
    assert f'DefaultBaseURL = "{TELEGRAM}"' in (folder / "config.go").read_text()
    assert f'DefaultOpenAIBase = "{OPENAI}"' in (folder / "answers.go").read_text()
    assert set(ROOTS) == {TELEGRAM.rpartition("/")[2], OPENAI.split("/")[2]}


def test_preflight_settles_it_and_configure_says_which_roots_went(tmp_path: Any) -> None:
    artifact, plan = artifact_in(tmp_path), plan_of()
    job, board = job_on(None, artifact, good_answers(artifact, plan, WITHOUT), plan)
    Preflight(now=lambda: BLANK.clock_s).run(job, Silent())
    detail = Configure().run(job, Silent())
    assert board.titles == [ASK, CA, CONFIG]
    assert board.scripts[1].payload == trimmed(["api.telegram.org"]).pem
    assert detail.startswith("ca.pem and config.json written, mode 0600; for api.telegram.org it trusts Go Daddy Root")

    # What lies there already is not sent again, and not spoken of.
    held = replace(WITHOUT.installed, ca_sha256=job.plan.config.ca_sha256)
    again, _ = job_on(replace(WITHOUT, installed=held), artifact, good_answers(artifact, plan, WITHOUT), job.plan)
    assert Configure().run(again, Silent()) == "config.json written, mode 0600"
    assert again.staged == [f"{PREFIX}/config.json"]


def test_a_board_without_a_bundle_is_refused_only_where_none_may_be_sent(tmp_path: Any) -> None:
    artifact = artifact_in(tmp_path)
    plan = replace(plan_of(), ca="board")
    job, _ = job_on(None, artifact, good_answers(artifact, plan, WITHOUT), plan)
    with pytest.raises(Refused) as caught:
        Preflight(now=lambda: BLANK.clock_s).run(job, Silent())
    assert caught.value.reason == "no_ca_bundle"
    plan = plan_of(base_url="http://10.0.0.2:8081")
    job, _ = job_on(None, artifact, good_answers(artifact, plan, WITHOUT), plan)
    Preflight(now=lambda: BLANK.clock_s).run(job, Silent())
    assert job.plan.config.ca_pem is None


@pytest.mark.parametrize(
    ("wishes", "says"),
    [(Wishes(ca="some"), "--ca takes board, trimmed, full"), (Wishes(ca="full", ca_file="x.pem"), "take one of them")],
)
def test_flags_that_say_nothing_clear_are_refused(wishes: Wishes, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "12345678:" + "x" * 35)
    place = Place(Board("duo", "A board", Target("riscv64"), 65536), Host("192.0.2.7"))
    with pytest.raises(UsageError, match=says):
        plan_for(place, wishes)
