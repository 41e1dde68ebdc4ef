"""Knows the sh functions by which a process becomes another user's, whatever a board has for that."""

from __future__ import annotations

BECOME = """\
become() {
    b_way=$1 b_user=$2; shift 2
    b_gid=$(gid_of "$b_user")
    case $b_way in
    setpriv) exec setpriv --reuid "$b_user" --regid "$b_gid" --clear-groups --no-new-privs "$@" ;;
    setuidgid) exec setuidgid "$b_user" "$@" ;;
    chpst) exec chpst -u "$b_user" "$@" ;;
    chroot) exec chroot --userspec="$b_user:$b_gid" --groups= / "$@" ;;
    su) exec su -s /bin/sh "$b_user" -c 'exec "$0" "$@"' -- "$@" ;;
    start-stop-daemon)
        b_program=$1; shift
        set -- -c "$b_user:$b_gid" -x "$b_program" -- "$@"
        exec start-stop-daemon -S -q -p /nonexistent/none.pid "$@" ;;
    *) return 1 ;;
    esac
}
is_user() {
    w_id=$(id "$1" 2>/dev/null) || return 1
    w_user=$1 # what it is called here, until another is asked for
}
gid_of() {
    [ "$w_user" = "$1" ] || is_user "$1" || { printf '%s\\n' "$1"; return; }
    set -- "${w_id#*gid=}"
    printf '%s\\n' "${1%%[!0-9]*}"
}
way_to() {
    w_uid=$1
    if [ "$w_user" = "$1" ] || is_user "$1"; then w_uid=${w_id#uid=} w_uid=${w_uid%%[!0-9]*}; fi
    w_own=; { read -r w_own w_rest </proc/self/stat; } 2>/dev/null # in a subshell, $$ is another's
    for way in setpriv setuidgid chpst chroot su start-stop-daemon; do
        command -v "$way" >/dev/null 2>&1 || continue
        w_said=$( { become "$way" "$1" /bin/sh -c '
            while read -r key real uid rest; do [ "$key" != Uid: ] || break; done </proc/self/status
            echo "$uid $PPID"; cd "$0" && echo reaches' "${2:-/}"
        } 2>/dev/null </dev/null)
        case $w_said in
        "$w_uid $w_own") reaches=; return 0 ;;
        "$w_uid $w_own
reaches") reaches=1; return 0 ;;
        esac
    done
    way= reaches=
    return 1
}
"""
"""become WAY USER PROGRAM ARGUMENT…: executes the program as that user, the process staying the same one.
is_user USER: whether it is there; what `id` says of it is kept in $w_id, so that it is asked once.
way_to USER [FOLDER]: sets $way to a way that does just that here, by trying: util-linux' su, for one, would stay in
between. In the same go $reaches becomes 1 where that user may enter FOLDER.

Sources: setpriv(1), chpst(8) and setuidgid(8), coreutils' chroot(1), BusyBox's su and start-stop-daemon(8); the last
takes a pid file that isn't there for "none runs yet", and looks for no other process of that program then.
"""
