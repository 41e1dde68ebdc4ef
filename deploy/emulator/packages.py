"""Knows how Debian's packages for any architecture are fetched by the host's APT from an APT root of our own.

No root rights, and nothing of the host's own APT is changed: its mirror and its proxy are taken; its lists, its hooks
and what it allows without a signature are not.
Signatures are checked by APT against Debian's archive keyring. What the packages become is `images.py`'s.

Sources: apt.conf(5), sources.list(5), apt-get(8) (indextargets), README.progress-reporting of APT for dlstatus lines.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import ImageFailed, Unsupported
from deploy.model.display import clean

MIRROR_VARIABLE = "SLIMDEPLOY_DEBIAN_MIRROR"
"""The environment variable that names a mirror of the Debian archive, where the host's APT knows none."""

_KEYRINGS = tuple(Path(f"/usr/share/keyrings/debian-archive-keyring.{ending}") for ending in ("pgp", "gpg"))
_UPDATE_S = 300.0
_ASK_S = 300.0
"""A second on an idle machine; APT reads tens of megabytes of lists first, which a busy one takes minutes for."""
_DOWNLOAD_S = 1800.0

# Debian's names for a release that move on: the same archive under another address. A mirror that is in the middle of
# a sync, or a cache before one, may hold the one and not the other.
_ALIASES = ("stable", "oldstable", "oldoldstable")

# Hooks of a Debian container, for one, remove the host's own downloads after every update.
_NOT_THE_HOSTS = (
    "APT::Update::Pre-Invoke",
    "APT::Update::Post-Invoke",
    "APT::Update::Post-Invoke-Success",
    "APT::Architectures",
)

