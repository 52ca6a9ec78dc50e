"""The POSIX message queues of the ipc namespace that the calling thread is in (mq_overview(7)).

They are the files of a file system that is mounted for this alone and attached nowhere (fsopen(2), fsmount(2)): it
shows the ipc namespace of who opened it (ipc/mqueue.c: mqueue_init_fs_context()) and no mount table ever has it.
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass

from nsview.host.process import ORDINARY
from nsview.host.text import printable

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_FSCONFIG_CMD_CREATE = 6
"""asm-generic/unistd.h, linux/mount.h."""

NOT_TO_BE_HAD = frozenset((errno.EPERM, errno.EACCES, errno.ENODEV, errno.ENOSYS))
"""No privilege (or a filter in front of the call), or a kernel without such queues or such calls."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class PosixQueue:
    """A queue: ``name`` as mq_open(3) has it, safe to print; ``messages`` of at most ``max_messages``, each of
    at most ``message_size`` bytes. None: it did not let itself be opened.
    """

    name: str
    mode: int
    uid: int | None
    gid: int | None
    messages: int | None
    max_messages: int | None
    message_size: int | None


class _Attributes(ctypes.Structure):
    """struct mq_attr (linux/mqueue.h)."""

    _fields_ = (
        ("flags", ctypes.c_long),
        ("maxmsg", ctypes.c_long),
        ("msgsize", ctypes.c_long),
        ("curmsgs", ctypes.c_long),
        ("reserved", ctypes.c_long * 4),
    )


def read_here() -> tuple[PosixQueue, ...]:
    """Return the queues by name; OSError, of NOT_TO_BE_HAD, where the file system is not to be had."""
    mount = _mounted()
    try:
        found = [_queue(mount, name) for name in sorted(os.listdir(mount))]
    finally:
        os.close(mount)
    return tuple(queue for queue in found if queue is not None)


def _mounted() -> int:
    context = _call("fsopen", _FSOPEN, ctypes.c_char_p(b"mqueue"), _FSOPEN_CLOEXEC)
    try:
        _call("fsconfig", _FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)
        mount = _call("fsmount", _FSMOUNT, context, _FSMOUNT_CLOEXEC, 0)
    finally:
        os.close(context)
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount)
    finally:
        os.close(mount)


def _queue(directory: int, name: str) -> PosixQueue | None:
    """Look at one queue without taking from it or touching its times; None when it has just gone."""
    try:
        status = os.stat(name, dir_fd=directory)
        attributes = _attributes(directory, name)
    except FileNotFoundError:
        return None
    amounts = (None, None, None) if attributes is None else (attributes.curmsgs, attributes.maxmsg, attributes.msgsize)
    return PosixQueue(f"/{printable(name)}", status.st_mode & 0o7777, status.st_uid, status.st_gid, *amounts)


def _attributes(directory: int, name: str) -> _Attributes | None:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        if error.errno in ORDINARY and error.errno != errno.ENOENT:
            return None
        raise
    try:
        attributes = _Attributes()
        # A descriptor of the file is what mq_open(3) would give.
        if _libc.mq_getattr(fd, ctypes.byref(attributes)):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "mq_getattr")
        return attributes
    finally:
        os.close(fd)


def _call(name: str, number: int, *arguments: object) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)
    return result
