"""Which service manager keeps a gateway, what each one writes, and how one takes over from another. Real shells."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
from scripted_boards import BLANK
from seats import Seat, alive, eventually
from shells import BusyBoxTransport

from deploy.model.facts import HostFacts, Init
from deploy.model.layout import MANAGERS_TEXTS, Layout
from deploy.model.limits import Limits
from deploy.model.units import MIB
from deploy.service.busybox_init import BusyBoxInit
from deploy.service.detached import Detached
from deploy.service.face import NOT_OURS_STATUS
from deploy.service.launch import launch
from deploy.service.managers import NAMES, choose, manager_called, system_files
from deploy.service.openrc import OpenRC
from deploy.service.procd import Procd
from deploy.service.systemd import Systemd
from deploy.steps.start import parse_pid_file
from deploy.transport.local import LocalTransport
from deploy.transport.protocol import Script

LAYOUT = Layout("/opt/picoclaw")
OWN_INITS = [name for name in NAMES if name != "detached"]


def facts(name: str, *, root: bool = True, writable: bool = True) -> HostFacts:
    return replace(BLANK, is_root=root, init=Init(name, writable=writable))


def test_every_text_of_a_manager_is_one_that_preflight_asks_for_and_uninstall_removes() -> None:
    asked = {*(f"{LAYOUT.run}/{name}" for name in MANAGERS_TEXTS), *system_files(LAYOUT)}
    for name in NAMES:
        for user in ("", "picoclaw"):
            texts = manager_called(name, LAYOUT, Limits(hard_bytes=16 * MIB), user=user).texts()
            assert {text.path for text in texts} <= asked, name


# --- which one


@pytest.mark.parametrize("name", OWN_INITS)
def test_a_host_keeps_the_gateway_by_its_own_init(name: str) -> None:
    assert choose(facts(name), LAYOUT).name == name
    assert choose(facts(name), LAYOUT).reason == ""


@pytest.mark.parametrize("name", OWN_INITS)
def test_where_that_can_not_be_a_supervisor_does_and_the_reason_is_said(name: str) -> None:
    blanks = Layout("/opt/pico claw")
    for seen, layout, why in (
        (facts(name, root=False), LAYOUT, "not root"),
        (facts(name, writable=False), LAYOUT, "can't be written"),
        (facts(name), blanks, "can't stand in a service"),
        (facts(""), LAYOUT, "none that we know"),
    ):
        chosen = choose(seen, layout)
        assert chosen.name == "detached" and why in chosen.reason


def test_the_users_word_goes_over_what_the_host_shows() -> None:
    assert choose(facts("systemd"), LAYOUT, "detached").name == "detached"


def test_every_manager_is_made_by_its_name_and_notes_it() -> None:
    for name in NAMES:
        manager = manager_called(name, LAYOUT, Limits())
        notes = [text.content for text in manager.texts() if text.path == "/opt/picoclaw/run/manager"]
        assert (manager.name, notes) == (name, [f"{name}\n"])
    with pytest.raises(LookupError):
        manager_called("launchd", LAYOUT, Limits())


def test_only_a_plain_prefix_has_files_in_a_systems_folders() -> None:
    assert set(system_files(LAYOUT)) == {
        "/etc/systemd/system/picoclaw.service",
        "/etc/init.d/picoclaw",
        "/etc/init.d/S95picoclaw",
    }
    assert system_files(Layout("~/.picoclaw")) == system_files(Layout("/opt/pico claw")) == ()


# --- what they write


def test_a_unit_of_systemd_has_the_limits_the_restarts_and_what_its_version_can_protect() -> None:
    limits = Limits(hard_bytes=16 * MIB)
    unit = Systemd(LAYOUT, limits, version=257).own_texts()[1]
    assert (unit.path, unit.mode) == ("/etc/systemd/system/picoclaw.service", 0o644)
    for line in (
        "ExecStart=/opt/picoclaw/current/picoclaw gateway --config /opt/picoclaw/config.json",
        "Environment=GOMEMLIMIT=5MiB",
        "MemoryMax=16777216",
        "MemoryHigh=15728640",
        "MemorySwapMax=0",
        "OOMScoreAdjust=-100",
        "RestartPreventExitStatus=78",
        "ProtectSystem=strict",
        "ReadWritePaths=/opt/picoclaw",
        "ProtectKernelLogs=yes",
    ):
        assert f"\n{line}\n" in unit.content
    old = Systemd(LAYOUT, Limits(), version=232).own_texts()[1].content
    assert "ProtectSystem=strict" in old and "ProtectKernelLogs" not in old and "MemoryMax" not in old
    older = Systemd(LAYOUT, limits, version=230).own_texts()[1].content
    assert "\nMemoryLimit=16777216\n" in older and "MemoryMax" not in older and "MemoryHigh" not in older
    unknown = Systemd(LAYOUT, Limits()).own_texts()[1].content
    assert "Protect" not in unknown and "ReadWritePaths" not in unknown
    program = Systemd(LAYOUT, Limits(), ("serve", "a b", "50%", "$HOME", 'say "x"'), takes_config=False, version=257)
    text = program.own_texts()[1].content
    assert r'serve "a b" "50%%" "$$HOME" "say \"x\""' in text
    assert "Protect" not in text, "what a program of the user's own needs is not known"


# A procd-like fixture: it is no OpenWrt, it records what an rc.common script asks procd for.
RC_COMMON = """\
#!/bin/sh
procd_open_instance() { echo open; }
procd_set_param() { printf '%s' "$1"; shift; for word; do printf ' [%s]' "$word"; done; echo; }
procd_close_instance() { echo close; }
script=$1; shift
. "$script"
[ "$USE_PROCD" = 1 ] && start_service
"""


def test_a_procd_script_sets_the_environment_inside_its_instance(tmp_path: Path) -> None:
    launched, script = Procd(LAYOUT, Limits()).own_texts()
    assert script.content.startswith("#!/bin/sh /etc/rc.common\n") and script.mode == 0o755
    (tmp_path / "rc.common").write_text(RC_COMMON)
    (tmp_path / "service").write_text(script.content)
    said = subprocess.run(
        ["sh", str(tmp_path / "rc.common"), str(tmp_path / "service")], capture_output=True, text=True, check=True
    )
    lines = said.stdout.splitlines()
    assert (lines[0], lines[-1]) == ("open", "close")
    assert f"command [/bin/sh] [{launched.path}]" in lines[1:-1]
    assert "env [GOMEMLIMIT=5MiB] [GOGC=20] [GOMAXPROCS=1]" in lines[1:-1]


def test_an_openrc_script_is_a_service_under_supervise_daemon() -> None:
    launched, script = OpenRC(LAYOUT, Limits()).own_texts()
    assert script.content.startswith("#!/sbin/openrc-run\n") and script.mode == 0o755
    assert f'command_args="{launched.path}"\n' in script.content
    assert subprocess.run(["sh", "-n"], input=script.content, text=True, check=False).returncode == 0


def test_what_a_manager_starts_becomes_the_gateway_and_notes_itself(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "a prefix with blanks and a ' quote"))
    gateway = Path(layout.current) / layout.name
    gateway.parent.mkdir(parents=True)
    Path(layout.run).mkdir()
    gateway.write_text('#!/bin/sh\necho "$$ $* $GOMEMLIMIT $GOGC $GOMAXPROCS"\nsleep 0.2\n')
    gateway.chmod(0o755)
    text = launch(OpenRC(layout, Limits()))
    Path(text.path).write_text(text.content)
    running = subprocess.Popen(["sh", text.path])
    log, pid_file = Path(layout.log_file), Path(layout.pid_file)
    eventually(lambda: log.exists() and log.read_text())
    assert log.read_text() == f"{running.pid} gateway --config {layout.config} 5MiB 20 1\n"
    assert parse_pid_file(pid_file.read_bytes()).pid == running.pid
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    running.wait(10)


# --- one takes over from another, with a system's folder that is the test's own


@dataclass(frozen=True, slots=True)
class InFolder(BusyBoxInit):
    """BusyBox init whose folder of scripts is a test's."""

    folder: ClassVar[str] = ""

    @property
    def script_path(self) -> str:
        return f"{self.folder}/S95{self.service}"


