"""How a command ends where something is wrong that no step foresaw: never with a verdict's exit code."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from invoke.exceptions import Exit
from program import Slimdeploy

from deploy.cli.ending import FAULT, command
from deploy.errors import BuildFailed


def ended(error: BaseException, *, as_json: bool) -> int:
    def fails(json: bool = False) -> int:
        raise error

    with pytest.raises(Exit) as exit:
        command(fails)(json=as_json)
    return int(exit.value.code)


def test_a_file_of_this_machine_that_fails_is_a_problem_with_a_cure(capsys: pytest.CaptureFixture[str]) -> None:
    error = OSError(28, "No space left on device", "/some/file")
    error.add_note("release aaaa is back and runs")
    assert ended(error, as_json=True) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["reason"] == "this machine: /some/file: No space left on device"
    assert document["error"]["notes"] == ["release aaaa is back and runs"]
    assert document["error"]["cure"]


def test_a_document_has_what_the_compiler_said_and_a_full_disk_is_no_fault_of_the_source(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = "go: writing go.mod cache: write /x: no space left on device"
    assert ended(BuildFailed("go build ended with status 1", said), as_json=True) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["evidence"] == said
    assert "Free some space" in error["cure"] and "source" not in error["cure"]
    assert ended(BuildFailed("go build ended with status 1", "main.go:7: undefined: x"), as_json=False) == 2
    assert "Mend the source" in (cured := capsys.readouterr().err) and "build --dry-run shows" in cured


@pytest.mark.parametrize("as_json", [True, False])
def test_a_fault_of_ours_is_shown_and_is_no_verdict(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(LookupError("an inner thing"), as_json=as_json) == FAULT
    printed = capsys.readouterr()
    assert "an inner thing" in printed.err
    if as_json:
        assert json.loads(printed.out)["error"]["exit_code"] == FAULT
    else:
        assert not printed.out


@pytest.mark.parametrize("flags", [("--json",), ()])
@pytest.mark.parametrize("command", ["boards", "hosts"])  # one prints more than is held back, the other less
def test_an_output_on_a_full_disk_is_a_problem_that_is_said_where_it_can_be(
    slimdeploy: Slimdeploy, command: str, flags: tuple[str, ...]
) -> None:
    full = 'exec "$@" >/dev/full'
    ended = subprocess.run(
        ["sh", "-c", full, "sh", sys.executable, "-m", "deploy", command, *flags],
        env=slimdeploy.environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: this machine: No space left on device\n  cure: ")
    assert "Traceback" not in ended.stderr
