"""How a process is scheduled: policy, priority, CPUs, I/O priority, timer slack."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from dataclasses import dataclass

from nsview.host.attribute import Attribute
from nsview.host.process import ORDINARY, PinnedProcess
from nsview.host.text import printable
from nsview.host.units import count_text

POLICIES = {0: "other", 1: "fifo", 2: "rr", 3: "batch", 5: "idle", 6: "deadline", 7: "ext"}
"""sched(7), linux/sched.h."""
_IO_CLASSES = {0: "none", 1: "realtime", 2: "best-effort", 3: "idle"}
_IOPRIO_GET = {"x86_64": 252, "aarch64": 31, "riscv64": 31, "ppc64le": 274, "s390x": 283}
_WHO_PROCESS = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Scheduling:
    """How the main thread is scheduled; None is unknown.

    ``cpus`` and ``memory_nodes`` are lists as ``0-3,8``. ``slack_ns`` is how late its timers may be.
    ``io`` is ioprio_get(2)'s class and level: ``none`` follows from nice. ``autogroup`` is ``none`` until the first
    setsid(2) since boot among it and its ancestors.
    """

    policy: str | None
    nice: int
    realtime_priority: int | None
    cpus: str | None
    memory_nodes: str | None
    last_cpu: int
    io: str | None
    slack_ns: int | None
    autogroup: str | None


def scheduling_of(process: PinnedProcess) -> Scheduling | None:
    """Read it; None when the process is gone."""
    stat, status = process.stat_fields(), process.status()
    if stat is None or status is None:
        return None
    policy = int(stat[38])
    slack = process.read("timerslack_ns")
    io = _io_priority(process.pid)
    return Scheduling(
        POLICIES.get(policy, str(policy)),
        int(stat[16]),
        int(stat[37]),
        status.get("Cpus_allowed_list"),
        status.get("Mems_allowed_list"),
        int(stat[36]),
        io if process.was_asked() else None,
        int(slack) if slack else None,
        _autogroup(process.read("autogroup")),
    )


def _autogroup(text: bytes | None) -> str | None:
    """Say which; for who is in none the kernel says nothing (proc_sched_autogroup_show_task in autogroup.c)."""
    return None if text is None else printable(text.rstrip(b"\n")) or "none"


def _io_priority(pid: int) -> str | None:
    """Ask ioprio_get(2); None where its number is not known for this machine, or it does not say."""
    number = _IOPRIO_GET.get(platform.machine())
    if number is None:
        return None
    value = _libc.syscall(number, _WHO_PROCESS, pid)
    if value < 0:
        error = ctypes.get_errno()
        if error in ORDINARY or error == errno.ENOSYS:
            return None
        raise OSError(error, os.strerror(error), "ioprio_get")
    name = _IO_CLASSES.get(value >> 13, str(value >> 13))
    return name if name in ("none", "idle") else f"{name} {value & 7}"


def _slack(scheduling: Scheduling) -> str | None:
    return None if scheduling.slack_ns is None else f"{count_text(scheduling.slack_ns)} ns"


def _number(value: int | None) -> str | None:
    return None if value is None else str(value).replace("-", "−")


_INHERITED = "inherited at birth, kept over execve"

ATTRIBUTES: tuple[Attribute[Scheduling], ...] = (
    Attribute(
        "policy",
        lambda it: it.policy,
        "/proc/PID/stat policy",
        _INHERITED,
        "sched_setscheduler(2) chose another; other, batch and idle share what fifo, rr and deadline leave",
    ),
    Attribute(
        "nice",
        lambda it: _number(it.nice),
        "/proc/PID/stat nice",
        _INHERITED,
        "nice(2) or setpriority(2): the higher, the smaller its share of a busy CPU",
    ),
    Attribute(
        "real-time priority",
        lambda it: _number(it.realtime_priority),
        "/proc/PID/stat rt_priority",
        "0 where the policy is not fifo or rr",
        "the higher goes first, always",
    ),
    Attribute(
        "cpus allowed",
        lambda it: it.cpus,
        "/proc/PID/status Cpus_allowed_list",
        _INHERITED,
        "sched_setaffinity(2), or the cpuset of its cgroup",
    ),
    Attribute(
        "memory nodes",
        lambda it: it.memory_nodes,
        "/proc/PID/status Mems_allowed_list",
        "memory may come from the same nodes",
        "the cpuset of its cgroup gives it memory of other nodes",
    ),
    Attribute(
        "last cpu",
        lambda it: _number(it.last_cpu),
        "/proc/PID/stat processor",
        "both ran last on this CPU",
        "the scheduler put them on different CPUs",
    ),
    Attribute(
        "I/O priority",
        lambda it: it.io,
        "ioprio_get(PID)",
        "the same class for the disk; none follows from nice",
        "ioprio_set(2) chose another class for the disk",
    ),
    Attribute(
        "timer slack",
        _slack,
        "/proc/PID/timerslack_ns",
        "its timers may be as late",
        "prctl(PR_SET_TIMERSLACK): how late its timers may be, so that wake-ups are done together",
    ),
    Attribute(
        "autogroup",
        lambda it: it.autogroup,
        "/proc/PID/autogroup",
        "one group for the scheduler: nice counts between them",
        "another session, another group: nice counts only within each",
    ),
)
