"""Knows what every service manager has in common: how a release is switched, put back, and removed under it.

A manager brings texts of its own and two sh functions, start_gateway and stop_gateway; the rest is the same for all.
Scripts are values: who runs them is a step's business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from deploy.board_shell.becoming import BECOME
from deploy.board_shell.quoting import quote, quote_path
from deploy.board_shell.shell_functions import FLUSH, SWITCH_LINK
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.service.guard import relieve
from deploy.service.own_user import preparing
from deploy.service.processes import FUNCTIONS, START_GRACE_S, STOP_GRACE_S
from deploy.service.removal import removal
from deploy.service.texts import (
    Text,
    keep_beside,
    kept_at,
    manager_file,
    put_back,
    put_in_place,
    refuse_a_strangers,
    service_name,
    waits_at,
)
from deploy.transport.protocol import Script

CONFIG_FAULT_STATUS = 78
"""EX_CONFIG of sysexits.h: the gateway says that starting it again can't help (bad config, token refused)."""

CHANGED_MEANWHILE_STATUS = 75
"""EX_TEMPFAIL of sysexits.h: another deployment has switched the board since it was asked what it holds."""

NOT_OURS_STATUS = 76
"""EX_PROTOCOL of sysexits.h: a service of our name is there, and somebody else's."""

SYNC = "sync 2>/dev/null; :"
"""sh: all is on the storage. What enables a service, and what an init keeps of it, lies anywhere."""


