"""`memory --host` on a host where nothing was ever deployed: any process of it, over a real SSH login."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from program import Ended, Slimdeploy
from servers import Server

from deploy.history import Wanted, find

pytestmark = pytest.mark.install_check


@pytest.fixture
def strangers(tmp_path: Path) -> Iterator[list[int]]:
    """Two processes of one program that slimdeploy knows nothing of; their PIDs."""
    program = tmp_path / "somebodys-gateway"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    if subprocess.run([program, "0"], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("sleep is part of a multi-call binary here; install coreutils as single programs")
    with ExitStack() as stack:
        started = []
        for argument in ("1000", "1001"):
            process = stack.enter_context(subprocess.Popen([program, argument]))
            stack.callback(process.kill)
            started.append(process.pid)
        yield started


def memory(slimdeploy: Slimdeploy, server: Server, *flags: str) -> Ended:
    return slimdeploy("memory", "--host", server.address, "--identity", server.key, "--accept-new-host-key", *flags)


def test_a_process_of_a_host_without_any_deployment(
    real_server: Server, slimdeploy: Slimdeploy, strangers: list[int], tmp_path: Path
) -> None:
    several = memory(slimdeploy, real_server, "--exe", "somebodys-gateway", "--json")
    assert several.code == 3, several.err + several.out
    document = several.document
    assert (document["verdict"], document["reading"], document["process"]) == ("NOT MEASURED", None, None)
    assert "2 processes are found by --exe somebodys-gateway" in document["reason"]
    assert all(str(pid) in document["reason"] for pid in strangers) and "--pid" in document["reason"]

    one = memory(slimdeploy, real_server, "--pid", str(strangers[1]), "--json")
    assert one.code == 0, one.err + one.out
    document = one.document
    assert document["verdict"] == "PASS" and document["process"]["pid"] == strangers[1]
    assert document["not_asked"] == ["executable", "started_by_us", "limits"]
    assert document["reason"].endswith("(not asked: which binary it is, who started it, under which limits)")
    assert document["limits"] is None and document["artifact"] == {"sha256": None}
    others = next(proof for proof in document["evidence"] if proof["name"] == "instances")
    assert str(strangers[0]) in others["detail"] and not others["required"]
    assert [each.verdict for each in find(Wanted())] == ["NOT MEASURED", "PASS"], "both are kept"

    none = memory(slimdeploy, real_server, "--name", "no-such-gateway")
    assert none.code == 3 and "--name no-such-gateway finds no process" in " ".join(none.out.split())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--exe", "a", "--pid", "1"), "take one of them"),
        (("--unit", "a b"), "is no name of a service"),
        (("--pid", "-1"), "--pid"),
        ((), "--board"),
    ],
)
def test_flags_that_name_no_process_or_two_are_wrong_usage(
    slimdeploy: Slimdeploy, flags: tuple[str, ...], said: str
) -> None:
    ended = slimdeploy("memory", "--host", "root@127.0.0.1:1", *flags)
    assert ended.code == 2, ended.err + ended.out  # and nobody was called: nothing listens there
    assert said in " ".join((ended.err + ended.out).split())
