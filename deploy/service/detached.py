"""Knows how a gateway runs where no service manager is used: a small supervisor in POSIX sh, detached from the session.

The supervisor restarts the gateway when it ends, as a service manager would, and sets the limits. It can't survive a
reboot, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deploy.board_shell.quoting import quote, quote_path
from deploy.board_shell.shell_functions import TICKS
from deploy.service.face import CONFIG_FAULT_STATUS, ServiceManager
from deploy.service.launch import NOTE, OOM_SCORE, ROTATE, enter_cgroup, exports
from deploy.service.processes import START_GRACE_S, STOP_GRACE_S
from deploy.service.texts import Text, head


@dataclass(frozen=True, slots=True)
class Detached(ServiceManager):
    """A gateway under the sh supervisor."""

    name: ClassVar[str] = "detached"
    survives_reboot: ClassVar[bool] = False

    lasts_s: int | None = None
    """After how many seconds it ends by itself, and its prefix goes too, for what only passes through and whose owner
    may lose the board; None for never."""

    environment: tuple[tuple[str, str], ...] = ()
    """Further variables; no secret, as they stand in the supervisor's text."""

    @property
    def supervisor_path(self) -> str:
        """Where the supervisor's text lies on the board."""
        return f"{self.layout.run}/supervise"

    def own_texts(self) -> tuple[Text, ...]:
        """The supervisor."""
        return (Text(self.supervisor_path, self._supervisor()),)

    def _supervisor(self) -> str:
        layout = self.layout
        return f"""\
#!/bin/sh
# Keeps the gateway running under its limits until it gets TERM.
{head(layout)}
pid_file={quote_path(layout.pid_file)}
own_pid_file={quote_path(layout.supervisor_pid_file)}
ended={quote_path(layout.ended_file)}
log={quote_path(layout.log_file)}
{TICKS}{NOTE}say() {{ printf 'supervisor: %s\\n' "$1"; }}
finish() {{
    trap '' TERM INT
    [ -z "$guard" ] || kill -TERM "$guard" 2>/dev/null
    [ -z "$child" ] || {{ kill -TERM "$child" 2>/dev/null; wait "$child"; }}
    rm -f "$pid_file" "$own_pid_file" "$ended"
    exit "$1"
}}
become_the_gateway() {{
{OOM_SCORE}{enter_cgroup(self.limits, layout)}{self.becoming()}
}}
child= guard=
trap 'finish 0' TERM INT
trap '' HUP
cd / || exit 1
unset SSH_CLIENT SSH_CONNECTION SSH_TTY
export {exports(self.limits)}{self._more_exports()}
note "$$" "$own_pid_file" || finish 1
{self.getting_ready(f"finish {CONFIG_FAULT_STATUS}")}{self._guard()}pause=1
while :; do
    {ROTATE}    read -r up rest </proc/uptime; begun=${{up%%.*}}
    become_the_gateway &
    child=$!
    note "$child" "$pid_file"
    wait "$child"; status=$?
    child=
    rm -f "$pid_file"
    echo "$status" >"$ended" 2>/dev/null
    if [ "$status" -eq {CONFIG_FAULT_STATUS} ]; then
        say "the gateway can't run so (status {CONFIG_FAULT_STATUS}) and is not started again"
        finish {CONFIG_FAULT_STATUS}
    fi
    read -r up rest </proc/uptime
    [ $((${{up%%.*}} - begun)) -lt 60 ] || pause=1
    say "the gateway ended with status $status; started again in $pause s"
    sleep "$pause" & child=$!; wait "$child"; child=
    pause=$((pause * 2)); [ "$pause" -le 30 ] || pause=30
done
"""

    def _more_exports(self) -> str:
        return "".join(f" {name}={quote(value)}" for name, value in self.environment)

    def _guard(self) -> str:
        if self.lasts_s is None:
            return ""
        # It outlives a supervisor that was killed; by then the PID may be another's. Nobody comes to tidy up after it.
        return f"""\
own_ticks=$(ticks_of "$$")
( sleep {self.lasts_s} & nap=$!
  trap 'kill "$nap"; exit' TERM
  wait "$nap"
  [ "$(ticks_of "$$")" = "$own_ticks" ] || exit
  trap '' TERM
  kill -TERM "$$"
  left={STOP_GRACE_S}
  while [ "$left" -gt 0 ] && [ "$(ticks_of "$$")" = "$own_ticks" ]; do sleep 1; left=$((left - 1)); done
  rm -rf {quote_path(self.layout.prefix)} ) & guard=$!
"""

    def functions(self) -> str:
        """Ending goes by the pid files; starting detaches the supervisor from this session."""
        layout = self.layout
        return f"""\
stop_gateway() {{ end_by_pid_files; }}
start_gateway() {{
    mkdir -p {quote_path(layout.run)} {quote_path(layout.log)} || return 1
    rm -f "$pid_file" {quote_path(layout.ended_file)}
    detach=$(command -v setsid || :)
    $detach sh {quote_path(self.supervisor_path)} </dev/null >>{quote_path(layout.log_file)} 2>&1 &
    started=$!
    until_s=$(($(uptime_s) + {START_GRACE_S}))
    while [ "$(uptime_s)" -le "$until_s" ]; do
        said=$(cat "$pid_file" 2>/dev/null) && [ -n "$said" ] && {{ echo "$said"; return 0; }} # it may be gone at once
        [ ! -e {quote_path(layout.ended_file)} ] && take_ticks "$started" || break
        nap
    done
    if ! running_pid "$supervisor_pid_file" >/dev/null; then
        kill -TERM "$started" 2>/dev/null # a full disk took no pid file: nothing could ever stop it again
        until_s=$(($(uptime_s) + {STOP_GRACE_S}))
        while [ "$(uptime_s)" -lt "$until_s" ] && ! gone "$started"; do nap; done
    fi
    echo "the gateway did not stay up" >&2
    return 1
}}
"""
