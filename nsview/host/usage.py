"""What one process has used so far, and how two processes differ in it."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass

from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import TICKS_PER_SECOND
from nsview.host.units import bytes_text, count_text, microseconds_text

_TICK_NS = 1_000_000_000 // TICKS_PER_SECOND
_MOST_THREADS_ASKED = 256


@dataclass(frozen=True, slots=True)
class Usage:
    """One process's resources at one instant; None is unknown.

    Times are nanoseconds, memory and I/O bytes. ``when_ns`` is CLOCK_MONOTONIC. ``cpu_ns`` is exact and
    counts threads that have ended; ``user_ns`` and ``system_ns`` are the kernel's split in clock ticks.
    Waiting for a CPU and context switches are sums over the living threads. ``read_bytes`` and
    ``write_bytes`` went to storage, ``read_chars`` and ``write_chars`` through system calls
    (proc_pid_io(5)).
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


@dataclass(frozen=True, slots=True)
class Measure:
    """One attribute of Usage: how it is called, written, where it comes from and what it means."""

    field: str
    name: str
    text: Callable[[int], str]
    source: str
    why: str


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
        "wait_ns",
        "cpu wait",
        microseconds_text,
        "/proc/PID/task/*/schedstat",
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
        "/proc/PID/task/*/status",
        "it waited for something and gave the CPU away",
    ),
    Measure(
        "involuntary",
        "switches involuntary",
        count_text,
        "/proc/PID/task/*/status",
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

CUMULATIVE = frozenset(
    (
        "cpu_ns", "user_ns", "system_ns", "wait_ns", "read_bytes", "write_bytes", "read_chars", "write_chars",
        "minflt", "majflt", "voluntary", "involuntary",
    )
)  # fmt: skip
"""Fields that only grow, so that two samples give a rate."""


@dataclass(frozen=True, slots=True)
class UsageDifference:
    """One measure of two processes; ``delta`` is second minus first, None when either is unknown."""

    measure: Measure
    first: int | None
    second: int | None

    @property
    def delta(self) -> int | None:
        """Second minus first."""
        return None if self.first is None or self.second is None else self.second - self.first


def sample(pid: int, start_time: int | None = None) -> Usage | None:
    """Read one process's usage; None when it is gone, or is not the process started at ``start_time``
    (ticks).
    """
    try:
        with PinnedProcess(pid, start_time) as process:
            return sample_pinned(process)
    except ProcessGoneError:
        return None


def sample_pinned(process: PinnedProcess) -> Usage | None:
    """Read the usage of a pinned process; None when it is gone."""
    when = time.monotonic_ns()
    stat = process.stat_fields()
    if stat is None:
        return None
    cpu_ns = _cpu_clock(process.pid)
    facts: dict[str, int | None] = {
        "user_ns": int(stat[11]) * _TICK_NS,
        "system_ns": int(stat[12]) * _TICK_NS,
        "minflt": int(stat[7]),
        "majflt": int(stat[9]),
        "threads": int(stat[17]),
    }
    facts |= _memory(process) | _io(process) | _of_threads(process)
    names = process.names("fd")
    facts["fds"] = None if names is None else len(names)
    # The CPU clock is asked by number: it was this process's if the process is still there.
    facts["cpu_ns"] = cpu_ns if process.is_there() else None
    return Usage(process.pid, process.start_time, when, **facts)


def differences(first: Usage, second: Usage) -> tuple[UsageDifference, ...]:
    """Compare two samples, one row per measure."""
    return tuple(
        UsageDifference(measure, getattr(first, measure.field), getattr(second, measure.field)) for measure in MEASURES
    )


def _cpu_clock(pid: int) -> int | None:
    """Read a process's CPU clock: the whole thread group in nanoseconds, and no privilege is needed.

    The clock's number is the kernel's encoding that clock_getcpuclockid(3) returns
    (linux/posix-timers_types.h).
    """
    try:
        return time.clock_gettime_ns(~pid << 3 | 2)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ESRCH, errno.EPERM):
            return None
        raise


def _memory(process: PinnedProcess) -> dict[str, int | None]:
    sizes = _keyed(process.read("smaps_rollup"), scale=1024)
    private = [sizes[key] for key in ("Private_Clean", "Private_Dirty", "Private_Hugetlb") if key in sizes]
    return {
        "rss": sizes.get("Rss"),
        "pss": sizes.get("Pss"),
        "uss": sum(private) if private else None,
        "swap": sizes.get("Swap"),
    }


def _io(process: PinnedProcess) -> dict[str, int | None]:
    counts = _keyed(process.read("io"))
    return {
        "read_bytes": counts.get("read_bytes"),
        "write_bytes": counts.get("write_bytes"),
        "read_chars": counts.get("rchar"),
        "write_chars": counts.get("wchar"),
    }


def _of_threads(process: PinnedProcess) -> dict[str, int | None]:
    """Sum what the kernel keeps per thread only; a program of very many threads is left unknown, for it
    would cost.
    """
    threads = process.names("task")
    if not threads or len(threads) > _MOST_THREADS_ASKED:
        return {}
    sums: dict[str, int | None] = {"wait_ns": None, "voluntary": None, "involuntary": None}
    for thread in threads:
        schedule = (process.read(f"task/{thread}/schedstat") or b"").split()
        status = _keyed(process.read(f"task/{thread}/status"))
        found = {
            "wait_ns": int(schedule[1]) if len(schedule) == 3 else None,
            "voluntary": status.get("voluntary_ctxt_switches"),
            "involuntary": status.get("nonvoluntary_ctxt_switches"),
        }
        for name, value in found.items():
            if value is not None:
                sums[name] = (sums[name] or 0) + value
    return sums


def _keyed(text: bytes | None, scale: int = 1) -> dict[str, int]:
    """Read lines of ``Key: number``; others are passed over."""
    numbers = {}
    for line in (text or b"").splitlines():
        key, colon, rest = line.partition(b":")
        words = rest.split()
        if colon and words and words[0].isdigit():
            numbers[key.decode("ascii", "replace")] = int(words[0]) * scale
    return numbers
