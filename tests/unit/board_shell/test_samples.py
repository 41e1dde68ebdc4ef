"""Sample sets: read from recorded answers, bent in every way, and taken of real processes through real shells."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import CASES, FRAMING, Answer

from deploy.board_shell.framing import Framing
from deploy.board_shell.observation import Missed, Observation, parse_observation
from deploy.board_shell.proc_files import parse_stat
from deploy.board_shell.samples import Pace, reset_peak_script, sampling_script
from deploy.errors import BadAnswer
from deploy.model.layout import Layout
from deploy.model.reading import Process, Sample
from deploy.transport.local import LocalTransport

QUICK = Pace(steady=3, interval_s=0.02, settle_s=3, most=20)
IN_A_ROUND = ("at", "stat", "status", "pages", "group", "available")


def take(board: LocalTransport, folder: Path, pid: int | None, pace: Pace = QUICK) -> Observation:
    framing = Framing.new()
    ended = board.run(sampling_script(framing, Layout(str(folder)), pid, pace))
    assert ended.exit_status == 0
    assert ended.stderr == b""
    return parse_observation(framing, ended.stdout)


def process_of(pid: int) -> Process:
    return Process(pid, parse_stat(Path(f"/proc/{pid}/stat").read_text()).start_ticks)


@pytest.fixture
def recorded() -> Answer:
    return Answer.of(CASES[0])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts processes, and ends them."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*argv: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


# --- of real processes


def test_a_sleeping_process_is_sampled_until_it_is_steady_and_no_longer(
    board: LocalTransport, sleeper: int, tmp_path: Path
) -> None:
    seen = take(board, tmp_path, sleeper)
    assert seen.pid == sleeper
    assert len(seen.looks) == QUICK.steady
    samples = [look for look in seen.looks if isinstance(look, Sample)]
    assert len(samples) == QUICK.steady
    assert {sample.process for sample in samples} == {process_of(sleeper)}
    assert [sample.at_s for sample in samples] == sorted(sample.at_s for sample in samples)
    status = dict(line.split(":", 1) for line in Path(f"/proc/{sleeper}/status").read_text().splitlines())
    for sample in samples:
        assert sample.vm_rss_kib == int(status["VmRSS"].split()[0])
        assert sample.vm_hwm_kib >= sample.vm_rss_kib
        assert sample.threads == 1
        assert sample.state == "S"
        assert (sample.rss_anon_kib or 0) + (sample.rss_file_kib or 0) + (
            sample.rss_shmem_kib or 0
        ) == sample.vm_rss_kib
        assert (sample.mem_available_kib or 0) > 0
    assert seen.before.process == seen.after.process == process_of(sleeper)
    if Path("/proc/self/smaps_rollup").exists():
        assert seen.page_walk == "smaps_rollup"
        rollup = dict(line.split(":", 1) for line in Path(f"/proc/{sleeper}/smaps_rollup").read_text().splitlines()[1:])
        assert samples[-1].rollup_rss_kib == int(rollup["Rss"].split()[0])
        assert 0 < (samples[-1].pss_kib or 0) <= (samples[-1].rollup_rss_kib or 0)


def test_the_pid_file_names_the_process_where_no_pid_is_given(
    board: LocalTransport, sleeper: int, tmp_path: Path
) -> None:
    prefix = tmp_path / "a prefix's $HOME"
    (prefix / "run").mkdir(parents=True)
    (prefix / "run" / "gateway.pid").write_text(f"{sleeper} {process_of(sleeper).start_ticks}\n")
    seen = take(board, prefix, None)
    assert seen.pid == sleeper
    assert seen.before.recorded == seen.before.process == process_of(sleeper)


@pytest.mark.parametrize("content", [None, "", "x 1\n", "$(touch evil) 1\n", "1;2 3\n", "-1 1\n"])
def test_a_pid_file_without_a_pid_names_nobody_and_runs_nothing(
    board: LocalTransport, tmp_path: Path, content: str | None
) -> None:
    (tmp_path / "run").mkdir()
    if content is not None:
        (tmp_path / "run" / "gateway.pid").write_text(content)
    framing = Framing.new()
    stdout = board.run(sampling_script(framing, Layout(str(tmp_path)), None, QUICK)).stdout
    if content:
        with pytest.raises(BadAnswer, match="pid file"):
            parse_observation(framing, stdout)
    else:
        seen = parse_observation(framing, stdout)
        assert (seen.pid, seen.looks, seen.before.process) == (None, (), None)
    assert not list(tmp_path.rglob("evil"))
    assert not Path("evil").exists()


def test_no_such_process_and_a_zombie_are_values_and_not_figures(
    board: LocalTransport, tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    gone = take(board, tmp_path, 4194305)
    assert [type(look) for look in gone.looks] == [Missed]
    assert gone.before.process is None
    zombie = start("/bin/true")
    until = time.monotonic() + 10
    while parse_stat(Path(f"/proc/{zombie.pid}/stat").read_text()).state != "Z":
        assert time.monotonic() < until
    seen = take(board, tmp_path, zombie.pid)
    (look,) = seen.looks
    assert isinstance(look, Missed)
    assert (look.state, look.process) == ("Z", process_of(zombie.pid))
    assert "zombie" in look.why
    assert seen.before.state == "Z"


def test_a_process_that_keeps_growing_is_looked_at_until_the_looks_are_used_up(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    grower = (
        "import time\nkept = []\nprint(flush=True)\nwhile True:\n    kept.append(bytearray(200_000)); time.sleep(0.002)"
    )
    process = start(sys.executable, "-c", grower)
    assert process.stdout is not None
    process.stdout.readline()
    seen = take(LocalTransport(), tmp_path, process.pid, Pace(steady=3, interval_s=0.05, settle_s=5, most=8))
    figures = [look.vm_rss_kib for look in seen.looks if isinstance(look, Sample)]
    assert len(figures) == 8
    assert figures == sorted(figures)
    assert figures[-1] > figures[0] + 1000


def test_a_peak_is_set_back_for_the_very_process_and_for_no_other(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    peaked = "import time\ndata = bytearray(b'x' * 40_000_000)\ndel data\nprint(flush=True)\ntime.sleep(600)"
    process = start(sys.executable, "-c", peaked)
    assert process.stdout is not None
    process.stdout.readline()
    board, known = LocalTransport(), process_of(process.pid)

    def hwm_kib() -> int:
        (look,) = take(board, tmp_path, process.pid, Pace(steady=1, most=1)).looks
        assert isinstance(look, Sample)
        return look.vm_hwm_kib

    high = hwm_kib()
    assert high > 39_000
    other = reset_peak_script(Process(known.pid, known.start_ticks + 1))
    assert board.run(other).exit_status != 0
    assert hwm_kib() == high
    assert board.run(reset_peak_script(known)).exit_status == 0
    assert hwm_kib() < high - 30_000
    process.kill()
    process.wait()
    assert board.run(reset_peak_script(known)).exit_status != 0


def test_the_script_changes_nothing_and_says_so(sleeper: int, tmp_path: Path) -> None:
    script = sampling_script(Framing.new(), Layout(str(tmp_path)), sleeper, QUICK)
    assert not script.changes
    assert reset_peak_script(Process(1, 1)).changes
    assert script.deadline_s > QUICK.settle_s
    before = sorted(tmp_path.rglob("*"))
    LocalTransport().run(script)
    assert sorted(tmp_path.rglob("*")) == before
    os.kill(sleeper, signal.SIGCONT)  # it is still there


# --- of recorded answers


@pytest.mark.parametrize("case", CASES)
def test_recorded_sets_are_read_whole(case: str) -> None:
    seen = Answer.of(case).observation()
    assert len(seen.looks) == 3
    assert all(isinstance(look, Sample) for look in seen.looks)
    assert seen.page_walk in ("smaps_rollup", "smaps", "absent")
    for look in seen.looks:
        assert isinstance(look, Sample)
        assert look.process == seen.before.process == seen.after.process
        assert look.vm_hwm_kib >= look.vm_rss_kib > 0


@pytest.mark.parametrize("section", ["pid", "ceiling"])
def test_a_missing_answer_is_a_bad_answer(recorded: Answer, section: str) -> None:
    with pytest.raises(BadAnswer, match=section):
        recorded.without(section).observation()


@pytest.mark.parametrize("section", IN_A_ROUND)
def test_a_sample_with_an_answer_missing_is_a_bad_answer_and_not_half_a_sample(recorded: Answer, section: str) -> None:
    with pytest.raises(BadAnswer, match="in order"):
        recorded.without(section).observation()


@pytest.mark.parametrize(
    ("section", "pattern", "replacement"),
    [
        ("status", r"^VmRSS:.*$", "VmRSS:\t1.5 MB"),
        ("status", r"^VmHWM:.*$", "VmHWM:\t-4 kB"),
        ("status", r"^VmSwap:.*$", "VmSwap:\tnone"),
        ("at", r"^[0-9].*$", "yesterday"),
        ("stat", r"\) \w ", ") SLEEPING "),
        ("pid", r"^[0-9]+$", "12 13"),
    ],
)
def test_a_field_of_another_form_is_a_bad_answer(
    recorded: Answer, section: str, pattern: str, replacement: str
) -> None:
    with pytest.raises(BadAnswer):
        recorded.edited(section, pattern, replacement).observation()


def test_a_kernel_without_a_field_gives_none_for_it_and_never_zero(recorded: Answer) -> None:
    old = recorded
    for key in ("RssAnon", "RssFile", "RssShmem", "VmSwap"):
        old = old.edited("status", rf"^{key}:.*\n", "")
    seen = old.replaced("pages", "", 2).replaced("group", "").replaced("available", "", 0).observation()
    assert seen.page_walk == "absent"
    for look in seen.looks:
        assert isinstance(look, Sample)
        assert look.vm_rss_kib > 0
        assert (look.rss_anon_kib, look.rss_file_kib, look.rss_shmem_kib, look.vm_swap_kib) == (None,) * 4
        assert (look.rollup_rss_kib, look.pss_kib, look.pss_anon_kib, look.private_kib) == (None,) * 4
        assert (look.lazy_free_kib, look.cgroup_current_kib, look.cgroup_peak_kib) == (None,) * 3
        assert look.mem_available_kib is None


def test_page_tables_that_were_read_in_some_looks_only_count_as_not_read(recorded: Answer) -> None:
    for status, walk in ((2, "absent"), (3, "unreadable")):
        seen = recorded.edited("pages", r"^Rss:.*\n", "", nth=1).edited(
            "pages", r"end pages 0", f"end pages {status}", nth=1
        )
        assert seen.observation().page_walk == walk


def test_the_cgroups_figures_come_in_bytes_and_go_on_in_kib(recorded: Answer) -> None:
    look = recorded.replaced("group", "current 2049024\npeak 4096000").observation().looks[0]
    assert isinstance(look, Sample)
    assert (look.cgroup_current_kib, look.cgroup_peak_kib) == (2001, 4000)
    with pytest.raises(BadAnswer, match="cgroup"):
        recorded.replaced("group", "current lots").observation()


def test_private_pages_are_added_up_clean_and_dirty(recorded: Answer) -> None:
    pages = "from: smaps_rollup\nRss: 100 kB\nPss: 60 kB\nPrivate_Clean: 10 kB\nPrivate_Dirty: 20 kB\nLazyFree: 0 kB"
    look = recorded.replaced("pages", pages).observation().looks[0]
    assert isinstance(look, Sample)
    assert (look.rollup_rss_kib, look.pss_kib, look.private_kib, look.lazy_free_kib) == (100, 60, 30, 0)


@pytest.mark.parametrize(
    ("text", "status", "ceiling"), [("max max", 0, "max"), ("max 5242880", 0, "5242880"), ("", 2, "")]
)
def test_the_ceiling_is_as_the_kernel_gives_it(recorded: Answer, text: str, status: int, ceiling: str) -> None:
    assert recorded.replaced("ceiling", text, status).observation().ceiling == ceiling


def test_a_process_that_ends_between_two_looks_is_a_look_that_found_nothing(recorded: Answer) -> None:
    ended = recorded.replaced("after_stat", "", 2).edited("status", r"end status 0", "end status 2", nth=2)
    seen = ended.observation()
    assert [type(look) for look in seen.looks] == [Sample, Sample, Missed]
    assert seen.after.process is None


@settings(deadline=None)
@given(data=st.data(), body=st.binary(max_size=60), status=st.integers(0, 3))
def test_whatever_one_answer_holds_it_is_an_observation_or_a_bad_answer(
    data: st.DataObject, body: bytes, status: int
) -> None:
    answer = Answer.of(CASES[0])
    section = data.draw(st.sampled_from(answer.sections))
    text = answer.replaced(section, "BODY", status).text.encode().replace(b"BODY", body)
    try:
        seen = parse_observation(FRAMING, text)
    except BadAnswer:
        return
    assert all(isinstance(look, (Sample, Missed)) for look in seen.looks)


@settings(deadline=None)
@given(place=st.floats(0, 1), junk=st.binary(min_size=1, max_size=40), cut=st.integers(0, 40))
def test_whatever_happens_to_the_bytes_it_is_an_observation_or_a_bad_answer(
    place: float, junk: bytes, cut: int
) -> None:
    whole = Answer.of(CASES[0]).text.encode()
    at = int(place * len(whole))
    with contextlib.suppress(BadAnswer):
        parse_observation(FRAMING, whole[:at] + junk + whole[at + cut :])


def test_what_looking_takes_of_the_board_is_told(tmp_path: Path) -> None:
    framing = Framing.new()
    script = sampling_script(framing, Layout(str(tmp_path)), os.getpid(), Pace(steady=3, interval_s=0.01))
    seen = parse_observation(framing, LocalTransport().run(script).stdout)
    assert seen.cost is not None and seen.cost.hwm_kib is not None
    assert 0 < seen.cost.cpu_ticks < 6000 and 300 < seen.cost.hwm_kib < 65536


@pytest.mark.parametrize("text", ["", "1 (sh) S 2", "VmHWM:\t 900 kB", "1 (sh) " + "x " * 30 + "\nVmHWM:\t 900 kB"])
def test_a_cost_that_is_not_told_is_not_known(text: str, recorded: Answer) -> None:
    section = f"\n#{'0' * 32} begin cost\n{text}\n#{'0' * 32} end cost 0\n#{'0' * 32} close\n"
    answer = Answer(recorded.text.replace(f"\n#{'0' * 32} close\n", section))
    assert answer.observation().cost is None and recorded.observation().cost is None
