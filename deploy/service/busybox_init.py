"""Knows how BusyBox init keeps a gateway: it starts `/etc/init.d/S??*` at boot, and our sh supervisor does the rest.

BusyBox init itself could restart it (inittab), but reads its table only at boot; vendors' images all have the folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deploy.board_shell.quoting import quote_path
from deploy.service.detached import Detached
from deploy.service.processes import FUNCTIONS
from deploy.service.texts import Text, head


@dataclass(frozen=True, slots=True)
class BusyBoxInit(Detached):
    """A gateway under the sh supervisor, which BusyBox init starts at boot."""

    name: ClassVar[str] = "busybox_init"
    survives_reboot: ClassVar[bool] = True

    @property
    def script_path(self) -> str:
        """95: after the network and the clock, which vendors start in the forties."""
        return f"/etc/init.d/S95{self.service}"

    def own_texts(self) -> tuple[Text, ...]:
        """The supervisor, and the script that BusyBox init's rcS starts and rcK stops."""
        layout = self.layout
        functions = Detached.functions(self)
        script = f"""\
#!/bin/sh
{head(layout)}
umask 077
pid_file={quote_path(layout.pid_file)}
supervisor_pid_file={quote_path(layout.supervisor_pid_file)}
{FUNCTIONS}{functions}
case "$1" in
start) running_pid "$pid_file" >/dev/null || {{ stop_gateway; start_gateway >/dev/null; }} ;;
stop) stop_gateway ;;
restart) stop_gateway; start_gateway >/dev/null ;;
*) echo "usage: $0 start|stop|restart" >&2; exit 2 ;;
esac
"""
        return (*Detached.own_texts(self), Text(self.script_path, script, 0o755))
