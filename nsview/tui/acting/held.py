"""One process held by descriptors while it is acted on, so that what is done is done to it and to no successor.

Signals go through the pidfd, files through the descriptor of ``/proc/PID``: neither can reach another process.
setpriority(2), sched_setaffinity(2), sched_setscheduler(2), ioprio_set(2) and prlimit(2) take a number. Nobody
keeps a number from being used again, so for these the process is looked at before the call, which refuses a
number that has changed hands, and after it, which proves that it had not: a number whose process is still there
was its own all the time. What is left is the time between the first look and the call, some microseconds in
which the process would have to be reaped and its number given away; then the second look fails, and that is said.
"""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TypeVar

from nsview.host.model import Identity
from nsview.host.process import numbers_agree

T = TypeVar("T")
_GONE = (errno.ENOENT, errno.ESRCH)


class OtherProcessError(ProcessLookupError):
    """The process was reaped while it was acted on by number: whether it or a successor was changed is unknown."""


class Held:
    """The process with this pid *and* this start time; ProcessLookupError when it is gone. Use as a context manager.

    The pidfd is opened first. Whoever has the start time that was seen earlier was there before, so the pidfd is
    its too.
    """

    def __init__(self, identity: Identity) -> None:
        self.pid, self.start_time = identity
        if not numbers_agree(os.getpid()):
            raise ProcessLookupError(errno.ESRCH, "this /proc is of another pid namespace than nsview's system calls")
        self.pidfd = os.pidfd_open(self.pid)
        try:
            self._directory = os.open(f"/proc/{self.pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            os.close(self.pidfd)
            raise _gone(self.pid) from None
        except BaseException:
            os.close(self.pidfd)
            raise
        started = self._started("stat")
        if started != self.start_time:
            self.__exit__(None, None, None)
            raise _gone(self.pid) if started is None else _other(self.pid)

    def __enter__(self) -> Held:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the descriptors."""
        os.close(self.pidfd)
        os.close(self._directory)

    def signal(self, signo: int) -> None:
        """Send a signal through the pidfd (pidfd_send_signal(2))."""
        signal.pidfd_send_signal(self.pidfd, signo)

    def ends_within(self, milliseconds: int) -> bool:
        """Wait for it to end, at most so long; true when it has."""
        poller = select.poll()
        poller.register(self.pidfd, select.POLLIN)
        return bool(poller.poll(milliseconds))

    def read(self, name: str) -> bytes:
        """Return the content of /proc/PID/``name``; OSError, ProcessLookupError when the process is gone."""
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
        with open(fd, "rb") as file:
            return file.read()

    def write(self, name: str, text: str) -> None:
        """Write /proc/PID/``name`` with one write(2); OSError."""
        fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._directory)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def status(self) -> dict[str, str]:
        """Return the fields of /proc/PID/status (proc_pid_status(5)); OSError."""
        lines = (line.split(":", 1) for line in self.read("status").decode("utf-8", "backslashreplace").split("\n"))
        return {words[0]: words[1].strip() for words in lines if len(words) == 2}

    def by_pid(self, call: Callable[[int], T]) -> T:
        """Return what ``call(pid)`` does; OtherProcessError when the number may have changed hands meanwhile."""
        return self._by_number(self.pid, "stat", call)

    def by_thread(self, call: Callable[[int], T]) -> dict[int, T]:
        """Call ``call(tid)`` for every thread until there is none new, and return what it did for each.

        Nice, affinity, policy and I/O priority are each thread's own (sched(7)). A thread that ends meanwhile
        is left out; the first other OSError is raised.
        """
        done: dict[int, T] = {}
        seen: set[int] = set()
        while fresh := [tid for tid in self._threads() if tid not in seen]:
            for tid in fresh:
                seen.add(tid)
                try:
                    done[tid] = self._by_number(tid, f"task/{tid}/stat", call)
                except ProcessLookupError:
                    if self._started("stat") is None:
                        raise
        if not done:
            raise _gone(self.pid)
        return done

    def _threads(self) -> Iterator[int]:
        try:
            fd = os.open("task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._directory)
        except OSError as error:
            if error.errno in _GONE:
                raise _gone(self.pid) from None
            raise
        try:
            names = os.listdir(fd)
        finally:
            os.close(fd)
        yield from sorted(map(int, names))

    def _by_number(self, number: int, stat: str, call: Callable[[int], T]) -> T:
        before = self._started(stat)
        if before is None:
            raise _gone(number)
        answer = call(number)
        if self._started(stat) != before:
            raise OtherProcessError(errno.ESRCH, f"{number} ended during the call, which may have met a successor")
        return answer

    def _started(self, stat: str) -> int | None:
        """When the process, or a thread of it, began; None once it was reaped."""
        try:
            text = self.read(stat)
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise
        return int(text[text.rindex(b")") + 2 :].split()[19])


def _gone(pid: int) -> ProcessLookupError:
    return ProcessLookupError(errno.ESRCH, f"{pid} is gone")


def _other(pid: int) -> ProcessLookupError:
    return ProcessLookupError(errno.ESRCH, f"{pid} is another process now")
