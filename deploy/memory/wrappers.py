"""Knows the programs that run another one: who measures one of those measures the wrong process.

The published figures of "the gateway" were GNU time's. What follows from it for a reading is evidence.py's.
"""

from __future__ import annotations

import re

_NAMES = """
    sh ash dash bash ksh mksh zsh fish busybox toybox coreutils env nohup setsid timeout nice ionice chrt taskset
    prlimit stdbuf time gtime strace ltrace gdb gdbserver perf valgrind rr heaptrack sudo sudo-rs su doas chroot
    unshare nsenter flock watch xargs script screen tmux python perl ruby lua node systemd systemd-run init procd
    start-stop-daemon supervise-daemon daemon runsv s6-supervise tini dumb-init sshd sshd-session dropbear docker podman
    runc crun runsc proot fakeroot bwrap firejail box64 box86 FEXInterpreter rosetta
"""
_WRAPPERS = frozenset(_NAMES.split())

# Names that carry a version or an architecture: interpreters, valgrind's tools, the dynamic loader called as a program,
# user-mode QEMU.
_FAMILIES = re.compile(r"qemu-.*|memcheck-.*|ld-(?:linux|musl|uClibc).*|ld\.so.*|(?:python|perl|ruby|lua)[0-9.]+")


def is_wrapper(name: str) -> bool:
    """Whether a program of this name (a base name, without folders) is one that runs other programs."""
    return name in _WRAPPERS or _FAMILIES.fullmatch(name) is not None
