"""An independent, slow reading of all namespaces: one process, one link, one ioctl at a time, in plain Python.

Written apart from nsview.host.namespaces, and in another way wherever there is one: links are followed by stat(2)
and told by the device, not read as text; mount namespaces are entered by child processes, not threads; descriptor
tables are told apart by kcmp(2) for all threads; nothing is remembered between two questions.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pickle
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_KINDS = ("mnt", "net", "pid", "user", "uts", "ipc", "cgroup", "time")
_FLAGS = {
    0x20000: "mnt",
    0x40000000: "net",
    0x20000000: "pid",
    0x10000000: "user",
    0x4000000: "uts",
    0x8000000: "ipc",
    0x2000000: "cgroup",
    0x80: "time",
}
_NEXT = ("pid_for_children", "time_for_children")
_KCMP = 312 if os.uname().machine == "x86_64" else 272
_libc = ctypes.CDLL(None, use_errno=True)
_DEVICE = os.stat("/proc/self/ns/mnt").st_dev


@dataclass
class Reading:
    """What is known of one namespace."""

    kind: str
    members: set[int] = field(default_factory=set)
    awaited: set[int] = field(default_factory=set)
    tasks: set[tuple[int, int]] = field(default_factory=set)
    awaiting_tasks: set[tuple[int, int]] = field(default_factory=set)
    fds: set[tuple[int, int, int]] = field(default_factory=set)
    sockets: set[tuple[int, int, int]] = field(default_factory=set)
    mounts: set[tuple[int, str]] = field(default_factory=set)
    related: tuple[int | None, int | None, int | None] | None = None
    """Parent, owner, owner uid; None when it could not be opened."""


class Slow(dict[int, Reading]):
    """The reading, by inode."""

    def note(self, kind: str, inode: int) -> Reading:
        return self.setdefault(inode, Reading(kind))

    def relate(self, path: str) -> None:
        """Ask through a path for parent and owner, and theirs."""
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError:
            return
        self.relate_fd(fd)

    def relate_fd(self, fd: int) -> None:
        inode, kind = os.fstat(fd).st_ino, _kind(fd)
        reading = self.note(kind, inode)
        if reading.related is not None:
            os.close(fd)
            return
        parent = _ask(fd, 0xB702) if kind in ("pid", "user") else None
        owner = _ask(fd, 0xB701)
        whose = fd if kind == "user" else owner
        uid = None
        if whose is not None:
            try:
                (uid,) = struct.unpack("=I", fcntl.ioctl(whose, 0xB704, b"\0\0\0\0"))
            except OSError:
                uid = None
        inodes = [None if other is None else os.fstat(other).st_ino for other in (parent, owner)]
        reading.related = (inodes[0], inodes[1], uid)
        os.close(fd)
        for other in (parent, owner):
            if other is not None:
                self.relate_fd(other)


def read_slowly(pids: Iterable[int]) -> Slow:
    """Read what these processes are in and hold, and what is bound in the mount namespaces that leads to."""
    slow = Slow()
    for pid in pids:
        _read_process(slow, pid)
    visited: set[int] = set()
    while todo := [inode for inode, one in slow.items() if one.kind == "mnt" and inode not in visited]:
        for inode in todo:
            visited.add(inode)
            if (path := _way_to(slow[inode])) is not None:
                _merge(slow, visited, _in_child(path, inode, visited))
    return slow


def _read_process(slow: Slow, pid: int) -> None:
    try:
        tids = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return
    main = {link: _stat(f"/proc/{pid}/ns/{link}") for link in (*_KINDS, *_NEXT)}
    tables: list[int] = []
    for tid in tids:
        base = f"/proc/{pid}/task/{tid}"
        own = {link: _stat(f"{base}/ns/{link}") for link in (*_KINDS, *_NEXT)}
        for link, inode in own.items():
            if inode is None:
                continue
            kind = link.partition("_")[0]
            awaits = link in _NEXT
            if awaits and inode == own[kind]:
                continue
            if tid == pid:
                reading = slow.note(kind, inode)
                (reading.awaited if awaits else reading.members).add(pid)
            elif inode != main[link]:
                reading = slow.note(kind, inode)
                (reading.awaiting_tasks if awaits else reading.tasks).add((pid, tid))
            slow.relate(f"{base}/ns/{link}")
        if own["mnt"] is None:
            continue  # it has ended, and its descriptors are closed
        if all(_libc.syscall(_KCMP, tid, other, 2, 0, 0) != 0 for other in tables):
            tables.append(tid)
            _read_table(slow, pid, tid, own["net"])


def _read_table(slow: Slow, pid: int, tid: int, network: int | None) -> None:
    base = f"/proc/{pid}/task/{tid}/fd"
    try:
        numbers = [int(name) for name in os.listdir(base)]
    except OSError:
        return
    for fd in numbers:
        try:
            status = os.stat(f"{base}/{fd}")
        except OSError:
            continue
        if status.st_dev == _DEVICE:
            opened = os.open(f"{base}/{fd}", os.O_RDONLY)
            slow.note(_kind(opened), status.st_ino).fds.add((pid, tid, fd))
            slow.relate_fd(opened)
        elif status.st_mode & 0o170000 == 0o140000:
            opened = _network_of(pid, tid, fd)
            if opened is not None and os.fstat(opened).st_ino != network:
                slow.note("net", os.fstat(opened).st_ino).sockets.add((pid, tid, fd))
                slow.relate_fd(opened)
            elif opened is not None:
                os.close(opened)


def _network_of(pid: int, tid: int, fd: int) -> int | None:
    try:
        pidfd = os.pidfd_open(tid, 0 if tid == pid else os.O_EXCL)
    except OSError:
        return None
    copy = _libc.syscall(438, pidfd, fd, 0)
    os.close(pidfd)
    if copy < 0:
        return None
    try:
        return fcntl.ioctl(copy, 0x894C)
    except OSError:
        return None
    finally:
        os.close(copy)


def _way_to(reading: Reading) -> str | None:
    """A path that leads to a mount namespace which a process, thread or descriptor holds."""
    ways = [f"/proc/{pid}/ns/mnt" for pid in reading.members]
    ways += [f"/proc/{pid}/task/{tid}/ns/mnt" for pid, tid in reading.tasks]
    ways += [f"/proc/{pid}/task/{tid}/fd/{fd}" for pid, tid, fd in reading.fds]
    return next(iter(ways), None)


def _in_child(path: str, inode: int, visited: set[int]) -> dict[str, Any]:
    """Fork a child that enters the mount namespace and reads what is bound there, and in those bound there."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(_visit(path, inode, set(visited)), pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    answer: dict[str, Any] = pickle.loads(text) if text else {"found": Slow(), "visited": set()}
    return answer


