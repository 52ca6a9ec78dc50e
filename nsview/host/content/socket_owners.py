"""Which processes hold a socket: the inode of its file, looked for among everybody's open files (proc_pid_fd(5))."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from nsview.host.process import PinnedProcess, ProcessGoneError
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
    for record in records:
        if record.is_kernel_thread or record.is_zombie:
            continue  # they have no files
        try:
            with PinnedProcess(record.pid, record.start_time) as process:
                complete &= _look(process, record.comm, inodes, found)
        except ProcessGoneError:
            continue
    return Owners({inode: tuple(owners) for inode, owners in found.items()}, complete)


def _look(process: PinnedProcess, comm: str, inodes: Collection[int], found: dict[int, list[Owner]]) -> bool:
    """Note the sockets of one process; False when its files cannot be looked at."""
    names = process.names("fd")
    if names is None:
        return not process.is_there()
    for name in names:
        target = process.link(f"fd/{name}")
        if target is not None and target.startswith(_PREFIX):
            inode = int(target[len(_PREFIX) : -1])
            if inode in inodes:
                found.setdefault(inode, []).append(Owner(process.pid, int(name), comm))
    return True
