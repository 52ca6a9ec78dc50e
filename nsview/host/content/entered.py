"""Doing a thing inside other namespaces: by a thread that enters them and ends, or with a process that dwells there."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from nsview.host.process import PinnedProcess
from spawner.namespaces import BY_NAME, KINDS, NamespaceKind

T = TypeVar("T")

NS_GET_NSTYPE = 0xB703
"""linux/nsfs.h; ioctl_nsfs(2)."""

_CLONE_FS = 0x00000200
_BY_FLAG = {kind.flag: kind for kind in KINDS}
_MOUNT = BY_NAME["mount"]
_NOT_BY_A_THREAD = {
    BY_NAME["user"]: errno.EINVAL,
    BY_NAME["time"]: errno.EUSERS,
    BY_NAME["pid"]: errno.EINVAL,
}
"""What setns(2) says to one thread of several. Of pid namespaces only its next children would be inside."""

_libc = ctypes.CDLL(None, use_errno=True)


class NotEnteredError(Exception):
    """We are not inside: ``kind`` of namespace, ``errno``, and ``reason``, one line for a person."""

    def __init__(self, kind: NamespaceKind, number: int) -> None:
        """Word the reason."""
        self.kind = kind
        self.errno = number
        name = errno.errorcode.get(number, str(number))
        self.reason = f"cannot enter the {kind.name} namespace: {os.strerror(number)} ({name})"
        if number == errno.EPERM:
            self.reason += "; it takes CAP_SYS_ADMIN in the user namespace that owns it: run with sudo"
        elif _NOT_BY_A_THREAD.get(kind) == number:
            self.reason += "; one thread of several cannot"
        super().__init__(self.reason)


def kind_of(fd: int) -> NamespaceKind:
    """Return which kind of namespace a descriptor is of; OSError with ENOTTY when it is of none."""
    return _BY_FLAG[fcntl.ioctl(fd, NS_GET_NSTYPE)]


def inside(namespaces: Sequence[int], action: Callable[[], T]) -> T:
    """Do ``action`` inside the namespaces of open descriptors and return its answer, or raise its error.

    A thread made for it enters (setns(2)) and has ended, for the kernel too, when this returns: it would hold
    the namespaces. All other threads stay where they are. To act where we are anyway takes no privilege.
    Raises NotEnteredError; for user, time and pid namespaces always, which no single thread can enter.
    """
    kinds = [(kind_of(fd), fd) for fd in namespaces]
    kinds.sort(key=lambda each: each[0] is _MOUNT)  # the last: from then on, /proc is what those there say it is
    answers: list[T] = []
    errors: list[BaseException] = []
    started: list[int] = []

    def visit() -> None:
        started.append(threading.get_native_id())
        try:
            for kind, fd in kinds:
                _enter(kind, fd)
            answers.append(action())
        except BaseException as error:  # noqa: BLE001 - raised again by who asked
            errors.append(error)

    thread = threading.Thread(target=visit, name="nsview-inside")
    thread.start()
    interrupt = _join(thread)
    _await_end(started[0])
    if interrupt is not None:
        raise interrupt
    if errors:
        try:
            raise errors[0]
        finally:
            errors.clear()  # its traceback holds this frame, which would hold it
    return answers[0]


def is_ours(kind: NamespaceKind, fd: int) -> bool:
    """True when the calling thread is in the namespace already."""
    try:
        return os.path.samestat(os.stat(f"/proc/thread-self/ns/{kind.proc}"), os.fstat(fd))
    except (FileNotFoundError, PermissionError):  # /proc is masked or of another pid namespace: it cannot tell
        return False


def _enter(kind: NamespaceKind, fd: int) -> None:
    if is_ours(kind, fd):
        return
    if kind in _NOT_BY_A_THREAD:
        raise NotEnteredError(kind, _NOT_BY_A_THREAD[kind])
    # Threads share root and working directory, which setns() to a mount namespace must replace (EINVAL else).
    if (kind is _MOUNT and _libc.unshare(_CLONE_FS)) or _libc.setns(fd, kind.flag):
        raise NotEnteredError(kind, ctypes.get_errno())


def _join(thread: threading.Thread) -> BaseException | None:
    """Wait for the end; an interrupt is returned once it is over."""
    interrupt: BaseException | None = None
    while thread.is_alive():
        try:
            thread.join()
        except BaseException as error:  # noqa: BLE001 - raised by who asked
            interrupt = error
    return interrupt


def _await_end(tid: int) -> None:
    """Wait for the kernel's end of a thread that Python has seen off: some microseconds later."""
    while os.path.exists(f"/proc/self/task/{tid}"):
        time.sleep(0)


_DWELLER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(4, 0, 0, 0, 0)
for fd in map(int, sys.argv[1:]):
    if libc.setns(fd, 0):
        os.write(1, b"%d %d\\n" % (fd, ctypes.get_errno()))
        sys.exit(1)
os.write(1, b"inside\\n")
os.read(0, 1)
"""
"""PR_SET_DUMPABLE (4) first: whoever has power in the namespace is to have none over this process."""


@contextmanager
def dwelling(namespaces: Sequence[int]) -> Iterator[PinnedProcess]:
    """Have a process of one thread enter the namespaces, and pin it while it waits there; it ends with the context.

    For what no thread can enter, user and time namespaces, when no process is there whose files in /proc show what
    is inside. Raises NotEnteredError.
    """
    command = [sys.executable, "-I", "-S", "-c", _DWELLER, *map(str, namespaces)]
    try:
        dweller = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=tuple(namespaces))
    except OSError as error:  # Python may live where this user cannot go
        raise NotEnteredError(kind_of(namespaces[0]), error.errno or errno.EIO) from None
    with dweller as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            said = process.stdout.readline().split()
            if said != [b"inside"]:
                fd, number = (int(word) for word in said) if len(said) == 2 else (namespaces[0], errno.ECHILD)
                raise NotEnteredError(kind_of(fd), number)
            with PinnedProcess(process.pid) as pinned:
                yield pinned
        finally:
            process.stdin.close()
