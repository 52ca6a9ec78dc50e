"""Probes of what watching needs: /proc, sharing, cgroups, security, the kernel's own accounts and events."""

from __future__ import annotations

import errno
import os
import resource
import time

from nsview.commands import doctor_reading as reading
from nsview.commands import doctor_trials as trials
from nsview.commands.doctor_finding import SUDO, Finding, State, more_privileges
from nsview.host.bpf.iterator import RefusedError
from nsview.host.events.connector import Connector
from nsview.host.events.refusal import SourceRefusedError, refusal
from nsview.host.producer import ENVIRONMENT, FEW, Chooser, Producer
from nsview.host.taskstats import TaskStats

PATIENCE = 2.0
"""Seconds in which an event must come; it takes well under a millisecond where it comes at all."""

FEW_FILES = 4096
"""Below so many fds, ten thousand processes cannot be watched by files kept open."""


_OPEN = ("hidepid=0", "hidepid=off")


def proc() -> Finding:
    """Read how much of other processes the mount of /proc and the kernel's ptrace rules let us see."""
    mounts = reading.mounts()
    options = [options.split(",") for point, kind, _, options in mounts if (point, kind) == ("/proc", "proc")]
    if not options:
        return Finding(State.NO, "/proc is not mounted", "mount -t proc proc /proc")
    limits = [word for word in options[-1] if word.startswith(("hidepid=", "subset=")) and word not in _OPEN]
    covered = reading.covered_in_proc()
    said = [f"mounted with {option}" for option in limits]
    if covered:
        said.append("covered: " + " ".join(covered))
    try:
        os.readlink("/proc/1/ns/mnt")
    except PermissionError:
        said.append("namespaces of processes with more privileges cannot be read, and show as ?")
        return Finding(State.LIMITED, "; ".join(said), more_privileges())
    if limits or covered:
        remedy = "mount -o remount,hidepid=0 /proc, or start the container with /proc unmasked"
        return Finding(State.LIMITED, "; ".join(said), remedy)
    return Finding(State.OK, "shows every process and its namespaces")


def kcmp() -> Finding:
    """Compare what processes share: ourselves with ourselves, then with process 1."""
    us = os.getpid()
    try:
        trials.syscall("kcmp", us, us, 0, 0, 0)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        return Finding(State.NO, f"refused: {error.strerror}", "use a kernel built with CONFIG_KCMP")
    try:
        trials.syscall("kcmp", us, 1, 0, 0, 0)
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
        return Finding(State.LIMITED, "not with processes that have more privileges", more_privileges())
    return Finding(State.OK, "tells what any two processes share")


_UNIFIED = "systemd.unified_cgroup_hierarchy=1"


def cgroups() -> Finding:
    """Read which cgroup hierarchies are mounted, with which controllers, and whether we may write there."""
    v1 = [(point, options) for point, kind, _, options in reading.mounts() if kind == "cgroup"]
    v2 = [point for point, kind, _, _ in reading.mounts() if kind == "cgroup2"]
    old = " ".join(sorted({os.path.basename(point) for point, _ in v1}))
    if not v2:
        if v1:
            remedy = f"for version 2, boot with {_UNIFIED}"
            return Finding(State.LIMITED, f"version 1 only: {old}", remedy)
        return Finding(State.NO, "no cgroup hierarchy is mounted", "mount -t cgroup2 none /sys/fs/cgroup")
    at = v2[0]
    controllers = reading.text(f"{at}/cgroup.controllers") or "no controllers"
    if v1:
        return Finding(
            State.LIMITED,
            f"hybrid: version 2 at {at} ({controllers}), version 1: {old}",
            "limits go through the version 1 files; for version 2, boot with " + _UNIFIED,
        )
    if not os.access(at, os.W_OK):
        delegated = "systemd-run --user --scope -p Delegate=yes nsview"
        remedy = f"{more_privileges()}, or run in a delegated group: {delegated}"
        return Finding(State.LIMITED, f"version 2 at {at} ({controllers}), not ours to write", remedy)
    return Finding(State.OK, f"version 2 at {at}: {controllers}")


def security_modules() -> Finding:
    """Read which Linux security modules are active, and under which label we run."""
    active = reading.text("/sys/kernel/security/lsm")
    label = reading.text("/proc/self/attr/current")
    said = f"; we run as {label}" if label else ""
    if active is None:
        remedy = "mount -t securityfs none /sys/kernel/security"
        return Finding(State.UNKNOWN, f"/sys/kernel/security/lsm cannot be read{said}", remedy)
    return Finding(State.OK, active.replace(",", " ") + said)