@dataclass(frozen=True, slots=True)
class ServiceManager(ABC):
    """A gateway with its files under `layout`, kept running by one kind of service manager."""

    name: ClassVar[str]
    """As boards' files and `--service` call it."""
    survives_reboot: ClassVar[bool] = True

    layout: Layout
    limits: Limits
    arguments: tuple[str, ...] = ("gateway",)
    takes_config: bool = True
    """Whether `--config PATH` follows the arguments."""
    user: str = ""
    """The user that the gateway runs as, made where there is none; "" for whoever starts it."""

    @abstractmethod
    def own_texts(self) -> tuple[Text, ...]:
        """What it writes on the board, beside the note of its name."""

    @abstractmethod
    def functions(self) -> str:
        """The sh functions start_gateway (prints the gateway's pid file) and stop_gateway, in terms of FUNCTIONS."""

    def enable(self) -> str:
        """An sh command after which the gateway starts at each boot; nothing where it can't."""
        return ":"

    def disable(self) -> str:
        """An sh command that undoes `enable`."""
        return ":"

    @property
    def service(self) -> str:
        """What the service is called: as the prefix's last folder is."""
        return service_name(self.layout)

    def texts(self) -> tuple[Text, ...]:
        """All that it writes on the board. The texts' SHA-256 tell whether the limits, or we, have changed."""
        user = f"user {self.user}\n" if self.user else ""
        return (*self.own_texts(), Text(manager_file(self.layout), f"{self.name}\n{user}"))

    def command(self) -> str:
        """The gateway's command line, quoted for sh."""
        config = ("--config", quote_path(self.layout.config)) if self.takes_config else ()
        binary = quote_path(f"{self.layout.current}/{self.layout.name}")
        return " ".join([binary, *map(quote, self.arguments), *config])

    def becoming(self) -> str:
        """sh: the calling process becomes the gateway, as `user` where it has one; after `getting_ready`."""
        return f'become "$way" "$own_user" {self.command()}' if self.user else f"exec {self.command()}"

    def getting_ready(self, otherwise: str) -> str:
        """sh: what `becoming` rests on; `otherwise` is what follows where the gateway can have no user of its own."""
        if not self.user:
            return ""
        return f'{BECOME}{preparing(self.layout, self.user)}prepare_user && way_to "$own_user" || {otherwise}\n'

    def stage(self, paths: Iterable[str]) -> Script:
        """Write those of its texts beside the ones in use; `switch` puts them in place. They hold no secret."""
        wanted = set(paths)
        lines = ["umask 077", f"mkdir -p {quote_path(self.layout.run)} || exit 1"]
        for text in self.texts():
            if text.path in wanted:
                waiting = quote_path(waits_at(self.layout, text.path))
                lines.append(
                    f"printf %s {quote(text.content)} >{waiting}.part && mv -f {waiting}.part {waiting} || exit 1"
                )
        return Script(title=f"write what {self.name} keeps the gateway running by", text="\n".join(lines) + "\n")

    def drop(self, paths: Iterable[str]) -> Script:
        """Remove texts that wait for `paths` and were never put in place."""
        waiting = [quote_path(waits_at(self.layout, path)) for path in paths]
        return Script(
            title="remove what was staged", text=f"rm -f {' '.join(f'{each} {each}.part' for each in waiting)}\n"
        )

    def start(self) -> Script:
        """Start `current` where it is not running; prints the gateway's pid file."""
        # A supervisor without a gateway waits before it starts it again; two of them would fight for the port.
        return self._script(
            "start the gateway",
            'running_pid "$pid_file" >/dev/null && exec cat "$pid_file"\nstop_gateway\nstart_gateway',
        )

    def stop(self) -> Script:
        """Stop the gateway and whoever would start it again: SIGTERM, and SIGKILL after the grace."""
        return self._script("stop the gateway", "stop_gateway")

    def restart(self) -> Script:
        """Stop, then start; prints the gateway's pid file."""
        return self._script("restart the gateway", "stop_gateway\nstart_gateway")

    def switch(
        self,
        release_id: str,
        *,
        before: str | None,
        staged: Sequence[str],
        instead_of: ServiceManager | None = None,
        guard: str = ":",
    ) -> Script:
        """Stop what runs, put the staged files and the release in place, start; prints the gateway's pid file.

        `before` is the release that `current` points at now (None on a first deployment); it becomes `previous` where
        it is another one. `staged` are the paths whose new text waits; the old text is kept. `instead_of` is the
        manager that has kept the gateway so far, where it is another: it lets go of it. `guard` is the sh text of
        `guard.arm`. The files of before stay beside their release, for a later rollback.
        Where `current` does not point at `before` any more it changes nothing and ends with CHANGED_MEANWHILE_STATUS,
        where a service of our name is somebody else's with NOT_OURS_STATUS.
        """
        link = quote_path(self.layout.current)
        modes = {text.path: text.mode for text in self.texts()}
        lines = [
            SWITCH_LINK + FLUSH,
            f'now=$(readlink {link} 2>/dev/null); [ "${{now##*/}}" = {quote(before or "")} ] || '
            f"exit {CHANGED_MEANWHILE_STATUS}",
            *(refuse_a_strangers(self.layout, text.path, NOT_OURS_STATUS) for text in self.own_texts()),
            f"flush {' '.join(quote_path(waits_at(self.layout, path)) for path in staged)}" if staged else ":",
            keep_beside(self.layout, before, (instead_of or self).texts()) if before and before != release_id else ":",
            guard,
            instead_of._let_go() if instead_of else "stop_gateway",
            *(put_in_place(self.layout, path, modes.get(path, 0o600)) for path in staged),
        ]
        if before and before != release_id:
            lines.append(f"switch_link {quote(f'releases/{before}')} {quote_path(self.layout.previous)} || exit 1")
        lines.append(f"switch_link {quote(f'releases/{release_id}')} {quote_path(self.layout.current)} || exit 1")
        if instead_of or not before or {text.path for text in self.own_texts()} & set(staged):
            lines.append(f"{self.enable()} || exit 1")
        lines += ["start_gateway || exit", SYNC]
        return self._script("switch to the new release and start it under its limits", "\n".join(lines))

    def restore(
        self,
        before: str | None,
        *,
        previous: str | None,
        staged: Sequence[str],
        was_running: bool,
        instead_of: ServiceManager | None = None,
    ) -> Script:
        """Undo `switch`: the release and the files of before, running again if they ran, under the manager of before.

        After a first deployment (`before` is None) nothing is left running. It may run at any point of `switch`: a
        file that was not yet put in place is left alone.
        """
        lines = [
            relieve(self.layout, STOP_GRACE_S + START_GRACE_S),
            self.putting_back(before, previous=previous, staged=staged, was_running=was_running, instead_of=instead_of),
        ]
        return self._script("put back what ran before", "\n".join(lines))

    def putting_back(
        self,
        before: str | None,
        *,
        previous: str | None,
        staged: Sequence[str],
        was_running: bool,
        instead_of: ServiceManager | None = None,
    ) -> str:
        """The sh text of `restore`, for a guard too: it needs `preamble` before it."""
        lines = [SWITCH_LINK + FLUSH, "stop_gateway"]
        if instead_of or not before:
            lines.append(f"{self.disable()}")
        lines += [put_back(self.layout, path) for path in staged]
        if before:
            lines.append(f"switch_link {quote(f'releases/{before}')} {quote_path(self.layout.current)} || exit 1")
            link = quote_path(self.layout.previous)
            lines.append(f"switch_link {quote(f'releases/{previous}')} {link}" if previous else f"rm -f {link}")
            lines += [SYNC, instead_of._take_up(was_running) if instead_of else self._resume(was_running)]
        else:
            lines += [f"rm -f {quote_path(self.layout.current)}", SYNC]
        return "\n".join(lines)

    def log(self, lines: int) -> Script:
        """Print the last `lines` lines of the log, with those of the file before it where it was just rotated."""
        path = quote_path(self.layout.log_file)
        return Script(
            title="read the log",
            text=f"{{ cat {path}.1 2>/dev/null; cat {path} 2>/dev/null; }} | tail -n {int(lines)}\n",
            changes=False,
        )

    def uninstall(self) -> Script:
        """Stop, and remove what a deployment put there, by name: other files under the prefix stay, and keep it."""
        written = tuple(text.path for text in self.texts())
        return self._script("remove the gateway", removal(self.layout, written, self.disable(), self.forgotten()))

    def forgotten(self) -> str:
        """An sh command for after the removal of its texts, for a manager that has read them."""
        return ":"

    def _resume(self, was_running: bool) -> str:
        lines = [self.forgotten()]  # it may have read the texts that were taken back
        return "\n".join([*lines, "start_gateway"] if was_running else lines)

    def _let_go(self) -> str:
        """sh, in a shell of its own: this manager stops the gateway and does not start it at the next boot."""
        system = [text.path for text in self.own_texts() if not text.path.startswith(f"{self.layout.prefix}/")]
        moves = [
            f"[ ! -f {quote(path)} ] || mv -f {quote(path)} {quote_path(kept_at(self.layout, path))}" for path in system
        ]
        return "\n".join(["(", self.preamble(), "stop_gateway", self.disable(), *moves, self.forgotten(), ")"])

    def _take_up(self, was_running: bool) -> str:
        """sh, in a shell of its own: undoes `_let_go`."""
        system = [text.path for text in self.own_texts() if not text.path.startswith(f"{self.layout.prefix}/")]
        moves = [
            f"[ -f {quote(path)} ] || mv -f {quote_path(kept_at(self.layout, path))} {quote(path)}" for path in system
        ]
        start = ["start_gateway"] if was_running else []
        return "\n".join(["(", self.preamble(), *moves, self.enable(), SYNC, *start, ")"])

    def preamble(self) -> str:
        """sh: what its scripts' own lines rest on."""
        layout = self.layout
        return f"""\
umask 077
pid_file={quote_path(layout.pid_file)}
supervisor_pid_file={quote_path(layout.supervisor_pid_file)}
{FUNCTIONS}{self.functions()}"""

    def _script(self, title: str, body: str) -> Script:
        deadline_s = float(STOP_GRACE_S + START_GRACE_S + 30)
        return Script(title=title, text=self.preamble() + body + "\n", deadline_s=deadline_s)
