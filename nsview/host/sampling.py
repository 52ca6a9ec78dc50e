"""Reading what one process has used so far: counters of /proc, its CPU clock, and taskstats where allowed."""

from __future__ import annotations

import errno
import time

from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import TICKS_PER_SECOND
from nsview.host.taskstats import DELAYS, TaskStats
from nsview.host.usage import Usage

_TICK_NS = 1_000_000_000 // TICKS_PER_SECOND
_MOST_THREADS_ASKED = 256
_DEAD = (b"Z", b"X")
"""States that taskstats passes over (kernel/taskstats.c: fill_stats_for_tgid()): it would answer zeros."""


def sample(pid: int, start_time: int | None = None, stats: TaskStats | None = None) -> Usage | None:
    """Read one process's usage; None when it is gone, or is not the process started at ``start_time``
    (ticks).

    ``stats`` is asked for what /proc does not tell of ended threads; for many samples, keep one.
    """
    try:
        with PinnedProcess(pid, start_time) as process:
            return sample_pinned(process, stats)
    except ProcessGoneError:
        return None


def sample_pinned(process: PinnedProcess, stats: TaskStats | None = None) -> Usage | None:
    """Read the usage of a pinned process; None when it is gone."""
    when = time.monotonic_ns()
    stat = process.stat_fields()
    if stat is None:
        return None
    cpu_ns = _cpu_clock(process.pid)
    asked = _of_group(process.pid, stats)
    facts: dict[str, int | None] = {
        "user_ns": int(stat[11]) * _TICK_NS,
        "system_ns": int(stat[12]) * _TICK_NS,
        "children_ns": (int(stat[13]) + int(stat[14])) * _TICK_NS,
        "minflt": int(stat[7]),
        "majflt": int(stat[9]),
        "threads": int(stat[17]),
    }
    facts |= _memory(process) | _io(process)
    after = process.stat_fields()
    if process.was_asked():
        facts["cpu_ns"] = cpu_ns
        asked = {} if after is None or after[0] in _DEAD else asked
    else:
        asked = {}
    if asked:
        facts |= asked
    else:
        facts |= _of_threads(process)
    names = process.names("fd")
    facts["fds"] = None if names is None else len(names)
    return Usage(process.pid, process.start_time, when, **facts)


def _of_group(pid: int, stats: TaskStats | None) -> dict[str, int | None]:
    accounts = stats.of_group(pid) if stats is not None else None
    if accounts is None:
        return {}
    delays = {f"{name}_ns": accounts.delays[name] for name in DELAYS}
    return {
        "wait_ns": accounts.wait_ns,
        "voluntary": accounts.voluntary,
        "involuntary": accounts.involuntary,
        **delays,
    }


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
    for line in (text or b"").split(b"\n"):  # a name may hold carriage returns
        key, colon, rest = line.partition(b":")
        words = rest.split()
        if colon and words and words[0].isdigit():
            numbers[key.decode("ascii", "replace")] = int(words[0]) * scale
    return numbers
