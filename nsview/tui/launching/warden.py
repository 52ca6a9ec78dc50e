"""The warden: ends what nsview launched when nsview itself is killed and cannot.

A launched program dies with us by PR_SET_PDEATHSIG, but the kernel promises that for nobody below it: a job in the
background, a program that has made itself a session, a daemon that forked twice all go to process 1 and live on. So
another process waits for our end, by a pidfd, and kills whoever has this session's mark in its environment, which
everybody inherits. What clears its environment, or is another user's where we are not root, is beyond it.

It runs as a program of its own, so it is small, has none of our descriptors, and imports nothing of nsview.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator

MARK = "NSVIEW_SESSION"
"""The variable with the mark: our pid and random digits."""

ROUNDS = 1000
"""How often it looks for more, at most: who forks faster than it kills is left to the person at the machine."""


def post() -> None:
    """Mark the environment that launched programs will inherit, and start the warden; raises OSError.

    It is no child of ours: nothing has to be reaped, and no list of our children has it.
    """
    mark = f"{os.getpid()}-{os.urandom(8).hex()}"
    os.environ[MARK] = mark
    pidfd = os.pidfd_open(os.getpid())
    between = os.fork()
    if between == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                os.set_inheritable(pidfd, True)
                os.execve(sys.executable, ["nsview-warden", "-I", "-S", __file__, str(pidfd), mark], {})
        finally:
            os._exit(0)
    os.close(pidfd)
    os.waitpid(between, 0)


def watch(pidfd: int, mark: str) -> None:
    """Wait for the end of who is behind the pidfd, then kill all that have the mark."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)  # else the terminal would stay open for as long as we live
    os.closerange(3, pidfd)
    os.closerange(pidfd + 1, 1 << 16)
    os.chdir("/")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with open("/proc/self/comm", "w", encoding="ascii") as comm:
        comm.write("nsview-warden")
    select.select([pidfd], [], [])
    for _ in range(ROUNDS):
        if not kill_all(f"{MARK}={mark}".encode()):
            return


def kill_all(variable: bytes) -> int:
    """Kill everybody who has this in its environment, wait until they have ended, and return how many there were."""
    ended = select.poll()
    pidfds: list[int] = []
    killed = 0
    try:
        for pid in _pids():
            if not _has(pid, variable):
                continue
            try:
                pidfds.append(pidfd := os.pidfd_open(pid))
                if _has(pid, variable):  # else another process has the number now
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    ended.register(pidfd, select.POLLIN)
                    killed += 1
            except (ProcessLookupError, PermissionError):
                continue
        left = killed
        while left and (told := ended.poll(1000)):
            for pidfd, _event in told:
                ended.unregister(pidfd)
            left -= len(told)
        return killed
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())


def _has(pid: int, variable: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as environ:
            return variable in environ.read().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


if __name__ == "__main__":
    watch(int(sys.argv[1]), sys.argv[2])
