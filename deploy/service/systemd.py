"""Knows how systemd keeps a gateway: one unit, with the limits, the hardening and the restarts that are systemd's own.

Sources: systemd.service(5), systemd.exec(5), systemd.resource-control(5), systemd.unit(5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deploy.board_shell.quoting import quote_path
from deploy.board_shell.shell_functions import TICKS
from deploy.service.face import CONFIG_FAULT_STATUS, ServiceManager
from deploy.service.launch import NOTE
from deploy.service.own_user import preparing
from deploy.service.processes import STOP_GRACE_S
from deploy.service.texts import Text, head
from deploy.transport.protocol import Script

# What a gateway never needs: it opens sockets, reads its config, and writes below its prefix. With the version of
# systemd that knows the setting first (its NEWS file); an older one would only warn, and not protect.
_HARDENING = (
    ("NoNewPrivileges=yes", 187),
    ("PrivateTmp=yes", 37),
    ("ProtectSystem=strict", 232),
    ("ProtectKernelTunables=yes", 232),
    ("ProtectKernelModules=yes", 232),
    ("ProtectControlGroups=yes", 232),
    ("PrivateDevices=yes", 209),
    ("MemoryDenyWriteExecute=yes", 231),
    ("RestrictRealtime=yes", 231),
    ("RestrictNamespaces=yes", 233),
    ("RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", 211),
    ("LockPersonality=yes", 235),
    ("RestrictSUIDSGID=yes", 242),
    ("ProtectHostname=yes", 242),
    ("ProtectKernelLogs=yes", 244),
    ("CapabilityBoundingSet=", 205),
)


@dataclass(frozen=True, slots=True)
class Systemd(ServiceManager):
    """A gateway as a unit of systemd. The prefix has no blanks (`texts.fits`)."""

    name: ClassVar[str] = "systemd"

    version: int = 0
    """systemd's own; 0 where it is not known, and nothing is hardened then."""

    @property
    def unit_path(self) -> str:
        """Where an administrator's units lie."""
        return f"/etc/systemd/system/{self.service}.service"

    @property
    def _note_path(self) -> str:
        return f"{self.layout.run}/note"

    def own_texts(self) -> tuple[Text, ...]:
        """What notes the process, and the unit."""
        layout = self.layout
        note = f"""\
#!/bin/sh
# Notes which process the gateway is.
{head(layout)}
{TICKS}{NOTE}umask 077
note "$1" {quote_path(layout.pid_file)}
"""
        return (Text(self._note_path, note), Text(self.unit_path, self._unit(), 0o644))

    def _unit(self) -> str:
        limits, layout = self.limits, self.layout
        what = "Telegram gateway" if self.takes_config else "program"
        environment = "\n".join(f"Environment={name}={value}" for name, value in limits.environment().items())
        words = [f"{layout.current}/{layout.name}", *self.arguments]
        words += ["--config", layout.config] if self.takes_config else []
        hardening = [setting for setting, since in _HARDENING if self.takes_config and self.version >= since]
        if hardening:
            hardening.append(f"ReadWritePaths={layout.prefix}")
        hardened = "".join(f"{setting}\n" for setting in hardening)
        user = f"User={self.user}\n" if self.user else ""
        return f"""\
{head(layout)}
[Unit]
Description=The {what} under {layout.prefix}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=600
StartLimitBurst=10

[Service]
ExecStart={" ".join(map(_word, words))}
ExecStartPost=+/bin/sh {self._note_path} $MAINPID
WorkingDirectory=/
UMask=0077
{user}{environment}
Restart=always
RestartSec=2
RestartPreventExitStatus={CONFIG_FAULT_STATUS}
TimeoutStopSec={STOP_GRACE_S}
OOMScoreAdjust=-100
{self._hard()}{hardened}
[Install]
WantedBy=multi-user.target
"""

    def _hard(self) -> str:
        limits = self.limits
        if limits.hard_bytes is None:
            return ""
        if 0 < self.version < 231:
            return f"MemoryLimit={limits.hard_bytes}\n"  # before MemoryMax and MemoryHigh, which came with cgroups v2
        # Swap is part of the limit: else a limit of memory would only move pages to a board's flash.
        return f"MemoryMax={limits.hard_bytes}\nMemoryHigh={limits.high_bytes}\nMemorySwapMax=0\n"

    def enable(self) -> str:
        """In the target that a board without a screen reaches. It reads all units again, which is slow on a board."""
        return f"systemctl -q enable {self.service}.service"

    def disable(self) -> str:
        """Out of it."""
        return f"[ ! -e {self.unit_path} ] || systemctl -q --no-reload disable {self.service}.service"

    def log(self, lines: int) -> Script:
        """From the journal, where systemd leads what a service prints."""
        unit = f"{self.service}.service"
        return Script(
            title="read the log",
            text=f"journalctl --no-pager -q -o short-iso -u {unit} -n {int(lines)} 2>/dev/null; :\n",
            changes=False,
        )

    def forgotten(self) -> str:
        """systemd keeps a unit in memory until it is told to read them all again."""
        return "systemctl daemon-reload"

    def functions(self) -> str:
        """By systemctl; what a start of another kind left is ended by its pid files."""
        return f"""\
stop_gateway() {{
    [ ! -e {self.unit_path} ] || systemctl stop {self.service}.service >&2
    end_by_pid_files
}}
{preparing(self.layout, self.user) if self.user else ""}start_gateway() {{
    {"prepare_user || return 1" if self.user else ":"}
    rm -f "$pid_file"
    systemctl reset-failed {self.service}.service 2>/dev/null # it may have been started too often lately
    systemctl start {self.service}.service >&2 || return 1
    until_it_runs
}}
"""


def _word(text: str) -> str:
    """One word of a command line in a unit (systemd.service(5), "Command lines")."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return (
        f'"{escaped}"' if escaped != text or not text or any(each.isspace() for each in text) or "'" in text else text
    )
