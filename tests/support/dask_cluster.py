"""A Dask cluster as a site has it: a scheduler and workers, each a process with a home of its own, over TLS."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
from program import REPOSITORY

_SETTLE_S = 90
_PATH = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "tests" / "support")))


def _tls(certificate: Path, key: Path, ca: Path) -> dict[str, str]:
    """The settings of Dask for all three roles, as its documentation on configuration says."""
    found = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(ca), "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}
    for role in ("CLIENT", "SCHEDULER", "WORKER"):
        found[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] = str(certificate)
        found[f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"] = str(key)
    return found


@dataclass
class Cluster:
    """The processes by name, each with its home, and how a client gets in."""

    folder: Path
    tls: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    address: str = ""

    def home(self, name: str) -> Path:
        return self.folder / name

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def start(self, name: str, module: str, *flags: str, env: Mapping[str, str] | None = None) -> None:
        home = self.home(name)
        home.mkdir()
        own = {"HOME": str(home), "SLIMDEPLOY_HOME": str(home / "slimdeploy"), "PYTHONPATH": _PATH}
        for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
            own[variable] = str(home / variable)
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=home,
                env={**os.environ, **own, **self.tls, **(env or {})},
                start_new_session=True,
            )

    def worker(self, name: str, *, site: str = "", threads: int = 4) -> None:
        """Start one; it is not waited for."""
        flags = ["--no-nanny", "--no-dashboard", "--nthreads", str(threads), "--name", name, "--memory-limit", "0"]
        flags += ["--local-directory", str(self.folder / f"{name}-scratch")]
        flags += ["--resources", f"site:{site}=1000"] if site else []
        self.start(name, "dask_worker", self.address, *flags)

    def wait_for(self, *names: str) -> None:
        until = time.monotonic() + _SETTLE_S
        for name in names:
            while "Registered to:" not in self.log(name):
                assert self.processes[name].poll() is None and time.monotonic() < until, self.log(name)
                time.sleep(0.05)

    def end(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait(20)


@contextmanager
def dask_cluster(folder: Path) -> Iterator[Cluster]:
    """A scheduler that takes nobody without a certificate of this CA; no worker yet."""
    pytest.importorskip("distributed", reason="Dask is not installed (pip install 'slimdeploy[fleet]')")
    ca = trustme.CA()
    issued = ca.issue_cert("127.0.0.1", "localhost")
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "key.pem").chmod(0o600)
    cluster = Cluster(folder, _tls(folder / "cert.pem", folder / "key.pem", folder / "ca.pem"))
    try:
        flags = ("--protocol", "tls", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
        cluster.start("scheduler", "dask_scheduler", *flags)
        until = time.monotonic() + _SETTLE_S
        while "Scheduler at:" not in (log := cluster.log("scheduler")):
            assert cluster.processes["scheduler"].poll() is None and time.monotonic() < until, log
            time.sleep(0.05)
        cluster.address = log.partition("Scheduler at:")[2].split()[0]
        yield cluster
    finally:
        cluster.end()
