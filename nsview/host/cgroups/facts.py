"""What there is to know about a group: one table of facts, each with the files of version 2 and 1 that tell it."""

from __future__ import annotations

from dataclasses import dataclass

from nsview.host.cgroups import values
from nsview.host.cgroups.values import Parser


@dataclass(frozen=True, slots=True)
class Source:
    """Files of a group that tell a fact together. ``controller`` is whose hierarchy of version 1 they are in, None
    for version 2. A file that is not there leaves the fact to the next source.
    """

    files: tuple[str, ...]
    parse: Parser
    controller: str | None = None

    @property
    def version(self) -> int:
        """1 or 2."""
        return 2 if self.controller is None else 1


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: ``section`` it belongs to, ``unit`` of its value, ``meaning`` in one line. The first source counts
    that the group has.
    """

    name: str
    section: str
    unit: str
    meaning: str
    sources: tuple[Source, ...]


SECTIONS = ("state", "limits", "usage", "pressure", "events")


def _v2(*files: str, parse: Parser = values.number) -> Source:
    return Source(files, parse)


def _v1(controller: str, *files: str, parse: Parser = values.number) -> Source:
    return Source(files, parse, controller)


_IO_V1 = ("blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive")
_THROTTLES = tuple(f"blkio.throttle.{way}_{what}_device" for what in ("bps", "iops") for way in ("read", "write"))


def _io(word: str) -> tuple[Source, ...]:
    return (
        _v2("io.stat", parse=values.summed(word, values.devices)),
        _v1("blkio", *_IO_V1, parse=values.summed(word, values.io_serviced)),
    )


_STATE = (
    Fact(
        "freezer", "state", "word", "THAWED, FREEZING or FROZEN, by itself or from above",
        (
            _v2("cgroup.freeze", "cgroup.events", parse=values.frozen),
            _v1("freezer", "freezer.state", parse=values.words),
        ),
    ),
    Fact(
        "freezer_self", "state", "flag", "frozen by its own setting",
        (
            _v2("cgroup.freeze", parse=values.flag),
            _v1("freezer", "freezer.self_freezing", parse=values.flag),
        ),
    ),
    Fact(
        "freezer_parent", "state", "flag", "frozen by the setting of a group above",
        (_v1("freezer", "freezer.parent_freezing", parse=values.flag),),
    ),
    Fact("type", "state", "word", "domain or threaded (version 2)", (_v2("cgroup.type", parse=values.words),)),
    Fact(
        "controllers", "state", "word", "controllers it can use (version 2)",
        (_v2("cgroup.controllers", parse=values.words),),
    ),
    Fact(
        "passes_on", "state", "word", "controllers that the groups below it have (version 2)",
        (_v2("cgroup.subtree_control", parse=values.words),),
    ),
)  # fmt: skip

_LIMITS = (
    Fact(
        "cpu_max", "limits", "quota", "CPU time in each period",
        (
            _v2("cpu.max", parse=values.quota),
            _v1("cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us", parse=values.quota_and_period),
        ),
    ),
    Fact("cpu_weight", "limits", "count", "share of CPU time beside its siblings: 1 to 10000", (_v2("cpu.weight"),)),
    Fact(
        "cpu_shares", "limits", "count", "share of CPU time beside its siblings (version 1): 2 to 262144",
        (_v1("cpu", "cpu.shares"),),
    ),
    Fact(
        "memory_max", "limits", "bytes", "memory above which something is killed",
        (
            _v2("memory.max", parse=values.limit),
            _v1("memory", "memory.limit_in_bytes", parse=values.limit),
        ),
    ),
    Fact(
        "memory_high", "limits", "bytes", "memory above which it is slowed down and reclaimed from",
        (_v2("memory.high", parse=values.limit),),
    ),
    Fact(
        "memory_low", "limits", "bytes", "memory that others leave to it as long as they can",
        (_v2("memory.low", parse=values.limit),),
    ),
    Fact(
        "memory_min", "limits", "bytes", "memory that is never taken from it",
        (_v2("memory.min", parse=values.limit),),
    ),
    Fact(
        "memory_soft", "limits", "bytes", "memory that is left to it when there is too little (version 1)",
        (_v1("memory", "memory.soft_limit_in_bytes", parse=values.limit),),
    ),
    Fact("swap_max", "limits", "bytes", "swap", (_v2("memory.swap.max", parse=values.limit),)),
    Fact(
        "memory_swap_max", "limits", "bytes", "memory and swap together (version 1)",
        (_v1("memory", "memory.memsw.limit_in_bytes", parse=values.limit),),
    ),
    Fact(
        "pids_max", "limits", "count", "tasks",
        (_v2("pids.max", parse=values.limit), _v1("pids", "pids.max", parse=values.limit)),
    ),
    Fact(
        "io_max", "limits", "devices", "bytes and requests a second by device",
        (
            _v2("io.max", parse=values.devices),
            _v1("blkio", *_THROTTLES, parse=values.throttles),
        ),
    ),
    Fact(
        "io_weight", "limits", "count", "share of IO beside its siblings",
        (
            _v2("io.weight", parse=values.weight),
            _v2("io.bfq.weight", parse=values.weight),
            _v1("blkio", "blkio.weight", parse=values.weight),
            _v1("blkio", "blkio.bfq.weight", parse=values.weight),
        ),
    ),
    Fact(
        "cpuset_cpus", "limits", "word", "CPUs it asks for; empty: those of the group above",
        (_v2("cpuset.cpus", parse=values.words), _v1("cpuset", "cpuset.cpus", parse=values.words)),
    ),
    Fact(
        "cpuset_effective_cpus", "limits", "word", "CPUs it has",
        (
            _v2("cpuset.cpus.effective", parse=values.words),
            _v1("cpuset", "cpuset.effective_cpus", parse=values.words),
        ),
    ),
    Fact(
        "cpuset_mems", "limits", "word", "memory nodes it asks for",
        (_v2("cpuset.mems", parse=values.words), _v1("cpuset", "cpuset.mems", parse=values.words)),
    ),
    Fact(
        "cpuset_effective_mems", "limits", "word", "memory nodes it has",
        (
            _v2("cpuset.mems.effective", parse=values.words),
            _v1("cpuset", "cpuset.effective_mems", parse=values.words),
        ),
    ),
)  # fmt: skip

_USAGE = (
    Fact(
        "cpu_usage", "usage", "ns", "CPU time",
        (_v2("cpu.stat", parse=values.keyed("usage_usec", 1000)), _v1("cpuacct", "cpuacct.usage")),
    ),
    Fact(
        "cpu_user", "usage", "ns", "CPU time in user mode",
        (
            _v2("cpu.stat", parse=values.keyed("user_usec", 1000)),
            _v1("cpuacct", "cpuacct.stat", parse=values.ticks("user")),
        ),
    ),
    Fact(
        "cpu_system", "usage", "ns", "CPU time in the kernel",
        (
            _v2("cpu.stat", parse=values.keyed("system_usec", 1000)),
            _v1("cpuacct", "cpuacct.stat", parse=values.ticks("system")),
        ),
    ),
    Fact(
        "cpu_periods", "usage", "count", "periods of the CPU limit in which it ran",
        (
            _v2("cpu.stat", parse=values.keyed("nr_periods")),
            _v1("cpu", "cpu.stat", parse=values.keyed("nr_periods")),
        ),
    ),
    Fact(
        "cpu_throttled_periods", "usage", "count", "periods in which it had to wait for the next",
        (
            _v2("cpu.stat", parse=values.keyed("nr_throttled")),
            _v1("cpu", "cpu.stat", parse=values.keyed("nr_throttled")),
        ),
    ),
    Fact(
        "cpu_throttled", "usage", "ns", "time it waited for the next period, on each CPU",
        (
            _v2("cpu.stat", parse=values.keyed("throttled_usec", 1000)),
            _v1("cpu", "cpu.stat", parse=values.keyed("throttled_time")),
        ),
    ),
    Fact(
        "memory_current", "usage", "bytes", "memory, with its part of the page cache",
        (_v2("memory.current"), _v1("memory", "memory.usage_in_bytes")),
    ),
    Fact(
        "memory_peak", "usage", "bytes", "the most memory it had",
        (_v2("memory.peak"), _v1("memory", "memory.max_usage_in_bytes")),
    ),
    Fact(
        "memory_anon", "usage", "bytes", "memory of no file",
        (
            _v2("memory.stat", parse=values.keyed("anon")),
            _v1("memory", "memory.stat", parse=values.keyed("total_rss")),
        ),
    ),
    Fact(
        "memory_file", "usage", "bytes", "page cache, with shared memory",
        (
            _v2("memory.stat", parse=values.keyed("file")),
            _v1("memory", "memory.stat", parse=values.keyed("total_cache")),
        ),
    ),
    Fact(
        "swap_current", "usage", "bytes", "swap",
        (
            _v2("memory.swap.current"),
            _v1("memory", "memory.stat", parse=values.keyed("total_swap")),
        ),
    ),
    Fact("pids_current", "usage", "count", "tasks", (_v2("pids.current"), _v1("pids", "pids.current"))),
    Fact("pids_peak", "usage", "count", "the most tasks it had", (_v2("pids.peak"), _v1("pids", "pids.peak"))),
    Fact("io_read", "usage", "bytes", "read from devices", _io("rbytes")),
    Fact("io_write", "usage", "bytes", "written to devices", _io("wbytes")),
    Fact("io_reads", "usage", "count", "requests to read", _io("rios")),
    Fact("io_writes", "usage", "count", "requests to write", _io("wios")),
    Fact(
        "io_devices", "usage", "devices", "the same by device",
        (_v2("io.stat", parse=values.devices), _v1("blkio", *_IO_V1, parse=values.io_serviced)),
    ),
)  # fmt: skip

_PRESSURE = tuple(
    Fact(f"{name}_pressure", "pressure", "pressure", meaning, (_v2(f"{name}.pressure", parse=values.pressure),))
    for name, meaning in (
        ("cpu", "time in which tasks waited for a CPU"),
        ("memory", "time in which tasks waited for memory"),
        ("io", "time in which tasks waited for IO"),
        ("irq", "time in which tasks waited for interrupts"),
    )
)

_EVENTS = (
    Fact(
        "oom_kills", "events", "count", "processes killed for want of memory (version 1: without the groups below)",
        (
            _v2("memory.events", parse=values.keyed("oom_kill")),
            _v1("memory", "memory.oom_control", parse=values.keyed("oom_kill")),
        ),
    ),
    Fact(
        "under_oom", "events", "flag", "its tasks wait for memory until somebody frees some (version 1)",
        (_v1("memory", "memory.oom_control", parse=values.keyed_flag("under_oom")),),
    ),
    Fact(
        "memory_max_hits", "events", "count", "times the limit of memory was reached",
        (_v2("memory.events", parse=values.keyed("max")), _v1("memory", "memory.failcnt")),
    ),
    Fact(
        "memory_high_hits", "events", "count", "times memory.high was passed",
        (_v2("memory.events", parse=values.keyed("high")),),
    ),
    Fact(
        "pids_max_hits", "events", "count", "forks that the limit of tasks refused",
        (
            _v2("pids.events", parse=values.keyed("max")),
            _v1("pids", "pids.events", parse=values.keyed("max")),
        ),
    ),
)  # fmt: skip

FACTS: tuple[Fact, ...] = (*_STATE, *_LIMITS, *_USAGE, *_PRESSURE, *_EVENTS)
BY_NAME = {fact.name: fact for fact in FACTS}
