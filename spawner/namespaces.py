"""The eight kinds of namespace: one table of letters, names and clone flags that everything else reads.

Sources: namespaces(7), linux/sched.h, the OCI runtime-spec (``name``), unshare(1) (``letter``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NamespaceKind:
    """One kind of namespace.

    ``letter`` is unshare(1)'s short option, ``name`` the OCI runtime-spec's word, ``proc`` the link in
    /proc/PID/ns, ``flag`` the CLONE_NEW* bit, ``isolates`` what a member no longer shares with outsiders,
    ``still_shared`` what it still does, near as that may seem.
    """

    letter: str
    name: str
    proc: str
    flag: int
    flag_name: str
    isolates: str
    still_shared: str


KINDS: tuple[NamespaceKind, ...] = (
    NamespaceKind(
        "m",
        "mount",
        "mnt",
        0x00020000,
        "CLONE_NEWNS",
        "the tree of mounts",
        "files written; mounts below a shared one",
    ),
    NamespaceKind(
        "n",
        "network",
        "net",
        0x40000000,
        "CLONE_NEWNET",
        "links, addresses, routes, sockets, ports",
        "Unix sockets named by a path; a socket that is open already stays where it was made",
    ),
    NamespaceKind(
        "p",
        "pid",
        "pid",
        0x20000000,
        "CLONE_NEWPID",
        "process ids",
        "signals from outside reach its processes, which have pids there too",
    ),
    NamespaceKind(
        "U",
        "user",
        "user",
        0x10000000,
        "CLONE_NEWUSER",
        "user and group ids, capabilities",
        "outside, a file that it makes belongs to the id that its own is mapped to",
    ),
    NamespaceKind(
        "u",
        "uts",
        "uts",
        0x04000000,
        "CLONE_NEWUTS",
        "host name and domain name",
        "the kernel: uname(2) tells the same release, version and machine",
    ),
    NamespaceKind(
        "i",
        "ipc",
        "ipc",
        0x08000000,
        "CLONE_NEWIPC",
        "System V IPC and POSIX message queues",
        "files mapped MAP_SHARED, POSIX shared memory among them; pipes and sockets",
    ),
    NamespaceKind(
        "C",
        "cgroup",
        "cgroup",
        0x02000000,
        "CLONE_NEWCGROUP",
        "the root of the cgroup tree",
        "the tree: in a mount made before, each group has its whole path; the limits above it hold",
    ),
    NamespaceKind(
        "T",
        "time",
        "time",
        0x00000080,
        "CLONE_NEWTIME",
        "offsets of the monotonic and boot-time clocks",
        "the real-time clock: CLOCK_REALTIME is one for all",
    ),
)
"""In the order of the ``mnpUuiCT`` column."""

BY_NAME = {kind.name: kind for kind in KINDS}
BY_PROC = {kind.proc: kind for kind in KINDS}
BY_LETTER = {kind.letter: kind for kind in KINDS}
BY_FLAG = {kind.flag: kind for kind in KINDS}

ALL_FLAGS = sum(kind.flag for kind in KINDS)


def flags_of(names: frozenset[str]) -> int:
    """Or together the CLONE_NEW* bits of namespaces given by their OCI names; KeyError for an unknown name."""
    mask = 0
    for name in names:
        mask |= BY_NAME[name].flag
    return mask


def names_of(mask: int) -> frozenset[str]:
    """Name the namespaces (OCI) whose CLONE_NEW* bit is set in ``mask``; other bits are passed over."""
    return frozenset(kind.name for kind in KINDS if mask & kind.flag)
