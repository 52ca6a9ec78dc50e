"""What the kernel tells of a namespace through a descriptor of it: ioctl_nsfs(2), linux/nsfs.h."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import ExitStack

from nsview.host.process import ORDINARY
from spawner.namespaces import KINDS, NamespaceKind

NS_GET_USERNS = 0xB701
NS_GET_PARENT = 0xB702
NS_GET_NSTYPE = 0xB703
NS_GET_OWNER_UID = 0xB704
NS_GET_ID = 2 << 30 | 8 << 16 | 0xB70D
"""_IOR(NSIO, 13, __u64), since 6.18; net namespaces answer SO_NETNS_COOKIE's number."""

_BY_FLAG = {kind.flag: kind for kind in KINDS}

# EINVAL: not of a kind that has it; ENOTTY: the kernel does not know the request, or the file is no namespace.
_NO_ANSWER = ORDINARY | {errno.EINVAL, errno.ENOTTY}


def kind_of(fd: int) -> NamespaceKind | None:
    """Return the kind of namespace a descriptor is of; None when it is of none."""
    try:
        return _BY_FLAG.get(fcntl.ioctl(fd, NS_GET_NSTYPE))
    except OSError as error:
        _tolerate(error)
        return None


def related(fd: int, request: int, opened: ExitStack) -> int | None:
    """Return a descriptor of the parent or owner, None when there is none or it is outside our scope (EPERM).

    ``opened`` will close it.
    """
    try:
        other: int = fcntl.ioctl(fd, request)
    except OSError as error:
        _tolerate(error)
        return None
    opened.callback(os.close, other)  # the kernel opens it with O_CLOEXEC (fs/nsfs.c)
    return other


def owner_uid(fd: int | None) -> int | None:
    """Return who made a user namespace, as a uid of ours."""
    return None if fd is None else _number(fd, NS_GET_OWNER_UID, "=I")


def id_of(fd: int) -> int | None:
    """Return the id that is never used again, unlike the inode; None where the kernel gives none."""
    return _number(fd, NS_GET_ID, "=Q")


def _number(fd: int, request: int, shape: str) -> int | None:
    try:
        answer = fcntl.ioctl(fd, request, bytes(struct.calcsize(shape)))
    except OSError as error:
        _tolerate(error)
        return None
    number: int = struct.unpack(shape, answer)[0]
    return number


def _tolerate(error: OSError) -> None:
    if error.errno not in _NO_ANSWER:
        raise error
