"""Knows how a board without CA certificates gets some; where programs look for them is `preflight.py`'s."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from deploy.board_shell.framing import Section
from deploy.board_shell.preflight import CA_BUNDLES
from deploy.board_shell.probe_text import one_line
from deploy.board_shell.shell_functions import HASH
from deploy.errors import Unsupported
from deploy.model.units import show_bytes
from deploy.provisioning.wish import PUT, Already, Change, Judged, script

_PATH = CA_BUNDLES[0]
_BEGINS = re.compile(rb"^-----BEGIN CERTIFICATE-----$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CaBundle:
    """There are CA certificates where TLS looks for them; `pem` is sent where there are none."""

    pem: bytes
    name: ClassVar[str] = "ca"
    needs_root: ClassVar[bool] = True

    def question(self) -> str:
        """The first bundle with a certificate in it."""
        return f"""\
for f in {" ".join(CA_BUNDLES)}; do
    grep -q -e '-----BEGIN CERTIFICATE-----' "$f" 2>/dev/null && {{ printf '%s\\n' "$f"; break; }}
done; :
"""

    def judge(self, answer: Section) -> Judged:
        """Any will do: the board's own is the owner's business."""
        if found := one_line(answer.stripped):
            return Already(f"it has {found}")
        count = len(_BEGINS.findall(self.pem))
        title = f"send {count} CA certificates ({show_bytes(len(self.pem))}) to {_PATH}"
        return Change(title, script("send the CA certificates", self._script(), payload=self.pem, deadline_s=120.0))

    def _script(self) -> str:
        # Where the board can hash, what arrived is what was sent.
        return f"""\
{HASH}{PUT}umask 022
mkdir -p {_PATH.rpartition("/")[0]} && cat >{_PATH}.sent || exit 1
got=$(hash_of {_PATH}.sent) || got=
case $got in '' | {hashlib.sha256(self.pem).hexdigest()}) put {_PATH} <{_PATH}.sent ;; *) false ;; esac
done=$?
rm -f {_PATH}.sent
exit $done
"""


def ca_bundle() -> CaBundle:
    """Mozilla's roots, as certifi brings them. Raises Unsupported without it."""
    try:
        import certifi
    except ImportError:
        raise Unsupported("this machine has no CA bundle to send (pip install certifi brings Mozilla's)") from None
    return CaBundle(Path(certifi.where()).read_bytes())