def _visit(path: str, inode: int, visited: set[int]) -> dict[str, Any]:
    fd = os.open(path, os.O_RDONLY)
    if _libc.setns(fd, 0x00020000):
        return {"found": Slow(), "visited": set()}
    os.close(fd)
    found = Slow()
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.split() for line in file]
    for fields in lines:
        if fields[fields.index("-") + 1] != "nsfs":
            continue
        kind, _, number = fields[3].partition(":")
        bound, point = int(number.strip("[]")), fields[4].replace("\\040", " ")
        found.note(kind, bound).mounts.add((inode, point))
        if _stat(point) != bound:
            continue  # hidden below another mount
        found.relate(point)
        if kind == "mnt" and bound not in visited:
            visited.add(bound)
            _merge(found, visited, _in_child(point, bound, visited))
    return {"found": found, "visited": visited}


def _merge(slow: Slow, visited: set[int], answer: dict[str, Any]) -> None:
    visited |= answer["visited"]
    for inode, one in answer["found"].items():
        reading = slow.note(one.kind, inode)
        reading.mounts |= one.mounts
        reading.related = reading.related or one.related


def _ask(fd: int, request: int) -> int | None:
    try:
        return fcntl.ioctl(fd, request)
    except OSError:
        return None


def _kind(fd: int) -> str:
    return _FLAGS[fcntl.ioctl(fd, 0xB703)]  # its link tells the path, where it was opened by one


def _stat(path: str) -> int | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino if status.st_dev == _DEVICE else None