_TARGETS = "$(ORIGIN)|$(REPO_URI)"
_DOWNLOAD_STATUS = re.compile(r"dlstatus:[^:]*:([0-9.]+):")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Packages:
    """One release for one architecture, in an APT root under `folder`, which is made and kept."""

    folder: Path
    suite: str
    architecture: str
    mirror: str
    keyring: Path

    def update(self) -> None:
        """Fetch the lists. Raises ImageFailed with APT's own words."""
        failures = []
        for suite in (self.suite, *_ALIASES):
            self._configure(suite)
            ended = self._apt("update", "--error-on=any", deadline_s=_UPDATE_S)
            if ended.returncode == 0 and self._code_name() == self.suite:
                return
            failures.append(ended)
            shutil.rmtree(self.folder / "lists", ignore_errors=True)
        raise ImageFailed(
            f"the lists of Debian {self.suite} for {self.architecture} can't be fetched", log=_words(failures[0])
        )

    def kernel_of(self, meta_package: str) -> str:
        """The kernel's own package, which the meta package depends on."""
        ended = self._tool("apt-cache", "depends", "--important", meta_package)
        for line in ended.stdout.splitlines():
            kind, _, name = line.strip().partition("Depends: ")
            if not kind and name.startswith("linux-image-"):
                return name
        raise ImageFailed(f"{meta_package} of Debian {self.suite} names no kernel", log=_words(ended))

    def closure(self, names: Sequence[str]) -> list[str]:
        """The packages and all that they need, as on a machine that has none; recommendations left out."""
        ended = self._apt("--simulate", "--no-install-recommends", "install", *names, deadline_s=_ASK_S)
        found = [line.split()[1] for line in ended.stdout.splitlines() if line.startswith("Inst ")]
        if ended.returncode != 0 or not found:
            raise ImageFailed(f"{', '.join(names)} can't be had from Debian {self.suite}", log=_words(ended))
        return found

    def download(self, names: Sequence[str], into: Path, progress: Progress | None = None) -> list[Path]:
        """The packages' files, each checked by APT against the signed lists. `progress` gets per mille and 1,000."""
        into.mkdir(parents=True, exist_ok=True)
        read_end, write_end = os.pipe()
        command = ("apt-get", *self._settings(), "-q=2", "-o", f"APT::Status-Fd={write_end}", "download", *names)
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
            subprocess.Popen(
                command,
                cwd=into,
                env=self._environment(),
                pass_fds=(write_end,),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            ) as running,
        ):
            os.close(write_end)
            watchdog = threading.Timer(_DOWNLOAD_S, running.kill)
            watchdog.start()
            try:
                with os.fdopen(read_end, encoding="ascii", errors="replace") as told:
                    for line in told:
                        if progress and (found := _DOWNLOAD_STATUS.match(line)):
                            progress(round(float(found[1]) * 10), 1000)
                status = running.wait()
            except BaseException:
                running.kill()
                raise
            finally:
                watchdog.cancel()
            said.seek(0)
            log = said.read()
        files = sorted(into.glob("*.deb"))
        if status != 0 or len(files) < len(set(names)):
            raise ImageFailed("the packages can't be downloaded", log=clean(log.encode(), 2000))
        return files

    def _configure(self, suite: str) -> None:
        for name in ("lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        source = f"deb [arch={self.architecture} signed-by={self.keyring}] {self.mirror} {suite} main\n"
        (self.folder / "sources.list").write_text(source, encoding="utf-8")
        folder = self.folder
        settings = {
            "Dir::State::lists": f"{folder}/lists/",
            "Dir::State::status": f"{folder}/status",
            "Dir::State::extended_states": f"{folder}/extended_states",
            "Dir::Cache": f"{folder}/cache/",
            "Dir::Etc::sourcelist": f"{folder}/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Architecture": self.architecture,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",  # the user _apt can't look into our 0700 folders; signatures are checked
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled": "false",
            "Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled": "false",
            "Acquire::Retries": "2",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "APT::Get::AllowUnauthenticated": "false",
        }
        lines = [f"#clear {name};\n" for name in _NOT_THE_HOSTS]
        lines += [f'{key} "{value}";\n' for key, value in settings.items()]
        lines.append(f'APT::Architectures {{ "{self.architecture}"; }};\n')
        (self.folder / "apt.conf").write_text("".join(lines), encoding="utf-8")

    def _code_name(self) -> str:
        for path in (self.folder / "lists").glob("*_*Release"):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith("Codename: "):
                    return line.partition(" ")[2].strip()
        return ""

    def _settings(self) -> tuple[str, str]:
        # Beside APT_CONFIG, which is read before the host's own files: those would have the last word.
        return "-c", str(self.folder / "apt.conf")

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C.UTF-8"}

    def _apt(self, *arguments: str, deadline_s: float) -> subprocess.CompletedProcess[str]:
        return self._tool("apt-get", "-q", *arguments, deadline_s=deadline_s)

    def _tool(self, program: str, *arguments: str, deadline_s: float = _ASK_S) -> subprocess.CompletedProcess[str]:
        return _ended(program, *self._settings(), *arguments, deadline_s=deadline_s, environment=self._environment())


def _ended(
    program: str, *arguments: str, deadline_s: float = _ASK_S, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            (program, *arguments),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ImageFailed(f"{program} did not end within {deadline_s:g} s") from error


def packages_for(folder: Path, suite: str, architecture: str) -> Packages:
    """The packages of a release, from the mirror that the host's own APT uses.

    Raises Unsupported, with what to install, where the host has no APT, no Debian mirror or no keyring.
    """
    if missing := [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]:
        raise Unsupported(
            f"images are made from Debian's packages, and this machine has no {' and no '.join(missing)}; make the "
            "image on a Debian or Ubuntu machine (emulate.images --export FILE) and bring it here (--import FILE)"
        )
    keyring = next((path for path in _KEYRINGS if path.exists()), None)
    if keyring is None:
        raise Unsupported(
            "Debian's signatures can't be checked without its keys: apt-get install debian-archive-keyring"
        )
    return Packages(folder, suite, architecture, os.environ.get(MIRROR_VARIABLE) or _host_mirror(), keyring)


def _host_mirror() -> str:
    # Where the lists were never fetched, as in a fresh container, only the addresses are known.
    for more in ((), ("--no-release-info",)):
        listed = _ended("apt-get", "indextargets", *more, "--format", _TARGETS, "Created-By: Packages")
        for line in listed.stdout.splitlines():
            origin, _, address = line.partition("|")
            if (origin == "Debian" or address.rstrip("/").endswith("/debian")) and "security" not in address:
                return address
    raise Unsupported(
        "this machine's APT knows no mirror of the Debian archive; name one: "
        f"export {MIRROR_VARIABLE}=http://MIRROR/debian"
    )


@contextmanager
def contents(package: Path) -> Iterator[tarfile.TarFile]:
    """The files of a package, as a tar archive that is read once from front to back."""
    command = ("dpkg-deb", "--fsys-tarfile", str(package))
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as running:
        assert running.stdout is not None  # PIPE, above
        try:
            with tarfile.open(fileobj=running.stdout, mode="r|") as archive:
                yield archive
            while running.stdout.read(1 << 16):
                pass  # the padding at its end
            if running.wait() != 0:
                raise ImageFailed(f"{package.name} can't be unpacked: dpkg-deb ended with {running.returncode}")
        except tarfile.TarError as error:
            raise ImageFailed(f"{package.name} can't be unpacked: {error}") from error
        finally:
            running.stdout.close()
            running.kill()


def _words(ended: subprocess.CompletedProcess[str]) -> str:
    return clean(f"{ended.stdout[-1000:]}\n{ended.stderr}".encode(), 2000)
