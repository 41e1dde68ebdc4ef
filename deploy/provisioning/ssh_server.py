"""Knows how a board is asked which SSH server carries this very connection, and how that one is set up.

The server is found among the parents of the script's shell, whatever else is installed: sshd(8), dropbear(8). What
is changed in it is `public_key.py`'s and `password_login.py`'s.
"""

from __future__ import annotations

# The listener is the uppermost of them. A session of sshd's calls itself "sshd: root [priv]" or "sshd: root@notty",
# its listener from 8.2 on "sshd: /usr/sbin/sshd -D [listener] …" (sshd.c, setproctitle); from 9.8 on the sessions are
# sshd-session. A server that is started for each connection (inetd, a socket of systemd's) has no listener.
SERVER = """\
server='' listener='' arguments=''
p=$PPID; n=0
while [ "${p:-1}" -gt 1 ] && [ "$n" -lt 12 ]; do
    l=$(tr '\\000' ' ' 2>/dev/null <"/proc/$p/cmdline")
    case $(sed -n 's/^Name:[[:space:]]*//p' "/proc/$p/status" 2>/dev/null) in
    sshd | sshd-session)
        server=openssh
        case $l in
        *'[listener]'*) listener=$p arguments=$l ;;
        'sshd: '*'[priv]'* | 'sshd: '*@* | 'sshd-session: '*) ;;
        *' -i '*) ;;
        *sshd*) listener=$p arguments=$l ;;
        esac ;;
    dropbear) server=dropbear listener=$p arguments=$l ;;
    esac
    p=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$p/status" 2>/dev/null); n=$((n + 1))
done
case $server$arguments in 'dropbear'*' -i '*) listener='' ;; esac
sshd_config=/etc/ssh/sshd_config
case "$arguments" in *' -f '*) sshd_config=${arguments##* -f }; sshd_config=${sshd_config%% *} ;; esac
sshd_says() { sshd -T -f "$sshd_config" 2>/dev/null | sed -n "s/^$1 //p"; }
"""
"""Sets $server (openssh, dropbear or ""), $listener (its PID, "" without one), $arguments (its command line) and
$sshd_config. sshd_says KEYWORD: what OpenSSH makes of its settings; only root is told."""
