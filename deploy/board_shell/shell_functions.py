"""Knows the sh functions that several scripts need; every one keeps to what POSIX and BusyBox ash both have.

Who calls them, and on which paths, is the scripts' business.
"""

from __future__ import annotations

HASH = """\
hash_of() {
    if command -v sha256sum >/dev/null 2>&1; then set -- "$(sha256sum 2>/dev/null <"$1")"
    elif command -v openssl >/dev/null 2>&1; then set -- "$(openssl dgst -sha256 2>/dev/null <"$1")"; set -- "${1##* }"
    else
        [ -n "$frame_nonce" ] && [ -f "$1" ] && [ -r "$1" ] || return 1
        h_ticks=
        case $1 in /proc/*/exe) h_ticks=$(sed 's/.*) //' "${1%exe}stat" 2>/dev/null | cut -d ' ' -f 20) ;; esac
        printf '#%s read %s %s %s #%s\\n' "$frame_nonce" "$(($(wc -c <"$1")))" "$h_ticks" "$1" "$frame_nonce"
        return
    fi
    [ -n "$1" ] && printf '%s\\n' "${1%% *}"
}
"""
"""hash_of FILE: the file's SHA-256 in hex. Where the board has neither sha256sum nor openssl, a token in its place for
`reading_back.py`: the nonce of a framed script, size, start ticks of the process, path; without a framing it fails."""

TICKS = """\
ticks_of() {
    { IFS= read -r t_stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    case $t_stat in *') '*) ;; *) t_stat=$(cat "/proc/$1/stat" 2>/dev/null) ;; esac
    set -- ${t_stat##*) }
    [ -n "${20}" ] && printf '%s\\n' "${20}"
}
"""
"""ticks_of PID: field 22 of /proc/PID/stat. The cut at the last ")" is for names with blanks or brackets (proc(5)),
the cat for names with newlines; else no program is started for it."""

RUNNING = (
    TICKS
    + """\
running_pid() {
    [ -r "$1" ] && read -r rp_pid rp_ticks <"$1" && [ -n "$rp_pid" ] || return 1
    [ "$(ticks_of "$rp_pid")" = "$rp_ticks" ] || return 1
    printf '%s\\n' "$rp_pid"
}
"""
)
"""running_pid FILE: the PID in a pid file, but only while that very process (same start ticks) is there."""

NAP = """\
nap() { sleep 0.1 2>/dev/null || sleep 1; }
uptime_s() { read -r up_s up_rest </proc/uptime; printf '%s\\n' "${up_s%%.*}"; }
"""
"""nap: a tenth of a second, or one where sleep takes no fractions. uptime_s: whole seconds since boot, RTC or not."""

SWITCH_LINK = """\
switch_link() {
    [ "$(readlink "$2" 2>/dev/null)" != "$1" ] || return 0
    rm -f "$2.next" && ln -s "$1" "$2.next" || return 1
    mv -T -f "$2.next" "$2" 2>/dev/null && return 0
    rm -f "$2.next"; ln -sfn "$1" "$2"
}
"""
"""switch_link DESTINATION LINK: atomic where mv has -T (GNU, BusyBox from 1.34 on), else unlink and link again.
A link that leads there already is left alone: putting back has to work where a disk is full."""

FLUSH = """\
flush() {
    for each; do sync "$each" 2>/dev/null || sync 2>/dev/null || :; done
}
"""
"""flush PATH…: what they hold is on the storage, so that a power cut can't take it back (fsync(2)).

A file's name can reach a journal before its data does: after a power cut a binary would be there, and empty. coreutils'
sync writes out the files that it is given; BusyBox's writes out everything.
"""

MANAGER = """\
manager_of() {
    if [ -d /run/systemd/system ] && grep -q "/${2##*/}\\.service$" "/proc/$1/cgroup" 2>/dev/null; then
        echo systemd
        return 0
    fi
    set -- "$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$1/status" 2>/dev/null)"
    case $(cat "/proc/${1:-none}/comm" 2>/dev/null) in
    supervise-daemo*) echo openrc ;; # cut at 15 characters (proc(5))
    procd) echo procd ;;
    *) return 1 ;;
    esac
}
"""
"""manager_of PID PREFIX: which service manager keeps that process, by its cgroup or its parent; fails for none.

systemd puts a service into a cgroup of the unit's name, the other two are the parents of what they keep.
"""

MEMORY_CGROUP = """\
memory_cgroup() {
    [ -r "/proc/$1/cgroup" ] || return 1
    c_two=$(sed -n 's/^0:://p' "/proc/$1/cgroup")
    c_one=$(sed -n 's/^[0-9][0-9]*:\\([^:]*,\\)\\{0,1\\}memory\\(,[^:]*\\)\\{0,1\\}://p' "/proc/$1/cgroup")
    for c_place in "/sys/fs/cgroup$c_two" "/sys/fs/cgroup/unified$c_two" "/sys/fs/cgroup/memory$c_one"; do
        [ -r "$c_place/memory.current" ] || [ -r "$c_place/memory.usage_in_bytes" ] || continue
        printf '%s\\n' "$c_place"
        return 0
    done
    return 1
}
"""
"""memory_cgroup PID: the folder of the process's own memory cgroup, of version 2 or 1 (cgroups(7)); fails for none."""
