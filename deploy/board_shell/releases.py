"""Knows how to ask which releases lie on a board, and what is kept beside them; switching is the steps' business."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.board_shell.framing import Framing, parse
from deploy.board_shell.proc_files import is_number
from deploy.board_shell.quoting import quote, quote_path
from deploy.board_shell.shell_functions import HASH, RUNNING
from deploy.errors import BadAnswer
from deploy.model.layout import Layout
from deploy.transport.protocol import Script


@dataclass(frozen=True, slots=True)
class HeldRelease:
    """One release on the board."""

    release_id: str
    sha256: str
    """Of its binary, hashed on the board; "" where it has none."""
    size_bytes: int
    pushed_s: int | None
    """When its binary was written, in seconds since 1970 by the board's clock; None where the board can't tell."""
    kept: tuple[str, ...]
    """The names of the files by which it ran, where they are kept beside it."""
    keeper: str
    """The service manager that kept it running then; "" where that is not noted."""


@dataclass(frozen=True, slots=True)
class Held:
    """What `releases_script` tells."""

    releases: tuple[HeldRelease, ...]
    current: str
    previous: str
    runs: bool


_LINKS = """\
for l in current previous; do
    set -- "$(readlink "$prefix/$l" 2>/dev/null)"
    printf '%s %s\\n' "$l" "${1##*/}"
done
running_pid "$prefix/run/gateway.pid" >/dev/null && echo 'runs yes' || echo 'runs no'"""

_RELEASES = """\
for d in "$prefix"/releases/*/; do
    [ -d "$d" ] || continue
    d=${d%/}
    printf 'release %s\\n' "${d##*/}"
    [ ! -x "$d/$name" ] || printf 'sha256 %s\\nbytes %s\\npushed %s\\n' "$(hash_of "$d/$name")" \\
        "$(wc -c <"$d/$name")" "$(date -r "$d/$name" +%s 2>/dev/null)"
    printf 'keeper %s\\n' "$(head -n 1 "$d/with/manager" 2>/dev/null)"
    for f in "$d"/with/*; do [ ! -f "$f" ] || printf 'kept %s\\n' "${f##*/}"; done
done; :"""


def releases_script(layout: Layout, framing: Framing) -> Script:
    """Ask for all of them, hashed."""
    text = (
        framing.prelude()
        + f"{HASH}{RUNNING}prefix={quote_path(layout.prefix)} name={quote(layout.name)}\n"
        + framing.section("links", _LINKS)
        + framing.section("releases", _RELEASES)
        + framing.close()
    )
    return Script(title="list the releases", text=text, changes=False, deadline_s=60.0)


def parse_releases(framing: Framing, stdout: bytes) -> Held:
    """Raises BadAnswer for anything that is no such list."""
    answers = parse(framing, stdout)
    links = dict(_pair(line) for line in answers.text("links").splitlines())
    found: list[dict[str, list[str]]] = []
    for line in answers.text("releases").splitlines():
        key, value = _pair(line)
        if key == "release":
            found.append({key: [value]})
        elif found:
            found[-1].setdefault(key, []).append(value)
    return Held(
        tuple(_release(each) for each in found), links.get("current", ""), links.get("previous", ""), _runs(links)
    )


def _runs(links: dict[str, str]) -> bool:
    if links.get("runs") not in ("yes", "no"):
        raise BadAnswer("the board did not say whether its gateway runs")
    return links["runs"] == "yes"


def _release(said: dict[str, list[str]]) -> HeldRelease:
    def one(key: str) -> str:
        return said.get(key, [""])[0].strip()

    return HeldRelease(
        release_id=said["release"][0],
        sha256=one("sha256"),
        size_bytes=int(one("bytes")) if is_number(one("bytes")) else 0,
        pushed_s=int(one("pushed")) if is_number(one("pushed")) else None,
        kept=tuple(said.get("kept", ())),
        keeper=one("keeper"),
    )


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition(" ")
    return key, value
