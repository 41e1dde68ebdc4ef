"""Knows the loop that watches one process from within the board, line by line, and how to read its lines.

It reads /proc with the shell's own `read`, so that a look starts no program but `sleep`. Who opens it again after the
link has dropped is `deploy/memory/watch.py`'s business. Formats: proc(5), proc_pid_status(5), proc_pid_stat(5).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from deploy.board_shell.quoting import quote_path
from deploy.model.layout import Layout
from deploy.model.reading import Process
from deploy.model.watching import Glimpse
from deploy.transport.protocol import Script

TICKS_A_SECOND = 100
"""USER_HZ, in which the kernel tells CPU times on every architecture that a board here has (times(2))."""

PAGES_EVERY_S = 10.0
"""smaps_rollup is read at most so often: the kernel holds the process's page tables still while it walks them."""

_NUMBER = r"\d{1,15}"
_FIGURE = rf"(?:{_NUMBER}|-)"
_LOOK = re.compile(
    rf"look (\d{{1,12}}\.\d{{1,2}}) ({_NUMBER}) ({_NUMBER}) ([A-Za-z]) ({_NUMBER}) ({_NUMBER}) ({_NUMBER})"
    + rf" ({_FIGURE})" * 7
)
_COST = re.compile(rf"cost ({_NUMBER}) ({_NUMBER}) ({_NUMBER}) ({_NUMBER}) ({_NUMBER}) ({_FIGURE})")


@dataclass(frozen=True, slots=True)
class Pause:
    """How the loop paces itself: a look every `interval_s`, and an end of its own after `lasts_s`."""

    interval_s: float
    lasts_s: int

    @property
    def pages_every(self) -> int:
        """Every how many looks smaps_rollup is read."""
        return max(1, math.ceil(PAGES_EVERY_S / self.interval_s))


@dataclass(frozen=True, slots=True)
class NotThere:
    """The process is not there."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The loop has come to its own end."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What the loop has taken so far: CPU milliseconds with its children's, its shell's VmHWM in KiB."""

    looks: int
    cpu_ms: int
    hwm_kib: int | None


def watching_script(mark: str, layout: Layout, process: Process | None, pid: int | None, pause: Pause) -> Script:
    """The loop. `pid` None asks, at every look, for what the pid file under `layout` names.

    `process` is the one that `pid` was at an earlier look: another one with that PID is not taken for it. The loop ends
    by itself when nobody reads it any more: writing fails then, or SIGPIPE ends it (write(2), EPIPE).
    """
    if pid is not None:
        ticks = process.start_ticks if process is not None else ""
        begin, named, keep = f"pid={pid} ticks={ticks}\n", "", "ticks=$start\n"
    else:
        begin = f"pid_file={quote_path(layout.pid_file)}\n"
        named, keep = 'pid= ticks=\n    { read -r pid ticks rest <"$pid_file"; } 2>/dev/null\n    ', ""
    text = f"""\
set -f
mark={mark}
{begin}say() {{ printf '%s %s\\n' "$mark" "$*" 2>/dev/null || exit 0; }}
tail_of() {{
    tail=
    {{ while IFS= read -r line || [ -n "$line" ]; do tail=$line; done <"$1"; }} 2>/dev/null
    tail=${{tail##*) }}
}}
look() {{
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    tail_of "/proc/$pid/stat"
    set -- $tail
    start=${{20}}
    [ -n "$start" ] && [ "$start" = "${{ticks:-$start}}" ] || return 1
    figures="$pid $start $1 ${{12}} ${{13}} ${{18}}"
    hwm=- rss=- anon=- file=- shmem=- swap=- pss=-
    {{ while read -r key value rest; do
        case $key in
        VmHWM:) hwm=$value ;; VmRSS:) rss=$value ;; RssAnon:) anon=$value ;; RssFile:) file=$value ;;
        RssShmem:) shmem=$value ;; VmSwap:) swap=$value; break ;;
        esac
    done <"/proc/$pid/status"; }} 2>/dev/null
    [ "$rss" != - ] || return 1
    [ $((n % {pause.pages_every})) -ne 1 ] && [ {pause.pages_every} -ne 1 ] ||
        {{ while read -r key value rest; do
            case $key in Pss:) pss=$value; break ;; esac
        done <"/proc/$pid/smaps_rollup"; }} 2>/dev/null
    say look "$up $figures $rss $hwm $anon $file $shmem $swap $pss"
    {keep}}}
cost() {{
    tail_of "/proc/$$/stat"
    set -- $tail
    own="${{12}} ${{13}} ${{14}} ${{15}}" peak=-
    {{ while read -r key value rest; do
        case $key in VmHWM:) peak=$value; break ;; esac
    done <"/proc/$$/status"; }} 2>/dev/null
    say cost "$n $own $peak"
}}
read -r up rest </proc/uptime
until_s=$((${{up%%.*}} + {pause.lasts_s}))
n=0
while :; do
    n=$((n + 1))
    read -r up rest </proc/uptime
    [ "${{up%%.*}}" -lt "$until_s" ] || {{ cost; say end; exit 0; }}
    {named}look || say gone
    [ $((n % {pause.pages_every})) -ne 0 ] || cost
    sleep {pause.interval_s:g} 2>/dev/null || sleep 1
done
"""
    return Script(title="watch a process", text=text, changes=False)


def parse_line(mark: str, line: bytes) -> Glimpse | NotThere | Ended | Taken | None:
    """What one line says; None for a line that the loop did not write (a login's greeting, a shell's complaint)."""
    said, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
    if said != mark:
        return None
    if rest == "gone":
        return NotThere()
    if rest == "end":
        return Ended()
    if match := _COST.fullmatch(rest):
        ticks = sum(int(match[field]) for field in range(2, 6))
        return Taken(int(match[1]), ticks * 1000 // TICKS_A_SECOND, _figure(match[6]))
    match = _LOOK.fullmatch(rest)
    if match is None or (rss := _figure(match[8])) is None:
        return None
    return Glimpse(
        at_s=float(match[1]),
        process=Process(int(match[2]), int(match[3])),
        state=match[4],
        cpu_ticks=int(match[5]) + int(match[6]),
        threads=int(match[7]),
        vm_rss_kib=rss,
        vm_hwm_kib=_figure(match[9]),
        rss_anon_kib=_figure(match[10]),
        rss_file_kib=_figure(match[11]),
        rss_shmem_kib=_figure(match[12]),
        vm_swap_kib=_figure(match[13]),
        pss_kib=_figure(match[14]),
    )


def _figure(text: str) -> int | None:
    return None if text == "-" else int(text)
