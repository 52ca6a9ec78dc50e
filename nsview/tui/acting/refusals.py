"""What the kernel's refusals of an act mean, and what one can do: one table from (call, errno) to a sentence."""

from __future__ import annotations

import errno
import os

_PERMISSION = "run nsview as root, or with the capability"

_CAUSES: dict[tuple[str, int], tuple[str, str]] = {
    ("pidfd_send_signal", errno.EPERM): (
        "the process is another user's, and you lack CAP_KILL in its user namespace",
        "run nsview as root, or as that user",
    ),
    ("setpriority", errno.EPERM): (
        "the process is another user's",
        "run nsview as root, or as that user (CAP_SYS_NICE)",
    ),
    ("setpriority", errno.EACCES): (
        "nice goes down only to 20 minus its limit RLIMIT_NICE without CAP_SYS_NICE",
        "run nsview as root, or raise its limit nice",
    ),
    ("sched_setaffinity", errno.EINVAL): (
        "none of these CPUs is there and allowed by the cpuset of its control group, or a kernel thread is bound",
        "choose others, or change the cpuset",
    ),
    ("sched_setaffinity", errno.EPERM): (
        "the process is another user's",
        "run nsview as root, or as that user (CAP_SYS_NICE)",
    ),
    ("sched_setscheduler", errno.EPERM): (
        "a real-time policy needs CAP_SYS_NICE or the limit RLIMIT_RTPRIO, or its group has no real-time budget",
        "run nsview as root, or raise its limit rtprio",
    ),
    ("sched_setscheduler", errno.EINVAL): (
        "the policy does not take this priority: fifo and rr take 1 to 99, the others 0",
        "give another priority",
    ),
    ("ioprio_set", errno.EPERM): (
        "the process is another user's, or class realtime needs CAP_SYS_ADMIN or CAP_SYS_NICE",
        "run nsview as root, or choose best-effort or idle",
    ),
    ("prlimit", errno.EPERM): (
        "only CAP_SYS_RESOURCE raises a hard limit, or changes those of another user's process",
        "run nsview as root, or keep below the hard limit",
    ),
    ("prlimit", errno.EINVAL): (
        "the soft limit is above the hard one",
        "give both as soft:hard, the soft one not above",
    ),
    ("oom_score_adj", errno.EACCES): (
        "only CAP_SYS_RESOURCE lowers it below what it was set to before, or it is another user's",
        "run nsview as root, or give a higher value",
    ),
    ("oom_score_adj", errno.EINVAL): ("it goes from −1000 to 1000", "give a value between"),
    ("cgroup.kill", errno.EOPNOTSUPP): ("the group is threaded", "kill the domain above it"),
    ("freeze", errno.EOPNOTSUPP): (
        "it has no cgroup.freeze, and no freezer of version 1",
        "SIGSTOP stops one process",
    ),
    ("freeze", errno.EAGAIN): (
        "something in it does not stand still: a task in state D, or under a debugger",
        "look for state D in the list; all of it goes on again",
    ),
}

_ANYWHERE: dict[int, tuple[str, str]] = {
    errno.ESRCH: ("the process is gone", ""),
    errno.EPERM: ("you may not", _PERMISSION),
    errno.EACCES: ("you may not write to it", _PERMISSION),
    errno.EROFS: ("the file system is mounted read-only", "mount it writable"),
    errno.ENODEV: ("the control group is gone", ""),
    errno.ENOENT: ("it is gone", ""),
    errno.EBUSY: ("somebody else is changing it", "try again"),
    errno.EMFILE: ("nsview has no descriptor left", "raise the limit nofile"),
    errno.ECANCELED: ("called off; all of it goes on again", ""),
    errno.ENOSYS: ("this kernel has no such call", ""),
}


def refusal(call: str, error: OSError) -> str:
    """Word a refusal: the call, the errno's name, why, and what to do."""
    number = error.errno or 0
    name = errno.errorcode.get(number, str(number))
    cause, remedy = _CAUSES.get((call, number)) or _ANYWHERE.get(number) or (os.strerror(number), "")
    if number == errno.ESRCH and error.strerror and error.strerror != os.strerror(errno.ESRCH):
        cause = error.strerror  # ours, which says more
    return f"{call}: {name}; {cause}" + (f"; {remedy}" if remedy else "")