@pytest.fixture(params=["sh", pytest.param("busybox", marks=pytest.mark.install_check)])
def seat(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seat]:
    monkeypatch.setattr(InFolder, "folder", str(tmp_path / "etc"))
    (tmp_path / "etc").mkdir()
    prefix = tmp_path / "prefix"
    prefix.mkdir()
    transport = LocalTransport() if request.param == "sh" else BusyBoxTransport(tmp_path / "applets")
    seat = Seat(tmp_path, InFolder(Layout(str(prefix)), Limits()), transport)
    yield seat
    seat.transport.run(Detached(seat.service.layout, Limits()).stop())


def scripts(seat: Seat) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (seat.folder / "etc").iterdir()}


def test_the_script_lies_where_init_looks_and_starts_and_stops_the_gateway(seat: Seat) -> None:
    seat.add_release("aaaa")
    process = parse_pid_file(seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage())).stdout)
    assert scripts(seat) == {"S95prefix": 0o755}, "no other name that an init would start"
    script = str(seat.folder / "etc" / "S95prefix")
    seat.run(Script("stop by init", f"sh {script} stop"))
    assert not alive(process.pid)
    seat.run(Script("start by init", f"sh {script} start"))
    second = seat.pid_file()
    assert second is not None and second != process and alive(second.pid)
    seat.run(Script("start by init again", f"sh {script} start"))
    assert seat.pid_file() == second
    seat.run(seat.service.uninstall())
    assert scripts(seat) == {}
    assert not Path(seat.service.layout.prefix).exists()


