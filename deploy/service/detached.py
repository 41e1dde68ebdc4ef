"""Knows how a gateway runs where no service manager is used: a small supervisor in POSIX sh, detached from the session.

The supervisor restarts the gateway when it ends, as a service manager would, and sets the soft limits in the process's
own environment. It can't survive a reboot, and says so. Scripts are values; who runs them is a step's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.board_shell.quoting import quote, quote_path
from deploy.board_shell.shell_functions import FLUSH, NAP, RUNNING, SWITCH_LINK, TICKS
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.transport.protocol import Script

NAME = "detached"
SURVIVES_REBOOT = False

STOP_GRACE_S = 10
"""How long the gateway may drain after SIGTERM before SIGKILL."""

START_GRACE_S = 5
"""How long the supervisor may take to write the gateway's pid file."""

NEXT, KEPT = ".next", ".previous"
"""What is appended to a path for the text that waits to be put in place, and for the text that was there before."""

CONFIG_FAULT_STATUS = 78
"""EX_CONFIG of sysexits.h: the gateway says that starting it again can't help (bad config, token refused)."""

CHANGED_MEANWHILE_STATUS = 75
"""EX_TEMPFAIL of sysexits.h: another deployment has switched the board since it was asked what it holds."""


@dataclass(frozen=True, slots=True)
class Detached:
    """A gateway under the sh supervisor, with its files under `layout`."""

    layout: Layout
    limits: Limits
    arguments: tuple[str, ...] = ("gateway",)
    takes_config: bool = True
    """Whether `--config PATH` follows the arguments."""
    lasts_s: int | None = None
    """After how many seconds it ends by itself, for a gateway whose owner may lose the board; None for never."""

    @property
    def supervisor_path(self) -> str:
        """Where the supervisor's text lies on the board."""
        return f"{self.layout.run}/supervise"

    def supervisor(self) -> str:
        """The supervisor itself, as it is written to the board. Its SHA-256 tells whether the limits have changed."""
        layout = self.layout
        exports = " ".join(f"{name}={quote(value)}" for name, value in self.limits.environment().items())
        binary, config = quote_path(f"{layout.current}/{layout.name}"), quote_path(layout.config)
        command = " ".join([binary, *map(quote, self.arguments), *(("--config", config) if self.takes_config else ())])
        return f"""\
#!/bin/sh
# Keeps the gateway running under its limits until it gets TERM. Written by slimdeploy; a deployment overwrites it.
pid_file={quote_path(layout.pid_file)}
own_pid_file={quote_path(layout.supervisor_pid_file)}
log={quote_path(layout.log_file)}
{TICKS}
note() {{ printf '%s %s\\n' "$1" "$(ticks_of "$1")" >"$2.new" && mv -f "$2.new" "$2"; }}
say() {{ printf 'supervisor: %s\\n' "$1"; }}
finish() {{
    trap '' TERM INT
    [ -z "$guard" ] || kill -TERM "$guard" 2>/dev/null
    [ -z "$child" ] || {{ kill -TERM "$child" 2>/dev/null; wait "$child"; }}
    rm -f "$pid_file" "$own_pid_file"
    exit "$1"
}}
child= guard=
trap 'finish 0' TERM INT
trap '' HUP
cd / || exit 1
unset SSH_CLIENT SSH_CONNECTION SSH_TTY
export {exports}
note "$$" "$own_pid_file"
{self._guard()}pause=1
while :; do
    [ "$(wc -c <"$log" 2>/dev/null || echo 0)" -lt 262144 ] || {{ cp "$log" "$log.1" && : >"$log"; }}
    read -r up rest </proc/uptime; begun=${{up%%.*}}
    {command} &
    child=$!
    note "$child" "$pid_file"
    wait "$child"; status=$?
    child=
    rm -f "$pid_file"
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

    def _guard(self) -> str:
        if self.lasts_s is None:
            return ""
        # It outlives a supervisor that was killed; by then the PID may be another's.
        return f"""\
own_ticks=$(ticks_of "$$")
( sleep {self.lasts_s} & nap=$!
  trap 'kill "$nap"; exit' TERM
  wait "$nap"
  [ "$(ticks_of "$$")" = "$own_ticks" ] && kill -TERM "$$" ) & guard=$!
"""

    def stage(self) -> Script:
        """Write the supervisor beside the one in use; `switch` puts it in place."""
        path = quote_path(self.supervisor_path + NEXT)
        return Script(
            title="write the supervisor that sets the limits and restarts the gateway",
            text=f"umask 077; mkdir -p {quote_path(self.layout.run)} && cat >{path}.part && mv -f {path}.part {path}",
            payload=self.supervisor().encode(),
        )

    def _functions(self) -> str:
        layout = self.layout
        return f"""\
