"""Limits and the share of the machine: rlimits, priorities, processors."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator

from spawner import mechanism as ways
from spawner.cause import Cause
from spawner.draft import AT_FDCWD, NULL, O_READ, Draft
from spawner.errors import Problem
from spawner.flags import BY_NAME
from spawner.kernel import Facts
from spawner.oci import Rlimit, Scheduler
from spawner.plan import Named, Out, Packed
from spawner.spec import Spec

RLIMITS = {
    "RLIMIT_CPU": 0,
    "RLIMIT_FSIZE": 1,
    "RLIMIT_DATA": 2,
    "RLIMIT_STACK": 3,
    "RLIMIT_CORE": 4,
    "RLIMIT_RSS": 5,
    "RLIMIT_NPROC": 6,
    "RLIMIT_NOFILE": 7,
    "RLIMIT_MEMLOCK": 8,
    "RLIMIT_AS": 9,
    "RLIMIT_LOCKS": 10,
    "RLIMIT_SIGPENDING": 11,
    "RLIMIT_MSGQUEUE": 12,
    "RLIMIT_NICE": 13,
    "RLIMIT_RTPRIO": 14,
    "RLIMIT_RTTIME": 15,
}
"""Every resource limit by name, with its number (include/uapi/asm-generic/resource.h)."""

POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
    "SCHED_EXT": 7,
}
"""Every scheduling policy by name, with its number (include/uapi/linux/sched.h)."""

IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
"""The classes of ioprio_set(2) by name, with their numbers."""

_INFINITY = 2**64 - 1
_RLIMIT = struct.Struct("=QQ")
_SCHED_ATTR = struct.Struct("=IIQiIQQQ")  # struct sched_attr of 48 bytes, SCHED_ATTR_SIZE_VER0
_IO_CLASS_SHIFT = 13
_CPUS = 8192  # the most a kernel can be built for (CONFIG_NR_CPUS)
_QUERY_PERSONALITY = 0xFFFFFFFF
_CAP_SYS_RESOURCE = 24
_OOM_PATH = "/proc/self/oom_score_adj"
_FAIR, _REAL_TIME, _DEADLINE = ("SCHED_OTHER", "SCHED_BATCH"), ("SCHED_FIFO", "SCHED_RR"), "SCHED_DEADLINE"
_ITSELF = Named(0, "0")
_PRIO_PROCESS = Named(0, "PRIO_PROCESS")
_IOPRIO_WHO_PROCESS = Named(1, "IOPRIO_WHO_PROCESS")


# ---- the steps ----


def oom_score(draft: Draft) -> None:
    """Before anything that could make /proc/self read-only to us."""
    score = draft.spec.oom_score_adj
    if score is None:
        return
    draft.write_file(_OOM_PATH, str(score), phase="limits", label="oom_score_adj")
    fd = draft.add("reopen oom_score_adj", "openat", AT_FDCWD, _OOM_PATH, O_READ, 0, phase="limits", path=_OOM_PATH)
    read = draft.add("read oom_score_adj", "read", fd, Out(16), 16, phase="limits", path=_OOM_PATH)
    draft.add("close oom_score_adj again", "close", fd, phase="limits", path=_OOM_PATH)
    draft.expect("oom_score_adj", read, str(score), lambda size, seen: seen[:size].decode().strip())


def scheduling(draft: Draft) -> None:
    """Nice, processors, scheduler, I/O priority, personality."""
    _nice(draft)
    _processors(draft)
    _scheduler(draft)
    _io_priority(draft)
    _personality(draft)


def _nice(draft: Draft) -> None:
    nice = draft.spec.nice
    if nice is None:
        return
    draft.add("setpriority", "setpriority", _PRIO_PROCESS, _ITSELF, nice, phase="limits")
    read = draft.add("getpriority", "getpriority", _PRIO_PROCESS, _ITSELF, phase="limits")
    # The call itself answers 20 - nice, so that no answer looks like an error (getpriority(2), C library/kernel).
    draft.expect("nice", read, str(nice), lambda result, _seen: str(20 - result))


def _processors(draft: Draft) -> None:
    cpus = draft.spec.cpu_affinity
    if not cpus:
        return
    mask = sum(1 << cpu for cpu in cpus).to_bytes(_CPUS // 8, "little")
    shown = Packed(f"={len(mask)}s", (mask,), f"[{_listed(cpus)}]")
    draft.add("sched_setaffinity", "sched_setaffinity", _ITSELF, len(mask), shown, phase="limits")
    read = draft.add("sched_getaffinity", "sched_getaffinity", _ITSELF, len(mask), Out(len(mask)), phase="limits")
    draft.expect("cpu_affinity", read, _listed(cpus), lambda size, seen: _listed(_bits(seen[:size])))


def _bits(mask: bytes) -> frozenset[int]:
    number = int.from_bytes(mask, "little")
    return frozenset(bit for bit in range(number.bit_length()) if number >> bit & 1)


def _listed(cpus: frozenset[int]) -> str:
    return ",".join(map(str, sorted(cpus)))


def _scheduler(draft: Draft) -> None:
    wanted = draft.spec.scheduler
    if wanted is None:
        return
    nice = (wanted.nice or draft.spec.nice or 0) if wanted.policy in _FAIR else 0
    timing = wanted.runtime, wanted.deadline, wanted.period
    values = (_SCHED_ATTR.size, POLICIES[wanted.policy], 0, nice, wanted.priority, *timing)
    shown = f"{{{wanted.policy}, nice={nice}, priority={wanted.priority}}}"
    attributes = Packed(_SCHED_ATTR.format, values, shown)
    draft.add("sched_setattr", "sched_setattr", _ITSELF, attributes, 0, phase="limits")
    size = _SCHED_ATTR.size
    read = draft.add("sched_getattr", "sched_getattr", _ITSELF, Out(size), size, 0, phase="limits")

    def found(_result: int, seen: bytes) -> str:
        _size, policy, _flags, nice, priority, *timing = _SCHED_ATTR.unpack(seen)
        name = next((name for name, number in POLICIES.items() if number == policy), str(policy))
        return _worded(name, nice, priority, tuple(timing))

    if wanted.policy == _DEADLINE:
        timing = wanted.runtime, wanted.deadline, wanted.period or wanted.deadline
    draft.expect("scheduler", read, _worded(wanted.policy, nice, wanted.priority, timing), found)


def _worded(policy: str, nice: int, priority: int, timing: tuple[int, ...]) -> str:
    """As far as a policy takes it: other fields are reported as the kernel likes (a slice as runtime, say)."""
    if policy in _FAIR:
        return f"{policy} nice {nice}"
    if policy in _REAL_TIME:
        return f"{policy} priority {priority}"
    return f"{policy} {'/'.join(map(str, timing))} ns" if policy == _DEADLINE else policy


def _io_priority(draft: Draft) -> None:
    wanted = draft.spec.io_priority
    if wanted is None:
        return
    value = IO_CLASSES[wanted.type] << _IO_CLASS_SHIFT | wanted.priority
    named = Named(value, f"{wanted.type}|{wanted.priority}")
    draft.add("ioprio_set", "ioprio_set", _IOPRIO_WHO_PROCESS, _ITSELF, named, phase="limits")
    read = draft.add("ioprio_get", "ioprio_get", _IOPRIO_WHO_PROCESS, _ITSELF, phase="limits")
    names = {number: name for name, number in IO_CLASSES.items()}

    def found(result: int, _seen: bytes) -> str:
        number, level = result >> _IO_CLASS_SHIFT, result & ((1 << _IO_CLASS_SHIFT) - 1)
        return f"{names.get(number, str(number))} {level}"

    draft.expect("io_priority", read, f"{wanted.type} {wanted.priority}", found)


def _personality(draft: Draft) -> None:
    wanted = draft.spec.personality
    if wanted is None:
        return
    draft.add("personality", "personality", Named(wanted, hex(wanted)), phase="limits")
    query = Named(_QUERY_PERSONALITY, hex(_QUERY_PERSONALITY))
    read = draft.add("read personality", "personality", query, phase="limits")
    draft.expect("personality", read, hex(wanted), lambda result, _seen: hex(result & _QUERY_PERSONALITY))


def rlimits(draft: Draft) -> None:
    """Resource limits."""
    for limit in draft.spec.rlimits:
        values = _number(limit.soft), _number(limit.hard)
        resource = Named(RLIMITS[limit.type], limit.type)
        new = Packed(_RLIMIT.format, values, f"{{{_limit(*values)}}}")
        label, read_label = f"set {limit.type}", f"read {limit.type}"
        draft.add(label, "prlimit64", _ITSELF, resource, new, NULL, phase="limits")
        read = draft.add(read_label, "prlimit64", _ITSELF, resource, NULL, Out(_RLIMIT.size), phase="limits")
        draft.expect(limit.type, read, _limit(*values), lambda _result, seen: _limit(*_RLIMIT.unpack(seen)))


def _number(limit: int | None) -> int:
    return _INFINITY if limit is None else limit


def _one(limit: int | None) -> str:
    return "unlimited" if limit in (None, _INFINITY) else str(limit)


def _limit(soft: int, hard: int) -> str:
    return f"{_one(soft)}:{_one(hard)}"


# ---- what is wrong ----


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    seen: set[str] = set()
    for limit in spec.rlimits:
        yield from _wrong_rlimit(limit)
        if limit.type in seen:
            yield Problem(f"{limit.type} is given twice", "give it once, with soft and hard limit")
        seen.add(limit.type)
    if spec.nice is not None and not -20 <= spec.nice <= 19:
        yield Problem(f"no nice value {spec.nice}", "it goes from -20 (first) to 19 (setpriority(2))")
    configured = os.sysconf("SC_NPROCESSORS_CONF")
    if missing := sorted(cpu for cpu in spec.cpu_affinity if not 0 <= cpu < configured):
        yield Problem(
            f"there is no processor {missing[0]} in this machine",
            f"its processors are 0 to {configured - 1}" if configured > 1 else "it has only processor 0",
        )
    if spec.scheduler is not None:
        yield from _wrong_scheduler(spec.scheduler, spec.nice)
    if spec.io_priority is not None:
        if spec.io_priority.type not in IO_CLASSES:
            yield Problem(f"unknown I/O class {spec.io_priority.type!r}", f"use one of {', '.join(IO_CLASSES)}")
        if not 0 <= spec.io_priority.priority <= 7:
            yield Problem(f"no I/O priority {spec.io_priority.priority}", "it goes from 0 (first) to 7 (ioprio_set(2))")
        if spec.clone_flags & BY_NAME["CLONE_IO"].bit:
            yield Problem("with CLONE_IO the child's I/O priority would be this process's too", "leave one of them out")
    if spec.oom_score_adj is not None and not -1000 <= spec.oom_score_adj <= 1000:
        yield Problem(
            f"no oom_score_adj {spec.oom_score_adj}",
            "it goes from -1000 (never killed) to 1000 (proc_pid_oom_score_adj(5))",
        )
    if spec.personality is not None and not 0 <= spec.personality < _QUERY_PERSONALITY:
        yield Problem(f"no personality {spec.personality:#x}", "it is a number of 32 bits, and not 0xffffffff")


def _wrong_rlimit(limit: Rlimit) -> Iterator[Problem]:
    if limit.type not in RLIMITS:
        yield Problem(f"unknown resource limit {limit.type!r}", f"they are {', '.join(RLIMITS)}")
    for which, value in (("soft", limit.soft), ("hard", limit.hard)):
        if value is not None and not 0 <= value < _INFINITY:
            yield Problem(
                f"{limit.type}: {value} is no {which} limit", "use a number of 64 bits, or none for unlimited"
            )
    if _number(limit.soft) > _number(limit.hard):
        yield Problem(
            f"{limit.type}: the soft limit of {_one(limit.soft)} is above the hard one of {_one(limit.hard)}",
            "let the soft limit be at most the hard one (setrlimit(2))",
            errno.EINVAL,
        )


def _wrong_scheduler(wanted: Scheduler, nice: int | None) -> Iterator[Problem]:
    if wanted.policy not in POLICIES:
        yield Problem(f"unknown scheduling policy {wanted.policy!r}", f"use one of {', '.join(POLICIES)}")
        return
    least, most = (1, 99) if wanted.policy in _REAL_TIME else (0, 0)
    if not least <= wanted.priority <= most:
        ranged = f"takes a priority from {least} to {most}" if most else "takes no priority"
        yield Problem(f"{wanted.policy} {ranged}, not {wanted.priority}", "see sched(7)", errno.EINVAL)
    if not -20 <= wanted.nice <= 19:
        yield Problem(f"no nice value {wanted.nice} of a scheduler", "it goes from -20 (first) to 19")
    elif wanted.nice and wanted.policy not in _FAIR:
        yield Problem(f"{wanted.policy} takes no nice value", f"only {' and '.join(_FAIR)} do")
    elif wanted.nice and nice not in (None, wanted.nice):
        yield Problem(f"two nice values, {nice} and the scheduler's {wanted.nice}", "give one of them")
    timing = (wanted.runtime, wanted.deadline, wanted.period)
    if wanted.policy != _DEADLINE:
        if any(timing):
            yield Problem(f"{wanted.policy} takes no runtime, deadline or period", f"only {_DEADLINE} does")
    elif not 1024 <= wanted.runtime <= wanted.deadline <= (wanted.period or wanted.deadline) < 2**63:
        yield Problem(
            f"{_DEADLINE} of {'/'.join(map(str, timing))} ns",
            "give runtime, deadline and period so that 1024 <= runtime <= deadline <= period (sched_setattr(2))",
            errno.EINVAL,
        )


def refused(spec: Spec, asked: frozenset[str], facts: Facts) -> Iterator[Problem]:
    """What the kernel would refuse to this process: a hard limit above ours without CAP_SYS_RESOURCE (setrlimit(2))."""
    ours = dict(facts.hard_limits)
    privileged = bool(facts.capabilities >> _CAP_SYS_RESOURCE & 1)
    if privileged and "user" not in asked:
        return
    for limit in spec.rlimits:
        most = ours.get(limit.type, _INFINITY)
        if _number(limit.hard) > most:
            # The kernel asks for the capability in the first user namespace, whatever the child has in a new one.
            lack = "a new user namespace takes away" if privileged else "this process lacks"
            yield Problem(
                f"{limit.type}: a hard limit of {_one(limit.hard)} is above ours of "
                f"{most}, which takes CAP_SYS_RESOURCE that {lack}",
                f"ask for at most {most}, or raise our own first (prlimit(1), LimitNOFILE= and the like)",
                errno.EPERM,
            )


def mixes_oom_scores(spec: Spec, flags: int) -> bool:
    """Whether the child would set the OOM score of this process too.

    It is one for all processes of one memory, except for a child of vfork (fs/proc/base.c __set_oom_adj).
    """
    return spec.oom_score_adj is not None and bool(flags & ways.VM) and not flags & ways.VFORK


CAUSES: tuple[Cause, ...] = (
    Cause(
        tuple(f"set {name}" for name in RLIMITS if name != "RLIMIT_NOFILE"),
        errno.EPERM,
        "raising a hard limit needs CAP_SYS_RESOURCE outside of any new user namespace",
        "ask for no more than the present hard limit (ulimit -H -a)",
    ),
    Cause(
        ("set RLIMIT_NOFILE",),
        errno.EPERM,
        "raising a hard limit needs CAP_SYS_RESOURCE outside of any new user namespace, and nobody may go above "
        "fs.nr_open",
        "ask for no more than the present hard limit (ulimit -H -n) and fs.nr_open",
    ),
    Cause(
        ("dup stdin", "dup stdout", "dup stderr"),
        errno.EBADF,
        "RLIMIT_NOFILE leaves no room for the standard streams",
        "let it be at least 3",
    ),
    Cause(
        ("setpriority",),
        errno.EACCES,
        "a lower nice value needs CAP_SYS_NICE, or a RLIMIT_NICE that allows it",
        "run as root, or ask for no lower value than ours (a new user namespace does not help)",
    ),
    Cause(
        ("sched_setaffinity",),
        errno.EINVAL,
        "none of these processors is there and allowed to us: the cpuset of our control group may leave it out",
        "choose from Cpus_allowed_list in /proc/self/status",
    ),
    Cause(
        ("sched_setattr",),
        errno.EPERM,
        "the policy needs CAP_SYS_NICE (or RLIMIT_RTPRIO, RLIMIT_NICE), may not be had in a cpu control group without "
        "real-time share, or the deadline policy was asked for together with an affinity",
        "run as root outside of a user namespace, without limits on the processors",
    ),
    Cause(
        ("sched_setattr",), errno.EBUSY, "the deadlines promised already leave too little time", "ask for less runtime"
    ),
    Cause(
        ("sched_setattr",),
        errno.EINVAL,
        "this kernel does not have the policy, or not with these values",
        "see sched(7)",
    ),
    Cause(
        ("ioprio_set",),
        errno.EPERM,
        "the real-time I/O class needs CAP_SYS_NICE or CAP_SYS_ADMIN outside of any new user namespace",
        "use IOPRIO_CLASS_BE",
    ),
    Cause(
        ("write oom_score_adj",),
        errno.EACCES,
        "a lower OOM score than we were given needs CAP_SYS_RESOURCE outside of any new user namespace",
        "ask for no lower value than /proc/self/oom_score_adj has",
    ),
    Cause(
        ("open oom_score_adj", "reopen oom_score_adj"),
        errno.ENOENT,
        "there is no /proc here that shows us",
        "mount /proc",
    ),
    Cause(
        ("open oom_score_adj", "reopen oom_score_adj"),
        errno.EACCES,
        "this process is not dumpable, or /proc is masked",
        "see nsview doctor",
    ),
)
