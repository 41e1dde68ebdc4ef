"""Knows how a binary becomes a release on a board that can hash what arrived, and on one that can't.

What is sent, and in which form, is the callers'; the scripts are `board_shell/push.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.board_shell.framing import Framing
from deploy.board_shell.push import (
    HASH_DIFFERS_STATUS,
    forget_push,
    keep_release,
    parse_part,
    part_script,
    push_release,
)
from deploy.model.layout import Layout
from deploy.transport.protocol import Completed, Packed, Script

HASHERS = frozenset({"sha256sum", "openssl"})
"""The programs by which a board hashes what arrived."""


@dataclass(frozen=True, slots=True)
class Sending:
    """One binary on its way; the fields are those of `push_release`."""

    layout: Layout
    release_id: str
    sha256: str
    payload: bytes | Path | Packed
    packed: str = ""
    base: str = ""
    goes_on: bool = False
    size_bytes: int = 0
    deadline_s: float = 60.0
    trial: bool = True
    board_hashes: bool = True
    """False where the board has none of HASHERS: what arrived is read back then, and hashed here."""

    def scripts(self) -> tuple[Script, ...]:
        """What `deliver` runs where all goes well."""
        if self.board_hashes:
            return (self._push(self.sha256),)
        return (
            self.in_part(),
            part_script(self.layout, self.release_id, Framing.new()),
            keep_release(self.layout, self.release_id, trial=self.trial),
        )

    def in_part(self) -> Script:
        """Send it, and leave what arrived as it is, in part."""
        return self._push("")

    def _push(self, sha256: str) -> Script:
        return push_release(
            self.layout,
            self.release_id,
            sha256,
            self.payload,
            packed=self.packed,
            base=self.base,
            goes_on=self.goes_on,
            size_bytes=self.size_bytes,
            deadline_s=self.deadline_s,
            trial=self.trial,
        )


def deliver(run: Callable[[Script], Completed], sending: Sending) -> Completed:
    """Run what it takes; ends as the one script of a board that can hash does, or where a script failed.

    `run` needs a transport that reads back (`reading_back.ReadsBack`) where the board can't hash.
    """
    if sending.board_hashes:
        return run(sending.scripts()[0])
    sent = run(sending.in_part())
    if sent.exit_status != 0:
        return sent
    framing = Framing.new()
    looked = run(part_script(sending.layout, sending.release_id, framing))
    if looked.exit_status != 0:
        return looked
    if parse_part(framing, looked.stdout) != sending.sha256:
        run(forget_push(sending.layout, sending.release_id))
        return Completed(HASH_DIFFERS_STATUS, b"", b"", sent.seconds, sent.sent_bytes)
    kept = run(keep_release(sending.layout, sending.release_id, trial=sending.trial))
    return Completed(kept.exit_status, kept.stdout, kept.stderr, sent.seconds + kept.seconds, sent.sent_bytes)
