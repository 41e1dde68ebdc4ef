"""Knows how procd, OpenWrt's init, keeps a gateway: an rc.common script with one instance.

Sources: OpenWrt, package/system/procd/files/procd.sh (what an instance takes) and "procd init scripts" in its developer
guide. The environment is set inside the instance: outside of it the process never sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deploy.service.face import ServiceManager
from deploy.service.launch import exports, launch, launch_path
from deploy.service.processes import STOP_GRACE_S
from deploy.service.texts import Text, head


@dataclass(frozen=True, slots=True)
class Procd(ServiceManager):
    """A gateway under procd. The prefix has no blanks (`texts.fits`)."""

    name: ClassVar[str] = "procd"

    @property
    def script_path(self) -> str:
        """Where procd finds a service."""
        return f"/etc/init.d/{self.service}"

    def own_texts(self) -> tuple[Text, ...]:
        """What becomes the gateway, and the service."""
        layout = self.layout
        # respawn THRESHOLD TIMEOUT RETRY: one that lived for 60 s counts as well; 5 s between two; 0 gives up never.
        script = f"""\
#!/bin/sh /etc/rc.common
{head(layout)}
START=95
STOP=10
USE_PROCD=1

start_service() {{
	procd_open_instance
	procd_set_param command /bin/sh {launch_path(layout)}
	procd_set_param env {exports(self.limits)}
	procd_set_param respawn 60 5 0
	procd_set_param term_timeout {STOP_GRACE_S}
	procd_close_instance
}}
"""
        return (launch(self), Text(self.script_path, script, 0o755))

    def enable(self) -> str:
        """A link in /etc/rc.d."""
        return f"{self.script_path} enable"

    def disable(self) -> str:
        """The link removed."""
        return f"[ ! -e {self.script_path} ] || {self.script_path} disable"

    def functions(self) -> str:
        """By the service's own script; what an interrupted start left is ended by its pid file."""
        return f"""\
stop_gateway() {{
    [ ! -e {self.script_path} ] || {self.script_path} stop >&2
    gateway=$(running_pid "$pid_file")
    until_s=$(($(uptime_s) + {STOP_GRACE_S}))
    while [ "$(uptime_s)" -lt "$until_s" ] && ! gone "$gateway"; do nap; done # procd's stop does not wait
    end_by_pid_files
}}
start_gateway() {{
    rm -f "$pid_file"
    {self.script_path} start >&2 || return 1
    until_it_runs
}}
"""
