"""Knows the questions of preflight and how to read the answers: one script, one round trip, nothing changed.

Each fact stands beside its parser. Whether the board can take a release is judged in `deploy/steps/preflight.py`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from deploy.board_shell.framing import Answers, Framing, parse
from deploy.board_shell.init_system import INIT_QUESTION, parse_init
from deploy.board_shell.installed import INSTALLED_QUESTION, parse_installed
from deploy.board_shell.own_user import own_user_question, parse_own_user
from deploy.board_shell.place import PLACE, parse_place
from deploy.board_shell.proc_files import number
from deploy.board_shell.quoting import quote, quote_path
from deploy.board_shell.running import RUNNING_NEEDS, RUNNING_QUESTION, parse_running
from deploy.board_shell.shell_functions import ABOVE, LINES
from deploy.errors import BadAnswer
from deploy.model.facts import ElfIdentity, HostFacts
from deploy.model.layout import MANAGERS_TEXTS, Layout
from deploy.transport.protocol import Script

HOME_PREFIX = "~/.picoclaw"
"""Where releases go when the login can't write the board's own prefix."""

# Where Go looks for CA certificates on Linux (crypto/x509/root_linux.go), in its order.
CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)

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
{RUNNING_NEEDS}{LINES}{ABOVE}\
prefix={quote_path(layout.prefix)}
take_above "$prefix"
[ {int(question.prefix_is_fixed)} = 1 ] || [ -w "$above" ] || prefix={quote_path(HOME_PREFIX)}
name={quote(layout.name)}
system_files={quote(" ".join(question.system_files))}
take_running "$prefix/run/gateway.pid"
pid=$running
uid= current= previous= hashes= current_hash=
{{ while read -r key real uid rest; do case $key in Uid:) break ;; esac; done <"/proc/$$/status"; }} 2>/dev/null
case $uid in '' | *[!0-9]*) uid=$(id -u) ;; esac
files_of_ours='config.json ca.pem {" ".join(f"run/{text}" for text in MANAGERS_TEXTS)}'
set -- $files_of_ours
[ ! -x "$prefix/current/$name" ] || set -- "$@" "current/$name"
for f; do [ ! -f "$prefix/$f" ] || set -- "$@" "$f"; shift; done
counts_fast # here: what it sets in the subshell of the next line is lost
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
lines_of /proc/meminfo MemTotal: MemFree: MemAvailable: SwapTotal:
value=; { read -r value </proc/sys/vm/overcommit_memory; } 2>/dev/null
echo "overcommit: $value\""""
_LOGIN = 'printf "%s\\n" "$uid"; date +%s'
_CA = f'for f in "$SSL_CERT_FILE" {" ".join(CA_BUNDLES)}; do [ -s "$f" ] && {{ printf "%s\\n" "$f"; break; }}; done; :'
_TOOLS = f'for t in {" ".join(TOOLS)}; do command -v "$t" >/dev/null 2>&1 && printf "%s\\n" "$t"; done; :'


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
        "installed": INSTALLED_QUESTION,
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
        clock_s=number(login[1], "clock"),
        ca_bundle=answers.text("ca"),
        tools=frozenset(answers.text("tools").split()),
        place=parse_place(answers.text("place")),
        port_taken=parse_port(answers.text("port")),
        installed=parse_installed(answers.text("installed")),
        running=parse_running(answers.text("running")),
        init=parse_init(answers.text("init")),
        own_user=parse_own_user(answers.text("own_user")),
    )


def _lines(answers: Answers, name: str, count: int) -> list[str]:
    lines = answers.text(name).split("\n")
    if len(lines) < count:
        raise BadAnswer(f"the answer to {name!r} has {len(lines)} lines instead of {count}")
    return [line.strip() for line in lines]


def _memory(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines())
    found = {row[0].rstrip(":"): number(row[1], "memory") for row in rows if len(row) > 1}
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
