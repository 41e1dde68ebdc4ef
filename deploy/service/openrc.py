"""Knows how OpenRC keeps a gateway: an init script whose supervisor is supervise-daemon, in the runlevel "default".

Sources: openrc-run(8), supervise-daemon(8), rc-update(8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deploy.service.face import ServiceManager
from deploy.service.launch import launch, launch_path
from deploy.service.processes import STOP_GRACE_S
from deploy.service.texts import Text, head


@dataclass(frozen=True, slots=True)
class OpenRC(ServiceManager):
    """A gateway under supervise-daemon. The prefix has no blanks (`texts.fits`)."""

    name: ClassVar[str] = "openrc"

    @property
    def script_path(self) -> str:
        """Where OpenRC finds a service."""
        return f"/etc/init.d/{self.service}"

    def own_texts(self) -> tuple[Text, ...]:
        """What becomes the gateway, and the service."""
        layout = self.layout
        # A gateway that ends at once is tried again 10 times in 10 minutes; then the service counts as crashed.
        script = f"""\
#!/sbin/openrc-run
{head(layout)}
description="The Telegram gateway under {layout.prefix}"
supervisor=supervise-daemon
command=/bin/sh
command_args="{launch_path(layout)}"
retry="TERM/{STOP_GRACE_S}/KILL/5"
respawn_delay=2
respawn_max=10
respawn_period=600

depend() {{
	use net
	after localmount clock
}}
"""
        if not self.takes_config:
            script = script.replace("The Telegram gateway", "The program")
        return (launch(self), Text(self.script_path, script, 0o755))

    def enable(self) -> str:
        """In the runlevel that comes after boot."""
        return f"rc-update -q add {self.service} default"

    def disable(self) -> str:
        """Out of it."""
        return f"rc-update -q del {self.service} default 2>/dev/null"

    def functions(self) -> str:
        """By rc-service; what an interrupted start left is ended by its pid file."""
        return f"""\
stop_gateway() {{
    [ ! -e {self.script_path} ] || rc-service -q {self.service} stop >&2
    end_by_pid_files
}}
start_gateway() {{
    rm -f "$pid_file"
    rc-service -q {self.service} zap >&2 # forgets that it crashed
    rc-service -q {self.service} start >&2 || return 1
    until_it_runs
}}
"""
