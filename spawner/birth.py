"""A launch under way: from the call that makes the child until execve has succeeded, or all is undone."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import NoReturn

from spawner import _native, procfs
from spawner.act import Act
from spawner.cgroups.entrance import Entrance
from spawner.cgroups.group import Group
from spawner.comparison import compare, namespaces_read, namespaces_seen
from spawner.ending import WALL, end_child, readable, wait_readable
from spawner.entry import enter, flush
from spawner.errors import LaunchError
from spawner.image import NEVER, Image, lay_out
from spawner.opened import close, close_all, lift
from spawner.parent import Parent
from spawner.plan import Networker, Plan, Prepared
from spawner.reaper import NEVER_EXECUTED
from spawner.spec import Mechanism
from spawner.stdio import Streams
from spawner.thread import undisturbed
from spawner.verdict import died_at, failed_at, refused, standing_before

_STACK = 64 * 1024
_METHODS = {
    Mechanism.CLONE3: 0,
    Mechanism.CLONE: 1,
    Mechanism.FORK: 2,
    Mechanism.FORK_UNSHARE: 2,
    Mechanism.VFORK: 3,
}
_VM, _FILES = 0x100, 0x400
_OWN_DESCRIPTORS = 1
"""Where CLONE_FILES is asked for, the first step unshares: from the second on the child's descriptors are its own."""

# A process forked while a sync pair exists would keep the child's end open, and its end of file would never
# come: so nothing of ours forks meanwhile (Go's ForkLock), Python's own os.fork included.
_pair_lock = threading.RLock()  # held too where Python's own hook asks for it again (spawner.entry)


def _renew_lock() -> None:
    global _pair_lock
    _pair_lock = threading.RLock()


os.register_at_fork(
    before=lambda: _pair_lock.acquire() and None,
    after_in_parent=lambda: _pair_lock.release(),
    after_in_child=_renew_lock,
)


