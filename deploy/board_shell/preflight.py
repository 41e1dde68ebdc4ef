"""Knows the questions of preflight and how to read the answers: one script, one round trip, nothing changed.

Each fact stands beside its parser. Whether the board can take a release is judged in `deploy/steps/preflight.py`.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from deploy.board_shell.framing import Answers, Framing, parse
from deploy.board_shell.init_system import INIT_QUESTION, parse_init
from deploy.board_shell.own_user import own_user_question, parse_own_user
from deploy.board_shell.place import PLACE, parse_place
from deploy.board_shell.quoting import quote, quote_path
from deploy.board_shell.shell_functions import HASH, MANAGER, MEMORY_CGROUP, RUNNING
from deploy.errors import BadAnswer
from deploy.model.facts import ElfIdentity, HostFacts, Installed, Part, Running
from deploy.model.layout import MANAGERS_TEXTS, Layout
from deploy.model.reading import Process
from deploy.transport.protocol import Script

HOME_PREFIX = "~/.picoclaw"
"""Where releases go when the login can't write the board's own prefix."""

LIMIT_NAMES = ("GOMEMLIMIT", "GOGC", "GOMAXPROCS")

# Where Go looks for CA certificates on Linux (crypto/x509/root_linux.go), in its order.
CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)

_NO_LIMIT = 1 << 60

# No figure that a board has to tell is longer.
_NUMBER = re.compile(r"[0-9]{1,19}")

TOOLS = ("gunzip", "xz", "zstd", "sha256sum", "openssl", "setsid", "od")


@dataclass(frozen=True, slots=True)
class Question:
    """What preflight wants to know of a host: where the release would lie, and which port it would listen on."""

    layout: Layout
    health_port: int
    prefix_is_fixed: bool = False
    """Whether the user named the prefix: then no other is taken instead."""
    system_files: tuple[str, ...] = ()
    """Files outside the prefix, by plain paths, that a service manager may have for it."""
    user: str = "picoclaw"
    """The user that the gateway would get for its own; "" where it gets none, which spares the board some trials."""


def _prelude(question: Question) -> str:
    layout = question.layout
    return f"""\
{HASH}{RUNNING}{MANAGER}{MEMORY_CGROUP}
above() {{
    while [ ! -d "$1" ]; do set -- "${{1%/*}}"; [ -n "$1" ] || set -- /; done
    printf '%s\\n' "$1"
}}
prefix={quote_path(layout.prefix)}
[ {int(question.prefix_is_fixed)} = 1 ] || [ -w "$(above "$prefix")" ] || prefix={quote_path(HOME_PREFIX)}
name={quote(layout.name)}
system_files={quote(" ".join(question.system_files))}
pid=$(running_pid "$prefix/run/gateway.pid")
uid= current= previous= hashes= current_hash=
{{ while read -r key real uid rest; do case $key in Uid:) break ;; esac; done <"/proc/$$/status"; }} 2>/dev/null
case $uid in '' | *[!0-9]*) uid=$(id -u) ;; esac
files_of_ours='config.json ca.pem {" ".join(f"run/{text}" for text in MANAGERS_TEXTS)}'
set -- $files_of_ours
[ ! -x "$prefix/current/$name" ] || set -- "$@" "current/$name"
for f; do [ ! -f "$prefix/$f" ] || set -- "$@" "$f"; shift; done
[ $# -eq 0 ] || hashes=$(cd "$prefix" 2>/dev/null && hashes_of "$@")
fields=$IFS IFS='
'
for line in $hashes; do case $line in *"current/$name") current_hash=${{line%% *}} ;; esac; done
IFS=$fields
if [ -z "$current_hash" ] && [ -x "$prefix/current/$name" ]; then current_hash=$(hash_of "$prefix/current/$name"); fi
"""


# They come as system, release, machine, in whatever order they are asked for (POSIX, uname).
_SYSTEM = "uname -s -r -m"
_ELF = "od -An -v -tx1 -N 20 /proc/self/exe 2>/dev/null || hexdump -v -n 20 -e '1/1 \"%02x \"' /proc/self/exe"
_MEMORY = """\
{ while read -r key value rest; do
    case $key in MemTotal: | MemAvailable: | MemFree:) printf '%s %s kB\\n' "$key" "$value" ;;
    SwapTotal:) printf '%s %s kB\\n' "$key" "$value"; break ;; esac
