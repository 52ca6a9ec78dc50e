"""Why a step was refused and what to do: one table from (step, errno) to a sentence a person can act on."""

from __future__ import annotations

import errno
import os

from spawner import procfs
from spawner.cause import Cause
from spawner.parts.table import PARTS
from spawner.plan import Plan


def _wants_privilege(plan: Plan, path: str | None) -> bool:
    return bool(plan.asked) and "user" not in plan.asked


def _has_user(plan: Plan, path: str | None) -> bool:
    return "user" in plan.asked


def _exists(plan: Plan, path: str | None) -> bool:
    return path is not None and "mount" not in plan.asked and os.path.exists(path)


def _is_directory(plan: Plan, path: str | None) -> bool:
    return path is not None and "mount" not in plan.asked and os.path.isdir(path)


def _time_pends(plan: Plan, path: str | None) -> bool:
    """Whether the caller has unshared its time namespace and not entered the new one (unshare(2))."""
    seen = procfs.namespaces("thread-self", ("time", "time_for_children"))
    return None not in seen.values() and seen["time"] != seen["time_for_children"]


_BIRTHS = ("clone3", "clone", "unshare", "second fork", "fork", "vfork")

CAUSES: tuple[Cause, ...] = (
    *(cause for part in PARTS for cause in part.CAUSES),
    Cause(
        _BIRTHS,
        errno.EPERM,
        "new namespaces other than a user namespace need CAP_SYS_ADMIN",
        "run as root, or add a user namespace (-U, or -r to be root inside)",
        _wants_privilege,
    ),
    Cause(
        _BIRTHS,
        errno.EPERM,
        "a user namespace was refused: by a sysctl, a security module, a seccomp filter, a chroot, or because our "
        "own ids are not mapped",
        "see nsview doctor",
        _has_user,
    ),
    Cause(
        (*_BIRTHS, "unshare time"),
        errno.ENOSPC,
        "a limit of namespaces is reached (not of a disk): user.max_*_namespaces, or 32 levels of nesting",
        "raise the sysctl in /proc/sys/user, or end what holds the namespaces",
    ),
    Cause(
        _BIRTHS,
        errno.EUSERS,
        "user namespaces are nested too deeply",
        "launch from an outer namespace",
    ),
    Cause(
        (*_BIRTHS, "posix_spawn"),
        errno.EAGAIN,
        "a limit of processes is reached: RLIMIT_NPROC, the cgroup's pids.max, or kernel.threads-max",
        "end processes or raise the limit",
    ),
    Cause(
        (*_BIRTHS, "posix_spawn"),
        errno.ENOMEM,
        "no memory, or the pid namespace to be born into has lost its process 1",
        "launch from a live pid namespace",
    ),
    Cause(_BIRTHS, errno.ENOSYS, "this kernel or a seccomp filter lacks the call", "choose another with --via"),
    Cause(
        (*_BIRTHS, "posix_spawn"),
        errno.EINVAL,
        "our children go to another time namespace, and on this kernel none of them can share our memory",
        "use --via fork or fork+unshare",
        _time_pends,
    ),
    Cause(
        _BIRTHS,
        errno.EINVAL,
        "the kernel refuses this combination of flags, or does not know one of them",
        "see nsview flags; without --no-check it is explained beforehand",
    ),
    Cause(
        ("prepare", "pidfd_open"),
        errno.EMFILE,
        "this process has as many descriptors open as it may",
        "close some, or raise RLIMIT_NOFILE",
    ),
    Cause(("prepare",), errno.ENFILE, "the machine's limit of open files is reached", "raise fs.file-max"),
    Cause(("prepare",), errno.ENOSPC, "no pseudo-terminal is left", "raise kernel.pty.max"),
    Cause(
        ("pidfd_open",),
        errno.ESRCH,
        "the child had ended and somebody else had reaped it before it could be watched: SIGCHLD is ignored, or "
        "another part of this process waits for any child",
        "give SIGCHLD its default action, or use clone3 or clone, which bring the pidfd with them",
    ),
    Cause(
        ("open timens_offsets", "open ns/time_for_children"),
        errno.ENOENT,
        "there is no /proc here, or this kernel lacks the file",
        "mount /proc",
    ),
    Cause(
        ("open timens_offsets",),
        errno.EACCES,
        "this process is not dumpable, or /proc is masked",
        "see nsview doctor",
    ),
    Cause(
        ("setns time",),
        errno.EUSERS,
        "this kernel lets only a process with memory of its own enter a time namespace",
        "leave out CLONE_VM",
    ),
    Cause(
        ("write timens_offsets",),
        errno.EPERM,
        "clock offsets need CAP_SYS_TIME in the user namespace that owns the time namespace",
        "run as root, or add a user namespace with -r",
    ),
    Cause(
        ("write timens_offsets",),
        errno.ERANGE,
        "the clock would become negative, or run past some 146 years",
        "choose a smaller offset (time_namespaces(7))",
    ),
    Cause(
        ("unshare time", "setns time"),
        errno.EPERM,
        "a new time namespace needs CAP_SYS_ADMIN",
        "run as root, or add a user namespace (-r)",
    ),
    Cause(
        ("sethostname", "setdomainname"),
        errno.EPERM,
        "the name is not ours to set",
        "add a new uts namespace (-u)",
    ),
    Cause(
        ("mount proc",),
        errno.EPERM,
        "the kernel mounts a new procfs in a user namespace only where an unmasked one is already visible and the "
        "pid namespace is ours",
        "add a new pid namespace (-p); outside a container whose /proc is masked it will do",
    ),
    Cause(("mount proc",), errno.ENOENT, "there is no such directory to mount on", "make it first"),
    Cause(("* mounts",), errno.EPERM, "changing mounts needs CAP_SYS_ADMIN", "run as root, or add -r"),
    Cause(("* mounts",), errno.EACCES, "a security module refuses the mount", "see nsview doctor"),
    Cause(("chdir",), errno.ENOENT, "there is no such directory", "check the path"),
    Cause(("chdir",), errno.ENOTDIR, "it is not a directory", "check the path"),
    Cause(("chdir",), errno.EACCES, "a directory on the way may not be searched", "check its permissions"),
    Cause(
        ("execve", "posix_spawn"),
        errno.ENOENT,
        "the file is there, but the interpreter it names (#! line or ELF loader) is not",
        "install the interpreter or mend the line",
        _exists,
    ),
    Cause(("execve", "posix_spawn"), errno.ENOENT, "not found", "check the name and PATH"),
    Cause(
        ("execve", "posix_spawn"),
        errno.ENOTDIR,
        "not found: a part of the path is no directory",
        "check the path",
    ),
    Cause(("execve", "posix_spawn"), errno.EACCES, "it is a directory", "name a program", _is_directory),
    Cause(
        ("execve", "posix_spawn"),
        errno.EACCES,
        "not executable: no execute permission, or a file system mounted noexec",
        "chmod +x it, or run it with its interpreter",
    ),
    Cause(
        ("execve", "posix_spawn"),
        errno.ENOEXEC,
        "not an executable format: neither ELF for this machine nor a script with a #! line",
        "run it with its interpreter",
    ),
    Cause(
        ("execve", "posix_spawn"),
        errno.ETXTBSY,
        "somebody has it open for writing",
        "try again once it is written",
    ),
    Cause(("execve", "posix_spawn"), errno.E2BIG, "the arguments and environment are too long", "shorten them"),
    Cause(("execve", "posix_spawn"), errno.ELOOP, "too many symbolic links on the way", "check the path"),
)


def explain(plan: Plan, label: str, number: int, path: str | None) -> tuple[str, str]:
    """(likely cause, remedy) of a step's errno; (the system's own words, "") where the table has nothing."""
    for row in CAUSES:
        named = row.errno == number and any(_matches(label, pattern) for pattern in row.steps)
        if named and (row.when is None or row.when(plan, path)):
            return row.cause, row.remedy
    return os.strerror(number), ""


def _matches(label: str, pattern: str) -> bool:
    return label.endswith(pattern[1:]) if pattern.startswith("*") else label == pattern
