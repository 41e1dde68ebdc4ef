"""Knows how a host is asked which releases and which files of ours it holds, and how the answer is read."""

from __future__ import annotations

from deploy.board_shell.framing import Framing, parse
from deploy.board_shell.proc_files import number
from deploy.board_shell.quoting import quote_path
from deploy.board_shell.shell_functions import HASH
from deploy.model.facts import Installed, Part
from deploy.model.layout import Layout
from deploy.transport.protocol import Script

INSTALLED_QUESTION = """\
link() {
    link_at=$(cd -P "$1" 2>/dev/null && pwd -P)
    [ -n "$link_at" ] || link_at=$(readlink "$1" 2>/dev/null) # it leads nowhere
}
[ ! -L "$prefix/current" ] || { link "$prefix/current"; current_at=$link_at current=${link_at##*/}; }
[ ! -L "$prefix/previous" ] || { link "$prefix/previous"; previous=${link_at##*/}; }
printf 'current %s\\nprevious %s\\n' "$current" "$previous"
[ ! -e "$prefix/run/guard" ] && [ ! -e "$prefix/run/guard.now" ] || echo guarded
[ -n "$hashes" ] || for f in $files_of_ours; do
    [ ! -f "$prefix/$f" ] || printf 'file %s %s\\n' "$f" "$(hash_of "$prefix/$f")"
done
fields=$IFS IFS='
'
for line in $hashes; do
    f=${line#* } f=${f#[ *]}
    case $f in current/*) ;; *) printf 'file %s %s\\n' "$f" "${line%% *}" ;; esac
done
IFS=$fields
for f in $system_files; do [ ! -f "$f" ] || printf 'file %s %s\\n' "$f" "$(hash_of "$f")"; done
for d in "$prefix"/releases/*/; do
    [ -d "$d" ] || continue
    d=${d%/}
    if [ ! -e "$d/$name" ]; then printf 'release %s\\n' "${d##*/}"
    elif [ "$d/$name" -ef "$prefix/current/$name" ]; then printf 'release %s %s\\n' "${d##*/}" "$current_hash"
    else
        printf 'release %s\\n' "${d##*/}"
        printf 'size %s %s\\n' "${d##*/}" "$(($(wc -c <"$d/$name")))"
    fi
    f=$d/$name.part
    [ ! -s "$f" ] || printf 'part %s %s %s\\n' "${d##*/}" "$(hash_of "$f")" "$(wc -c <"$f")"
done; :"""
"""Needs HASH and what preflight's own beginning sets: $prefix, $name, $files_of_ours, $system_files; $hashes, what one
program has hashed of these together (starting one takes longer than small files do); and $current_hash. It sets
$current_at. Only the current release is hashed: a slow board takes as long again for each of the others, and seldom is
one of them wanted (`hash_script`)."""


def hash_script(layout: Layout, release_id: str, framing: Framing) -> Script:
    """Ask for the hash of the binary of a release that is there."""
    binary = quote_path(layout.binary(release_id))
    asked = framing.here("sha256", f"[ ! -x {binary} ] || hash_of {binary}")
    text = framing.at_once(HASH + asked)
    return Script(title="hash a release that it holds", text=text, changes=False, deadline_s=60.0)


def parse_hash(framing: Framing, stdout: bytes) -> str:
    """The answer to `hash_script`; "" where there is no binary that can be read. Raises BadAnswer."""
    return parse(framing, stdout).text("sha256")


def parse_installed(text: str) -> Installed:
    """The answer to INSTALLED_QUESTION. Raises BadAnswer."""
    links = {"current": "", "previous": ""}
    files: dict[str, str] = {}
    releases: dict[str, str] = {}
    sizes: dict[str, int] = {}
    parts: dict[str, Part] = {}
    guarded = False
    for line in text.splitlines():
        key, _, rest = line.partition(" ")
        guarded = guarded or key == "guarded"
        name, _, value = rest.partition(" ")
        if key in links:
            links[key] = name
        elif key == "file":
            files[name] = value
        elif key == "release":
            releases[name] = value
        elif key == "size":
            sizes[name] = number(value, "release's size")
        elif key == "part":
            sha256, _, size = value.partition(" ")
            parts[name] = Part(number(size, "part's size"), sha256)
    return Installed(
        current=links["current"],
        previous=links["previous"],
        releases=releases,
        config_sha256=files.pop("config.json", ""),
        ca_sha256=files.pop("ca.pem", ""),
        service_sha256=files,
        sizes=sizes,
        parts=parts,
        guarded=guarded,
    )