done </proc/meminfo; } 2>/dev/null
value=; { read -r value </proc/sys/vm/overcommit_memory; } 2>/dev/null
echo "overcommit: $value\""""
_LOGIN = 'printf "%s\\n" "$uid"; date +%s'
_CA = f'for f in "$SSL_CERT_FILE" {" ".join(CA_BUNDLES)}; do [ -s "$f" ] && {{ printf "%s\\n" "$f"; break; }}; done; :'
_TOOLS = f'for t in {" ".join(TOOLS)}; do command -v "$t" >/dev/null 2>&1 && printf "%s\\n" "$t"; done; :'
_INSTALLED = """\
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
"""What is hashed there, $hashes, was hashed by one program together: starting one takes longer than small files do."""

RUNNING_QUESTION = """\
running() {
    [ -n "$pid" ] || return 0
    take_ticks "$pid"
    printf 'pid %s\\nticks %s\\n' "$pid" "$ticks"
    if [ -n "$current_hash" ] && [ "/proc/$pid/exe" -ef "$prefix/current/$name" ]; then
        h=$current_hash f=$(cd -P "$prefix/current" && pwd -P)/$name
    else h=$(hash_of "/proc/$pid/exe") f=$(readlink "/proc/$pid/exe"); fi
    printf 'exe %s\\nsha256 %s\\n' "$f" "$h"
    { running_pid "$prefix/run/supervisor.pid" || manager_of "$pid" "$prefix"; } >/dev/null && echo supervised
    if g=$(memory_cgroup "$pid"); then
        h=
        { read -r h <"$g/memory.max" || read -r h <"$g/memory.limit_in_bytes"; } 2>/dev/null
        printf 'hard %s\\n' "$h"
    fi
    u= n=
    { while read -r key real rest; do
        case $key in Uid:) u=$real; break ;; esac
    done <"/proc/$pid/status"; } 2>/dev/null
    { while IFS=: read -r who x id rest; do
        [ "$id" != "$u" ] || { n=$who; break; }
    done </etc/passwd; } 2>/dev/null
    printf 'user %s\\n' "${n:-$u}"
    set -f
    fields=$IFS IFS='
'
    for line in $(tr '\\000\\012' '\\012\\001' 2>/dev/null <"/proc/$pid/environ"); do
        case $line in GOMEMLIMIT=* | GOGC=* | GOMAXPROCS=*) printf '%s\\n' "$line" ;; esac
    done
    set +f; IFS=$fields
}
running"""
"""About the process in $pid. Where the very file that it executes was hashed already ($current_hash), once is enough:
slow boards feel it. Of its environment only the three limits are read: the rest may hold secrets.

\\001 for newline keeps a newline inside a value from looking like the start of another variable.
"""


def _port(question: Question) -> str:
    # A listening socket is state 0A; the local port are four hex digits behind the colon, and the inode follows two
    # pairs of counters and three numbers (proc(5), /proc/net/tcp). The listening ones come first (tcp_get_idx in the
    # kernel's net/ipv4/tcp_ipv4.c): to read on means that it looks through its whole table of connections. How many
    # sockets of TCP over IPv6 there are at all stands in the first line of /proc/net/sockstat6 ("TCP6: inuse 0").
    listens = "^ *[0-9]*: [0-9A-F]*:[0-9A-F]* [0-9A-F]*:[0-9A-F]* 0A "
    inode = (
        f"^ *[0-9]*: [0-9A-F]*:{question.health_port:04X} [^ ]* 0A [^ ]* [^ ]* [^ ]* *[0-9]* *[0-9]* \\([0-9]*\\) .*"
    )
    return f"""\
inodes= f=
{{ read -r key word f rest </proc/net/sockstat6; }} 2>/dev/null
[ "$f" = 0 ] && set -- /proc/net/tcp || set -- /proc/net/tcp /proc/net/tcp6
for f; do
    [ ! -r "$f" ] || inodes="$inodes $(sed -n '1d;/{listens}/!q;s/{inode}/\\1/p' "$f" 2>/dev/null)"
done
files=
[ -z "$pid" ] || [ -z "${{inodes# }}" ] || files=$(ls -l "/proc/$pid/fd" 2>/dev/null)
for inode in $inodes; do
    printf 'listens %s\\n' "$inode"
    case $files in *"socket:[$inode]"*) printf 'ours %s\\n' "$inode" ;; esac
