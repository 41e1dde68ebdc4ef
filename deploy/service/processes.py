"""Knows the sh functions by which a gateway's processes are waited for and ended, whoever keeps them.

They go by the pid files ($pid_file, $supervisor_pid_file), which name a process by its start ticks too.
"""

from __future__ import annotations

from deploy.board_shell.shell_functions import NAP, RUNNING

STOP_GRACE_S = 10
"""How long the gateway may drain after SIGTERM before SIGKILL."""

START_GRACE_S = 30
"""How long a service manager may take to have the gateway's pid file written, on a board that is busy or slow."""

FUNCTIONS = f"""\
{RUNNING}{NAP}
gone() {{
    [ -n "$1" ] || return 0
    set -- "$(cat "/proc/$1/stat" 2>/dev/null)"
    set -- ${{1##*) }}
    [ -z "$1" ] || [ "$1" = Z ] # an init that is slow to wait leaves zombies
}}
end_by_pid_files() {{
    supervisor=$(running_pid "$supervisor_pid_file"); gateway=$(running_pid "$pid_file")
    [ -n "$supervisor$gateway" ] || return 0
    kill -TERM $supervisor $gateway 2>/dev/null
    until_s=$(($(uptime_s) + {STOP_GRACE_S}))
    while [ "$(uptime_s)" -lt "$until_s" ]; do
        gone "$supervisor" && gone "$gateway" && break
        nap
    done
    for pid in $supervisor $gateway; do kill -KILL "$pid" 2>/dev/null; done
    rm -f "$pid_file" "$supervisor_pid_file"
}}
until_it_runs() {{
    until_s=$(($(uptime_s) + {START_GRACE_S}))
    while [ "$(uptime_s)" -le "$until_s" ]; do
        if running_pid "$pid_file" >/dev/null; then
            said=$(cat "$pid_file" 2>/dev/null) && [ -n "$said" ] && {{ echo "$said"; return 0; }}
        fi
        nap
    done
    echo "the gateway did not stay up" >&2
    return 1
}}
"""
"""end_by_pid_files: ends the supervisor and the gateway that the pid files name. until_it_runs: waits for the gateway's
pid file and prints it."""
