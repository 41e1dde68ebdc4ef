"""Knows what is asked of a host to tell which board it is, and how the answers are read: one script, one round trip.

Everything is data from a stranger: texts are cleaned and cut short, lists too, and what can't be read is left out
unless no board can be told without it. What the answers mean is `deploy/processor.py`'s and `deploy/recognising.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from deploy.board_shell.framing import Answers, Framing, parse
from deploy.board_shell.preflight import CA_BUNDLES, parse_elf
from deploy.board_shell.probe_init import INIT, LIBC, parse_init, parse_libc
from deploy.board_shell.probe_storage import STORAGE, parse_devices, parse_file_systems
from deploy.board_shell.probe_text import MOST_CHARACTERS, MOST_FEATURES, MOST_VALUES, one_line, pairs
from deploy.errors import BadAnswer
from deploy.model.probed import Probed, Processor
from deploy.transport.protocol import Script

_ELF_HEADER_BYTES = 64
"""A whole ELF64 header; e_flags stands at 36 in an ELF32 one and at 48 in an ELF64 one (elf(5))."""

TOOLS = (
    *("gunzip", "xz", "zstd", "sha256sum", "openssl", "od", "hexdump", "setsid", "nohup", "timeout", "stat"),
    *("start-stop-daemon", "systemctl", "rc-service", "procd", "uci", "crontab", "curl", "wget", "ip", "sudo", "doas"),
)

# The keys of /proc/cpuinfo that tell a processor, in c_show and show_cpuinfo of Linux's arch/*/kernel. They differ by
# architecture, and on ARM by the age of the kernel (Hardware, Processor).
CPU_KEYS = (
    *("model name", "Model Name", "cpu model", "Processor", "uarch", "Hardware", "Model", "machine", "system type"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features", "flags", "isa", "ISA"),
    *("mmu", "CPU Family", "vendor_id", "ASEs implemented"),
)

_SYSTEM = "uname -s; uname -r; uname -m"
# $$ is the shell that runs this script, in subshells too; its own program is no wrapper's and no emulator's.
_ELF = f"""\
for f in /proc/$$/exe /proc/self/exe; do
    [ -r "$f" ] || continue
    od -An -v -tx1 -N {_ELF_HEADER_BYTES} "$f" 2>/dev/null && break
    hexdump -v -n {_ELF_HEADER_BYTES} -e '1/1 "%02x "' "$f" 2>/dev/null && break
    xxd -p -l {_ELF_HEADER_BYTES} "$f" 2>/dev/null && break
done"""
# Cores mostly say the same: each different line travels once.
_CPU = f"""\
echo "count: $(grep -c '^processor' /proc/cpuinfo)"
grep -E '^({"|".join(CPU_KEYS)})[[:space:]]*:' /proc/cpuinfo | {{ sort -u 2>/dev/null || cat; }}"""
# The device tree's texts end in NUL (Devicetree Specification 0.4, section 2.2.4); OpenWrt keeps its own names of a
# board in /tmp/sysinfo, DMI a PC's.
_TREE = """\
for f in model compatible; do
    [ -r "/proc/device-tree/$f" ] && tr '\\000' '\\n' <"/proc/device-tree/$f" | sed "s/^/$f /"
done
for f in /tmp/sysinfo/model /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name; do
    [ -r "$f" ] && printf '%s %s\\n' "${f##*/}" "$(head -n 1 "$f")"
