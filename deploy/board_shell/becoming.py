"""Knows the sh functions by which a process becomes another user's, whatever a board has for that."""

from __future__ import annotations

BECOME = """\
become() {
    b_way=$1 b_user=$2; shift 2
    case $b_way in
    setpriv) exec setpriv --reuid "$b_user" --regid "$(gid_of "$b_user")" --clear-groups --no-new-privs "$@" ;;
    setuidgid) exec setuidgid "$b_user" "$@" ;;
    chpst) exec chpst -u "$b_user" "$@" ;;
    chroot) exec chroot --userspec="$b_user:$(gid_of "$b_user")" --groups= / "$@" ;;
    su) exec su -s /bin/sh "$b_user" -c 'exec "$0" "$@"' -- "$@" ;;
    start-stop-daemon)
        b_program=$1; shift
        set -- -c "$b_user:$(gid_of "$b_user")" -x "$b_program" -- "$@"
        exec start-stop-daemon -S -q -p /nonexistent/none.pid "$@" ;;
    *) return 1 ;;
    esac
}
gid_of() { id -g "$1" 2>/dev/null || printf '%s\\n' "$1"; }
way_to() {
    w_uid=$(id -u "$1" 2>/dev/null || printf '%s' "$1")
    w_own=$(exec sh -c 'echo "$PPID"') # in a subshell, $$ is another's
    for way in setpriv setuidgid chpst chroot su start-stop-daemon; do
        command -v "$way" >/dev/null 2>&1 || continue
        w_said=$( { become "$way" "$1" /bin/sh -c 'echo "$(id -u) $PPID"'; } 2>/dev/null </dev/null)
        [ "$w_said" != "$w_uid $w_own" ] || return 0
    done
    way=
    return 1
}
"""
"""become WAY USER PROGRAM ARGUMENT…: executes the program as that user, the process staying the same one.
way_to USER: sets $way to a way that does just that here, by trying: util-linux' su, for one, would stay in between.

Sources: setpriv(1), chpst(8) and setuidgid(8), coreutils' chroot(1), BusyBox's su and start-stop-daemon(8); the last
takes a pid file that isn't there for "none runs yet", and looks for no other process of that program then.
"""
