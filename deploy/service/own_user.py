"""Knows how a gateway gets a user of its own where the login is root: who makes it, what it may read, how it is become.

Which user that is, and why none, is `accounts.py`'s; when, the service managers'. The gateway writes one file only, and
in place: so the folders stay root's, and a gateway that somebody has taken over can't change what root runs.
"""

from __future__ import annotations

from deploy.board_shell.quoting import quote, quote_path
from deploy.model.layout import Layout

_MAKE = """\
make_user() {
    if command -v useradd >/dev/null 2>&1; then
        useradd -r -U -M -d / -s /bin/false -c "$own_mark" "$own_user" && return 0
    fi
    m_id=990
    while grep -q "^[^:]*:[^:]*:$m_id:" /etc/passwd /etc/group; do
        m_id=$((m_id - 1))
        [ "$m_id" -gt 100 ] || return 1
    done
    for m_file in /etc/passwd /etc/group /etc/shadow; do
        [ ! -s "$m_file" ] || [ -z "$(tail -c 1 "$m_file")" ] || echo >>"$m_file" || return 1
    done
    grep -q "^$own_user:" /etc/group 2>/dev/null || printf '%s:x:%s:\\n' "$own_user" "$m_id" >>/etc/group || return 1
    [ ! -f /etc/shadow ] || printf '%s:!:::::::\\n' "$own_user" >>/etc/shadow || return 1
    printf '%s:x:%s:%s:%s:/:/bin/false\\n' "$own_user" "$m_id" "$m_id" "$own_mark" >>/etc/passwd
}
"""
"""make_user: $own_user without a password, a shell or a home; passwd(5), shadow(5) ("!" is no password's hash)."""


def mark_of(layout: Layout) -> str:
    """What stands as the full name of a user that we made (passwd(5), GECOS), so that it can go with the rest."""
    return f"slimdeploy for {layout.prefix}"


def preparing(layout: Layout, user: str) -> str:
    """sh: the function prepare_user, after which `user` is there and may read what the gateway reads; fails else."""
    files = " ".join(quote_path(path) for path in (layout.config, layout.ca_file, layout.offset_file))
    prefix, releases, offset = (quote_path(each) for each in (layout.prefix, layout.releases, layout.offset_file))
    return f"""\
own_user={quote(user)} own_mark={quote(mark_of(layout))}
{_MAKE}prepare_user() {{
    id -u "$own_user" >/dev/null 2>&1 || make_user || {{ echo "the user $own_user can't be made" >&2; return 1; }}
    chmod go+x {prefix} && chmod go+rx {releases} {releases}/* || return 1
    [ -e {offset} ] || (umask 077; echo '- 0' >{offset}) || return 1
    for own_file in {files}; do
        [ ! -e "$own_file" ] || chown "$own_user" "$own_file" || return 1
    done
}}
"""


def forgetting(layout: Layout) -> str:
    """sh: a user that was made for this layout goes."""
    return f"""\
own_line=$(grep -F {quote(f":{mark_of(layout)}:")} /etc/passwd 2>/dev/null | head -n 1)
own_user=${{own_line%%:*}}
if [ -n "$own_user" ] && ! userdel "$own_user" 2>/dev/null; then
    for own_file in /etc/passwd /etc/group /etc/shadow; do
        [ -f "$own_file" ] && cp -p "$own_file" "$own_file.slimdeploy" || continue
        grep -v "^$own_user:" "$own_file" >"$own_file.slimdeploy"
        mv -f "$own_file.slimdeploy" "$own_file"
    done
fi"""