done; :"""
# OpenWrt names the target that it was built for in os-release (package/base-files: OPENWRT_BOARD, once LEDE_BOARD), and
# Buildroot's images greet with a text of their vendor's (BR2_TARGET_GENERIC_ISSUE, issue(5)).
_OS = """\
grep -E '^(PRETTY_NAME|ID|OPENWRT_BOARD|LEDE_BOARD)=' /etc/os-release 2>/dev/null
[ -r /etc/issue ] && printf 'issue=%s\\n' "$(head -n 1 /etc/issue)"
:"""
_MEMORY = "grep -E '^(Mem(Total|Available|Free)|SwapTotal):' /proc/meminfo"
_LOGIN = 'id -u; id -un 2>/dev/null || echo "$USER"; date +%s; ls -d /dev/rtc* /sys/class/rtc/rtc* 2>/dev/null; :'
# The SSH server is among the parents of this shell, whatever else is installed. Its version: `dropbear -V`, and
# `sshd -V`, which older versions answer with their usage and their name. SFTP servers lie where the distributions'
# sshd_config and Dropbear's SFTPSERVER_PATH (default_options.h) look for one.
_SSH = """\
PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin
p=$PPID; n=0
while [ "${p:-1}" -gt 1 ] && [ "$n" -lt 8 ]; do
    printf 'parent %s\\n' "$(sed -n 's/^Name:[[:space:]]*//p' "/proc/$p/status" 2>/dev/null)"
    p=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$p/status" 2>/dev/null); n=$((n + 1))
done
for f in /usr/lib/openssh /usr/libexec/openssh /usr/lib/ssh /usr/libexec /usr/lib /usr/local/libexec; do
    [ -x "$f/sftp-server" ] && echo "sftp $f/sftp-server"
done
grep -h -i -E '^[[:space:]]*subsystem[[:space:]]+sftp' /etc/ssh/sshd_config 2>/dev/null | sed 's/^/sftp /'
command -v dropbear >/dev/null 2>&1 && printf 'dropbear %s\\n' "$(dropbear -V 2>&1 | head -n 1)"
command -v sshd >/dev/null 2>&1 && printf 'openssh %s\\n' "$(sshd -V 2>&1 | grep -E '^OpenSSH_' | head -n 1)"
:"""
_TOOLS = f"""\
PATH=$PATH:/usr/sbin:/sbin
for t in {" ".join(TOOLS)}; do command -v "$t" >/dev/null 2>&1 && echo "tool $t"; done
printf 'busybox %s\\n' "$(busybox 2>&1 | head -n 1)\""""
_CA = f'for f in {" ".join(CA_BUNDLES)}; do [ -s "$f" ] && {{ printf "%s\\n" "$f"; break; }}; done; :'

SECTIONS = {
    "system": _SYSTEM,
    "elf": _ELF,
    "cpu": _CPU,
    "tree": _TREE,
    "os": _OS,
    "memory": _MEMORY,
    "login": _LOGIN,
    "init": INIT,
    "ssh": _SSH,
    "tools": _TOOLS,
    "libc": LIBC,
    "ca": _CA,
    "storage": STORAGE,
}

_SERVERS = {"sshd": "openssh", "sshd-session": "openssh", "dropbear": "dropbear", "tinysshd": "tinyssh"}


def probe_script(framing: Framing) -> Script:
    """The one script that asks everything; it changes nothing."""
    asked = "".join(framing.section(name, commands) for name, commands in SECTIONS.items())
    return Script(
        title="ask the host what board it is", text=framing.prelude() + asked + framing.close(), changes=False
    )


def parse_probe(framing: Framing, stdout: bytes) -> Probed:
    """What `probe_script` printed. Raises BadAnswer where the architecture or the memory can't be told from it."""
    answers = parse(framing, stdout)
    system, release, machine = _lines(answers, "system", 3)
    login = _lines(answers, "login", 3)
    hexadecimal = answers.text("elf")[: 4 * _ELF_HEADER_BYTES]
    elf = parse_elf(hexadecimal)
    memory = _memory(answers.text("memory"))
    tree = pairs(answers.text("tree"))
    init = pairs(answers.text("init"))
    ssh = pairs(answers.text("ssh"))
    tools = pairs(answers.text("tools"))
    server = next((_SERVERS[name] for name in ssh.get("parent", ()) if name in _SERVERS), "")
    return Probed(
        system=system,
        kernel_release=release,
        machine=machine,
        elf=elf,
        elf_flags=parse_elf_flags(hexadecimal),
        processor=parse_processor(answers.text("cpu")),
        model=_model(tree),
        compatible=tree.get("compatible", ()),
        operating_system=_os(answers.text("os"), "PRETTY_NAME", "ID"),
        built_for=_os(answers.text("os"), "OPENWRT_BOARD", "LEDE_BOARD", "issue"),
        ram_kib=memory["MemTotal"],
        available_kib=memory.get("MemAvailable", memory.get("MemFree", 0)),
        swap_kib=memory.get("SwapTotal", 0),
        init=parse_init(answers.text("init")),
        first_process=next(iter(init.get("first", ())), ""),
        ssh_server=server,
        ssh_version=next((_version(value) for value in ssh.get(server, ())), ""),
        sftp=bool(ssh.get("sftp")),
        tools=frozenset(tools.get("tool", ())) & frozenset(TOOLS),
        busybox=next((each for value in tools.get("busybox", ()) if (each := _busybox(value))), ""),
        libc=parse_libc(answers.text("libc")),
        user=login[1],
        is_root=login[0] == "0",
        clock_s=_number(login[2], "the clock"),
        has_rtc=any(line.startswith(("/dev/rtc", "/sys/class/rtc/")) for line in answers.text("login").splitlines()),
        ca_bundle=one_line(answers.text("ca")),
        file_systems=parse_file_systems(answers.text("storage")),
        devices=parse_devices(answers.text("storage")),
    )


