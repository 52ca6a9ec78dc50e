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
from typing import Any, Protocol

from nsview.labs.isolation import inside
from spawner import IDMapping, Spec, Stdio, TimeOffset
from spawner.namespaces import NamespaceKind
from spawner.oci import Cgroup, Resources

INSIDE_ID = 1000
"""Who the child is in its user namespace."""
AHEAD = 86400
"""Seconds by which its boot-time clock is ahead in its time namespace: nothing takes that long here."""
_TASKS = 64
_SIGNAL = int(signal.SIGUSR1)


class Room(Protocol):
    """A stand-in for the host and a child of it; ``path`` is a directory for this pair alone, ``word`` a name."""

    @property
    def path(self) -> str:
        """A directory that both see."""

    @property
    def word(self) -> str:
        """A word that nobody else has."""

    @property
    def child(self) -> int:
        """The child's pid outside."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The directories of the child's control group."""

    def host(self, act: str, *arguments: object) -> Any:
        """What the stand-in answers."""

    def inside(self, act: str, *arguments: object) -> Any:
        """What the child answers."""


Answer = bool | str
"""True: one thing, seen on both sides; False: apart; a text: an answer that means neither."""


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

    hides: Look
    leaks: Mapping[str, Look]
    new: Callable[[], Mapping[str, Any]] = dict
    always: Mapping[str, Any] = field(default_factory=dict)

    def look(self, key: str) -> Look:
        """One of them by the key of its finding, without the kind."""
        return self.hides if key == "hides" else self.leaks[key]

    def child(self, kind: NamespaceKind, key: str, new: bool) -> Spec:
        """What to launch: the program that acts, in a new namespace of the kind or in all of its parent's."""
        fields = {**self.always, **(self.new() if new else {}), **self.look(key).spec}
        return Spec(
            args=(sys.executable, "-I", "-S", inside.__file__),
            namespaces=frozenset({kind.name} if new else ()),
            stdio=Stdio.PIPE,
            pdeathsig=int(signal.SIGKILL),
            **fields,
        )


def _share_mount(room: Room) -> None:
    room.host("make_shared", room.path)


def _mount_seen(room: Room) -> Answer:
    room.inside("mount_tmpfs", room.path, room.word)
    return bool(room.host("mounted", room.word)) if room.inside("mounted", room.word) else "the child does not see it"


def _file_seen(room: Room) -> Answer:
    room.inside("write", f"{room.path}/file", room.word)
    return bool(room.host("read", f"{room.path}/file") == room.word)


def _in_use(room: Room) -> Answer:
    return _one_of(room.inside("bind_abstract", room.word), apart="done", one="EADDRINUSE")


def _connected(room: Room) -> Answer:
    room.host("listen", f"{room.path}/socket")
    return _one_of(room.inside("connect", f"{room.path}/socket"), apart="ECONNREFUSED", one="done")


def _found(room: Room) -> Answer:
    return _one_of(room.inside("kill", room.host("pid"), 0), apart="ESRCH", one="done")


def _arrived(room: Room) -> Answer:
    room.inside("block", _SIGNAL)
    sent = room.host("kill", room.child, _SIGNAL)
    return bool(room.inside("pending", _SIGNAL)) if sent == "done" else f"kill(2) was answered {sent}"


def _same_id(room: Room) -> Answer:
    return bool(room.inside("euid") == room.host("euid_of", room.child))


def _same_owner(room: Room) -> Answer:
    room.inside("write", f"{room.path}/file", room.word)
    return bool(room.host("owner", f"{room.path}/file") == room.host("euid"))


def _same_name(room: Room) -> Answer:
    room.inside("set_hostname", room.word)
    return bool(room.host("hostname") == room.word)


def _same_kernel(room: Room) -> Answer:
    return bool(room.inside("kernel") == room.host("kernel"))


def _segment_found(room: Room) -> Answer:
    key = int.from_bytes(room.word[-3:].encode(), "little")
    room.inside("make_segment", key)
    return _one_of(room.host("find_segment", key), apart="ENOENT", one="done")


def _same_memory(room: Room) -> Answer:
    for side in (room.host, room.inside):
        side("map_file", f"{room.path}/mapped")
    room.inside("store", room.word)
    return bool(room.host("load", len(room.word)) == room.word)


def _path_told(room: Room) -> Answer:
    return all(os.path.basename(group) in room.inside("cgroup") for group in room.groups)


def _path_opened(room: Room) -> Answer:
    return all(room.inside("is_directory", group) for group in room.groups)


def _between(clock: str) -> Callable[[Room], Answer]:
    """Whether the child's clock reads between two readings of the host's."""

    def asked(room: Room) -> Answer:
        while True:
            before, child, after = room.host("clock", clock), room.inside("clock", clock), room.host("clock", clock)
            if before <= after:  # else somebody has set the clock back meanwhile
                return bool(before <= child <= after)

    return asked


