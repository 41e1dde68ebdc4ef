"""Knows how a board gets swap on its storage, in compressed memory (zram), or none of it.

Sources: swapon(8), mkswap(8), proc(5) (/proc/swaps, whose sizes are KiB and a page less than the file's), fstab(5), and
Linux's Documentation/admin-guide/blockdev/zram.rst.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from deploy.board_shell.framing import Section
from deploy.board_shell.probe_text import pairs
from deploy.model.units import KIB, show_kib
from deploy.provisioning import boot_hook
from deploy.provisioning.wish import Already, Change, Impossible, Judged, script

FILE = "/slimdeploy.swap"

_PAGE_KIB = 64
"""The largest page of any board: swap shows less than its file by one page, for its header."""

_SPARE_KIB = 4096
"""Stays free on the storage."""

_SWAPLESS = frozenset({"overlay", "tmpfs", "ramfs", "rootfs", "squashfs", "jffs2", "ubifs", "nfs", "nfs4", "btrfs"})
"""Where swapon refuses a file: no blocks of its own (generic_swapfile_activate of Linux), or holes in it."""

_IN_USE = 'sed 1d /proc/swaps 2>/dev/null | while read -r f t s r; do printf \'swap %s %s\\n\' "$s" "$f"; done\n'
_FSTAB_SWAP = "^[^#[:space:]][^[:space:]]*[[:space:]][[:space:]]*[^[:space:]]*[[:space:]][[:space:]]*swap[[:space:]]"


@dataclass(frozen=True, slots=True)
class _Said:
    swaps: tuple[tuple[str, int], ...]
    boot: str
    pairs: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, answer: Section, *, zram: bool) -> _Said:
        said = pairs(answer.text)
        swaps = []
        for each in said.get("swap", ()):
            size, _, file = each.partition(" ")
            if re.fullmatch(r"[0-9]{1,15}", size) and file.startswith("/dev/zram") is zram:
                swaps.append((file, int(size)))
        return cls(tuple(swaps), said.get("boot", ("no",))[0], said)

    @property
    def total_kib(self) -> int:
        return sum(size for _, size in self.swaps)

    @property
    def names(self) -> str:
        return ", ".join(f"{file} ({show_kib(size)})" for file, size in self.swaps)

    def number(self, name: str) -> int:
        text = self.pairs.get(name, ("0",))[0]
        return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else 0

    @property
    def until(self) -> str:
        return ", until its next start: its init is none that could start it again" if self.boot == "never" else ""


@dataclass(frozen=True, slots=True)
class Swap:
    """At least `kib` of swap on the storage; none at all where it is 0."""

    kib: int
    name: ClassVar[str] = "swap"
    needs_root: ClassVar[bool] = True

    def question(self) -> str:
        """What is in use, what comes back at the next start, and what room there is for a file."""
        return f"""\
{_IN_USE}{boot_hook.question(self.name)}grep -q '{_FSTAB_SWAP}' /etc/fstab 2>/dev/null && echo 'fstab yes'
set -- $(df -Pk / 2>/dev/null | sed 1d)
printf 'free %s\\n' "$4"
[ -e {FILE} ] && printf 'own %s\\n' "$(ls -ln {FILE} | tr -s ' ' | cut -d ' ' -f 5)"
while read -r d p t r; do [ "$p" != / ] || k=$t; done </proc/mounts
printf 'kind %s\\n' "$k"
for t in mkswap swapon swapoff; do command -v $t >/dev/null 2>&1 || echo "lacks $t"; done; :
"""

    def judge(self, answer: Section) -> Judged:
        """Swap of others counts too, and is left as it is."""
        said = _Said.of(answer, zram=False)
        own = any(file == FILE for file, _ in said.swaps)
        if not self.kib:
            left = bool(said.swaps) or "fstab" in said.pairs or "own" in said.pairs
            if not left:
                return Already("no swap on its storage")
            return self._lacks(said) or Change(
                f"turn swap off ({said.names or 'what its next start would bring'})",
                script("turn swap off", self._off(), deadline_s=300.0),
            )
        if said.total_kib >= self.kib - _PAGE_KIB and (not own or said.boot != "no"):
            return Already(f"{show_kib(said.total_kib)} of swap: {said.names}{said.until if own else ''}")
        if lacks := self._lacks(said):
            return lacks
        kind = said.pairs.get("kind", ("",))[0]
        if kind in _SWAPLESS:
            return Impossible("no_swap_here", f"its root file system is {kind}, which holds no swap file")
        room = said.number("free") + said.number("own") // KIB
        if room < self.kib + _SPARE_KIB:
            return Impossible("no_swap_here", f"its storage has {show_kib(room)} free, too few for the swap file")
        now = said.names or "there is none now"
        made = script("make the swap file", self._on(), deadline_s=60.0 + self.kib / KIB)  # 1 MiB/s is an old card
        return Change(f"make {show_kib(self.kib)} of swap in {FILE} ({now})", made)

    def _lacks(self, said: _Said) -> Impossible | None:
        lacks = said.pairs.get("lacks", ())
        return Impossible("no_such_tool", f"it lacks {' and '.join(lacks)}") if lacks else None

    def _on(self) -> str:
        return f"""\
{boot_hook.HOOK}f={FILE}
grep -q "^$f[[:space:]]" /proc/swaps && {{ swapoff $f || exit 1; }}
rm -f $f
umask 077
{{ dd if=/dev/zero of=$f.part bs={_PAGE_KIB}k count={-(-self.kib // _PAGE_KIB)} 2>/dev/null &&
    mkswap $f.part >/dev/null && mv $f.part $f && swapon $f; }} || {{ rm -f $f.part $f; exit 1; }}
echo 'swapon {FILE}' | hook {self.name}
"""

    def _off(self) -> str:
        return f"""\
{boot_hook.HOOK}
sed 1d /proc/swaps | {{
    while read -r f t s r; do
        case $f in /dev/zram*) ;; *) swapoff "$f" || exit 1 ;; esac
    done
}} || exit 1
rm -f {FILE}
unhook {self.name}
umask 022
grep -q '{_FSTAB_SWAP}' /etc/fstab 2>/dev/null || exit 0
sed 's/{_FSTAB_SWAP}/# slimdeploy, swap off: &/' /etc/fstab | put /etc/fstab
"""


@dataclass(frozen=True, slots=True)
class Zram:
    """At least `kib` of swap in compressed memory; none at all where it is 0."""

    kib: int
    name: ClassVar[str] = "zram"
    needs_root: ClassVar[bool] = True

    def question(self) -> str:
        """What is in use, what comes back at the next start, and whether the kernel has zram or a module of it."""
        return f"""\
{_IN_USE}{boot_hook.question(self.name)}m=/lib/modules/$(uname -r)
set -- /sys/block/zram* "$m"/zram.ko* "$m"/kernel/drivers/block/zram/zram.ko*
for f; do [ ! -e "$f" ] || {{ echo 'can yes'; break; }}; done
for t in mkswap swapon swapoff; do command -v $t >/dev/null 2>&1 || echo "lacks $t"; done; :
"""

    def judge(self, answer: Section) -> Judged:
        """What another service set up counts too, where it is large enough."""
        said = _Said.of(answer, zram=True)
        lacks = said.pairs.get("lacks", ())
        if not self.kib:
            if not said.swaps and said.boot == "no":
                return Already("no swap in compressed memory")
            made = script("turn zram off", boot_hook.HOOK + _ZRAM_OFF + "unhook zram\n", deadline_s=300.0)
            return Change(f"turn zram off ({said.names or 'what its next start would bring'})", made)
        if said.total_kib >= self.kib - _PAGE_KIB:
            return Already(f"{show_kib(said.total_kib)} of zram: {said.names}{said.until}")
        if lacks:
            return Impossible("no_such_tool", f"it lacks {' and '.join(lacks)}")
        if "can" not in said.pairs:
            return Impossible("no_zram", "its kernel has no zram, built in or as a module")
        made = script("set zram up", self._on(), deadline_s=120.0)
        return Change(f"set {show_kib(self.kib)} of zram up ({said.names or 'there is none now'})", made)

    def _on(self) -> str:
        return f"""\
{boot_hook.HOOK}{_ZRAM_OFF}
hook {self.name} <<'end' || exit 1
{_ZRAM_ON.replace("BYTES", str(self.kib * KIB))}end
sh {boot_hook.FOLDER}/{self.name} || {{ unhook {self.name}; exit 1; }}
"""


_ZRAM_OFF = """\
sed 1d /proc/swaps | {
    while read -r f t s r; do
        case $f in
        /dev/zram*) swapoff "$f" && echo 1 >"/sys/block/${f#/dev/}/reset" || exit 1 ;;
        esac
    done
} || exit 1
"""
_ZRAM_ON = """\
# Written by slimdeploy.
PATH=$PATH:/usr/sbin:/sbin
set -- /sys/block/zram*
[ -e "$1" ] || modprobe zram || exit 1
d=
for f in /sys/block/zram*; do
    [ "$(cat "$f/disksize" 2>/dev/null)" != 0 ] || { d=${f##*/}; break; }
done
[ -n "$d" ] || d=zram$(cat /sys/class/zram-control/hot_add) || exit 1
echo BYTES >"/sys/block/$d/disksize" && mkswap "/dev/$d" >/dev/null || exit 1
swapon -p 100 "/dev/$d" 2>/dev/null || swapon "/dev/$d"
"""