def parse_elf_flags(hexadecimal: str) -> int:
    """e_flags of an ELF header in hex bytes (elf(5)); 0 where the header is cut short."""
    header = bytes.fromhex("".join(hexadecimal.split())[: 2 * _ELF_HEADER_BYTES])
    at = 36 if header[4] == 1 else 48
    return int.from_bytes(header[at : at + 4], "little" if header[5] == 1 else "big")


def parse_processor(text: str) -> Processor:
    """The count and the keys of /proc/cpuinfo, each with every different value that came."""
    said: dict[str, list[str]] = {}
    count = 1
    for line in text.splitlines():
        key, _, value = line[: MOST_FEATURES + MOST_CHARACTERS].partition(":")
        key, value = key.strip(), one_line(value, MOST_FEATURES)
        if key == "count" and re.fullmatch(r"[0-9]{1,5}", value):
            count = max(int(value), 1)
        elif key in CPU_KEYS and value:
            values = said.setdefault(key, [])
            if value not in values and len(values) < MOST_VALUES:
                values.append(value)
    return Processor(count, {key: tuple(values) for key, values in said.items()})


def _model(tree: dict[str, tuple[str, ...]]) -> str:
    if names := tree.get("model"):
        return names[0]
    return one_line(" ".join((*tree.get("sys_vendor", ()), *tree.get("product_name", ()))))


def _os(text: str, *keys: str) -> str:
    """The value of the first of `keys` that is there."""
    found = dict(line.partition("=")[::2] for line in text.splitlines())
    return one_line(next((found[key] for key in keys if found.get(key)), "").strip("\"'"))


def _version(text: str) -> str:
    """Such as 2022.83 in "Dropbear v2022.83" and 9.2p1 in "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0"."""
    found = re.search(r"(?:Dropbear v|OpenSSH_)([0-9A-Za-z.]{1,30})", text)
    return found[1] if found else ""


def _busybox(text: str) -> str:
    found = re.search(r"BusyBox v([0-9A-Za-z.]{1,30})", text)
    return found[1] if found else ""


def _lines(answers: Answers, name: str, count: int) -> list[str]:
    lines = [one_line(line) for line in _head(answers.text(name).splitlines(), count)]
    if len(lines) < count:
        raise BadAnswer(f"the answer to {name!r} has {len(lines)} lines instead of {count}")
    return lines


def _head(lines: Iterable[str], count: int) -> list[str]:
    return [line for _, line in zip(range(count), lines, strict=False)]


def _number(text: str, what: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise BadAnswer(f"{what} is {text[:40]!r} and not a number")
    return int(text)


def _memory(text: str) -> dict[str, int]:
    rows = [line[:MOST_CHARACTERS].split() for line in text.splitlines()[:MOST_VALUES]]
    found = {row[0].rstrip(":"): _number(row[1], "memory") for row in rows if len(row) > 1}
    if not found.get("MemTotal"):
        raise BadAnswer("/proc/meminfo has no MemTotal")
    return found
