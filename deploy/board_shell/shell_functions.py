"""Knows the sh functions that several scripts need; every one keeps to what POSIX and BusyBox ash both have.

Who calls them, and on which paths, is the scripts' business.
"""

from __future__ import annotations

from deploy.model.limits import SOFT_LIMITS

HASH = """\
counts_fast() {
    [ -n "$h_fast" ] && return "$h_fast"
    h_fast=1
    command -v openssl >/dev/null 2>&1 || return 1
    { while read -r h_key h_rest; do
        case $h_key in
        flags | Features)
            case " $h_rest " in *' sha_ni '* | *' sha2 '*) h_fast=0 ;; esac
            break ;;
        esac
    done </proc/cpuinfo; } 2>/dev/null
    return "$h_fast"
}
hash_of() {
    if command -v sha256sum >/dev/null 2>&1 && ! counts_fast; then set -- "$(sha256sum 2>/dev/null <"$1")"
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
hashes_of() {
    if counts_fast; then openssl dgst -sha256 -r "$@" 2>/dev/null && return
    elif command -v sha256sum >/dev/null 2>&1; then sha256sum "$@" 2>/dev/null; fi
}
"""
"""hash_of FILE: the file's SHA-256 in hex. Where the board has neither sha256sum nor openssl, a token in its place for
`reading_back.py`: the nonce of a framed script, size, start ticks of the process, path; without a framing it fails.

Where the CPU has instructions for it (x86's sha_ni, ARMv8's sha2, as /proc/cpuinfo calls them), openssl uses them and
is twice as fast and more; many a sha256sum knows none of them.
hashes_of FILE…: a line each of hash, blank, blank or asterisk, name, by one program for all of them; no line for one
that can't be read, and none at all without sha256sum or a CPU that counts fast. Names are to be plain: sha256sum writes
others with backslashes.
"""

TICKS = """\
take_ticks() {
    ticks=
    { IFS= read -r t_stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    case $t_stat in *') '*) ;; *) t_stat=$(cat "/proc/$1/stat" 2>/dev/null) ;; esac
    set -- ${t_stat##*) }
    ticks=${20}
    [ -n "$ticks" ]
}
ticks_of() { take_ticks "$1" && printf '%s\\n' "$ticks"; }
"""
"""ticks_of PID: field 22 of /proc/PID/stat; take_ticks PID sets $ticks to it. The cut at the last ")" is for names with
blanks or brackets (proc(5)), the cat for names with newlines; else no program is started for it."""

RUNNING = (
    TICKS
    + """\
take_running() {
    running=
    [ -r "$1" ] && read -r rp_pid rp_ticks <"$1" && [ -n "$rp_pid" ] || return 1
    take_ticks "$rp_pid" && [ "$ticks" = "$rp_ticks" ] || return 1
    running=$rp_pid
}
running_pid() { take_running "$1" && printf '%s\\n' "$running"; }
"""
)
"""running_pid FILE: the PID in a pid file, but only while that very process (same start ticks) is there; take_running
FILE sets $running to it, without the process that a command substitution is."""

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
    if [ -d /run/systemd/system ]; then
        { while IFS= read -r m_line; do
            case $m_line in */"${2##*/}.service") echo systemd; return 0 ;; esac
        done <"/proc/$1/cgroup"; } 2>/dev/null
    fi
    m_parent= m_comm=
    { while read -r m_key m_value m_rest; do
        case $m_key in PPid:) m_parent=$m_value; break ;; esac
    done <"/proc/$1/status"; } 2>/dev/null
    { IFS= read -r m_comm <"/proc/${m_parent:-none}/comm"; } 2>/dev/null
    case $m_comm in
    supervise-daemo*) echo openrc ;; # cut at 15 characters (proc(5))
    procd) echo procd ;;
    *) return 1 ;;
    esac
}
"""
"""manager_of PID PREFIX: which service manager keeps that process, by its cgroup or its parent; fails for none.

systemd puts a service into a cgroup of the unit's name, the other two are the parents of what they keep. No program is
started for it: where a fleet of boards is asked, or a slow one, that is what takes the time.
"""

MEMORY_CGROUP = """\
memory_cgroup() {
    c_one= c_two=
    { while IFS=: read -r c_number c_names c_path; do
        case $c_number:,$c_names, in
        0:,,) c_two=$c_path ;;
        *,memory,*) c_one=$c_path ;;
        esac
    done <"/proc/$1/cgroup"; } 2>/dev/null || return 1
    for c_place in "/sys/fs/cgroup$c_two" "/sys/fs/cgroup/unified$c_two" "/sys/fs/cgroup/memory$c_one"; do
        [ -r "$c_place/memory.current" ] || [ -r "$c_place/memory.usage_in_bytes" ] || continue
        printf '%s\\n' "$c_place"
        return 0
    done
    return 1
}
"""
"""memory_cgroup PID: the folder of the process's own memory cgroup, of version 2 or 1 (cgroups(7)); fails for none."""

TOLD = """\
told() {
    [ -e "$1" ] || return 2
    t_text=
    { while IFS= read -r t_line || [ -n "$t_line" ]; do
        t_text="$t_text$t_line
"
    done <"$1"; } 2>/dev/null
    [ -n "$t_text" ] || return 3
    printf '%s' "$t_text"
}
"""
"""told FILE: its text, read by the shell itself, for files of up to a few KiB; its status is 2 where there is none, 3
where it can't be read or is empty. A program that is started for it costs more than a thousand reads of one byte."""

LINES = """\
lines_of() {
    l_file=$1; shift
    l_left=$#
    { while [ "$l_left" -gt 0 ] && read -r l_key l_value l_rest; do
        case " $* " in *" $l_key "*) printf '%s %s %s\\n' "$l_key" "$l_value" "$l_rest"; l_left=$((l_left - 1)) ;; esac
    done <"$l_file"; } 2>/dev/null
}
"""
"""lines_of FILE KEY…: the lines that begin with these words, as in /proc/meminfo, where each stands once; it ends at
the last of them. Such a file is long, and the shell reads it a byte at a time."""

BY_LINE = "tr '\\000\\012' '\\012\\001' 2>/dev/null"
"""sh: what ends in NUL, as lines. \\001 for newline keeps a newline inside a value from looking like another one."""

SOFT_LIMITS_OF = f"""\
soft_limits_of() {{
    command -v tr >/dev/null 2>&1 || return 2
    {{ true <"/proc/$1/environ"; }} 2>/dev/null || return 3
    set -f
    s_fields=$IFS IFS='
'
    for s_line in $({BY_LINE} <"/proc/$1/environ"); do
        case $s_line in {" | ".join(f"{name}=*" for name in SOFT_LIMITS)}) printf '%s\\n' "$s_line" ;; esac
    done
    set +f
    IFS=$s_fields
}}
"""
"""soft_limits_of PID: the soft limits in its environment, a line each, in order; of the rest, which may hold secrets,
nothing. Its status is 2 where the board has no tr, 3 where this login may not read the environment."""

ABOVE = """\
take_above() {
    while [ ! -d "$1" ]; do set -- "${1%/*}"; [ -n "$1" ] || set -- /; done
    above=$1
}
"""
"""take_above PATH: sets $above to the nearest folder above it that is there, or to itself."""
