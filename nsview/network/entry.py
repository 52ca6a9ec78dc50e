"""Doing a thing in another network namespace: in a thread of its own, which enters it and ends."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import threading
from collections.abc import Callable
from typing import TypeVar

from spawner import procfs

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_OURS = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)


def namespace_of(pidfd: int, name: str) -> int:
    """Open a namespace of a living process; OSError with ESRCH if it has ended.

    Its directory in /proc is opened first; if the process lives after that, the directory was its own and no other's.
    """
    directory = os.open(f"/proc/{procfs.number(pidfd)}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        if poller.poll(0):
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return os.open(f"ns/{name}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    finally:
        os.close(directory)


def inside(namespace: int, action: Callable[[], T]) -> T:
    """Do ``action`` with the network namespace of an open descriptor as our own, and give its answer or its error.

    Only a thread made for it enters; to stay in our own takes no privilege. An interrupt is raised once it is over.
    """
    answers: list[T] = []
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            if not os.path.samestat(os.stat(_OURS), os.fstat(namespace)):
                _setns(namespace)
            answers.append(action())
        except BaseException as error:  # noqa: BLE001 - raised again by who asked
            errors.append(error)

    thread = threading.Thread(target=enter, name="network")
    thread.start()
    interrupt: BaseException | None = None
    while thread.is_alive():
        try:
            thread.join()
        except BaseException as error:  # noqa: BLE001 - raised once nobody is at it any more
            interrupt = error
    if interrupt is not None:
        raise interrupt
    if errors:
        raise errors[0]
    return answers[0]


def _setns(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