def _one_of(answer: str, *, apart: str, one: str) -> Answer:
    return {apart: False, one: True}.get(answer, answer)


def _own_id() -> Mapping[str, Any]:
    return {
        "uid_mappings": (IDMapping(INSIDE_ID, os.geteuid()),),
        "gid_mappings": (IDMapping(INSIDE_ID, os.getegid()),),
    }


LOOKS: dict[str, Looks] = {
    "mount": Looks(
        Look(
            "the tree of mounts",
            "the child mounts a tmpfs below a shared mount; the host reads its own mountinfo",
            "no such mount",
            "the mount is there",
            _mount_seen,
            _share_mount,
        ),
        {
            "leaks": Look(
                "written to files",
                "the child writes a file; the host reads it",
                "no such file",
                "the host reads what the child wrote",
                _file_seen,
            ),
            "leaks.propagation": Look(
                "mounts below a shared one",
                "the same where the child's mounts are left shared, not made private",
                "no such mount",
                "the mount is there",
                _mount_seen,
                _share_mount,
                {"rootfs_propagation": "unchanged"},
            ),
        },
    ),
    "network": Looks(
        Look(
            "sockets",
            "the child binds a Unix socket to an abstract name that the host has bound",
            "done: the name is free",
            "EADDRINUSE: the name is taken",
            _in_use,
            lambda room: room.host("bind_abstract", room.word),
        ),
        {
            "leaks": Look(
                "Unix sockets named by a path",
                "the child connects to a Unix socket of the host by its path",
                "ECONNREFUSED: nobody listens",
                "done: they are connected",
                _connected,
            )
        },
    ),
    "pid": Looks(
        Look(
            "process ids",
            "the child calls kill(2) with the host's pid and signal 0",
            "ESRCH: no such process",
            "done: it is there",
            _found,
        ),
        {
            "leaks": Look(
                "Signals from outside",
                "the host sends SIGUSR1, which the child has blocked and looks for by sigpending(2)",
                "no signal waits",
                "the signal waits",
                _arrived,
            )
        },
    ),
    "user": Looks(
        Look(
            "user and group ids",
            "the child asks geteuid(2); the host reads the child's euid in /proc/PID/status",
            "two numbers for one id",
            "the same number",
            _same_id,
        ),
        {
            "leaks": Look(
                "a file that it makes",
                "the child makes a file; the host asks stat(2) to whom it belongs",
                "to another id than the host's own",
                "to the host's own id",
                _same_owner,
            )
        },
        new=_own_id,
    ),
    "uts": Looks(
        Look(
            "host name",
            "the child calls sethostname(2); the host asks uname(2)",
            "the host's name is as it was",
            "the host has the new name",
            _same_name,
        ),
        {
            "leaks": Look(
                "release, version and machine",
                "both ask uname(2) for release, version and machine",
                "two answers",
                "one answer",
                _same_kernel,
            )
        },
    ),
    "ipc": Looks(
        Look(
            "System V IPC",
            "the child makes a shared memory segment by shmget(2); the host looks for its key",
            "ENOENT: no such key",
            "done: it is there",
            _segment_found,
        ),
        {
            "leaks": Look(
                "Files mapped MAP_SHARED",
                "both map one file with MAP_SHARED; the child writes to its memory, the host looks at its own",
                "two memories",
                "the host sees what the child wrote",
                _same_memory,
            )
        },
    ),
    "cgroup": Looks(
        Look(
            "the root of the cgroup tree",
            "the child, in a control group of its own, reads /proc/self/cgroup",
            "the group's name is not told",
            "the group is told by its path",
            _path_told,
        ),
        {
            "leaks": Look(
                "each group has its whole path",
                "the child opens its group's directory by the whole path",
                "it cannot be opened",
                "it is open",
                _path_opened,
            )
        },
        always={"cgroup": Cgroup(resources=Resources(pids=_TASKS))},
    ),
    "time": Looks(
        Look(
            "boot-time clocks",
            f"the child reads CLOCK_BOOTTIME ({AHEAD} s ahead in a new namespace) between two of the host's readings",
            "not between them",
            "between them",
            _between("CLOCK_BOOTTIME"),
        ),
        {
            "leaks": Look(
                "CLOCK_REALTIME",
                "the child reads CLOCK_REALTIME between two of the host's readings",
                "not between them",
                "between them",
                _between("CLOCK_REALTIME"),
            )
        },
        new=lambda: {"time_offsets": (("boottime", TimeOffset(AHEAD)),)},
    ),
}
"""By the OCI name of the kind."""
