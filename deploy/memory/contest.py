"""Knows how two binaries are run by turns on one board, under the same limits and messages; judging is comparison.py's.

Both lie among the board's releases for that time, each run is a second instance, and what was pushed goes at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.board_shell.quoting import quote_path
from deploy.errors import HostError
from deploy.interrupts import held_interrupts
from deploy.memory.live import Load, live_reading
from deploy.memory.second_instance import second_instance
from deploy.memory.subject import Subject
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.reading import Reading
from deploy.steps.asking import failed, must
from deploy.steps.delivery import HASHERS, Sending, deliver
from deploy.transport.protocol import Packed, Script, Transport

_SLOWEST_LINK_BYTES_S = 8 * 1024


@contextmanager
def among_the_releases(
    transport: Transport, layout: Layout, release_id: str, sha256: str, path: Path
) -> Iterator[None]:
    """The binary at `path` as a release on the board; removed afterwards, unless it was there before.

    Raises CommandFailed where it does not arrive whole.
    """
    binary = quote_path(layout.binary(release_id))
    asked = Script(
        title="ask what is there",
        text=f"[ ! -x {binary} ] || echo there\n"
        f"for t in gunzip {' '.join(sorted(HASHERS))}; do command -v $t >/dev/null 2>&1 && echo $t; done; :\n",
        changes=False,
    )
    has = must(transport, asked).stdout.decode("ascii", "replace").split()
    if "there" in has:
        yield
        return
    size_bytes = path.stat().st_size
    packed = "gzip" if "gunzip" in has else ""
    sending = Sending(
        layout,
        release_id,
        sha256,
        Packed(path, packed, size_bytes) if packed else path,
        packed=packed,
        size_bytes=size_bytes,
        deadline_s=60 + size_bytes / _SLOWEST_LINK_BYTES_S,
        board_hashes=bool(HASHERS & set(has)),
    )
    try:
        ended = deliver(transport.run, sending)
        if ended.exit_status != 0:
            raise failed(sending.scripts()[0], ended, transport.host)
        yield
    finally:
        with held_interrupts(), suppress(HostError):  # a broken connection says so by itself
            folder = quote_path(layout.release(release_id))
            links = " ".join(quote_path(link) for link in (layout.current, layout.previous))
            text = f"""\
for link in {links}; do # somebody may have deployed it meanwhile
    now=$(readlink "$link" 2>/dev/null)
    [ "${{now##*/}}" != {release_id} ] || exit 0
done
rm -f {binary} {binary}.part; rmdir {folder} 2>/dev/null; :
"""
            transport.run(Script(title="remove what was pushed for the comparison", text=text))


def run_once(
    transport: Transport,
    layout: Layout,
    release_id: str,
    sha256: str,
    limits: Limits,
    load: Load,
    *,
    user: str,
    note: Callable[[str], None],
) -> Reading:
    """One live reading of one of the two. Raises what `second_instance` raises."""
    with second_instance(transport, layout, release_id, limits, user=user, note=note) as instance:
        subject = Subject(instance.layout, sha256, limits, process=instance.process)
        return live_reading(transport, subject, instance.user_side, health_port=instance.health_port, load=load)
