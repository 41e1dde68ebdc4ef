"""Readings and their parts as tests need them: with every proof in place, and one thing changed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from recorded import CASES, Answer

from deploy.board_shell.observation import Observation
from deploy.board_shell.samples import Pace
from deploy.memory.budget import REQUIRED, REQUIRED_BENCH, REQUIRED_LIVE
from deploy.memory.idle import reading_of
from deploy.memory.subject import Subject
from deploy.model.layout import Layout
from deploy.model.limits import Limits
from deploy.model.reading import Evidence, Process, Reading, Sample
from deploy.model.verdict import Verdict

PACE = Pace(steady=3)
RECORDED_SHA256 = "4add4bb89d8ca0e3b1bd861130ddd7ae0fd9617a8055de0a38c8d2ca1ac95723"
PROCESS = Process(4242, 123456)


def recorded_subject(**changes: Any) -> Subject:
    """What is true of the recorded process."""
    return replace(Subject(Layout("/tmp/picoclaw"), RECORDED_SHA256, Limits()), **changes)


def recorded_answer() -> Answer:
    return Answer.of(CASES[0])


def idle_of(*answers: Answer | Observation, subject: Subject | None = None) -> Reading:
    """The idle reading that recorded answers make."""
    seen = [answer.observation() if isinstance(answer, Answer) else answer for answer in answers]
    return reading_of("idle", seen, subject or recorded_subject(), PACE, circumstances={}, now_s=1_760_000_000)


def failed(reading: Reading) -> set[str]:
    """The names of the required proofs that do not hold."""
    return {proof.name for proof in reading.evidence if proof.required and not proof.ok}


def sample(rss_kib: int, *, rollup_kib: int | None = None, at_s: float = 0.0, **changes: Any) -> Sample:
    made = Sample(
        at_s=at_s,
        process=PROCESS,
        state="S",
        vm_rss_kib=rss_kib,
        vm_hwm_kib=rss_kib,
        rss_anon_kib=100,
        rss_file_kib=rss_kib - 100,
        rss_shmem_kib=0,
        vm_swap_kib=0,
        threads=1,
        cpu_ticks=3,
        rollup_rss_kib=rollup_kib,
    )
    return replace(made, **changes)


def proven(*samples: Sample, kind: str = "idle", **changes: Any) -> Reading:
    """A reading of these samples in which every proof holds."""
    names = {"live": REQUIRED_LIVE, "bench": REQUIRED_BENCH}.get(kind, REQUIRED)
    evidence = tuple(Evidence(name, f"the proof {name}", True, "seen") for name in names)
    return replace(Reading(kind, samples, evidence), **changes)


def names_no_figure(verdict: Verdict) -> bool:
    """Whether the reason quotes no amount of memory."""
    return re.search(r"\d[\d,.]*\s*[kKMG]i?B\b", verdict.reason.replace("'5MiB'", "")) is None
