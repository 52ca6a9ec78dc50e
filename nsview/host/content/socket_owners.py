"""Which processes hold a socket: the inode of its file, looked for among everybody's open files (proc_pid_fd(5))."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from nsview.host.process import ORDINARY, PinnedProcess, ProcessGoneError
from nsview.host.snapshot import ProcessRecord

_PREFIX = "socket:["


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that has a socket open as ``fd``; ``comm`` is safe to print."""

    pid: int
    fd: int
    comm: str


@dataclass(frozen=True, slots=True)
class Owners:
    """``by_inode``: who holds each socket. Unless ``complete``, somebody's open files could not be looked at."""

    by_inode: Mapping[int, tuple[Owner, ...]]
    complete: bool

    def of(self, inode: int) -> tuple[Owner, ...] | None:
        """Return who holds a socket, None when nobody is known to but somebody may."""
        found = self.by_inode.get(inode, ())
        return found if found or self.complete or inode == 0 else None


def find_owners(inodes: Collection[int], records: Iterable[ProcessRecord]) -> Owners:
    """Look for sockets among the open files of processes, which takes the privilege to trace them (ptrace(2))."""
    found: dict[int, list[Owner]] = {}
    complete = True
    for record in records if inodes else ():
        if record.is_kernel_thread or record.is_zombie:
            continue  # they have no files
        try:
            with PinnedProcess(record.pid, record.start_time) as process:
                complete &= _look(process, record.comm, inodes, found)
        except ProcessGoneError:
            continue
    return Owners({inode: tuple(owners) for inode, owners in found.items()}, complete)


def _look(process: PinnedProcess, comm: str, inodes: Collection[int], found: dict[int, list[Owner]]) -> bool:
    """Note the sockets of one process; False when its files cannot be looked at: their list, or where they lead to."""
    directory = process.open("fd")
    if directory is None:
        return not process.is_there()
    try:
        for name in os.listdir(directory):
            target = _target(name, directory)
            if target.startswith(_PREFIX) and (inode := int(target[len(_PREFIX) : -1])) in inodes:
                found.setdefault(inode, []).append(Owner(process.pid, int(name), comm))
    except OSError as error:
        if error.errno not in ORDINARY:
            raise
        return error.errno == errno.ESRCH  # it has ended
    finally:
        os.close(directory)
    return True


def _target(name: str, directory: int) -> str:
    try:
        return os.readlink(name, dir_fd=directory)
    except FileNotFoundError:  # closed meanwhile
        return ""
