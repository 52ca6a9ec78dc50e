"""The process that the lab looks at: it does to itself, and has its children do, what is asked on its standard input.

Run as a program. A question is a line of JSON, [name, argument…], and so is its answer. At the end of its input it
ends. Its children do nothing but wait for a pipe to end, so none outlives it. No core is dumped.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

CATCHABLE = tuple(number for number in range(1, 32) if number not in (signal.SIGKILL, signal.SIGSTOP))
ENDED, STOPPED, WENT_ON = "ended", "stopped", "went on"

_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWPID = 0x20000000
_taken: list[int] = []
_held: list[int] = []  # writing ends that no child of ours has: with them the children end


def identity() -> list[int]:
    """The pid that it has inside, and its parent's."""
    return [os.getpid(), os.getppid()]


def default() -> None:
    """Give every signal its default action."""
    for number in CATCHABLE:
        signal.signal(number, signal.SIG_DFL)


def catch() -> None:
    """Catch every signal that can be."""
    for number in CATCHABLE:
        signal.signal(number, lambda number, _frame: _taken.append(number))


def taken() -> list[int]:
    """The signals caught since last asked."""
    found = sorted(set(_taken))
    _taken.clear()
    return found


def to_itself(numbers: list[int]) -> list[int]:
    """Send itself these signals; those after which it still lived."""
    for number in numbers:
        os.kill(os.getpid(), number)
    return numbers


def by_child(numbers: list[int]) -> list[int]:
    """Have a child send it these signals; the same."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        for number in numbers:
            os.kill(parent, number)
        os._exit(0)
    os.waitpid(pid, 0)
    return numbers


def trial(numbers: list[int]) -> dict[str, str]:
    """What each signal does to a child of its own that catches none: "ended", "stopped" or "went on"."""
    default()
    return {str(number): _suffered(number) for number in numbers}


def _suffered(number: int) -> str:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)  # a signal that is there before the byte has acted when this returns
        os._exit(0)
    os.close(reading)
    os.setpgid(pid, pid)  # its parent is in another group of the session: an orphaned group is not stopped by TSTP
    os.kill(pid, number)
    os.close(writing)
    seen = os.waitid(os.P_PID, pid, os.WEXITED | os.WSTOPPED)
    assert seen is not None
    if seen.si_code == os.CLD_STOPPED:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return STOPPED
    return WENT_ON if seen.si_code == os.CLD_EXITED else ENDED


def orphan(killed: bool = False) -> list[int]:
    """Have a child leave a child behind; the pid of that one inside, and as whoever mounted /proc has it.

    It ignores what can be ignored, and waits. Its parent ends, or is ``killed``.
    """
    told, telling = os.pipe()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            _wait_as_orphan(reading, telling, (told, writing, *_held))
        if killed:
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    os.close(telling)
    os.close(reading)
    _held.append(writing)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) is not killed:
        raise OSError(f"the orphan's parent ended with {status}")
    with os.fdopen(told) as pipe:
        return [int(word) for word in pipe.readline().split()]


def _wait_as_orphan(reading: int, telling: int, others: tuple[int, ...]) -> NoReturn:
    for fd in (0, 1, 2, *others):
        os.close(fd)
    for number in CATCHABLE:
        signal.signal(number, signal.SIG_IGN)
    os.write(telling, f"{os.getpid()} {os.readlink('/proc/self')}\n".encode())
    os.close(telling)
    os.read(reading, 1)
    os._exit(0)


def reap() -> None:
    """Wait for every child, which has ended or is about to."""
    with suppress(ChildProcessError):
        while True:
            os.wait()


def subreaper() -> None:
    """Ask to be given the orphans among its descendants (prctl(2))."""
    import ctypes

    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("PR_SET_CHILD_SUBREAPER")


def unshare() -> list[int]:
    """Call unshare(CLONE_NEWPID): its pid before and after, and the pid that its next child has of itself.

    Where the kernel refuses, the number of its error alone.
    """
    import ctypes

    before = os.getpid()
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWPID) != 0:
        return [ctypes.get_errno()]
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, str(os.getpid()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return [before, os.getpid(), int(os.read(reading, 20))]


def crash() -> None:
    """Read memory that is not there."""
    import ctypes

    ctypes.string_at(0)


_QUESTIONS: dict[str, Callable[..., object]] = {
    act.__name__: act
    for act in (identity, default, catch, taken, to_itself, by_child, trial, orphan, reap, subreaper, unshare, crash)
}


def _main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most != 0:
        resource.setrlimit(resource.RLIMIT_CORE, (1, most))  # 1: not even for a program that core_pattern names
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(_QUESTIONS[name](*arguments)), flush=True)


if __name__ == "__main__":
    _main()
