"""What each namespace hides and what leaks, and how to see it: one table of looks.

That a thing is hidden or shared is said by ``spawner.namespaces`` in words; a look names the words it is about, and
expects what they say: where they are in a kind's ``isolates``, that the thing is apart, where in its ``still_shared``,
that it is one.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nsview.labs.isolation import asking, inside
from nsview.labs.isolation.asking import Answer, Room
from spawner import IDMapping, Spec, Stdio, TimeOffset
from spawner.namespaces import NamespaceKind
from spawner.oci import Cgroup, Resources

INSIDE_ID = 1000
"""Who the child is in its user namespace."""
AHEAD = 86400
"""Seconds by which its boot-time clock is ahead in its time namespace: nothing takes that long here."""
_TASKS = 64


@dataclass(frozen=True, slots=True)
class Look:
    """One look. ``of`` are the words of the kind's sentence that it is about; ``apart``, ``one`` word the answers.

    ``prepare`` is done by the host before there is a child; ``spec`` are further fields of the child's Spec.
    """

    of: str
    done: str
    apart: str
    one: str
    ask: Callable[[Room], Answer]
    prepare: Callable[[Room], object] = lambda _room: None
    spec: Mapping[str, Any] = field(default_factory=dict)

    def words(self, answer: Answer) -> str:
        """An answer in words."""
        return answer if isinstance(answer, str) else self.one if answer else self.apart


@dataclass(frozen=True, slots=True)
class Looks:
    """How one kind is looked at. ``hides`` is asked without the flag, too: then the opposite is to be seen.

    ``new`` are fields of the Spec that go with the flag, ``always`` those of both.
    """

    hides: Mapping[str, Look]
    leaks: Mapping[str, Look]
    new: Callable[[], Mapping[str, Any]] = dict
    always: Mapping[str, Any] = field(default_factory=dict)

    @property
    def all(self) -> Mapping[str, Look]:
        """All by the keys of their findings, without the kind."""
        return {**self.hides, **self.leaks}

    def child(self, kind: NamespaceKind, key: str, new: bool) -> Spec:
        """What to launch: the program that acts, in a new namespace of the kind or in all of its parent's."""
        fields = {**self.always, **(self.new() if new else {}), **self.all[key].spec}
        return Spec(
            args=(sys.executable, "-I", "-S", inside.__file__),
            namespaces=frozenset({kind.name} if new else ()),
            stdio=Stdio.PIPE,
            pdeathsig=int(signal.SIGKILL),
            **fields,
        )


def _own_id() -> Mapping[str, Any]:
    return {
        "uid_mappings": (IDMapping(INSIDE_ID, os.geteuid()),),
        "gid_mappings": (IDMapping(INSIDE_ID, os.getegid()),),
    }


