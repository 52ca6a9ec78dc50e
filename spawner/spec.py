"""What a launch is asked to be: a frozen value in the words of the OCI runtime-spec."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from enum import StrEnum

from spawner.oci import (
    Capabilities,
    Cgroup,
    FileOperation,
    IDMapping,
    IOPriority,
    Join,
    Keep,
    Landlock,
    Rlimit,
    Scheduler,
    Seccomp,
    TimeOffset,
    User,
    Veth,
)


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

    # ---- namespaces ----
    namespaces: frozenset[str] = field(default_factory=frozenset)
    """New namespaces by OCI name: mount network pid user uts ipc cgroup time."""
    join: tuple[Join, ...] = ()
    """Existing namespaces to enter, before new ones are made."""
    keep: tuple[Keep, ...] = ()
    """New namespaces to keep after the child's end."""
    hostname: str | None = None
    domainname: str | None = None
    time_offsets: tuple[tuple[str, TimeOffset], ...] = ()
    """("monotonic" | "boottime", offset) of a new time namespace."""
    loopback: bool = True
    """Set lo up in a new network namespace."""
    veth: Veth | None = None

    # ---- ids ----
    uid_mappings: tuple[IDMapping, ...] = ()
    gid_mappings: tuple[IDMapping, ...] = ()
    setgroups: str | None = None
    """"allow", "deny", or None: deny where the kernel demands it before a gid map, else leave alone."""
    user: User = field(default_factory=User)

    # ---- files ----
    rootfs_propagation: str = "private"
    """What a new mount namespace does first: private, slave, shared, or unchanged (mount_namespaces(7))."""
    rootfs: str | None = None
    """The directory to be the root; where it is None and there are ``mounts``, they fill an empty tmpfs."""
    rootfs_readonly: bool = False
    mounts: tuple[FileOperation, ...] = ()
    """What is mounted and made in the new root, in this order."""
    masked_paths: tuple[str, ...] = ()
    """Files and directories to hide, by paths inside; what is not there is passed over."""
    readonly_paths: tuple[str, ...] = ()
    """Files and directories to make read-only, by paths inside; what is not there is passed over."""
    mount_proc: str | None = None
    """Where to mount a fresh procfs, or None."""

    # ---- limits ----
    rlimits: tuple[Rlimit, ...] = ()
    cgroup: Cgroup | None = None
    nice: int | None = None
    cpu_affinity: frozenset[int] = field(default_factory=frozenset)
    """The processors it may run on; empty leaves that alone."""
    scheduler: Scheduler | None = None
    io_priority: IOPriority | None = None
    oom_score_adj: int | None = None
    personality: int | None = None
    """PER_* and its bits, personality(2)."""

    # ---- security ----
    no_new_privs: bool = False
    capabilities: Capabilities | None = None
    keep_caps: bool = False
    """Make every permitted capability ambient, so that it survives execve, as unshare(1) has it."""
    seccomp: tuple[Seccomp, ...] = ()
    """Filters in the order in which they are installed; the strictest answer counts."""
    landlock: Landlock | None = None

    # ---- how ----
    clone_flags: int = 0
    """Further CLONE_* bits, passed as they are."""
    exit_signal: int = signal.SIGCHLD
    via: Mechanism = Mechanism.AUTO
    check: bool = True
    """False sends what the kernel is known to refuse all the same, to see it refuse."""

    # ---- life ----
    stdio: Stdio = Stdio.INHERIT
    window: tuple[int, int] = (24, 80)
    """Rows and columns of the pty, where ``stdio`` is PTY."""
    new_session: bool = False
    """setsid(2) first; always so on a pty of its own."""
    init: bool = False
    """Put a tiny process of ours above the program, which reaps orphans and passes signals on."""
    pdeathsig: int | None = None
    """The signal the child gets when this process dies (PR_SET_PDEATHSIG), or None.

    Asked for in another thread than the main one, the child is made by a lasting thread of ours: it has the
    process's namespaces and capabilities, not what the asking thread alone has changed (unshare(2), setns(2))."""
