"""Knows what a memory reading holds: samples, evidence, circumstances. Taking and judging one is `deploy/memory`'s."""

from __future__ import annotations

from dataclasses import dataclass, field

KINDS = ("idle", "live", "bench")


@dataclass(frozen=True, slots=True)
class Process:
    """One process on a host, told from a later one with the same PID by its start time.

    `start_ticks` is field 22 of /proc/PID/stat, in clock ticks since boot (proc(5)).
    """

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one process. All sizes in KiB; None where this kernel doesn't have the figure.

    `vm_rss_kib` and the Rss* fields come from /proc/PID/status, whose counters lag; `rollup_*` and `pss_*` from
    /proc/PID/smaps_rollup, which walks the page tables (Documentation/filesystems/proc.rst).
    """

    at_s: float
    """Seconds since boot on the board's own clock (/proc/uptime)."""
    process: Process
    state: str
    """One letter: R, S, D, Z, T … (proc(5))."""
    vm_rss_kib: int
    vm_hwm_kib: int
    rss_anon_kib: int | None
    rss_file_kib: int | None
    rss_shmem_kib: int | None
    vm_swap_kib: int | None
    threads: int
    cpu_ticks: int
    """utime + stime, fields 14 and 15 of /proc/PID/stat."""
    rollup_rss_kib: int | None = None
    pss_kib: int | None = None
    pss_anon_kib: int | None = None
    private_kib: int | None = None
    lazy_free_kib: int | None = None
    huge_kib: int | None = None
    """What of VmRSS stands in transparent huge pages (AnonHugePages), which count whole."""
    hugetlb_kib: int | None = None
    """Huge pages that it mapped itself (HugetlbPages, proc_pid_status(5), since Linux 4.4): no VmRSS holds them."""
    cgroup_current_kib: int | None = None
    cgroup_peak_kib: int | None = None
    mem_available_kib: int | None = None
    pid_namespaces: int | None = None
    """In how many PID namespaces it has a PID (NSpid, proc_pid_status(5)): more than 1 inside a container."""

    @property
    def held_kib(self) -> int:
        """What it holds of the board: VmRSS, and what of it is in swap or in huge pages, where VmRSS has neither."""
        return self.vm_rss_kib + (self.vm_swap_kib or 0) + (self.hugetlb_kib or 0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One proof. `ok` is True (it holds), False (it does not, or could not be had: then nothing is measured).

    `name` is a stable key such as "right_process"; `title` is what people read; `detail` is what was seen.
    `required` False marks a circumstance that is worth showing and never decides.
    """

    name: str
    title: str
    ok: bool
    detail: str
    required: bool = True
    asked: bool = True
    """False where nothing was claimed that it could be held against: then the verdict says so."""


@dataclass(frozen=True, slots=True)
class LiveCount:
    """What both sides counted in a live check. `tls` is protocol and cipher, "" where there was no TLS."""

    sent: int
    """Messages that a user sent (injected at the Bot API)."""
    received: int
    """Messages that the gateway itself counts as inbound."""
    answered: int
    """Replies that arrived at the Bot API for those messages."""
    tls: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of a bench: what the program told of itself at its end, and what the kernel said while it stood still.

    The first five are the program's own words; its `told_rss_kib` is None where it could not read it.
    """

    name: str
    told_rss_kib: int | None
    heap_alloc_bytes: int
    heap_sys_bytes: int
    collections: int
    """Garbage collections since its start."""
    vm_rss_kib: int | None
    """From /proc/PID/status, read by the board's shell; None where the process was gone."""
    vm_hwm_kib: int | None
    rollup_rss_kib: int | None
    """What the page tables hold; None where this kernel does not show it."""

    @property
    def gap_kib(self) -> int | None:
        """How far the program's own figure is from the kernel's; None where one of them is missing."""
        if self.told_rss_kib is None or self.vm_rss_kib is None:
            return None
        return self.told_rss_kib - self.vm_rss_kib


@dataclass(frozen=True, slots=True)
class Reading:
    """Samples, evidence and circumstances. `kind` is one of KINDS and is named wherever the figure is."""

    kind: str
    samples: tuple[Sample, ...]
    evidence: tuple[Evidence, ...]
    circumstances: dict[str, str] = field(default_factory=dict)
    live: LiveCount | None = None
    lag_bound_kib: int | None = None
    """How far this kernel's counters may lag; set where its page tables could not be walked, and then the error bar."""

    curve: tuple[tuple[float, int], ...] = ()
    """Under the load: (seconds since boot, VmRSS in KiB). It is shown, and judged by nothing."""

    phases: tuple[Phase, ...] = ()
    """Of a bench; the samples are those of its last phase."""

    hwm_before_load_kib: int | None = None
    """VmHWM since the process's start, where it was set back before a load; None where it was not."""

    @property
    def rss_kib(self) -> int | None:
        """The highest steady VmRSS, or None without samples."""
        return max((sample.vm_rss_kib for sample in self.samples), default=None)

    @property
    def rss_error_kib(self) -> int | None:
        """The error bar: the largest |VmRSS - smaps_rollup Rss| over the samples, or else the kernel's own bound."""
        gaps = [abs(s.vm_rss_kib - s.rollup_rss_kib) for s in self.samples if s.rollup_rss_kib is not None]
        return max(gaps, default=self.lag_bound_kib)

    @property
    def error_is_bound(self) -> bool:
        """Whether the error bar is the kernel's bound, because nobody could walk the page tables."""
        return all(sample.rollup_rss_kib is None for sample in self.samples)

    @property
    def hwm_kib(self) -> int | None:
        """The highest VmHWM, or None without samples."""
        return max((sample.vm_hwm_kib for sample in self.samples), default=None)

    @property
    def not_asked(self) -> tuple[str, ...]:
        """The names of the proofs that nothing was claimed for."""
        return tuple(proof.name for proof in self.evidence if not proof.asked)

    @property
    def highest(self) -> Sample | None:
        """The sample that is judged: the one that holds most. RssAnon, RssFile and PSS are its."""
        return max(self.samples, key=lambda sample: sample.held_kib, default=None)
