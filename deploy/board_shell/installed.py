"""Knows how a host is asked which releases and which files of ours it holds, and how the answer is read."""

from __future__ import annotations

from deploy.board_shell.proc_files import number
from deploy.model.facts import Installed, Part

INSTALLED_QUESTION = """\
link() {
    set -- "$1" "$(cd -P "$1" 2>/dev/null && pwd -P)"
    [ -n "$2" ] || set -- "$1" "$(readlink "$1" 2>/dev/null)" # it leads nowhere
    printf '%s\\n' "${2##*/}"
}
[ ! -L "$prefix/current" ] || current=$(link "$prefix/current")
[ ! -L "$prefix/previous" ] || previous=$(link "$prefix/previous")
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
    d=${d%/}; h=
    if [ ! -x "$d/$name" ]; then :
    elif [ -n "$current_hash" ] && [ "$d/$name" -ef "$prefix/current/$name" ]; then h=$current_hash
    else h=$(hash_of "$d/$name"); fi
    printf 'release %s %s\\n' "${d##*/}" "$h"
    [ ! -f "$d/$name" ] || printf 'size %s %s\\n' "${d##*/}" "$(($(wc -c <"$d/$name")))"
    f=$d/$name.part
    [ ! -s "$f" ] || printf 'part %s %s %s\\n' "${d##*/}" "$(hash_of "$f")" "$(wc -c <"$f")"
done; :"""
"""Needs HASH and what preflight's own beginning sets: $prefix, $name, $files_of_ours, $system_files; $hashes, what one
program has hashed of these together (starting one takes longer than small files do); and $current_hash."""


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
