"""Knows the sh text that becomes the gateway: its limits set, its process noted, its output led into the log.

A service manager starts it, and it executes the gateway: the process stays the same one.
"""

from __future__ import annotations

from deploy.board_shell.quoting import quote, quote_path
from deploy.board_shell.shell_functions import TICKS
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.service.face import CONFIG_FAULT_STATUS, ServiceManager
from deploy.service.texts import Text, cgroup_name, head

NOTE = """\
note() { printf '%s %s\\n' "$1" "$(ticks_of "$1")" >"$2.new" && mv -f "$2.new" "$2"; }
"""
"""note PID FILE: a pid file as `Layout.pid_file` describes it; needs TICKS."""

ROTATE = """\
[ "$(wc -c <"$log" 2>/dev/null || echo 0)" -lt 262144 ] || { cp "$log" "$log.1" && : >"$log"; }
"""
"""A log of more than 256 KiB becomes the old one; needs $log."""


def enter_cgroup(limits: Limits, layout: Layout) -> str:
    """sh: the calling process, without those above it, goes into a memory cgroup of its own; nothing without a limit.

    "0" is whoever writes it (cgroups(7), cgroup.procs), so that it works in a subshell too, where $$ is its parent's.
    Where the kernel has no memory cgroup, or this user may make none, there is no limit: it is read back later.
    """
    if limits.hard_bytes is None:
        return ""
    name = quote(cgroup_name(layout))
    return f"""\
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    echo +memory >/sys/fs/cgroup/cgroup.subtree_control
    group=/sys/fs/cgroup/{name} file=memory.max high=memory.high swap=memory.swap.max swapped=0
else
    group=/sys/fs/cgroup/memory/{name} file=memory.limit_in_bytes
    high=memory.soft_limit_in_bytes swap=memory.memsw.limit_in_bytes swapped={limits.hard_bytes}
fi 2>/dev/null
[ "$swapped" = 0 ] || echo -1 >"$group/$swap" 2>/dev/null # version 1 takes no limit above that one
{{ mkdir -p "$group" && echo {limits.hard_bytes} >"$group/$file" && echo 0 >"$group/cgroup.procs"; }} 2>/dev/null
{{ echo {limits.high_bytes} >"$group/$high"; echo "$swapped" >"$group/$swap"; }} 2>/dev/null # where there is swap
"""


OOM_SCORE = "{ echo -100 >/proc/self/oom_score_adj; } 2>/dev/null # root's to lower (proc_pid_oom_score_adj(5))\n"
"""sh: a board that runs out of memory ends others before the calling process, as systemd's OOMScoreAdjust=-100 says."""


def exports(limits: Limits) -> str:
    """The soft limits as words of `export` and of `env`."""
    return " ".join(f"{name}={quote(value)}" for name, value in limits.environment().items())


def launch_path(layout: Layout) -> str:
    """Where the text lies on the board."""
    return f"{layout.run}/launch"


def launch(manager: ServiceManager) -> Text:
    """The text for a manager that starts it as it is."""
    layout = manager.layout
    return Text(
        launch_path(layout),
        f"""\
#!/bin/sh
# Becomes the gateway, under its limits.
{head(layout)}
log={quote_path(layout.log_file)}
{TICKS}{NOTE}cd / || exit 1
umask 077
mkdir -p {quote_path(layout.log)}
{ROTATE}export {exports(manager.limits)}
exec </dev/null >>"$log" 2>&1
{manager.getting_ready(f"exit {CONFIG_FAULT_STATUS}")}{OOM_SCORE}{enter_cgroup(manager.limits, layout)}\
note "$$" {quote_path(layout.pid_file)}
{manager.becoming()}
""",
    )
