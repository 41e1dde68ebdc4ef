"""A Go program that is no gateway: deployed with arguments of its own, asked nothing, kept running, read idle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from program import Slimdeploy

from deploy.emulator import loopback

_MAIN = """package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	fmt.Println("started with", len(os.Args)-1, "arguments:", os.Args[1:])
	if len(os.Args) > 1 && os.Args[1] == "fail" {
		os.Exit(1)
	}
	for {
		time.Sleep(time.Hour)
	}
}
"""


@pytest.fixture
def ticker(tmp_path: Path, gateway_is_built: None) -> Iterator[Path]:
    """Its tree; the Go build cache is the one that all tests share."""
    tree = tmp_path / "ticker"
    tree.mkdir()
    (tree / "go.mod").write_text("module example.com/ticker\n\ngo 1.24\n")
    (tree / "main.go").write_text(_MAIN)
    yield tree
    loopback.down("local")


def test_a_program_runs_with_its_own_arguments_and_is_asked_nothing(slimdeploy: Slimdeploy, ticker: Path) -> None:
    flags = ("--board", "local", "--source", str(ticker), "--command", "serve 'a b'", "--budget", "30MiB", "--json")
    first = slimdeploy("deploy", *flags, timeout_s=280)
    assert first.code == 0, first.err
    document = json.loads(first.out)
    assert (document["verdict"], document["kind"], document["artifact"]["name"]) == ("PASS", "idle", "ticker")
    assert {proof["name"]: proof["ok"] for proof in document["evidence"]}["executable"] is True
    again = json.loads(slimdeploy("deploy", *flags, timeout_s=280).out)
    assert again["changed"] is False
    assert again["process"] == document["process"]
    status = json.loads(slimdeploy("status", "--board", "local", "--json").out)
    assert status["running"] is True and "health" not in status
    logs = slimdeploy("logs", "--board", "local").out
    assert logs.count("started with") == 1  # nothing but the deployment has started it
    assert "started with 2 arguments: [serve a b]" in logs
    assert slimdeploy("memory", "--board", "local", "--budget", "30MiB").code == 0


def test_a_program_that_ends_is_no_deployment(slimdeploy: Slimdeploy, ticker: Path) -> None:
    ended = slimdeploy("deploy", "--board", "local", "--source", str(ticker), "--command", "fail", timeout_s=280)
    assert ended.code == 4
    assert "ended" in ended.err or "did not stay up" in ended.err


def test_a_command_needs_a_tree_of_the_users_own(slimdeploy: Slimdeploy) -> None:
    refused = slimdeploy("deploy", "--board", "local", "--command", "serve")
    assert refused.code == 2
    assert "--source" in refused.err
    loopback.down("local")