class Birth:
    """One child on its way to execve. Used by one thread at a time.

    ``held`` is the index of the step it waits before, None once it runs the program. A signal handler may raise between
    any two lines: what is to be closed or ended is noted by the line that makes it, and discard() takes all of it back.
    """

    def __init__(
        self,
        plan: Plan,
        streams: Streams,
        *,
        origin_ns: int,
        network: Networker | None = None,
        entry: Callable[[], object] | None = None,
    ) -> None:
        self.plan = plan
        self.network = network
        self.streams = streams
        self.origin_ns = origin_ns
        self.pid = -1
        self.pidfd = -1
        self.held: int | None = None
        self.start_time: int | None = None
        self.seen_ns: int | None = None
        self.running = False
        self.span = (0, 0, 0)
        self.image: Image | None = None
        self._stack: object = None
        self.made: list[tuple[int, int, int, int, object]] = []  # where the native calls put a child as they make it
        self._pair: tuple[socket.socket, ...] = ()
        self._sync: socket.socket | None = None
        self._goal = NEVER
        self._lent: list[int] = []
        self._second_fork = plan.second_fork
        self._parent = Parent(plan)
        self._word = 0  # the step before which the child said last that it waits
        self._entry = entry

    @property
    def prepared(self) -> dict[str, Prepared]:
        """What was made before the child, by the labels of the plan's preparations."""
        return self._parent.prepared

    @property
    def acts(self) -> list[Act]:
        """What we did for the launch so far."""
        return self._parent.acts

    @property
    def span_since_origin(self) -> tuple[int, int]:
        """Start and end of the call that made the child, in nanoseconds since launch()."""
        return self.span[0] - self.origin_ns, self.span[1] - self.origin_ns

    # ---- forward ----

    def begin(self, *, mask: int, hold_at: int | None, inject: tuple[int | str, int] | None) -> None:
        """Make the child and wait until it is held or runs the program. Raises LaunchError.

        What is to be taken back then, and after any other exception, is so by discard(), which is the caller's to call.

        ``inject`` (step's index, or label of what the parent does; errno) lets that fail.
        """
        slots: dict[str, int | bytes] = {**self.streams.child, **self.streams.names, "sigmask": mask}
        self._goal = NEVER if hold_at is None else hold_at
        fault: tuple[int, int] | None = None
        match inject:
            case str(label), number:
                self._parent.fault = label, number
            case int(index), number:
                fault = index, number
        try:
            if self.plan.preparations:
                undisturbed(lambda: slots.update(self._parent.prepare(self._lent)))
            if self.plan.pdeathsig is not None or hold_at is not None or self.plan.actions:
                self._lent.append(os.pidfd_open(os.getpid()))
                slots["parent_pidfd"] = lift(self._lent)
            self._make(slots, fault)
        except LaunchError:
            raise
        except OSError as error:  # ours, before there was a child
            raise refused(self.plan, "prepare", None, error.errno or 0) from error
        if not self._shares_descriptors:
            self._take_back()
        self._settle()

    def go_on(self, hold_at: int | None) -> None:
        """Let a held child go on, to the step before which it shall wait next or to execve. After a LaunchError
        everything is closed and reaped.
        """
        if self.held is None or self._sync is None:
            raise ValueError("the child is not held")
        try:
            self.held = None
            self._goal = NEVER if hold_at is None else hold_at
            self._send_word()
            self._settle()
        except BaseException:
            undisturbed(self.discard)
            raise

    def _send_word(self) -> None:
        assert self._sync is not None
        with suppress(BrokenPipeError, ConnectionResetError):  # it died while held: _settle finds out how
            self._sync.send(struct.pack("=I", self._next_hold), socket.MSG_NOSIGNAL)

    @property
    def _next_hold(self) -> int:
        """Where the child waits next: as wanted, or for us to act, or until it has descriptors of its own where it
        shares ours.
        """
        stops = [self._goal]
        if self._lent and self._shares_descriptors:
            stops.append(_OWN_DESCRIPTORS)
        if (stop := self._parent.next_stop) is not None:
            stops.append(stop)
        return min(stops)

    @property
    def _shares_descriptors(self) -> bool:
        """Whether closing ours would close the child's too, for we run beside it."""
        return bool(self.plan.clone_flags & _FILES) and not self.plan.suspends

    def _take_back(self) -> None:
        """Close what is only for the child, once it has copies."""
        close_all(self._lent)
        self.streams.close_child_ends()

    def _make(self, slots: dict[str, int | bytes], inject: tuple[int, int] | None) -> None:
        if not self.plan.confirms:
            self._spawn(slots, -1, inject)
            return
        with _pair_lock:
            self._pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
            self._sync, theirs = self._pair
            self._lent.append(fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, 3))
            theirs.close()
            self._spawn(slots, self._lent[-1], inject)
            if not self._shares_descriptors:
                self._take_back()

    def _spawn(self, slots: Mapping[str, int | bytes], child_end: int, inject: tuple[int, int] | None) -> None:
        plan = self.plan
        layout = lay_out(plan)
        parent_pidfd, cgroup_fd = slots.get("parent_pidfd", -1), slots.get("cgroup_fd", -1)
        assert isinstance(parent_pidfd, int)
        assert isinstance(cgroup_fd, int)
        self.image = Image(
            layout,
            slots,
            sync_fd=child_end,
            parent_pidfd=parent_pidfd,
            hold_at=self._next_hold,
            inject=inject,
        )
        method, flags = _METHODS[plan.mechanism], plan.clone_flags
        mask = slots["sigmask"]
        assert isinstance(mask, int)
        try:
            if plan.entry:
                flush()
                if _native.fork(method, flags, self.image.map, layout.relocations, cgroup_fd, self.made):
                    self._enter(mask)
            else:
                stack = _STACK if flags & _VM else 0
                image, relocations = self.image.map, layout.relocations
                _native.spawn(method, flags, plan.exit_signal, image, relocations, stack, cgroup_fd, self.made)
        except OSError as error:
            if self.made:  # a signal handler's
                raise
            raise refused(self.plan, plan.birth_label, None, error.errno or 0) from None
        self.know()
        if self.pidfd < 0:
            raise self.unwatchable(-self.pidfd)

    def know(self) -> None:
        """Take over what the native call has told of the child, if it has made one."""
        if self.made and self.pid < 0:
            self.pid, self.pidfd, start, end, self._stack = self.made[0]
            self.span = (start, end, self.pid)

    def _enter(self, mask: int) -> NoReturn:
        """In the child: let go of what is the parent's, whom the end of the socket tells that we are here, and run."""
        assert self._entry is not None
        assert self._sync is not None
        self._sync.close()
        self._take_back()
        self.streams.close()
        enter(self._entry, mask)

    def unwatchable(self, number: int) -> LaunchError:
        """The error where there is a child and no pidfd of it. It is ended, unless its pid is nobody's by now."""
        self.pidfd = -1
        if self._second_fork is not None and number != errno.ESRCH:
            self._end_both()
        elif number != errno.ESRCH:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, WALL)
        elif self.image is not None and self.image.failed is not None:
            return failed_at(self.plan, self.image, self.image.failed)
        return refused(self.plan, "pidfd_open", None, number)

    # ---- what became of it ----

    def _settle(self) -> None:
        if self._sync is None or self._wait_for_word():
            self._judge()

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
                    (index,) = struct.unpack("=I", word)
                    self._word = index
                    if self._shares_descriptors and index >= _OWN_DESCRIPTORS:
                        self._take_back()
                    self._adopt(index)
                    if self._parent.acts_before(index):
                        undisturbed(partial(self._parent.act_before, index, self))
                    if index < self._goal:
                        self._send_word()
                        continue
                    self.held = index
                    return False
                self._adopt()
                return True
            if not self._adopt():
                if self.plan.init:
                    self._drain()
                return True

    def _drain(self) -> None:
        """Wait until no process of the child's has the socket's other end: until each has executed or ended."""
        assert self._sync is not None
        self._take_back()
        while self._receive():
            pass

    def _receive(self) -> bytes:
        assert self._sync is not None
        try:
            return self._sync.recv(4)
        except ConnectionResetError:
            return b""

    def _adopt(self, waits_at: int | None = None) -> bool:
        """Where the plan forks a second time, go over from the process that made the child to the child.

        ``waits_at``: the step before which whoever sent a word is waiting.
        """
        if self._second_fork is None or self.image is None:
            return False
        if waits_at is not None and waits_at <= self._second_fork:
            return False
        wait_readable(self.pidfd)
        final = self.image.record(self._second_fork)[2]
        if final <= 0:
            return False
        self.start_time = None  # the other's
        with suppress(ChildProcessError):  # reaped already: SIGCHLD is ignored
            _native.waitid(self.pidfd, os.WEXITED | WALL)
        try:
            self._lent.append(os.pidfd_open(final))  # CLONE_PARENT made it our child: unreaped, the number is its own
        except OSError as error:
            os.close(self.pidfd)
            self.pid, self._second_fork = final, None
            raise self.unwatchable(error.errno or 0) from None
        os.dup2(self._lent[-1], self.pidfd, inheritable=False)
        self.pid, self._second_fork = final, None
        close(self._lent, self._lent[-1])
        return True

    def _judge(self) -> None:
        """The child has left our memory: by execve, or because it is ending. Raises LaunchError for the latter."""
        assert self.image is not None
        self.seen_ns = time.monotonic_ns()
        failed = self.image.failed
        if failed is not None:
            wait_readable(self.pidfd)
            raise failed_at(self.plan, self.image, failed)
        current = self.image.current
        begun = self.image.record(current)[1] == 0
        if self.plan.entry and self.plan.steps[current].syscall == "entry" and not begun:
            self._run()
            return
        in_exec = self.plan.steps[current].syscall == "execve" and begun
        if not in_exec:
            wait_readable(self.pidfd)
            # The word counts too: the program's process may have waited, and begun nothing.
            raise self._died(max(standing_before(self.plan, self.image), self._word))
        self._look_at_exec(current)
        self._run()

    def _run(self) -> None:
        assert self.image is not None
        self.image.freeze()
        self._release()
        compare(self.plan, self.image, self.prepared, self)
        self.running = True

    def _look_at_exec(self, current: int) -> None:
        """Where it has ended already, its flags say for certain whether it got as far as the new program.

        One that a filter kills at execve may be about to end only: it lets go of our memory on the way.
        """
        ended = readable(self.pidfd)
        if not ended and not self.plan.filters_before(current):
            return
        seen = procfs.flags_and_start(self.pidfd)
        if seen is not None:
            self.start_time = seen[1]
            if not ended and not seen[0] & procfs.PF_EXITING:  # it may yet come to the new program
                return
            if seen[0] & procfs.PF_FORKNOEXEC or (self.plan.init and procfs.name(self.pidfd) == NEVER_EXECUTED):
                wait_readable(self.pidfd)
                raise self._died(current)

    def namespaces(self) -> dict[str, int | None]:
        """The child's namespaces by OCI name; None: unknown.

        As it read them itself just before execve. Where no plan ran (posix_spawn), as they are now.
        """
        return namespaces_seen(self.pidfd) if self.image is None else namespaces_read(self.plan, self.image)

    def _died(self, index: int) -> LaunchError:
        out_of_memory = self.cgroup is not None and bool(self.cgroup.oom_kills)
        return died_at(self.plan, index, self.pidfd, out_of_memory=out_of_memory)

    # ---- the end ----

    def _release(self) -> None:
        """Give back what only an unfinished child needs."""
        self._stack = None
        self._take_back()
        for end in self._pair:
            end.close()
        self._sync = None

    def discard(self) -> None:
        """Kill, reap and close everything. Does nothing the second time."""
        self.know()
        if self.pidfd >= 0:
            if self._second_fork is not None:
                self._end_both()
            else:
                below = self.plan.init and self._sync is not None
                if below:
                    self._stop_below()
                self.kill()
                end_child(self.pidfd)
                if below:
                    self._drain()
            os.close(self.pidfd)
            self.pidfd = -1
        self._release()
        if self.image is not None:
            self.image.freeze()
        self.streams.close()
        self._parent.undo(all_of_it=not self.running)

    def _stop_below(self) -> None:
        """Let the process below the reaper give up at its next step: it dies with the reaper, yet not at once."""
        assert self.image is not None
        assert self._sync is not None
        self.image.hold_at_once()
        self._sync.shutdown(socket.SHUT_WR)

    @property
    def cgroup(self) -> Group | None:
        """The control group that was made for the child."""
        return next((each.group for each in self.prepared.values() if isinstance(each, Entrance)), None)

    def kill(self) -> None:
        """Send SIGKILL, and thaw what would keep the child from dying of it."""
        with suppress(ProcessLookupError):  # it has ended by itself
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        if self.cgroup is not None:
            self.cgroup.let_die()

    def _end_both(self) -> None:
        """End a child that may be forking for the second time, and what it has forked.

        Killed as it forks it could leave one whose pid nobody was told. So it gives up at its next step instead,
        as does the other: they are to wait there for our word, on a socket that is shut down.
        """
        assert self.image is not None
        assert self._sync is not None
        assert self._second_fork is not None
        self.image.hold_at_once()
        self._sync.shutdown(socket.SHUT_RDWR)
        self._sync.close()
        self._sync = None
        with suppress(ProcessLookupError, ChildProcessError):  # it has ended, and SIGCHLD is ignored, or is reaped
            if self.pidfd >= 0:
                signal.pidfd_send_signal(self.pidfd, signal.SIGCONT)
                _native.waitid(self.pidfd, os.WEXITED | WALL)
            else:
                os.kill(self.pid, signal.SIGCONT)
                os.waitpid(self.pid, WALL)
        final = self.image.record(self._second_fork)[2]
        self._second_fork = None
        if final > 0:
            with suppress(ProcessLookupError, ChildProcessError):
                pidfd = os.pidfd_open(final)  # there is room: the socket is closed
                try:
                    _native.waitid(pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT | WALL)  # whether it is ours
                    end_child(pidfd)
                finally:
                    os.close(pidfd)
