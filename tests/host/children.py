"""Children that act once and then wait to be looked at."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import traceback
from collections.abc import Callable
from typing import Any

NOBODY = 65534
PR_SET_NAME = 15

libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> int:
    """Call a libc function and raise OSError when it says -1."""
    result: int = getattr(libc, name)(*arguments)
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), name)
    return result


def rename(comm: bytes) -> None:
    """Give the calling thread another name."""
    call("prctl", PR_SET_NAME, ctypes.c_char_p(comm), 0, 0, 0)


def fork_and(action: Callable[[], Any]) -> tuple[int, Any]:
    """Fork a child that acts, tells the result and then waits for its end; return its pid and the result."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(action(), pipe)
            while True:
                signal.pause()
        finally:  # whatever happens, it must not run on as a second pytest
            traceback.print_exc()
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        try:
            return pid, pickle.load(pipe)
        except EOFError:
            end(pid)
            raise AssertionError("the child failed; its traceback is on stderr") from None


def end(pid: int) -> None:
    """Kill and reap a child."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def drop_privileges() -> None:
    """Become nobody for good."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
