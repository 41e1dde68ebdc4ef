"""Knows how files get their SHA-256 where a board has neither sha256sum nor openssl: read back, and hashed here.

`hash_of` puts a token in the hash's place there; what was asked, and what a hash proves, is others' business.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from deploy.board_shell.framing import Framing
from deploy.board_shell.quoting import quote
from deploy.transport.protocol import Completed, Progress, Script, Transport

AT_ONCE_BYTES = 8 * 1024 * 1024
"""What one script gives back at most: half of what a transport takes (`MOST_OUTPUT_BYTES`)."""

MOST_BYTES = 512 * 1024 * 1024
"""A larger file is not read back: it is no program for a board, and a hash that is not there is no proof."""

SLOWEST_LINK_BYTES_S = 8 * 1024

_BLOCK_BYTES = 64 * 1024
_NONCE = re.compile(r"^frame_nonce=([0-9a-f]{32})$", re.MULTILINE)

# The start ticks of a process (field 22 of /proc/PID/stat), so that a PID that is another's by then gives no hash.
_GIVE = """\
ticks() {
    case $1 in /proc/*/exe) set -- $(sed 's/.*) //' "${1%exe}stat" 2>/dev/null); printf '%s' "${20}" ;; esac
}
give() {
    printf '\\n#%s file %s\\n' "$nonce" "$(ticks "$1")"
    dd if="$1" bs=65536 skip="$2" count="$3" 2>/dev/null
    printf '\\n#%s ends %s\\n' "$nonce" "$(ticks "$1")"
}
"""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One file to read back; `ticks` are its process's where it is /proc/PID/exe, else ""."""

    size_bytes: int
    ticks: str
    path: str


class ReadsBack:
    """A transport over which every board can hash: one without the tools for it at the cost of the file's bytes."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    @property
    def host(self) -> str:
        """The host as the user would write it."""
        return self._inner.host

    @property
    def round_trips(self) -> int:
        """How many questions were asked so far."""
        return self._inner.round_trips

    def own_address(self) -> str | None:
        """See Transport."""
        return self._inner.own_address()

    def run(self, script: Script, progress: Progress | None = None) -> Completed:
        """See Transport. Where the answer holds tokens, the files are read back; one that can't be gets no hash."""
        completed = self._inner.run(script, progress)
        nonce = _NONCE.search(script.text)
        if nonce is None or b"#%s read " % nonce[1].encode() not in completed.stdout:
            return completed
        # Blanks and quotes may be in a path; a newline in it leaves the token as it is, which is no hash either.
        token = re.compile(rb"#%s read (\d{1,12}) (\d{0,20}) (/[^\n]*?) #%s" % (nonce[1].encode(), nonce[1].encode()))
        wanted = {
            match[0]: _Wanted(int(match[1]), match[2].decode(), match[3].decode("utf-8", "replace"))
            for match in token.finditer(completed.stdout)
        }
        hashes = self._hashes(set(wanted.values()))
        stdout = token.sub(lambda match: hashes.get(wanted[match[0]], "").encode(), completed.stdout)
        return replace(completed, stdout=stdout)

    def stream(self, script: Script, quiet_s: float) -> AbstractContextManager[Iterator[bytes]]:
        """See Transport."""
        return self._inner.stream(script, quiet_s)

    def request(self, port: int, data: bytes, deadline_s: float = 10.0) -> bytes:
        """See Transport."""
        return self._inner.request(port, data, deadline_s)

    def lead_back(self, controller_port: int) -> AbstractContextManager[int]:
        """See Transport."""
        return self._inner.lead_back(controller_port)

    def close(self) -> None:
        """See Transport."""
        self._inner.close()

    def _hashes(self, wanted: Iterable[_Wanted]) -> dict[_Wanted, str]:
        """Their hashes; those that can't be read are left out. Small files share a round trip."""
        found: dict[_Wanted, str] = {}
        batch: list[_Wanted] = []
        for each in sorted(wanted, key=lambda one: one.size_bytes):
            if each.size_bytes > AT_ONCE_BYTES:
                if each.size_bytes <= MOST_BYTES and (sha256 := self._in_pieces(each)):
                    found[each] = sha256
                continue
            if sum(other.size_bytes for other in batch) + each.size_bytes > AT_ONCE_BYTES:
                found |= self._together(batch)
                batch = []
            batch.append(each)
        return found | self._together(batch)

    def _together(self, batch: list[_Wanted]) -> dict[_Wanted, str]:
        contents = self._given([(each, 0) for each in batch]) if batch else []
        pairs = zip(batch, contents, strict=True)
        return {each: hashlib.sha256(content).hexdigest() for each, content in pairs if content is not None}

    def _in_pieces(self, wanted: _Wanted) -> str:
        sha256 = hashlib.sha256()
        for start in range(0, wanted.size_bytes, AT_ONCE_BYTES):
            (content,) = self._given([(wanted, start)])
            if content is None:
                return ""
            sha256.update(content)
        return sha256.hexdigest()

    def _given(self, pieces: list[tuple[_Wanted, int]]) -> list[bytes | None]:
        """What the files hold from a byte on, 8 MiB of each at most; None for one that could not be read whole."""
        nonce = Framing.new().nonce
        count = AT_ONCE_BYTES // _BLOCK_BYTES
        lines = [f"give {quote(each.path)} {start // _BLOCK_BYTES} {count}" for each, start in pieces]
        sizes = [min(each.size_bytes - start, AT_ONCE_BYTES) for each, start in pieces]
        script = Script(
            title="read files back, as the board can't hash them",
            text=f"nonce={nonce}\n{_GIVE}" + "\n".join(lines) + "\n",
            changes=False,
            deadline_s=60.0 + sum(sizes) / SLOWEST_LINK_BYTES_S,
        )
        rest = self._inner.run(script).stdout
        contents: list[bytes | None] = []
        for (each, _), size in zip(pieces, sizes, strict=True):
            ticks = each.ticks.encode()
            begins, ends = (b"\n#%s %s %s\n" % (nonce.encode(), word, ticks) for word in (b"file", b"ends"))
            _, _, rest = rest.partition(begins)
            content, there = rest[:size], rest.startswith(ends, size)
            rest = rest[size:] if there else rest
            contents.append(content if there else None)
        return contents
