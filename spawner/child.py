"""A launched child: look at it, signal it, wait for it, and leave nothing of it behind."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import signal
import struct
import threading
import time
from types import TracebackType

from spawner import _native, procfs
from spawner.birth import Birth
from spawner.cgroups.group import Group
from spawner.ending import WALL, wait_readable
from spawner.exit import Exit
from spawner.plan import Plan
from spawner.reaper import NEVER_EXECUTED
from spawner.stdio import set_window
from spawner.timeline import Event, events

# linux/pidfd.h; the exit status is there since Linux 6.15, also of a child that is not ours to wait for.
_PIDFD_GET_INFO = 0xC040FF0B
_PIDFD_INFO = struct.Struct("=QQ11Ii")
_PIDFD_INFO_EXIT = 1 << 3
_LONGEST_POLL = 1 << 30  # poll(2) takes an int of milliseconds
# An older kernel lacks the ioctl (ENOTTY, EINVAL), or somebody reaped before it kept statuses (ESRCH).
_NO_INFO = (errno.ENOTTY, errno.EINVAL, errno.ESRCH)


class Child:
    """A child made by launch(). Use it as a context manager, or close() it.

    Attributes are fixed at the launch: ``pid``, ``pidfd`` and the ``plan`` it ran. Methods that wait block the
    calling thread; exited() is the asynchronous twin of wait().
    """

    def __init__(self, birth: Birth) -> None:
        self._birth = birth
        self._exit: Exit | None = None
        self._reaping = threading.RLock()  # a status can be had once; a signal handler may ask within a wait

    def __repr__(self) -> str:
        state = f"held before step {self.held}" if self.held is not None else "ended" if self._exit else "launched"
        return f"<Child {self.pid} {state}>"

    @property
    def plan(self) -> Plan:
        """What the child was launched by."""
        return self._birth.plan

    @property
    def pid(self) -> int:
        """Its process id in our pid namespace."""
        return self._birth.pid

    @property
    def pidfd(self) -> int:
        """A descriptor of it (pidfd_open(2)); -1 after close()."""
        return self._birth.pidfd

    @property
    def start_time(self) -> int | None:
        """Clock ticks since boot, field 22 of /proc/PID/stat; with the pid this names one process for ever.

        Read when first asked for; None if that is after the child was reaped.
        """
        if self._birth.start_time is None and self._exit is None and self.pidfd >= 0:
            seen = procfs.flags_and_start(self.pidfd)
            self._birth.start_time = seen[1] if seen else None
        return self._birth.start_time

    @property
    def namespaces(self) -> dict[str, int | None]:
        """Inode of each namespace by OCI name, read by the child itself just before execve; None: unknown."""
        return self._birth.namespaces()

    @property
    def timeline(self) -> tuple[Event, ...]:
        """Every system call of the launch so far, with times."""
        birth = self._birth
        if birth.image is None:
            return (Event(None, "posix_spawn", "birth", self.plan.birth, *birth.span_since_origin, self.pid),)
        return tuple(
            events(
                birth.plan,
                birth.image,
                origin_ns=birth.origin_ns,
                birth=birth.span,
                seen_ns=birth.seen_ns,
                acts=birth.acts,
            )
        )

    @property
    def returned_ns(self) -> int:
        """When the call that made it had returned here, in nanoseconds since launch() was called.

        The first event of the timeline ends when the child runs its first step, which may be before or after that.
        """
        return self._birth.span_since_origin[1]

    @property
    def cgroup(self) -> Group | None:
        """Its control group, if it was launched with one: freeze it, kill all that is in it, see what it uses.

        Where the child was killed by SIGKILL, ``oom_kills`` tells whether that was for want of memory. What it has
        used can still be asked after close().
        """
        return self._birth.cgroup

    @property
    def read_back(self) -> tuple[tuple[str, str | None], ...]:
        """What was asked for and the kernel's word on it, in the order of the plan; None where it said nothing."""
        image = self._birth.image
        if image is None:
            return ()
        return tuple(
            (check.what, check.found(image.record(check.step)[2], image.written(check.step)))
            for check in self.plan.checks
        )

    @property
    def stdin(self) -> int | None:
        """Our end of its standard input, where that is a pipe."""
        return self._birth.streams.parent.get("stdin")

    @property
    def stdout(self) -> int | None:
        """Our end of its standard output, where that is a pipe."""
        return self._birth.streams.parent.get("stdout")

    @property
    def stderr(self) -> int | None:
        """Our end of its standard error, where that is a pipe."""
        return self._birth.streams.parent.get("stderr")

    @property
    def pty(self) -> int | None:
        """The master side of its terminal, where it has one of its own."""
        return self._birth.streams.parent.get("pty")

    def close_stream(self, name: str) -> None:
        """Close our end of ``stdin``, ``stdout``, ``stderr`` or the ``pty`` before the rest."""
        self._birth.streams.close_end(name)

    def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal a new size; ValueError if it has none of its own."""
        if self.pty is None:
            raise ValueError("the child has no terminal of its own")
        set_window(self.pty, rows, columns)

    # ---- held ----

    @property
    def held(self) -> int | None:
        """The index of the step it waits before, or None."""
        return self._birth.held

    def step(self) -> None:
        """Let a held child run one step and wait again. LaunchError if that fails, and the child is gone."""
        if self.held is None:
            raise ValueError("the child is not held")
        self._birth.go_on(self.held + 1)

    def resume(self, hold: int | str | None = None) -> None:
        """Let a held child go on to execve, or to the step named by ``hold``. LaunchError as for launch()."""
        self._birth.go_on(None if hold is None else index_of(self.plan, hold))

    # ---- alive ----

    def signal(self, number: int) -> None:
        """Send a signal through the pidfd, so to no stranger; ProcessLookupError once it is reaped or dead."""
        if self.pidfd < 0 or self._exit is not None:
            raise ProcessLookupError(f"process {self.pid} has ended")
        signal.pidfd_send_signal(self.pidfd, number)

    def poll(self) -> Exit | None:
        """How it ended, or None while it has not. Reaps it."""
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> Exit | None:
        """Wait for its end, at most ``timeout`` seconds (None: for ever), and reap it; None if it is not over."""
        if self._exit is not None:
            return self._exit
        if self.pidfd < 0:
            raise ValueError("the child is closed")
        if timeout is not None and not _ends_within(self.pidfd, timeout):
            return None
        with self._reaping:
            if self._exit is None:
                self._exit = self._reap()
        return self._exit

    async def exited(self) -> Exit:
        """Wait for its end without blocking the event loop, and reap it."""
        if self._exit is None:
            import asyncio  # most callers have no loop, and it is slow to import

            loop = asyncio.get_running_loop()
            ended = asyncio.Event()
            loop.add_reader(self.pidfd, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(self.pidfd)
        answer = self.wait()
        assert answer is not None
        return answer

    def _reap(self) -> Exit:
        executed = True
        try:
            seen = _native.waitid(self.pidfd, os.WEXITED | os.WNOWAIT | WALL)
            if seen is not None and not self.plan.entry and (seen[0] != os.CLD_EXITED or self.plan.init):
                flags = procfs.flags_and_start(self.pidfd)
                executed = flags is None or not flags[0] & procfs.PF_FORKNOEXEC
                if self.plan.init and executed:  # its own program, that is: the reaper tells of the one below
                    executed = procfs.name(self.pidfd) != NEVER_EXECUTED
            answer = _native.waitid(self.pidfd, os.WEXITED | WALL)
        except ChildProcessError:  # our parent's to wait for (CLONE_PARENT), or SIGCHLD is ignored
            if self._exit is not None:  # or a signal handler has asked meanwhile
                return self._exit
            wait_readable(self.pidfd)
            return exit_from_pidfd(self.pidfd)
        assert answer is not None
        code, status, usage = answer
        micro = 1_000_000
        rusage = resource.struct_rusage((usage[0] / micro, usage[1] / micro, *usage[2:]))
        if code == os.CLD_EXITED:
            return Exit(status, None, False, rusage, executed)
        return Exit(None, status, code == os.CLD_DUMPED, rusage, executed)

    # ---- the end ----

    def close(self) -> None:
        """Kill it if it lives, reap it, close every descriptor. Does nothing the second time."""
        if self.pidfd >= 0 and self._exit is None:
            if self.held is None:
                self._exit = self._killed()
            self._birth.held = None
        if self._exit is not None and self.pidfd >= 0:
            os.close(self._birth.pidfd)
            self._birth.pidfd = -1
        self._birth.discard()

    def _killed(self) -> Exit:
        self._birth.kill()
        ended = self.wait()
        assert ended is not None
        return ended

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _ends_within(pidfd: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    end = time.monotonic() + seconds
    while not poller.poll(min(max(0.0, end - time.monotonic()) * 1000, _LONGEST_POLL)):
        if time.monotonic() >= end:
            return False
    return True


def index_of(plan: Plan, step: int | str) -> int:
    """The index of a step given by index or label; ValueError if the plan has none such."""
    if isinstance(step, int):
        if 0 <= step < len(plan.steps):
            return step
        raise ValueError(f"the plan has no step {step}: it has {len(plan.steps)}")
    for index, candidate in enumerate(plan.steps):
        if candidate.label == step:
            return index
    labels = ", ".join(dict.fromkeys(candidate.label for candidate in plan.steps))
    raise ValueError(f"the plan has no step {step!r}; it has {labels}")


def exit_from_pidfd(pidfd: int) -> Exit:
    """The exit status that the kernel keeps with a pidfd, for a child that somebody else reaped."""
    request = bytearray(_PIDFD_INFO.pack(_PIDFD_INFO_EXIT, 0, *([0] * 11), 0))
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, request)
    except OSError as error:
        if error.errno in _NO_INFO:
            return Exit(None, None, False, None)
        raise
    fields = _PIDFD_INFO.unpack(request)
    if not fields[0] & _PIDFD_INFO_EXIT:
        return Exit(None, None, False, None)
    status = fields[-1]
    if os.WIFSIGNALED(status):
        return Exit(None, os.WTERMSIG(status), os.WCOREDUMP(status), None)
    return Exit(os.WEXITSTATUS(status), None, False, None)
