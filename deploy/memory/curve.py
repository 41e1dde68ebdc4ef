"""Knows how VmRSS goes while a load runs: sampled beside it, as lightly as a shell can.

What is judged are the samples afterwards; the curve shows what was in between, and decides nothing.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from deploy.errors import DeadlineExceeded
from deploy.model.reading import Process
from deploy.transport.protocol import Script, Transport

T = TypeVar("T")

_FIRST_AFTER_S = 0.3
_MOST = 2000
"""Points that are kept; an hour of a load has a point every 2 seconds."""

_LINE = re.compile(rb"(\d{1,12}(?:\.\d{1,2})?) (\d{1,15})")


def curve_script(process: Process) -> Script:
    """A second of it: uptime and VmRSS (proc_pid_status(5)), four times, without starting a program but sleep."""
    return Script(
        title="watch its memory under the load",
        text=f"""\
i=0
while [ "$i" -lt 4 ]; do
    i=$((i + 1))
    read -r up rest </proc/uptime
    while read -r key value unit; do
        case $key in VmRSS:) echo "$up $value" ;; esac
    done 2>/dev/null </proc/{process.pid}/status
    sleep 0.25 2>/dev/null || {{ sleep 1; i=4; }}
done
""",
        changes=False,
        deadline_s=20.0,
    )


def watched(transport: Transport, process: Process, load: Callable[[], T]) -> tuple[T, tuple[tuple[float, int], ...]]:
    """What `load` returns, and the points of the curve meanwhile: (seconds since boot, VmRSS in KiB).

    Raises what `load` raises, and what the transport raises; a look that takes too long is left out.
    """
    done = threading.Event()
    ended: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            ended.append(load())
        except BaseException as error:
            failed.append(error)
        finally:
            done.set()

    # A daemon: a Ctrl-C does not wait for the load's own deadline.
    threading.Thread(target=run, name="load", daemon=True).start()
    points: list[tuple[float, int]] = []
    done.wait(_FIRST_AFTER_S)
    while not done.is_set():
        points = with_more(transport, process, points)
    if failed:
        raise failed[0]
    return ended[0], tuple(points)


def with_more(transport: Transport, process: Process, points: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """The points and those of one second more; every other one where they are too many."""
    try:
        points = points + parse_curve(transport.run(curve_script(process)).stdout)
    except DeadlineExceeded:
        time.sleep(1)
    return points[::2] if len(points) > _MOST else points


def parse_curve(stdout: bytes) -> list[tuple[float, int]]:
    """The points; a line of another form is passed over."""
    found = (_LINE.fullmatch(line.strip()) for line in stdout.split(b"\n"))
    return [(float(match[1]), int(match[2])) for match in found if match]
