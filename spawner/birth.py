"""A launch under way: from the call that makes the child until execve has succeeded, or all is undone."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from spawner import _native, procfs
from spawner.causes import explain
from spawner.errors import LaunchError
from spawner.image import NEVER, Image, lay_out
from spawner.namespaces import BY_NAME, KINDS
from spawner.plan import Plan
from spawner.spec import Mechanism
from spawner.stdio import Streams, above_stdio

WALL = 0x40000000  # __WALL: children with any exit signal, waitpid(2)
_STACK = 64 * 1024
_METHODS = {
    Mechanism.CLONE3: 0,
    Mechanism.CLONE: 1,
    Mechanism.FORK: 2,
    Mechanism.FORK_UNSHARE: 2,
    Mechanism.VFORK: 3,
}
_VM = 0x100

# A process forked while a sync pair exists would keep the child's end open, and its end of file would never
# come: so nothing of ours forks meanwhile (Go's ForkLock), Python's own os.fork included.
_pair_lock = threading.Lock()


def _renew_lock() -> None:
    global _pair_lock
    _pair_lock = threading.Lock()


os.register_at_fork(
    before=lambda: _pair_lock.acquire() and None,
    after_in_parent=lambda: _pair_lock.release(),
    after_in_child=_renew_lock,
)


class Birth:
    """One child on its way to execve. Used by one thread at a time.

    ``held`` is the index of the step it waits before, None once it runs the program. After a LaunchError
    everything is closed and reaped.
    """

    def __init__(self, plan: Plan, streams: Streams, *, origin_ns: int) -> None:
        self.plan = plan
        self.streams = streams
        self.origin_ns = origin_ns
        self.pid = -1
        self.pidfd = -1
        self.held: int | None = None
        self.start_time: int | None = None
        self.seen_ns: int | None = None
        self.span = (0, 0, 0)
        self.image: Image | None = None
        self._stack: object = None
        self._sync: socket.socket | None = None
        self._second_fork = plan.second_fork

    @property
    def span_since_origin(self) -> tuple[int, int]:
        """Start and end of the call that made the child, in nanoseconds since launch()."""
        return self.span[0] - self.origin_ns, self.span[1] - self.origin_ns

    # ---- forward ----

    def begin(self, *, mask: int, hold_at: int | None, inject: tuple[int, int] | None) -> None:
        """Make the child and wait until it is held or runs the program. Raises LaunchError."""
        slots = dict(self.streams.child)
        slots["sigmask"] = mask
        parent_pidfd = -1
        try:
            if self.plan.pdeathsig is not None:
                parent_pidfd = slots["parent_pidfd"] = above_stdio(os.pidfd_open(os.getpid()))
            self._make(slots, NEVER if hold_at is None else hold_at, inject)
        except LaunchError:
            self.discard()
            raise
        except OSError as error:  # ours, before there was a child
            self.discard()
            raise self._error("prepare", None, error.errno or 0) from error
        except BaseException:
            self.discard()
            raise
        finally:
            if parent_pidfd >= 0:
                os.close(parent_pidfd)
            self.streams.close_child_ends()
        self._settle()

    def go_on(self, hold_at: int | None) -> None:
        """Let a held child go on, to the step before which it shall wait next or to execve. Raises LaunchError."""
        if self.held is None or self._sync is None:
            raise ValueError("the child is not held")
        self.held = None
        word = struct.pack("=I", NEVER if hold_at is None else hold_at)
        with suppress(BrokenPipeError, ConnectionResetError):  # it died while held: _settle finds out how
            self._sync.send(word, socket.MSG_NOSIGNAL)
        self._settle()

    def _make(self, slots: dict[str, int], hold_at: int, inject: tuple[int, int] | None) -> None:
        if self.plan.confirms:
            with _pair_lock:
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
                self._sync = ours
                child_end = above_stdio(theirs.detach())
                slots["parent_end"] = ours.fileno()
                try:
                    self._spawn(slots, child_end, hold_at, inject)
                finally:
                    os.close(child_end)
        else:
            self._spawn(slots, -1, hold_at, inject)

    def _spawn(self, slots: Mapping[str, int], child_end: int, hold_at: int, inject: tuple[int, int] | None) -> None:
        plan = self.plan
        layout = lay_out(plan)
        self.image = Image(layout, slots, sync_fd=child_end, hold_at=hold_at, inject=inject)
        try:
            self.pid, self.pidfd, start, end, self._stack = _native.spawn(
                _METHODS[plan.mechanism],
                plan.clone_flags,
                plan.exit_signal,
                self.image.map,
                layout.relocations,
                _STACK if plan.clone_flags & _VM else 0,
                -1,
            )
        except OSError as error:
            raise self._error(plan.birth_label, None, error.errno or 0) from None
        self.span = (start, end, self.pid)
        if self.pidfd < 0:
            number, self.pidfd = -self.pidfd, -1
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, WALL)
            raise self._error("pidfd_open", None, number)

    # ---- what became of it ----

    def _settle(self) -> None:
        try:
            if self._sync is not None and not self._wait_for_word():
                return
            self._judge()
        except BaseException:
            self.discard()
            raise

    def _wait_for_word(self) -> bool:
        """Wait until the child is held (False), or has exec'ed or is dying (True)."""
        assert self._sync is not None
        while True:
            poller = select.poll()
            poller.register(self._sync, select.POLLIN)
            poller.register(self.pidfd, select.POLLIN)
            ready = {fd for fd, _ in poller.poll()}
            if self._sync.fileno() in ready:
                word = self._receive()
                if word:
                    (self.held,) = struct.unpack("=I", word)
                    self._adopt()
                    return False
                self._adopt()
                return True
            if not self._adopt():
                return True

    def _receive(self) -> bytes:
        assert self._sync is not None
        try:
            return self._sync.recv(4)
        except ConnectionResetError:
            return b""

    def _adopt(self) -> bool:
        """Where the plan forks a second time, go over from the process that made the child to the child."""
        if self._second_fork is None or self.image is None:
            return False
        if self.held is not None and self.held <= self._second_fork:
            return False
        wait_readable(self.pidfd)
        final = self.image.record(self._second_fork)[2]
        if final <= 0:
            return False
        pidfd = os.pidfd_open(final)  # CLONE_PARENT made it our child: unreaped, so the number is its own
        _native.waitid(self.pidfd, os.WEXITED | WALL)
        os.close(self.pidfd)
        self.pid, self.pidfd, self._second_fork = final, pidfd, None
        return True

    def _judge(self) -> None:
        """The child has left our memory: by execve, or because it is ending. Raises LaunchError for the latter."""
        assert self.image is not None
        self.seen_ns = time.monotonic_ns()
        failed = self.image.failed
        if failed is not None:
            wait_readable(self.pidfd)
            raise self._failure_at(failed)
        current = self.image.current
        in_exec = self.plan.steps[current].syscall == "execve" and self.image.record(current)[1] == 0
        if not in_exec:
            wait_readable(self.pidfd)
            raise self._died(current)
        self._look_at_exec(current)
        self.image.freeze()
        self._release()
        self._compare()

    def _look_at_exec(self, current: int) -> None:
        """Where it has ended already, its flags say for certain whether it got as far as the new program."""
        if not _readable(self.pidfd):
            return
        seen = procfs.flags_and_start(self.pid)
        if seen is not None:
            self.start_time = seen[1]
            if seen[0] & procfs.PF_FORKNOEXEC:
                raise self._died(current)

    def _compare(self) -> None:
        """What was asked for against what the child read from the kernel just before execve."""
        if not self.plan.asked:
            return
        found = self.namespaces()
        for name in self.plan.asked:
            kind = BY_NAME[name]
            inside = found[name]
            outside = procfs.namespace("thread-self", kind.proc)
            if inside is None or outside is None:
                continue
            if inside == outside:
                raise LaunchError(
                    f"read back ns/{kind.proc}",
                    cause=f"the child is still in our {name} namespace, though the kernel reported no error",
                )
            if name == "time":
                entered = procfs.namespace(self.pid, "time")
                if entered is not None and entered != inside:
                    raise LaunchError(
                        "read back ns/time",
                        cause="this kernel does not enter a new time namespace at execve",
                    )

    def namespaces(self) -> dict[str, int | None]:
        """The child's namespaces by OCI name, as it read them itself just before execve; None: unknown."""
        found: dict[str, int | None] = dict.fromkeys(BY_NAME)
        if self.image is None:
            return found
        links = {step.path: index for index, step in enumerate(self.plan.steps) if step.syscall == "readlinkat"}
        for kind in KINDS:
            link = "time_for_children" if kind.name == "time" else kind.proc
            index = links.get(f"/proc/self/ns/{link}")
            if index is not None:
                found[kind.name] = procfs.parse_link(self.image.out(index).decode("ascii", "replace"))
        return found

    # ---- errors ----

    def _failure_at(self, index: int) -> LaunchError:
        assert self.image is not None
        step = self.plan.steps[index]
        result = self.image.record(index)[2]
        if result >= 0:
            return LaunchError(step.label, index=index, cause="this process has died meanwhile")
        if step.syscall == "execve":
            return self._not_executed(index, -result)
        return self._error(step.label, index, -result, step.path)

    def _not_executed(self, index: int, number: int) -> LaunchError:
        """As execvp(3) has it: one candidate that may not be executed outweighs all that are not there."""
        assert self.image is not None
        searched = [i for i, step in enumerate(self.plan.steps[: index + 1]) if step.syscall == "execve"]
        path = self.plan.steps[index].path
        if len(searched) > 1 and number in (errno.ENOENT, errno.ENOTDIR):
            path = os.path.basename(path or "")
            for candidate in searched:
                if self.image.record(candidate)[2] == -errno.EACCES:
                    index, number, path = candidate, errno.EACCES, self.plan.steps[candidate].path
                    break
        return self._error("execve", index, number, path)

    def _error(self, label: str, index: int | None, number: int, path: str | None = None) -> LaunchError:
        cause, remedy = explain(self.plan, label, number, path)
        return LaunchError(label, index=index, errno=number, path=path, cause=cause, remedy=remedy)

    def _died(self, index: int) -> LaunchError:
        answer = None
        with suppress(ChildProcessError):  # not ours to wait for (CLONE_PARENT): how it ended stays unknown
            answer = _native.waitid(self.pidfd, os.WEXITED | os.WNOWAIT | WALL)
        how = "the child ended before execve"
        if answer is not None and answer[0] in (os.CLD_KILLED, os.CLD_DUMPED):
            how = f"the child was killed by {_signal_name(answer[1])} before execve"
        return LaunchError(self.plan.steps[index].label, index=index, cause=how)

    # ---- the end ----

    def _release(self) -> None:
        """Give back what only an unfinished child needs."""
        self._stack = None
        if self._sync is not None:
            self._sync.close()
            self._sync = None

    def discard(self) -> None:
        """Kill, reap and close everything. Does nothing the second time."""
        if self.pidfd >= 0:
            end_child(self.pidfd)
            if self._second_fork is not None and self.image is not None:
                self._end_second()
            os.close(self.pidfd)
            self.pidfd = -1
        self._release()
        if self.image is not None:
            self.image.freeze()
        self.streams.close()

    def _end_second(self) -> None:
        assert self.image is not None
        assert self._second_fork is not None
        final = self.image.record(self._second_fork)[2]
        if final > 0:
            pidfd = os.pidfd_open(final)
            end_child(pidfd)
            os.close(pidfd)


def end_child(pidfd: int) -> None:
    """Kill a child and reap it; a child of somebody else (CLONE_PARENT) is killed and seen to be dead."""
    with suppress(ProcessLookupError):  # dead already
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    try:
        _native.waitid(pidfd, os.WEXITED | WALL)
    except ChildProcessError:
        wait_readable(pidfd)


def wait_readable(pidfd: int) -> None:
    """Wait until the process of a pidfd has ended."""
    _readable(pidfd, None)


def _readable(pidfd: int, timeout: int | None = 0) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(timeout))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
