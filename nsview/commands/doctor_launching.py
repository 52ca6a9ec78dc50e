"""Probes of what launching needs: privileges, the calls that make processes, namespaces, a terminal."""

from __future__ import annotations

import errno
import os
import signal

from nsview.commands import doctor_reading as reading
from nsview.commands import doctor_trials as trials
from nsview.commands.doctor_finding import Finding, State, more_privileges
from spawner.namespaces import NamespaceKind

_CAPABILITIES = (
    (21, "SYS_ADMIN", "namespaces, mounts"),
    (19, "SYS_PTRACE", "other users' namespaces and sharing"),
    (12, "NET_ADMIN", "links, process events, taskstats"),
    (7, "SETUID", "changing user ids, maps of many ids"),
    (6, "SETGID", "changing group ids"),
    (8, "SETPCAP", "dropping capabilities"),
    (18, "SYS_CHROOT", "chroot, joining mount namespaces"),
    (5, "KILL", "signals to other users' processes"),
    (25, "SYS_TIME", "time offsets"),
    (24, "SYS_RESOURCE", "raising limits"),
)
"""The capabilities that something of ours needs: bit, name, what for (capabilities(7))."""

_CLONE3_FLAGS = ((0x1000, "CLONE_PIDFD"), (1 << 32, "CLONE_CLEAR_SIGHAND"))
"""What the engine's default adds to a plain child."""


def kernel() -> Finding:
    """Name the kernel."""
    name = os.uname()
    return Finding(State.OK, f"{name.sysname} {name.release}")


def architecture() -> Finding:
    """Say whether the engine knows this machine's system call numbers."""
    machine = os.uname().machine
    if machine in ("x86_64", "aarch64"):
        return Finding(State.OK, machine)
    return Finding(State.NO, f"{machine}: the engine knows x86_64 and aarch64", "use one of those machines")


def privileges() -> Finding:
    """List the capabilities we lack of those we have a use for."""
    held = int(reading.status("CapEff"), 16)
    lacking = [f"CAP_{name} ({use})" for bit, name, use in _CAPABILITIES if not held >> bit & 1]
    if not lacking:
        return Finding(State.OK, f"uid {os.geteuid()} with every capability nsview has a use for")
    if len(lacking) == len(_CAPABILITIES):
        return Finding(
            State.LIMITED,
            f"uid {os.geteuid()} without capabilities: own processes, and what a user namespace allows",
            more_privileges(),
        )
    return Finding(State.LIMITED, f"uid {os.geteuid()} lacks " + ", ".join(lacking), more_privileges())


def clone3() -> Finding:
    """Create children by clone3(2), plain and with the flags that the engine's default uses."""
    try:
        trials.clone3(0)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        remedy = "clone and fork are used instead; let the container's seccomp profile allow clone3"
        return Finding(State.NO, f"refused: {error.strerror}", remedy)
    refused = []
    for flag, name in _CLONE3_FLAGS:
        try:
            trials.clone3(flag)
        except OSError as error:
            refused.append(f"{name} ({error.strerror})")
    if refused:
        return Finding(State.LIMITED, "without " + ", ".join(refused), "use a newer kernel")
    return Finding(State.OK, "creates children, with a pidfd and with signal handlers cleared")


def pidfd() -> Finding:
    """Open a pidfd and send it signal 0."""
    fd = os.pidfd_open(os.getpid())
    try:
        signal.pidfd_send_signal(fd, 0)
    finally:
        os.close(fd)
    return Finding(State.OK, "processes are watched and signalled without a race over their pids")


def namespace(kind: NamespaceKind) -> Finding:
    """Create a namespace of ``kind``: as we are, else inside a new user namespace."""
    refusal = trials.create(kind)
    if refusal is None:
        return Finding(State.OK, f"created: {kind.isolates}")
    if refusal.errno == errno.EPERM and kind.name != "user":
        inside = trials.create_inside_user_namespace(kind)
        if inside is None:
            return Finding(State.LIMITED, "only inside a new user namespace", f"add -U -r, or {more_privileges()}")
        refusal = inside
    return Finding(State.NO, str(refusal), _namespace_remedy(kind, refusal.errno))


def _namespace_remedy(kind: NamespaceKind, number: int) -> str:
    if number == errno.ENOSPC:
        return f"raise the limit: sysctl -w user.max_{kind.proc}_namespaces=1000"
    if number in (errno.EINVAL, errno.ENOSYS):
        return "use a kernel built with this namespace"
    return f"{more_privileges()}, or see the row of unprivileged user namespaces"


_USER_NAMESPACE_SYSCTLS = (
    ("user.max_user_namespaces", "0", "100000"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
)
"""Name, the value that forbids, one that allows. Only Debian's and Ubuntu's kernels have the last two."""


def unprivileged_user_namespaces() -> Finding:
    """Create a user namespace without privileges, and use the privileges it gives."""
    paths = {name: "/proc/sys/" + name.replace(".", "/") for name, _, _ in _USER_NAMESPACE_SYSCTLS}
    read = {name: value for name, path in paths.items() if (value := reading.text(path)) is not None}
    values = ", ".join(f"{name}={value}" for name, value in read.items())
    refusal = trials.create_user_namespace_unprivileged()
    if refusal is None:
        return Finding(State.OK, f"anyone may create and use one ({values})")
    settings = [
        f"sysctl -w {name}={allows}" for name, forbids, allows in _USER_NAMESPACE_SYSCTLS if read.get(name) == forbids
    ]
    remedy = "; ".join(settings) or "look for a chroot, a seccomp filter or a security module of the container"
    return Finding(State.NO, f"{refusal} ({values})", remedy)


def fresh_proc() -> Finding:
    """Mount a new /proc in a new pid namespace: refused where something covers parts of the old one."""
    inside = trials.mount_fresh_proc(user_namespace=True)
    if inside is None:
        return Finding(State.OK, "may be mounted in a new pid namespace, in a user namespace too")
    covered = " ".join(reading.covered_in_proc()) or "parts of /proc"
    remedy = f"a container that covers {covered} forbids it: start that one with them unmasked"
    if trials.mount_fresh_proc(user_namespace=False) is None:
        return Finding(State.LIMITED, f"not inside a user namespace ({inside})", remedy)
    return Finding(State.NO, str(inside), remedy)


def pseudo_terminals() -> Finding:
    """Open a pseudo-terminal."""
    try:
        fds = os.openpty()
    except OSError as error:
        remedy = "mount -t devpts devpts /dev/pts; close terminals if kernel.pty.max is reached"
        return Finding(State.NO, f"none to be had: {error.strerror}", remedy)
    name = os.ttyname(fds[1])
    for fd in fds:
        os.close(fd)
    return Finding(State.OK, f"opened {name}")
