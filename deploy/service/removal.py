"""Knows how a gateway is removed from a board: by name, what a deployment puts there; other files keep their folders.

Whom to tell is the service manager's to say.
"""

from __future__ import annotations

from deploy.board_shell.lock import lock_path
from deploy.board_shell.quoting import quote, quote_path
from deploy.model.layout import MANAGERS_TEXTS, Layout
from deploy.service.guard import guard_files
from deploy.service.own_user import forgetting
from deploy.service.texts import BENCH, LIVE, cgroup_name, kept_at, waits_at


def removal(layout: Layout, texts: tuple[str, ...], disable: str, forgotten: str) -> str:
    """sh: stop, remove. `texts` are the paths of what the manager wrote, `disable` and `forgotten` its commands."""
    managers = (f"{layout.run}/{text}" for text in MANAGERS_TEXTS)
    written = dict.fromkeys([layout.config, layout.ca_file, *texts, *managers])
    files = [f"{quote_path(path)}" for path in written]
    for path in written:
        files += [quote_path(f"{waits_at(layout, path)}{end}") for end in ("", ".part")]
        files.append(quote_path(kept_at(layout, path)))
    for path in (layout.pid_file, layout.supervisor_pid_file):
        files += [quote_path(f"{path}{end}") for end in ("", ".new")]
    for path in (layout.offset_file, layout.log_file):
        files += [quote_path(f"{path}{end}") for end in ("", ".part", ".1")]
    others = (layout.ended_file, *guard_files(layout), lock_path(layout), layout.current, layout.previous)
    files += [quote_path(each) for each in others]
    live, benches = Layout(f"{layout.run}/{LIVE}", layout.name), quote_path(f"{layout.run}/{BENCH}-")
    releases, name = quote_path(layout.releases), quote(layout.name)
    folders = " ".join(map(quote_path, (layout.releases, layout.run, layout.log, layout.prefix)))
    groups = " ".join(
        quote(f"{root}/{cgroup_name(each)}")
        for each in (live, layout)
        for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/memory")
    )
    return f"""\
stop_gateway
{disable}
pid_file={quote_path(live.pid_file)} supervisor_pid_file={quote_path(live.supervisor_pid_file)}
end_by_pid_files # a second instance whose reading broke off
for bench in {benches}*/; do # and benches
    [ -d "$bench" ] || continue
    pid_file=${{bench}}run/gateway.pid supervisor_pid_file=${{bench}}run/supervisor.pid
    end_by_pid_files
    rm -rf "$bench"
done
rm -f {" ".join(files)}
{forgotten}
rm -rf {quote_path(live.prefix)}
for group in {groups}; do rmdir "$group" 2>/dev/null; done
if [ -L {releases} ]; then rm -f {releases}; fi # a second instance's, which are the gateway's own
for release in {releases}/*/; do
    [ -d "$release" ] || continue
    rm -f "$release"{name} "$release"{name}.part
    rm -rf "$release"with
    rmdir "$release" 2>/dev/null
done
{forgetting(layout)}
for folder in {folders}; do rmdir "$folder" 2>/dev/null; done
sync 2>/dev/null; :"""