LOOKS: dict[str, Looks] = {
    "mount": Looks(
        {
            "hides": Look(
                "the tree of mounts",
                "the child mounts a tmpfs below a shared mount; the host reads its own mountinfo",
                "no such mount",
                "the mount is there",
                asking.mount_seen,
                asking.share_mount,
            ),
        },
        {
            "leaks": Look(
                "files written",
                "the child writes a file; the host reads it",
                "no such file",
                "the host reads what the child wrote",
                asking.file_seen,
            ),
            "leaks.propagation": Look(
                "mounts below a shared one",
                "the child mounts a tmpfs below a shared mount, its own left shared; the host reads its mountinfo",
                "no such mount",
                "the mount is there",
                asking.mount_seen,
                asking.share_mount,
                {"rootfs_propagation": "unchanged"},
            ),
        },
    ),
    "network": Looks(
        {
            "hides": Look(
                "sockets",
                "the child binds a Unix socket to an abstract name that the host has bound",
                "done: the name is free",
                "EADDRINUSE: the name is taken",
                asking.in_use,
                lambda room: room.host("bind_abstract", room.word),
            ),
            "hides.ports": Look(
                "ports",
                "the child binds a TCP socket to a port that the host has bound",
                "done: the port is free",
                "EADDRINUSE: the port is taken",
                asking.port_in_use,
            ),
        },
        {
            "leaks": Look(
                "Unix sockets named by a path",
                "the child connects to a Unix socket of the host by its path",
                "ECONNREFUSED: nobody listens",
                "done: they are connected",
                asking.connected,
            ),
            "leaks.open": Look(
                "stays where it was made",
                "the host hands over an open socket; the child asks in whose network it is (SO_NETNS_COOKIE)",
                "in another than the host's",
                "in the host's, though the child's own are not",
                asking.open_in_the_host,
            ),
        },
    ),
    "pid": Looks(
        {
            "hides": Look(
                "process ids",
                "the child calls kill(2) with the host's pid and signal 0",
                "ESRCH: no such process",
                "done: it is there",
                asking.found,
            ),
        },
        {
            "leaks": Look(
                "signals from outside",
                "the host sends SIGUSR1, which the child has blocked and looks for by sigpending(2)",
                "no signal waits",
                "the signal waits",
                asking.arrived,
            )
        },
    ),
    "user": Looks(
        {
            "hides": Look(
                "user and group ids",
                "the child asks geteuid(2); the host reads the child's euid in /proc/PID/status",
                "two numbers for one id",
                "the same number",
                asking.same_id,
            ),
            "hides.capabilities": Look(
                "capabilities",
                "the child, with CAP_SYS_ADMIN, calls sethostname(2) in the host's uts namespace",
                "EPERM: its capabilities are of its own user namespace",
                "done: the host has the new name",
                asking.capable,
                spec={"keep_caps": True},
            ),
        },
        {
            "leaks": Look(
                "a file that it makes",
                "the child makes a file; the host asks stat(2) to whom it belongs",
                "to another id than the host's own",
                "to the host's own id",
                asking.same_owner,
            )
        },
        new=_own_id,
    ),
    "uts": Looks(
        {
            "hides": Look(
                "host name",
                "the child calls sethostname(2); the host asks uname(2)",
                "the host's name is as it was",
                "the host has the new name",
                asking.same_name,
            ),
        },
        {
            "leaks": Look(
                "release, version and machine",
                "both ask uname(2) for release, version and machine",
                "two answers",
                "one answer",
                asking.same_kernel,
            )
        },
    ),
    "ipc": Looks(
        {
            "hides": Look(
                "System V IPC",
                "the child makes a shared memory segment by shmget(2); the host looks for its key",
                "ENOENT: no such key",
                "done: it is there",
                asking.segment_found,
            ),
        },
        {
            "leaks": Look(
                "files mapped MAP_SHARED",
                "both map one file with MAP_SHARED; the child writes to its memory, the host looks at its own",
                "two memories",
                "the host sees what the child wrote",
                asking.same_memory,
            )
        },
    ),
    "cgroup": Looks(
        {
            "hides": Look(
                "the root of the cgroup tree",
                "the child, in a control group of its own, reads /proc/self/cgroup",
                "the group's name is not told",
                "the group is told by its path",
                asking.path_told,
            ),
        },
        {
            "leaks": Look(
                "each group has its whole path",
                "the child opens its group's directory by the whole path",
                "it cannot be opened",
                "it is open",
                asking.path_opened,
            )
        },
        always={"cgroup": Cgroup(resources=Resources(pids=_TASKS))},
    ),
    "time": Looks(
        {
            "hides": Look(
                "boot-time clocks",
                f"the child reads CLOCK_BOOTTIME ({AHEAD} s ahead in a new namespace) between two readings outside",
                "not between them",
                "between them",
                asking.between("CLOCK_BOOTTIME"),
            ),
        },
        {
            "leaks": Look(
                "CLOCK_REALTIME",
                "the child reads CLOCK_REALTIME between two readings outside",
                "not between them",
                "between them",
                asking.between("CLOCK_REALTIME"),
            )
        },
        new=lambda: {"time_offsets": (("boottime", TimeOffset(AHEAD)),)},
    ),
}
"""By the OCI name of the kind."""
