"""What a process has used: one sample, its measures, and the rates between two samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nsview.host.units import bytes_text, count_text, microseconds_text, signed


@dataclass(frozen=True, slots=True)
class Usage:
    """One process's resources at one instant; None is unknown.

    Times are nanoseconds, memory and I/O bytes. ``when_ns`` is CLOCK_MONOTONIC. ``cpu_ns`` is exact and
    counts threads that have ended; ``user_ns`` and ``system_ns`` are the kernel's split in clock ticks;
    ``children_ns``, in ticks too, is what its children took that it has waited for, and theirs. Waiting for a
    CPU and context switches count ended threads where taskstats may be asked, else they are sums over the
    living ones. ``read_bytes`` and ``write_bytes`` went to storage, ``read_chars`` and ``write_chars`` through
    system calls (proc_pid_io(5)). The last seven, what it waited for, are known where the kernel has counted
    them (taskstats.py).
    """

    pid: int
    start_time: int
    when_ns: int
    cpu_ns: int | None = None
    user_ns: int | None = None
    system_ns: int | None = None
    wait_ns: int | None = None
    rss: int | None = None
    pss: int | None = None
    uss: int | None = None
    swap: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    read_chars: int | None = None
    write_chars: int | None = None
    minflt: int | None = None
    majflt: int | None = None
    voluntary: int | None = None
    involuntary: int | None = None
    threads: int | None = None
    fds: int | None = None
    children_ns: int | None = None
    blkio_ns: int | None = None
    swapin_ns: int | None = None
    freepages_ns: int | None = None
    thrashing_ns: int | None = None
    compact_ns: int | None = None
    wpcopy_ns: int | None = None
    irq_ns: int | None = None

    @property
    def identity(self) -> tuple[int, int]:
        """The pid and start time: pids are used again, the pair is not."""
        return self.pid, self.start_time


@dataclass(frozen=True, slots=True)
class Measure:
    """One attribute of Usage: how it is called, written, where it comes from and what it means."""

    field: str
    name: str
    text: Callable[[int], str]
    source: str
    why: str

    def of(self, usage: Usage | None) -> int | None:
        """Return the amount; None where it, or all of the usage, is unknown."""
        return None if usage is None else getattr(usage, self.field)


MEASURES: tuple[Measure, ...] = (
    Measure(
        "cpu_ns",
        "cpu",
        microseconds_text,
        "clock_gettime(CPU clock of PID)",
        "CPU time of all its threads since it was born",
    ),
    Measure(
        "user_ns",
        "cpu user",
        microseconds_text,
        "/proc/PID/stat utime",
        "the part spent in its own code, in clock ticks",
    ),
    Measure(
        "system_ns",
        "cpu system",
        microseconds_text,
        "/proc/PID/stat stime",
        "the part spent in the kernel, in clock ticks",
    ),
    Measure(
        "children_ns",
        "cpu of children",
        microseconds_text,
        "/proc/PID/stat cutime + cstime",
        "taken by children it has waited for, and by theirs, in clock ticks",
    ),
    Measure(
        "wait_ns",
        "cpu wait",
        microseconds_text,
        "taskstats cpu_delay_total, or /proc/PID/task/*/schedstat",
        "ready to run, but waiting for a CPU",
    ),
    Measure(
        "rss",
        "rss",
        bytes_text,
        "/proc/PID/smaps_rollup Rss",
        "memory it has in RAM, shared pages counted in full",
    ),
    Measure(
        "pss",
        "pss",
        bytes_text,
        "/proc/PID/smaps_rollup Pss",
        "memory with shared pages divided among their users",
    ),
    Measure("uss", "uss", bytes_text, "/proc/PID/smaps_rollup Private_*", "memory that would be freed if it ended"),
    Measure("swap", "swap", bytes_text, "/proc/PID/smaps_rollup Swap", "memory moved out to swap"),
    Measure("read_bytes", "read", bytes_text, "/proc/PID/io read_bytes", "fetched from storage"),
    Measure("write_bytes", "written", bytes_text, "/proc/PID/io write_bytes", "sent to storage"),
    Measure(
        "read_chars",
        "read calls",
        bytes_text,
        "/proc/PID/io rchar",
        "passed through read(2), cache and terminals too",
    ),
    Measure(
        "write_chars",
        "write calls",
        bytes_text,
        "/proc/PID/io wchar",
        "passed through write(2), cache and terminals too",
    ),
    Measure(
        "minflt",
        "minor faults",
        count_text,
        "/proc/PID/stat minflt",
        "pages given without reading storage, copies on write too",
    ),
    Measure(
        "majflt",
        "major faults",
        count_text,
        "/proc/PID/stat majflt",
        "pages that had to be read from storage",
    ),
    Measure(
        "voluntary",
        "switches voluntary",
        count_text,
        "taskstats nvcsw, or /proc/PID/task/*/status",
        "it waited for something and gave the CPU away",
    ),
    Measure(
        "involuntary",
        "switches involuntary",
        count_text,
        "taskstats nivcsw, or /proc/PID/task/*/status",
        "its turn was over, another took the CPU",
    ),
    Measure(
        "threads",
        "threads",
        count_text,
        "/proc/PID/stat num_threads",
        "tasks that share this process's memory",
    ),
    Measure("fds", "open files", count_text, "/proc/PID/fd", "descriptors in its table"),
)
"""All that is compared, in the order shown."""


def _delay(name: str, called: str, why: str) -> Measure:
    return Measure(f"{name}_ns", called, microseconds_text, f"taskstats {name}_delay_total", why)


DELAYS: tuple[Measure, ...] = (
    _delay("blkio", "block I/O", "it waited for storage to answer"),
    _delay("swapin", "swap in", "it waited for its own memory to come back from swap"),
    _delay("freepages", "reclaim", "memory was short: it had to free some before it got some"),
    _delay("thrashing", "thrashing", "it waited for file pages that had just been thrown out"),
    _delay("compact", "compaction", "it had to move memory together before it got a large piece"),
    _delay("wpcopy", "copy on write", "it wrote to a page that was common until then, as after fork"),
    _delay("irq", "interrupts", "interrupts and softirqs took the CPU while it was its turn"),
)
"""What it waited for; the kernel counts it when told to (kernel.task_delayacct)."""

CUMULATIVE = frozenset(
    (
        "cpu_ns", "user_ns", "system_ns", "children_ns", "wait_ns", "read_bytes", "write_bytes", "read_chars",
        "write_chars", "minflt", "majflt", "voluntary", "involuntary", *(measure.field for measure in DELAYS),
    )
)  # fmt: skip
"""Fields that only grow, so that two samples give a rate."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How one measure changed from a sample to a later one.

    ``change`` is the later amount minus the earlier, in the measure's unit; it is negative only for what can
    shrink. ``per_second`` is that over the time between, for what only grows. None is unknown.
    """

    measure: Measure
    change: int | None
    per_second: float | None


def rates(earlier: Usage, later: Usage, measures: tuple[Measure, ...] = MEASURES + DELAYS) -> tuple[Rate, ...]:
    """Return what happened to one process between two samples, one row per measure; pure.

    ``earlier`` may be the last sample or a mark set long ago. A counter that seems to have gone back was read
    in another way, or its threads have ended since: unknown. Raises ValueError when the samples are of two
    processes or not in order.
    """
    if earlier.identity != later.identity:
        raise ValueError(f"samples of two processes: {earlier.identity} and {later.identity}")
    elapsed = later.when_ns - earlier.when_ns
    if elapsed <= 0:
        raise ValueError("the later sample is not later")
    found = []
    for measure in measures:
        before, after = measure.of(earlier), measure.of(later)
        change = None if before is None or after is None else after - before
        grows = measure.field in CUMULATIVE
        if grows and change is not None and change < 0:
            change = None
        found.append(Rate(measure, change, change * 1e9 / elapsed if grows and change is not None else None))
    return tuple(found)


def change_text(rate: Rate) -> str | None:
    """Word the change; with its sign where the measure can shrink. Pure."""
    if rate.change is None:
        return None
    text = rate.measure.text(rate.change)
    return text if rate.measure.field in CUMULATIVE or not rate.change else signed(text)


def rate_text(rate: Rate) -> str | None:
    """Word a rate: time as a share of one CPU, what only grows per second, the change of the rest. Pure."""
    if rate.per_second is None:
        return change_text(rate)
    if rate.measure.field.endswith("_ns"):
        return f"{rate.per_second / 1e7:.1f} %"
    return f"{rate.measure.text(round(rate.per_second))}/s"
