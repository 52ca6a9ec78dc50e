"""Grows a forest of namespaces (forest_plan.py) on the real kernel, and knows what it made.

Every process tells what it holds: which namespace, by what, and for those it made the parent and owner. All wait
for the end of one pipe, so that the whole forest ends with the context, or with the test itself.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from forest_plan import Node


@dataclass(frozen=True)
class Hold:
    """A namespace and what holds it.

    ``how`` and ``holder``: "member" or "awaited" (pid,); "task" or "awaiting_task" (pid, tid); "fd" or "socket" (pid,
    fd); "mount" (inode of the mount namespace, path). ``when`` in ns.
    """

    kind: str
    inode: int
    how: str
    holder: tuple[Any, ...]
    when: int = field(default_factory=time.monotonic_ns, compare=False)


@dataclass(frozen=True)
class Made:
    """What is known of a namespace from having made it; ``parent`` is None for kinds without. ``when`` in ns."""

    kind: str
    inode: int
    parent: int | None
    owner: int
    when: int = field(default_factory=time.monotonic_ns, compare=False)


@dataclass
class Facts:
    """All that is known of a forest, or of a part of it; ``pid`` is of its topmost process."""

    pid: int = 0
    pids: set[int] = field(default_factory=set)
    holds: list[Hold] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)

    def add(self, other: Facts) -> None:
        """Take over what is known of another part."""
        self.pids |= other.pids
        self.holds += other.holds
        self.made += other.made

    def without(self, pid: int) -> Facts:
        """What is left when this process has ended."""
        left = [hold for hold in self.holds if hold.how == "mount" or hold.holder[0] != pid]
        return Facts(self.pid, self.pids - {pid}, left, self.made)

    def with_task_for_main(self, tid: int) -> Facts:
        """What holds when the main thread of the topmost process has ended, and this one is left."""
        becomes = {"member": "task", "awaited": "awaiting_task"}

        def changed(hold: Hold) -> Hold:
            if hold.how not in becomes or hold.holder != (self.pid,) or hold.kind in ("pid", "user"):
                return hold  # these two a zombie shows still
            return replace(hold, how=becomes[hold.how], holder=(self.pid, tid))

        def shows(hold: Hold) -> bool:
            return hold.how != "socket" or hold.holder[0] != self.pid or _has_pidfds_of_threads()

        return Facts(self.pid, self.pids, [changed(hold) for hold in self.holds if shows(hold)], self.made)

    def last_made(self) -> dict[int, Made]:
        """By inode; what was made later with the same number is another namespace."""
        return {made.inode: made for made in sorted(self.made, key=lambda made: made.when)}

    def alive(self) -> list[Hold]:
        """The holds, less those by mounts in mount namespaces that are themselves gone (their numbers may be back)."""
        made = self.last_made()

        def lasts(inode: int, since: int) -> bool:
            return inode not in made or made[inode].when < since

        sure = [hold for hold in self.holds if hold.how != "mount"]
        mounts = [hold for hold in self.holds if hold.how == "mount"]
        doubtful = [hold for hold in mounts if lasts(hold.inode, hold.when) and lasts(hold.holder[0], hold.when)]
        while True:
            rooms = {hold.inode for hold in sure if hold.kind == "mnt"}
            more = [hold for hold in doubtful if hold.holder[0] in rooms]
            if not more:
                return sure
            sure += more
            doubtful = [hold for hold in doubtful if hold not in more]


def _has_pidfds_of_threads() -> bool:
    """PIDFD_THREAD, since Linux 6.9: without, a socket that a main thread has no more cannot be asked."""
    try:
        os.close(os.pidfd_open(threading.get_native_id(), os.O_EXCL))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return False
    return True


@contextmanager
def grown(root: Node) -> Iterator[Facts]:
    """Grow a forest; it has ended, and its processes are reaped, when the context is left."""
    from forest_process import fork, grow_root  # it imports this module for its values

    life, end = os.pipe()
    try:
        pid, facts = fork(lambda: grow_root(life, end, root), life)
    except BaseException:
        os.close(end)
        raise
    finally:
        os.close(life)
    try:
        yield facts
    finally:
        os.close(end)
        os.waitpid(pid, 0)
