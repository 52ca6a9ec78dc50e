"""How to see whether a host and its child have one thing or two: a few system calls on either side."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any, Protocol

_SIGNAL = int(signal.SIGUSR1)
_CAP_SYS_ADMIN = 21


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


def share_mount(room: Room) -> None:
    """Have the directory shared by the host, so that mounts below it are passed on."""
    room.host("make_shared", room.path)


def mount_seen(room: Room) -> Answer:
    """Whether the host has a mount that the child made."""
    room.inside("mount_tmpfs", room.path, room.word)
    return bool(room.host("mounted", room.word)) if room.inside("mounted", room.word) else "the child does not see it"


def file_seen(room: Room) -> Answer:
    """Whether the host reads what the child wrote."""
    room.inside("write", f"{room.path}/file", room.word)
    return bool(room.host("read", f"{room.path}/file") == room.word)


def in_use(room: Room) -> Answer:
    """Whether an abstract name that the host has bound is taken for the child."""
    return _one_of(room.inside("bind_abstract", room.word), apart="done", one="EADDRINUSE")


def connected(room: Room) -> Answer:
    """Whether the child reaches a Unix socket of the host by its path."""
    room.host("listen", f"{room.path}/socket")
    return _one_of(room.inside("connect", f"{room.path}/socket"), apart="ECONNREFUSED", one="done")


def port_in_use(room: Room) -> Answer:
    """Whether a TCP port that the host has bound is taken for the child."""
    return _one_of(room.inside("bind_port", room.host("free_port")), apart="done", one="EADDRINUSE")


def open_in_the_host(room: Room) -> Answer:
    """Whether a socket that the host hands over is in the host's network still, while the child's own are not."""
    room.host("listen", f"{room.path}/socket")
    room.inside("connect", f"{room.path}/socket")
    cookie = room.host("hand_over")
    taken, own = room.inside("taken_over")
    return bool(taken == cookie) if own != cookie else "the child's own are in the host's, too"


def capable(room: Room) -> Answer:
    """Whether the child's CAP_SYS_ADMIN counts in the uts namespace, which it has in common with the host."""
    if not room.inside("capabilities") >> _CAP_SYS_ADMIN & 1:
        return "the child has not the capability"
    return _one_of(room.inside("try_hostname", room.word), apart="EPERM", one="done")


def found(room: Room) -> Answer:
    """Whether the host's pid means a process to the child."""
    return _one_of(room.inside("kill", room.host("pid"), 0), apart="ESRCH", one="done")


def arrived(room: Room) -> Answer:
    """Whether a signal from the host waits for the child."""
    room.inside("block", _SIGNAL)
    sent = room.host("kill", room.child, _SIGNAL)
    return bool(room.inside("pending", _SIGNAL)) if sent == "done" else f"kill(2) was answered {sent}"


def same_id(room: Room) -> Answer:
    """Whether the child's euid is one number for both."""
    return bool(room.inside("euid") == room.host("euid_of", room.child))


def same_owner(room: Room) -> Answer:
    """Whether a file of the child's belongs to the host's own id."""
    room.inside("write", f"{room.path}/file", room.word)
    return bool(room.host("owner", f"{room.path}/file") == room.host("euid"))


def same_name(room: Room) -> Answer:
    """Whether the host has the name that the child set."""
    room.inside("set_hostname", room.word)
    return bool(room.host("hostname") == room.word)


def same_kernel(room: Room) -> Answer:
    """Whether uname(2) tells both of one kernel."""
    return bool(room.inside("kernel") == room.host("kernel"))


def segment_found(room: Room) -> Answer:
    """Whether the host finds the key of a segment that the child made."""
    key = int.from_bytes(room.word[-3:].encode(), "little")
    room.inside("make_segment", key)
    return _one_of(room.host("find_segment", key), apart="ENOENT", one="done")


def same_memory(room: Room) -> Answer:
    """Whether the host sees in its mapping of a file what the child wrote to its own."""
    for side in (room.host, room.inside):
        side("map_file", f"{room.path}/mapped")
    room.inside("store", room.word)
    return bool(room.host("load", len(room.word)) == room.word)


def path_told(room: Room) -> Answer:
    """Whether the child is told the path of its control group, in each hierarchy where it has one."""
    text = room.inside("cgroup")
    told = [os.path.basename(group) in text for group in room.groups]
    return told[0] if told and len(set(told)) == 1 else f"told of {sum(told)} of {len(told)} groups"


def path_opened(room: Room) -> Answer:
    """Whether the child can open the directory of its control group by the whole path."""
    opened = [bool(room.inside("is_directory", group)) for group in room.groups]
    return opened[0] if opened and len(set(opened)) == 1 else f"opened {sum(opened)} of {len(opened)} groups"


def between(clock: str) -> Callable[[Room], Answer]:
    """Whether the child's clock reads between two readings of the host's."""

    def asked(room: Room) -> Answer:
        while True:
            before, child, after = room.host("clock", clock), room.inside("clock", clock), room.host("clock", clock)
            if before <= after:  # else somebody has set the clock back meanwhile
                return bool(before <= child <= after)

    return asked


def _one_of(answer: str, *, apart: str, one: str) -> Answer:
    return {apart: False, one: True}.get(answer, answer)
