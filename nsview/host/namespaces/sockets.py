"""The network namespace of another process's socket: nothing in /proc names it."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os

from nsview.host.process import ORDINARY, PinnedProcess, ProcessGoneError

SIOCGSKNS = 0x894C
"""linux/sockios.h; it takes CAP_NET_ADMIN over the namespace (net/socket.c)."""

_PIDFD_GETFD = 438
_PIDFD_THREAD = os.O_EXCL
_libc = ctypes.CDLL(None, use_errno=True)


def network_of_socket(pid: int, tid: int, start_time: int, fd: int, inode: int) -> int | None:
    """Open the network namespace of a process's socket by pidfd_getfd(2) and SIOCGSKNS; None when it is not ``inode``.

    ``tid`` is the pid, or a thread with a descriptor table of its own (a pidfd of it: since Linux 6.9).
    """
    try:
        with PinnedProcess(pid, start_time) as process:
            pidfd = os.pidfd_open(tid, 0 if tid == pid else _PIDFD_THREAD)
            try:
                if not process.is_there():
                    return None
                socket = _libc.syscall(_PIDFD_GETFD, pidfd, fd, 0)
                number = ctypes.get_errno()
            finally:
                os.close(pidfd)
    except ProcessGoneError:
        return None
    except OSError as error:
        _tolerate(error.errno)
        return None
    if socket < 0:
        _tolerate(number)
        return None
    try:
        network: int = fcntl.ioctl(socket, SIOCGSKNS)
    except OSError as error:
        _tolerate(error.errno)
        return None
    finally:
        os.close(socket)
    if os.fstat(network).st_ino == inode:
        return network
    os.close(network)
    return None


def _tolerate(number: int | None) -> None:
    if number not in ORDINARY | {errno.EBADF, errno.EINVAL, errno.ENOTTY}:
        raise OSError(number, os.strerror(number or 0), "a socket's network namespace")
