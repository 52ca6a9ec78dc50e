"""The bind mounts of namespaces within one mount namespace, also one that no process lives in."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from nsview.host.content.entered import NotEnteredError, dwelling, inside
from nsview.host.namespaces import nsfs
from nsview.host.process import PinnedProcess
from spawner.namespaces import BY_PROC, NamespaceKind

_ROOT = re.compile(rb"([a-z]+):\[(\d+)\]")
_OCTAL = re.compile(rb"\\([0-7]{3})")
_AT_ROOT, _AT_POINT = 3, 4
_OUR_LIMITS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))


class Mounted(NamedTuple):
    """A namespace bound to a path; ``fd`` is the caller's to close, None when it was not wanted or not reached."""

    kind: NamespaceKind
    inode: int
    path: str
    fd: int | None


def nsfs_mounts(mountinfo: bytes) -> Iterator[tuple[NamespaceKind, int, str]]:
    """Yield kind, inode and mount point of the namespaces in a /proc/PID/mountinfo (proc_pid_mountinfo(5)). Pure."""
    for line in mountinfo.split(b"\n"):
        own, _, rest = line.partition(b" - ")
        if not rest.startswith(b"nsfs "):
            continue
        fields = own.split(b" ")
        root = _ROOT.fullmatch(fields[_AT_ROOT])
        kind = BY_PROC.get(root[1].decode()) if root else None
        if root and kind:
            path = _OCTAL.sub(lambda match: bytes((int(match[1], 8),)), fields[_AT_POINT])
            yield kind, int(root[2]), os.fsdecode(path)


def in_mount_namespace(fd: int, wanted: Callable[[int], bool], dwells: bool = True) -> list[Mounted]:
    """Return the bind mounts in the mount namespace that ``fd`` is of, opening those whose inode is ``wanted``.

    A thread goes there and ends, so all mounts are seen from the namespace's own root. Where that is not
    permitted, and unless told that it shall not (``dwells``: it takes a new process), a process enters it together
    with the user namespace that owns it. Raises NotEnteredError.
    """
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return inside([fd], partial(_mounted_here, proc, os.fstat(fd).st_dev, wanted))
    except NotEnteredError:
        with ExitStack() as opened:
            owner = nsfs.related(fd, nsfs.NS_GET_USERNS, opened) if dwells else None
            if owner is None:
                raise
            with dwelling([owner, fd]) as process:
                return seen_by(process, wanted) or []
    finally:
        os.close(proc)


def seen_by(process: PinnedProcess, wanted: Callable[[int], bool]) -> list[Mounted] | None:
    """Return the bind mounts a process sees from its root; None when we may not look."""
    mountinfo, own = process.read("mountinfo"), process.stat("ns/mnt")
    if mountinfo is None or own is None:
        return None

    def opened(path: str, inode: int) -> int | None:
        status = process.stat(f"root{path}")
        if status is None or (status.st_dev, status.st_ino) != (own.st_dev, inode):
            return None
        return process.open(f"root{path}")

    return _opened(mountinfo, wanted, opened)


def _mounted_here(proc: int, nsfs_device: int, wanted: Callable[[int], bool]) -> list[Mounted]:
    """Do it in the mount namespace of the calling thread; ``proc`` is /proc as it was where we come from."""
    with open(os.open("thread-self/mountinfo", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc), "rb") as file:
        mountinfo = file.read()

    def opened(path: str, inode: int) -> int | None:
        try:  # O_PATH first, for who knows what is there by now
            pinned = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _OUR_LIMITS:
                raise
            return None  # a foreign file system on the way may answer anything
        try:
            status = os.fstat(pinned)
            if (status.st_dev, status.st_ino) != (nsfs_device, inode):
                return None  # another mount hides it
            return os.open(f"thread-self/fd/{pinned}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
        finally:
            os.close(pinned)

    return _opened(mountinfo, wanted, opened)


def _opened(mountinfo: bytes, wanted: Callable[[int], bool], opener: Callable[[str, int], int | None]) -> list[Mounted]:
    found: list[Mounted] = []
    opened: set[int] = set()
    for kind, inode, path in dict.fromkeys(nsfs_mounts(mountinfo)):
        fd = opener(path, inode) if inode not in opened and wanted(inode) else None
        if fd is not None:
            opened.add(inode)
        found.append(Mounted(kind, inode, path, fd))
    return found
