"""A Python callable as what a child runs, in place of execve: what is asked of its launch, and how it begins and ends.

It is entered as after os.fork(2): the handlers of signals stay Python's, the mask is the caller's, of the threads only
this one lives, descriptors stay open. What multiprocessing does too: the buffers of standard output are written out
before and after, atexit handlers are the parent's and do not run.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import NoReturn

from spawner import mechanism as ways
from spawner.errors import Problem
from spawner.flags import format_mask
from spawner.spec import Mechanism, Spec

NAME = "<callable>"
"""What stands for the program where there is none."""
UNFLUSHED = 120
"""The status of a child that could not write out its standard output, as Python itself has it."""

_CALLS = (Mechanism.CLONE3, Mechanism.CLONE)
_WITHIN = ways.VM | ways.VFORK | ways.PIDFD | ways.CLEAR_SIGHAND


_WHY = "one call, from within a child of libc's fork, in whose copy of our memory the callable runs"


def why(mechanism: Mechanism, why: str) -> str:
    """Why this call, where ``why`` is the reason for a program: no memory is shared with a callable."""
    return _WHY if mechanism in _CALLS else why


def flags_of(flags: int, mechanism: Mechanism) -> int:
    """The flags of the call, of those a program would be launched with.

    It is made from within a child of libc's fork, which has one thread and its locks in order, and is to be our child.
    """
    return flags & ~_WITHIN | ways.PARENT if mechanism in _CALLS else flags


def problems(spec: Spec, mechanism: Mechanism, asked: frozenset[str]) -> Iterator[Problem]:
    """Why a callable cannot be launched so."""
    if mechanism in (Mechanism.VFORK, Mechanism.POSIX_SPAWN):
        yield Problem(
            f"{mechanism} lends the child our memory until execve, and a callable never executes",
            "use clone3, clone, fork or fork+unshare",
            rule="callable-in-lent-memory",
        )
    others = ways.wanted_flags(spec)[1] & ~ways.INTO_CGROUP
    if others:
        yield Problem(
            f"a callable runs in memory of its own and shares nothing with us: {format_mask(others)} cannot be had",
            "leave the flags out; spawner.calls runs plain system calls in a child that shares",
            rule="callable-shares-nothing",
        )
    if spec.exit_signal != signal.SIGCHLD:
        yield Problem("a callable's end is told by SIGCHLD", "leave the exit signal out")
    if "time" in asked:
        yield Problem(
            "a new time namespace is entered at execve, and a callable never executes",
            "leave it out, or launch a program",
            rule="callable-enters-no-time",
        )
    if spec.init:
        yield Problem(
            "an init above a callable is not served",
            "in a new pid namespace the callable is process 1 itself",
            rule="callable-is-process-1",
        )


def flush() -> bool:
    """Write out what stands in the buffers of standard output; whether that could be done."""
    written = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # nobody reads it any more; it is closed
            written = False
    return written


def enter(function: Callable[[], object], mask: int) -> NoReturn:
    """Run ``function`` as what this process is for; its status is the int returned, or 0 for None, else 1.

    ``mask`` are the signals to be blocked, bit N-1 for signal N. SystemExit ends it as it would end Python.
    """
    status = 1
    try:
        signal.set_wakeup_fd(-1)  # it is the parent's event loop that listens there
        signal.pthread_sigmask(signal.SIG_SETMASK, [number for number in range(1, 65) if mask >> (number - 1) & 1])
        status = _status(function())
    except SystemExit as end:
        status = _status_of(end)
    except BaseException:  # noqa: BLE001 - told on standard error and by the status; nobody is above
        traceback.print_exc()
    finally:
        if not flush() and status == 0:
            status = UNFLUSHED
        os._exit(status & 0xFF)


def _status(answer: object) -> int:
    if answer is None:
        return 0
    if isinstance(answer, int):
        return answer
    raise TypeError(f"a child's callable answers None or its exit status, not {answer!r}")


def _status_of(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1