done"""


def preflight_script(question: Question, framing: Framing) -> Script:
    """The one script that asks everything."""
    sections = {
        "system": _SYSTEM,
        "elf": _ELF,
        "memory": _MEMORY,
        "login": _LOGIN,
        "ca": _CA,
        "tools": _TOOLS,
        "place": PLACE,
        "port": _port(question),
        "installed": _INSTALLED,
        "init": INIT_QUESTION,
        "own_user": own_user_question(question.user) if question.user else ":",
        "running": RUNNING_QUESTION,
    }
    asked = "".join(framing.here(name, commands) for name, commands in sections.items())
    text = framing.at_once(_prelude(question) + asked)
    return Script(title="ask the board what it is and what it holds", text=text, changes=False)


def parse_preflight(framing: Framing, stdout: bytes) -> HostFacts:
    """The facts in what `preflight_script` printed. Raises BadAnswer naming what is missing."""
    answers = parse(framing, stdout)
    system = answers.text("system").split()
    if len(system) != 3:
        raise BadAnswer("uname tells something else than system, release and machine", detail=" ".join(system)[:80])
    login = _lines(answers, "login", 2)
    memory = _memory(answers.text("memory"))
    return HostFacts(
        system=system[0],
        machine=system[2],
        kernel_release=system[1],
        elf=parse_elf(answers.text("elf")),
        ram_kib=memory["MemTotal"],
        # MemAvailable came with Linux 3.14; MemFree is a lower bound of it.
        mem_available_kib=memory.get("MemAvailable", memory.get("MemFree", 0)),
        swap_kib=memory.get("SwapTotal", 0),
        overcommit=memory.get("overcommit"),
        is_root=login[0] == "0",
        clock_s=_number(login[1], "the clock"),
        ca_bundle=answers.text("ca"),
        tools=frozenset(answers.text("tools").split()),
        place=parse_place(answers.text("place")),
        port_taken=parse_port(answers.text("port")),
        installed=_installed(answers.text("installed")),
        running=parse_running(answers.text("running")),
        init=parse_init(answers.text("init")),
        own_user=parse_own_user(answers.text("own_user")),
    )


def _lines(answers: Answers, name: str, count: int) -> list[str]:
    lines = answers.text(name).split("\n")
    if len(lines) < count:
        raise BadAnswer(f"the answer to {name!r} has {len(lines)} lines instead of {count}")
    return [line.strip() for line in lines]


def _number(text: str, what: str) -> int:
    if not _NUMBER.fullmatch(text.strip()):
        raise BadAnswer(f"{what} is {text.strip()[:40]!r} and not a number")
    return int(text)


def _memory(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines())
    found = {row[0].rstrip(":"): _number(row[1], "memory") for row in rows if len(row) > 1}
    if "MemTotal" not in found:
        raise BadAnswer("/proc/meminfo has no MemTotal")
    return found


def parse_elf(text: str) -> ElfIdentity:
    """The identity in the first 20 bytes of an ELF file, given as hex bytes with blanks between (elf(5))."""
    try:
        header = bytes.fromhex("".join(text.split())[:40])
    except ValueError:
        header = b""
    if len(header) < 20 or header[:4] != b"\x7fELF" or header[4] not in (1, 2) or header[5] not in (1, 2):
        raise BadAnswer("the board's own programs show no ELF header (od and hexdump both missing?)")
    little_endian = header[5] == 1
    (machine,) = struct.unpack("<H" if little_endian else ">H", header[18:20])
    return ElfIdentity(bits=32 * header[4], little_endian=little_endian, machine=machine)


def parse_port(text: str) -> bool:
    """Whether a socket that is not one of the running gateway's listens on the port."""
    inodes: dict[str, set[str]] = {"listens": set(), "ours": set()}
    for line in text.splitlines():
        key, _, inode = line.partition(" ")
        inodes.get(key, set()).add(inode)
    return bool(inodes["listens"] - inodes["ours"])


def _installed(text: str) -> Installed:
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
            sizes[name] = _number(value, "a release's size")
        elif key == "part":
            sha256, _, size = value.partition(" ")
            parts[name] = Part(_number(size, "a part"), sha256)
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


def _hard(text: str) -> int | None:
    """The kernel writes "max", or a number near 2**63, for no limit (cgroups(7); memory.rst of version 1)."""
    if not _NUMBER.fullmatch(text) or int(text) > _NO_LIMIT:
        return None
    return int(text)


def parse_running(text: str) -> Running | None:
    """The answer to RUNNING_QUESTION; None where no gateway runs. Raises BadAnswer."""
    if not text.strip():
        return None
    found: dict[str, str] = {}
    limits: dict[str, str] = {}
    for line in text.split("\n"):
        key, _, value = line.partition(" ")
        name, equals, setting = line.partition("=")
        if equals and name in LIMIT_NAMES:
            limits[name] = setting
        else:
            found[key] = value
    if not found.get("ticks"):
        return None  # it ended between two lines of the script
    return Running(
        process=Process(_number(found.get("pid", ""), "the gateway's PID"), _number(found["ticks"], "its start")),
        exe_path=found.get("exe", ""),
        exe_sha256=found.get("sha256", ""),
        limits=limits,
        supervised="supervised" in found,
        hard_bytes=_hard(found.get("hard", "")),
        user=found.get("user", ""),
    )
