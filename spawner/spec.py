"""What a launch is asked to be: frozen values in the words of the OCI runtime-spec."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from enum import StrEnum


class Mechanism(StrEnum):
    """The system call that makes the child; ``AUTO`` leaves the choice to compile_spec, which says why."""

    AUTO = "auto"
    CLONE3 = "clone3"
    CLONE = "clone"
    FORK = "fork"
    VFORK = "vfork"
    FORK_UNSHARE = "fork+unshare"
    POSIX_SPAWN = "posix_spawn"


class Stdio(StrEnum):
    """What the child finds on its descriptors 0, 1 and 2."""

    INHERIT = "inherit"
    NULL = "null"
    PIPE = "pipe"
    PTY = "pty"


@dataclass(frozen=True, slots=True)
class IDMapping:
    """One line of a uid_map or gid_map: ``size`` ids from ``container_id`` inside are ``host_id``… outside."""

    container_id: int
    host_id: int
    size: int = 1


@dataclass(frozen=True, slots=True)
class TimeOffset:
    """What a new time namespace adds to a clock, in seconds and nanoseconds (time_namespaces(7))."""

    secs: int = 0
    nanosecs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A launch as wanted, hashable, before anything is decided about how.

    Field names are the OCI runtime-spec's where it has one. Nothing is checked here: compile_spec() does, all
    at once, and explains.
    """

    args: tuple[str, ...]
    """The program and its arguments; a program without a slash is searched in ``env``'s PATH, in the child."""
    env: tuple[tuple[str, str], ...] | None = None
    """The whole environment, or None for the caller's at the time of the launch."""
    cwd: str | None = None
    argv0: str | None = None
    namespaces: frozenset[str] = field(default_factory=frozenset)
    """New namespaces by OCI name: mount network pid user uts ipc cgroup time."""
    uid_mappings: tuple[IDMapping, ...] = ()
    gid_mappings: tuple[IDMapping, ...] = ()
    setgroups: str | None = None
    """"allow", "deny", or None: deny where the kernel demands it before a gid map, else leave alone."""
    hostname: str | None = None
    domainname: str | None = None
    time_offsets: tuple[tuple[str, TimeOffset], ...] = ()
    """("monotonic" | "boottime", offset) of a new time namespace."""
    rootfs_propagation: str = "private"
    """What a new mount namespace does first: private, slave, shared, or unchanged (mount_namespaces(7))."""
    mount_proc: str | None = None
    """Where to mount a fresh procfs, or None."""
    loopback: bool = True
    """Set lo up in a new network namespace."""
    clone_flags: int = 0
    """Further CLONE_* bits, passed as they are."""
    exit_signal: int = signal.SIGCHLD
    via: Mechanism = Mechanism.AUTO
    stdio: Stdio = Stdio.INHERIT
    window: tuple[int, int] = (24, 80)
    """Rows and columns of the pty, where ``stdio`` is PTY."""
    new_session: bool = False
    """setsid(2) first; always so on a pty of its own."""
    pdeathsig: int | None = None
    """The signal the child gets when this process dies (PR_SET_PDEATHSIG), or None.

    Asked for in another thread than the main one, the child is made by a lasting thread of ours: it has the
    process's namespaces and capabilities, not what the asking thread alone has changed (unshare(2), setns(2))."""
    check: bool = True
    """False sends what the kernel is known to refuse all the same, to see it refuse."""