umask 077
pid_file={quote_path(layout.pid_file)}
supervisor_pid_file={quote_path(layout.supervisor_pid_file)}
{RUNNING}{NAP}
stop_gateway() {{
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
gone() {{
    [ -n "$1" ] || return 0
    set -- "$(cat "/proc/$1/stat" 2>/dev/null)"
    set -- ${{1##*) }}
    [ -z "$1" ] || [ "$1" = Z ] # an init that is slow to wait leaves zombies
}}
start_gateway() {{
    mkdir -p {quote_path(layout.run)} {quote_path(layout.log)} || return 1
    rm -f "$pid_file"
    detach=$(command -v setsid || :)
    $detach sh {quote_path(self.supervisor_path)} </dev/null >>{quote_path(layout.log_file)} 2>&1 &
    started=$!
    until_s=$(($(uptime_s) + {START_GRACE_S}))
    while [ "$(uptime_s)" -le "$until_s" ]; do
        [ -s "$pid_file" ] && {{ cat "$pid_file"; return 0; }}
        ticks_of "$started" >/dev/null || break
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

    def start(self) -> Script:
        """Start `current` where it is not running; prints the gateway's pid file."""
        # A supervisor without a gateway waits before it starts it again; two of them would fight for the port.
        return self._script(
            "start the gateway",
            'running_pid "$pid_file" >/dev/null && exec cat "$pid_file"\nstop_gateway\nstart_gateway',
        )

    def stop(self) -> Script:
        """Stop the supervisor and the gateway: SIGTERM, and SIGKILL after the grace."""
        return self._script("stop the gateway", "stop_gateway")

    def restart(self) -> Script:
        """Stop, then start; prints the gateway's pid file."""
        return self._script("restart the gateway", "stop_gateway\nstart_gateway")

    def switch(self, release_id: str, *, before: str | None, staged: Sequence[str]) -> Script:
        """Stop what runs, put the staged files and the release in place, start; prints the gateway's pid file.

        `before` is the release that `current` points at now (None on a first deployment); it becomes `previous` where
        it is another one. `staged` are the paths whose new text waits beside them; the old text is kept as `.previous`.
        Where `current` does not point at `before` any more it changes nothing and ends with CHANGED_MEANWHILE_STATUS.
        """
        link = quote_path(self.layout.current)
        lines = [
            SWITCH_LINK + FLUSH,
            f'now=$(readlink {link} 2>/dev/null); [ "${{now##*/}}" = {quote(before or "")} ] || '
            f"exit {CHANGED_MEANWHILE_STATUS}",
            f"flush {' '.join(f'{quote_path(path)}{NEXT}' for path in staged)}" if staged else ":",
            "stop_gateway",
        ]
        for path in map(quote_path, staged):
            lines.append(f"if [ -f {path} ]; then cp -p {path} {path}{KEPT}; else rm -f {path}{KEPT}; fi || exit 1")
            lines.append(f"mv -f {path}{NEXT} {path} || exit 1")
        if before and before != release_id:
            lines.append(f"switch_link {quote(f'releases/{before}')} {quote_path(self.layout.previous)} || exit 1")
        lines.append(f"switch_link {quote(f'releases/{release_id}')} {quote_path(self.layout.current)} || exit 1")
        lines += ["start_gateway || exit", f"flush {quote_path(self.layout.prefix)}"]
        return self._script("switch to the new release and start it under its limits", "\n".join(lines))

    def restore(self, before: str | None, *, previous: str | None, staged: Sequence[str], was_running: bool) -> Script:
        """Undo `switch`: the release and the files of before, running again if they ran.

        After a first deployment (`before` is None) nothing is left running. It may run at any point of `switch`: a
        file that was not yet put in place is left alone.
        """
        lines = [SWITCH_LINK, "stop_gateway"]
        for path in map(quote_path, staged):
            lines.append(
                f"if [ -f {path}{NEXT} ]; then rm -f {path}{NEXT}; "
                f"elif [ -f {path}{KEPT} ]; then mv -f {path}{KEPT} {path}; else rm -f {path}; fi"
            )
        if before:
            lines.append(f"switch_link {quote(f'releases/{before}')} {quote_path(self.layout.current)} || exit 1")
            link = quote_path(self.layout.previous)
            lines.append(f"switch_link {quote(f'releases/{previous}')} {link}" if previous else f"rm -f {link}")
            if was_running:
                lines.append("start_gateway")
        else:
            lines.append(f"rm -f {quote_path(self.layout.current)}")
        return self._script("put back what ran before", "\n".join(lines))

    def uninstall(self) -> Script:
        """Stop, and remove what a deployment put there, by name: other files under the prefix stay, and keep it."""
        layout = self.layout
        written = (layout.config, layout.ca_file, self.supervisor_path)
        files = [f"{path}{suffix}" for path in written for suffix in ("", NEXT, KEPT, f"{NEXT}.part")]
        files += [
            f"{path}{suffix}" for path in (layout.pid_file, layout.supervisor_pid_file) for suffix in ("", ".new")
        ]
        files += [f"{path}{suffix}" for path in (layout.offset_file, layout.log_file) for suffix in ("", ".part", ".1")]
        files += [layout.current, layout.previous]
        live = Layout(f"{layout.run}/live", layout.name)
        releases, name = quote_path(layout.releases), quote(layout.name)
        folders = " ".join(map(quote_path, (layout.releases, layout.run, layout.log, layout.prefix)))
        return self._script(
            "remove the gateway",
            f"""\
stop_gateway
pid_file={quote_path(f"{live.run}/gateway.pid")} supervisor_pid_file={quote_path(f"{live.run}/supervisor.pid")}
stop_gateway # a second instance whose reading broke off
rm -f {" ".join(map(quote_path, files))}
rm -rf {quote_path(live.prefix)}
if [ -L {releases} ]; then rm -f {releases}; fi # a second instance's, which are the gateway's own
for release in {releases}/*/; do
    [ -d "$release" ] || continue
    rm -f "$release"{name} "$release"{name}.part
    rmdir "$release" 2>/dev/null
done
for folder in {folders}; do rmdir "$folder" 2>/dev/null; done; :""",
        )

    def _script(self, title: str, body: str) -> Script:
        deadline_s = float(STOP_GRACE_S + START_GRACE_S + 15)
        return Script(title=title, text=self._functions() + body + "\n", deadline_s=deadline_s)
