"""The mounts of a mount namespace: as one of its processes sees them, or all that there are."""

from __future__ import annotations

import os
import re
import select
from collections.abc import Iterable

from nsview.host.content.entered import inside
from nsview.host.content.mount_calls import NotListedError, mounts_by_call
from nsview.host.content.mount_difference import MountDifference, difference
from nsview.host.content.mount_info import Mount, parse
from nsview.host.content.mount_table import MountTable, table_of
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import Snapshot
from spawner.namespaces import BY_NAME

__all__ = [
    "Mount",
    "MountDifference",
    "MountTable",
    "difference",
    "mounts_by_namespace",
    "mounts_in",
    "mounts_of",
]

_MOUNT = BY_NAME["mount"]
_MOUNT_ID = re.compile(rb"^mnt_id:\s*(\d+)$", re.MULTILINE)
_ATTEMPTS = 5


def mounts_of(process: PinnedProcess) -> MountTable | None:
    """Return the mounts that ``process`` can reach from its root; None when it is gone or does not let us look."""
    fd = process.open("mountinfo")
    if fd is None:
        return None
    try:
        text = _read(fd)
    finally:
        os.close(fd)
    return table_of(parse(text), _root_id(process))


def mounts_in(namespace: int) -> MountTable:
    """Return all mounts of the mount namespace of a descriptor, as one would meet them who enters it now.

    By statmount(2), or else by entering it; NotEnteredError when we may not do that either.
    """
    try:
        return table_of(mounts_by_call(namespace))
    except NotListedError:
        return mounts_on_entering(namespace)


def mounts_on_entering(namespace: int) -> MountTable:
    """Return the mounts of the mount namespace of a descriptor that a thread can reach that enters; NotEnteredError."""
    # What is mounted at /proc in there, if anything, is not to be relied on.
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return inside((namespace,), lambda: _mounts_here(proc))
    finally:
        os.close(proc)


def mounts_by_namespace(snapshot: Snapshot, namespaces: Iterable[int] | None = None) -> dict[int, MountTable]:
    """Return a table for each mount namespace that has a process we may look into, by inode, in no order.

    All mounts of the namespace where the kernel tells them (statmount(2)), else those that one of its processes can
    reach. Only ``namespaces`` (inodes) where given.
    """
    wanted = None if namespaces is None else frozenset(namespaces)
    tables: dict[int, MountTable] = {}
    for record in snapshot.records.values():
        inode = record.namespace(_MOUNT.name)
        if inode is None or inode in tables or (wanted is not None and inode not in wanted):
            continue
        try:
            with PinnedProcess(record.pid, record.start_time) as process:
                table = _of_namespace(process, inode)
        except ProcessGoneError:
            continue
        if table is not None:
            tables[inode] = table
    return tables


def _of_namespace(process: PinnedProcess, inode: int) -> MountTable | None:
    """Return the mounts of the namespace with this inode through a process; None when the process is elsewhere now."""
    fd = process.open(f"ns/{_MOUNT.proc}")
    if fd is not None:
        try:
            return table_of(mounts_by_call(fd)) if os.fstat(fd).st_ino == inode else None
        except NotListedError:
            pass
        finally:
            os.close(fd)
    table = mounts_of(process)
    return table if process.namespace(_MOUNT.proc) == inode else None


def _read(fd: int) -> bytes:
    """Read a mountinfo, again if something was mounted meanwhile: it comes in pieces (poll(2) tells, since 2.6.30)."""
    watch = select.poll()
    watch.register(fd, select.POLLPRI)
    for _ in range(_ATTEMPTS):
        os.lseek(fd, 0, os.SEEK_SET)
        pieces = []
        while piece := os.read(fd, 1 << 16):
            pieces.append(piece)
        if not watch.poll(0):
            break
    return b"".join(pieces)


def _root_id(process: PinnedProcess) -> int | None:
    """Return the id of the mount that the root directory of a process is in."""
    fd = process.open("root")
    if fd is None:
        return None
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
            found = _MOUNT_ID.search(file.read())
    except FileNotFoundError:  # /proc is of another pid namespace
        return None
    finally:
        os.close(fd)
    return None if found is None else int(found[1])


def _mounts_here(proc: int) -> MountTable:
    """Read the table of the calling thread, which has just entered: its root is the namespace's."""
    fd = os.open("thread-self/mountinfo", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        return table_of(parse(_read(fd)))
    finally:
        os.close(fd)