def test_a_script_of_our_name_that_is_not_ours_is_left_alone(seat: Seat) -> None:
    seat.add_release("aaaa")
    theirs = seat.folder / "etc" / "S95prefix"
    theirs.write_text("#!/bin/sh\n# somebody else's\n")
    ended = seat.transport.run(seat.service.switch("aaaa", before=None, staged=seat.stage()))
    assert ended.exit_status == NOT_OURS_STATUS
    assert theirs.read_text() == "#!/bin/sh\n# somebody else's\n"
    assert not Path(seat.service.layout.current).is_symlink()


def test_another_manager_takes_over_and_gives_back_where_it_fails(seat: Seat) -> None:
    seat.add_release("aaaa")
    seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage()))
    old, new = seat.service, Detached(seat.service.layout, Limits(gogc_percent=30))
    texts = [text.path for text in new.texts()]
    seat.run(new.stage(texts))
    process = parse_pid_file(seat.run(new.switch("aaaa", before="aaaa", staged=texts, instead_of=old)).stdout)
    assert alive(process.pid) and scripts(seat) == {}
    assert Path(f"{new.layout.run}/manager").read_text() == "detached\n"
    undo = new.restore("aaaa", previous=None, staged=texts, was_running=True, instead_of=old)
    seat.run(undo)
    assert scripts(seat) == {"S95prefix": 0o755}
    assert Path(f"{new.layout.run}/manager").read_text() == "busybox_init\n"
    back = seat.pid_file()
    assert back is not None and alive(back.pid) and not alive(process.pid)
    eventually(lambda: seat.seen()[-1].endswith("with 5MiB 20 1"))


def test_giving_back_before_the_other_was_touched_changes_nothing(seat: Seat) -> None:
    seat.add_release("aaaa")
    seat.run(seat.service.switch("aaaa", before=None, staged=seat.stage()))
    before = (seat.folder / "etc" / "S95prefix").read_text()
    new = Detached(seat.service.layout, Limits(gogc_percent=30))
    texts = [text.path for text in new.texts()]
    seat.run(new.stage(texts))
    seat.run(new.restore("aaaa", previous=None, staged=texts, was_running=True, instead_of=seat.service))
    assert (seat.folder / "etc" / "S95prefix").read_text() == before
    running = seat.pid_file()
    assert running is not None and alive(running.pid)
