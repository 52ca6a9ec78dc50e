"""Things done in a process of its own, for what would spoil the tests' process or must end badly."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from spawner import thread

T = TypeVar("T")

NOBODY = 65534
NEWNS, NEWPID, NEWUSER, NEWUTS, NEWTIME = 0x20000, 0x20000000, 0x10000000, 0x04000000, 0x80
MS_NOEXEC, MS_REC, MS_PRIVATE, MS_SHARED = 8, 0x4000, 1 << 18, 1 << 20
MNT_DETACH = 2
PR_SET_DUMPABLE = 4

_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> int:
    """Call a libc function; OSError where it answers -1."""
    answer: int = getattr(_libc, name)(*arguments)
    if answer == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return answer


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    """Call mount(2)."""
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    call("mount", texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3])


def own_mounts(propagation: int = MS_PRIVATE) -> None:
    """Leave the machine's mounts for a copy of them."""
    call("unshare", NEWNS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    if propagation != MS_PRIVATE:
        mount("none", "/", None, MS_REC | propagation)


def keep_threads(count: int) -> None:
    """Have the engine make as many lasting threads: they are made on demand and never end, which is no leak."""
    together = threading.Barrier(count)

    def use() -> None:
        thread.call(lambda: together.wait() and None)

    users = [threading.Thread(target=use) for _ in range(count)]
    for user in users:
        user.start()
    for user in users:
        user.join()


def become_nobody(*, dumpable: bool = True) -> None:
    """Drop every privilege; what that does to /proc/self (its files go to root) is undone if ``dumpable``."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    call("prctl", PR_SET_DUMPABLE, int(dumpable), 0, 0, 0)


def apart(action: Callable[[], T]) -> T:
    """Run ``action`` in a forked process and give its (picklable) answer; AssertionError if it fails there."""
    reading, writing = os.pipe()
    pid = _forked(action, reading, writing, stay=False)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"ended with status {status:#x}; a traceback is on stderr"
    answer: T = pickle.loads(told[8:])
    return answer


@contextmanager
def beside(action: Callable[[], T]) -> Iterator[tuple[int, T]]:
    """Run ``action`` in a forked process that then lives on; give its pid and the answer, kill it at the end.

    Whoever kills it earlier must not reap it.
    """
    reading, writing = os.pipe()
    pid = _forked(action, reading, writing, stay=True)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:  # not to its end: a held child of theirs may have a copy of the other
            size = int.from_bytes(pipe.read(8), "big")
            assert size, "the process beside us failed; a traceback is on stderr"
            told = pickle.loads(pipe.read(size))
        yield pid, told
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _forked(action: Callable[[], Any], reading: int, writing: int, *, stay: bool) -> int:
    pid = os.fork()
    if pid != 0:
        return pid
    status = 1
    try:
        os.close(reading)
        answer = action()
        with os.fdopen(writing, "wb") as pipe:
            told = pickle.dumps(answer)
            pipe.write(len(told).to_bytes(8, "big") + told)
        status = 0
        while stay:
            signal.pause()
    finally:  # whatever happens, it must not run on as a second pytest
        if status:
            traceback.print_exc(file=sys.__stderr__)
        os._exit(status)
