"""A census of what a launch could leave behind: processes, fds, threads, mounts, cgroups, network links.

Each source is one function in one table; it answers what exists now as a mapping from identity to a readable
name, so that a difference says what was left and not just how much.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

DEADLINE = 5.0
"""Seconds the kernel gets to finish what it frees behind our back (an exit, a network namespace's links)."""

PAUSE = 0.01
"""Seconds between two looks while a condition is waited for."""

Found = Mapping[object, str]
T = TypeVar("T")


def until(condition: Callable[[], T], deadline: float = DEADLINE) -> T:
    """Ask ``condition`` until it is true or ``deadline`` seconds have passed; return the last answer."""
    end = time.monotonic() + deadline
    never = threading.Event()
    while not (answer := condition()) and time.monotonic() < end:
        never.wait(PAUSE)
    return answer


@dataclass(frozen=True, slots=True)
class _Stat:
    pid: int
    comm: str
    ppid: int
    session: int
    start_time: int


def _stat(pid: str) -> _Stat | None:
    try:
        text = Path("/proc", pid, "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    head, _, tail = text.rpartition(") ")
    fields = tail.split()
    return _Stat(int(pid), head.partition(" (")[2], int(fields[1]), int(fields[3]), int(fields[19]))


def processes() -> Found:
    """Our descendants, zombies too, and orphans of our session (their parent, our child, is gone)."""
    names = (name for name in os.listdir("/proc") if name.isdecimal())
    stats = {stat.pid: stat for name in names if (stat := _stat(name)) is not None}
    us, session = os.getpid(), os.getsid(0)

    def ours(stat: _Stat) -> bool:
        if stat.session == session and stat.ppid == 1:
            return True
        while (parent := stats.get(stat.ppid)) is not None:
            if parent.pid == us:
                return True
            stat = parent
        return False

    return {
        (stat.pid, stat.start_time): f"process {stat.pid} ({stat.comm}), child of {stat.ppid}"
        for stat in stats.values()
        if stat.pid != us and ours(stat)
    }


def descriptors() -> Found:
    """The open fds of this process."""
    found: dict[object, str] = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # the fd of the listing itself
            continue
        found[name, target] = f"fd {name} -> {target}"
    return found


def threads() -> Found:
    """The threads of this process, Python's and native ones."""
    found: dict[object, str] = {}
    for tid in os.listdir("/proc/self/task"):
        try:
            comm = Path("/proc/self/task", tid, "comm").read_text(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[tid] = f"thread {tid} ({comm})"
    return found


def _mountinfo() -> list[list[str]]:
    return [line.split(" ") for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()]


def mounts() -> Found:
    """The mounts of our mount namespace; a namespace kept by a bind mount is one of them."""
    return {fields[0]: f"mount {fields[4]}" for fields in _mountinfo()}


_MADE_BY = re.compile(r"/nsview-(\d+)-(\d+)-\d+")


def _is_of_another(group: str) -> bool:
    """Whether a group's name is of a process that lives and is neither ours nor below us: another run of nsview."""
    for pid, start_time in _MADE_BY.findall(group):
        maker = _stat(pid)
        if maker is not None and maker.start_time == int(start_time):
            while maker is not None and maker.pid != os.getpid():
                maker = _stat(str(maker.ppid))
            return maker is None
    return False


def cgroups() -> Found:
    """The groups that could be ours: below our own in any hierarchy, or named for us (others come and go)."""
    own = {line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines()}
    found: dict[object, str] = {}
    for fields in _mountinfo():
        if fields[fields.index("-") + 1] in ("cgroup", "cgroup2"):
            for directory in _directories(fields[4]):
                path = directory.removeprefix(fields[4])
                below = any(path.startswith(f"{group}/") for group in own if group != "/")
                if (below or "nsview" in path or "spawner" in path) and not _is_of_another(path):
                    found[directory] = f"cgroup {directory}"
    return found


def _directories(top: str) -> Iterator[str]:
    """All below ``top``, however deep: os.walk() calls itself for each level."""
    pending = [top]
    while pending:
        directory = pending.pop()
        yield directory
        with suppress(FileNotFoundError):  # gone meanwhile
            with os.scandir(directory) as entries:
                pending += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def links() -> Found:
    """The network links of our network namespace: a leaked veth's end stays here."""
    return {name: f"network link {name}" for name in os.listdir("/sys/class/net")}


OF_THE_MACHINE: tuple[Callable[[], Found], ...] = (processes, mounts, cgroups, links)
EVERYTHING: tuple[Callable[[], Found], ...] = (*OF_THE_MACHINE, descriptors, threads)


class Census:
    """What ``sources`` found when the census was taken."""

    def __init__(self, sources: tuple[Callable[[], Found], ...] = EVERYTHING) -> None:
        self._sources = sources
        self._before = [source() for source in sources]

    def _now(self) -> list[str]:
        left: list[str] = []
        for source, before in zip(self._sources, self._before, strict=True):
            now = source()
            left += [f"left behind: {now[key]}" for key in now.keys() - before.keys()]
            if source not in (processes, threads):  # these may end at any time; nothing else goes by itself
                left += [f"taken away: {before[key]}" for key in before.keys() - now.keys()]
        return sorted(left)

    def difference(self, deadline: float = DEADLINE) -> list[str]:
        """Say what was left behind or taken away, once it stays so for ``deadline`` seconds."""
        left: list[str] = []

        def same() -> bool:
            left[:] = self._now()
            return not left

        until(same, deadline)
        return left