def landlock() -> Finding:
    """Ask for the version of landlock (landlock_create_ruleset(2))."""
    try:
        version = trials.syscall("landlock_create_ruleset", 0, 0, 1)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        remedy = "boot with landlock in the kernel's lsm= list" if error.errno == errno.EOPNOTSUPP else None
        return Finding(State.NO, f"not in this kernel's set: {error.strerror}", remedy)
    return Finding(State.OK, f"version {version}")


def seccomp() -> Finding:
    """Read whether filters may be set, and whether one is set on us."""
    mode = reading.status("Seccomp")
    if reading.text("/proc/sys/kernel/seccomp/actions_avail") is None:
        try:
            reading.status("Seccomp_filters")  # there with filters, since 5.9; /proc/sys may be masked
        except OSError:
            return Finding(State.NO, "the kernel has no filters", "use a kernel built with CONFIG_SECCOMP_FILTER")
    if mode == "2":
        remedy = "a call that fails for no visible reason may be filtered; loosen the container's profile"
        return Finding(State.LIMITED, "a filter is set on nsview itself", remedy)
    return Finding(State.OK, "filters may be set; none is set on nsview")


def bpf_iterator() -> Finding:
    """Load the BPF task iterator and read it: whether snapshots come from it, or from /proc and why."""
    chooser = Chooser()
    try:
        refusal = chooser.refusal()
        if refusal is None:
            chooser.read(Producer.BPF)
    except RefusedError as error:
        refusal = error.refusal
    finally:
        chooser.close()
    if refusal is not None:
        return Finding(State.NO, f"{refusal.reason}; snapshots come from /proc", refusal.remedy)
    if os.environ.get(ENVIRONMENT) == Producer.PROC:
        return Finding(State.LIMITED, f"works, but {ENVIRONMENT} asks for /proc", f"unset {ENVIRONMENT}")
    return Finding(State.OK, f"snapshots come from it; a single one of up to {FEW} processes from /proc")


def process_events() -> Finding:
    """Listen to the kernel's process events until it tells of a child's end."""
    instead = "short-lived processes may be missed"
    try:
        source = Connector(names=False)
    except SourceRefusedError as refused:
        return Finding(State.NO, f"{refused}; {instead}", _remedy(refused))
    with source:
        if not _is_told(source):
            return Finding(State.NO, f"none came; {instead}", None)
        if not source.holds_bursts:
            detail = "every fork, exec and exit is told, but bursts may be lost: the queue is short"
            return Finding(State.LIMITED, detail, more_privileges())
        if source.without_accounts is not None:
            detail = f"every fork, exec and exit is told, but not what it cost: {source.without_accounts}"
            return Finding(State.LIMITED, detail, more_privileges())
    return Finding(State.OK, "every fork, exec and exit is told, and what it cost")


def _is_told(source: Connector) -> bool:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    end = time.monotonic() + PATIENCE
    while (left := end - time.monotonic()) > 0:
        if any((event.pid, event.what) == (pid, "exit") for event in source.read(left)):
            return True
    return False


def taskstats() -> Finding:
    """Ask taskstats about ourselves."""
    instead = "what ended threads and short processes used is not told"
    with TaskStats() as asked:
        if asked.of_group(os.getpid()) is not None:
            return Finding(State.OK, f"accounts of what has ended; delays are {_delays()}")
        refused = refusal(OSError(asked.why_not or errno.EIO, "it does not answer"))
    return Finding(State.NO, f"{refused}; {instead}", _remedy(refused))


def _delays() -> str:
    try:
        with open("/proc/sys/kernel/task_delayacct", "rb") as switch:
            on = switch.read().strip() == b"1"
    except (FileNotFoundError, PermissionError):
        return "not known to be counted"
    return "counted" if on else "not counted (sysctl kernel.task_delayacct=1 counts those of what is born then)"


def _remedy(refused: SourceRefusedError) -> str | None:
    return more_privileges() if refused.errno in (errno.EPERM, errno.EACCES) else refused.remedy


def open_files() -> Finding:
    """Read the limit of open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    said = f"{soft} (may be raised to {hard})"
    if 0 <= soft < FEW_FILES:
        return Finding(State.LIMITED, said, f"ulimit -n {FEW_FILES * 4}" if hard >= FEW_FILES * 4 else SUDO)
    return Finding(State.OK, said)
