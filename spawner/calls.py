"""A child that makes system calls of one's own choice and never executes: to see what it shares before execve ends it.

Of CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_IO, CLONE_THREAD and the rest any that the
kernel takes; on a stack of any size, with a page below it that nobody may touch. Each call's result and time are told.

Every signal is blocked in the child. What it does to what it shares is done to this process: that is the point. With
CLONE_SIGHAND a crash of the child gives the crash's signal its default action here too (the kernel's force_sig()), and
Python's handler of it is gone; with CLONE_THREAD a crash is this process's own, and a call that blocks for ever cannot
be ended. Without CLONE_THREAD a crash ends the child alone (before Linux 5.16 a core dump ended all that share memory).

A child that is held ends with this process; one in a call that blocks does so only if it was given prctl(2) with
PR_SET_PDEATHSIG first.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from spawner import _native
from spawner import mechanism as ways
from spawner.causes import explain
from spawner.child import exit_from_pidfd, index_of
from spawner.dangers import dangers
from spawner.ending import WALL, wait_readable
from spawner.errors import LaunchError, Problem, SpecError
from spawner.exit import Exit
from spawner.flags import BY_NAME, format_mask
from spawner.image import NEVER, TELL_END, Image, lay_out
from spawner.kernel import clone3_errno
from spawner.namespaces import ALL_FLAGS, names_of
from spawner.plan import Argument, Bearing, Plan, Step
from spawner.rules import exit_signal_for, refusals
from spawner.spec import Mechanism, Stdio

STACK_SIZE = 64 * 1024
_SMALLEST, _LARGEST = 8 * 1024, 1 << 30
_FILES = BY_NAME["CLONE_FILES"].bit
_THREAD = BY_NAME["CLONE_THREAD"].bit
_CLEARTID = BY_NAME["CLONE_CHILD_CLEARTID"].bit
_FUTEX_WAIT = 0
_TWICE = ("clone", "clone3")
_THE_END_OF_ALL = ("execve", "execveat", "exit_group")


def call(name: str, *args: Argument, label: str | None = None) -> Step:
    """One call: of the kernel, or ``store`` (address, value: writes 64 bits) or ``dig`` (bytes: uses as much stack).

    Arguments are Step's: Result(n) is what call n returned, Out(size) memory for the kernel to write into. Whatever it
    returns, the next call is made.
    """
    return Step(label or name, name, args, "calls", bearing=Bearing.TOLERATE_ALL)


def compile_calls(
    calls: Sequence[Step],
    *,
    flags: int = 0,
    exit_signal: int = signal.SIGCHLD,
    stack_size: int = STACK_SIZE,
    hold: bool = False,
    check: bool = True,
) -> Plan:
    """A plan of these calls, in a child made with these CLONE_* bits. Raises SpecError with every problem found.

    ``check``: False sends what the kernel is known to refuse all the same.
    """
    mechanism = Mechanism.CLONE3 if clone3_errno() == 0 or flags & ~0xFFFFFF00 else Mechanism.CLONE
    mask = flags | (_CLEARTID if flags & _THREAD else 0)
    if not mask & _THREAD and (mechanism is Mechanism.CLONE3 or not mask & ways.PARENT_SETTID):
        mask |= ways.PIDFD
    signal_sent = exit_signal if mechanism is not Mechanism.CLONE3 or exit_signal_for(mask) else 0
    if problems := tuple(_problems(calls, mask, mechanism, signal_sent, stack_size, hold, check)):
        raise SpecError(problems)
    return Plan(
        mechanism=mechanism,
        why="asked for: no execve ends what is shared",
        clone_flags=mask,
        flags_text=format_mask(mask) if mask else "",
        exit_signal=signal_sent,
        steps=tuple(calls),
        asked=names_of(mask & ALL_FLAGS),
        stdio=Stdio.INHERIT,
        window=(0, 0),
        pdeathsig=None,
    )


def _problems(
    calls: Sequence[Step], mask: int, mechanism: Mechanism, exit_signal: int, stack_size: int, hold: bool, check: bool
) -> Iterator[Problem]:
    if not _SMALLEST <= stack_size <= _LARGEST:
        yield Problem(f"a stack of {stack_size} bytes", f"from {_SMALLEST} to {_LARGEST} bytes can be had")
    for step in calls:
        name = step.syscall
        if name not in _native.SYSCALLS and name not in _native.PSEUDO_CALLS:
            yield Problem(f"{name}(2) is not in the native table", "leave it out")
        elif name in _TWICE or name == "entry":
            yield Problem(f"{name} would go on twice on one stack", "leave it out")
        elif name in _THE_END_OF_ALL and mask & _THREAD:
            yield Problem(f"{name} in a thread of this process ends all others of it", "leave out CLONE_THREAD")
    if hold and mask & ways.VFORK:
        yield Problem("CLONE_VFORK suspends the caller, so nobody could let a held child go on", "leave it out")
    if mask & ways.VFORK and not mask & (ways.VM | ways.PIDFD):
        yield Problem("CLONE_VFORK without a pidfd", "leave out CLONE_PARENT_SETTID")
    via = str(mechanism)
    for hazard in dangers(mask, via, exit_signal):
        if hazard.danger.stops and hazard.danger.name != "thread-execs":
            yield Problem(hazard.danger.harm, hazard.danger.remedy, rule=hazard.danger.name)
    if check:
        for refusal in refusals(mask, via, exit_signal):
            yield Problem(f"{via} refuses: {refusal.rule.why}", refusal.rule.remedy, refusal.errno, refusal.rule.name)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one call: ``result`` as the kernel returned it (-errno), None while it has not returned.

    Times are nanoseconds of CLOCK_MONOTONIC, 0 for what has not happened; ``out`` is what the memory holds that
    the kernel was given to write into.
    """

    step: Step
    result: int | None
    start_ns: int
    end_ns: int
    out: bytes


class Run:
    """A child that makes the calls of a plan. Use it as a context manager, or close() it. Not for several threads.

    ``pid`` is the child's, or a thread's id; ``held`` the index of the call it waits before, or None; ``exit`` how it
    ended, None while it has not, and for a thread, which has no status of its own.
    """

    def __init__(self, plan: Plan, *, stack_size: int, hold_at: int | None) -> None:
        self.plan = plan
        self.pid = -1
        self.pidfd = -1
        self.held: int | None = None
        self.exit: Exit | None = None
        self.over = False
        self._thread = bool(plan.clone_flags & _THREAD)
        self._stack: object = None
        self._sync: socket.socket | None = None
        self._theirs: socket.socket | None = None
        self._parent = -1
        self._begin(stack_size, NEVER if hold_at is None else hold_at)

    # ---- what is known ----

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Every call so far, also of a child that is held or has died; calls that were not begun have no times."""
        return tuple(self._answer(index) for index in range(len(self.plan.steps)))

    @property
    def died_in(self) -> int | None:
        """The index of the call that never returned because it, or something in it, ended the child; else None."""
        if not self.over:
            return None
        return next((i for i, answer in enumerate(self.answers) if answer.start_ns and not answer.end_ns), None)

    def _answer(self, index: int) -> Answer:
        start, end, result = self._image.record(index)
        return Answer(self.plan.steps[index], result if end else None, start, end, self._image.written(index))

    # ---- forward ----

    def resume(self, hold: int | str | None = None) -> None:
        """Let a held child go on, to its end or to the call named by ``hold``."""
        if self.held is None or self._sync is None:
            raise ValueError("the child is not held")
        goal = NEVER if hold is None else index_of(self.plan, hold)
        self.held = None
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died; _follow finds out how
            self._sync.send(struct.pack("=I", goal), socket.MSG_NOSIGNAL)
        self._follow()

    def step(self) -> None:
        """Let a held child make one call and wait again, or end if that was the last."""
        if self.held is None:
            raise ValueError("the child is not held")
        following = self.held + 1
        self.resume(following if following < len(self.plan.steps) else None)

    def _begin(self, stack_size: int, hold_at: int) -> None:
        options = 0
        if not self.plan.suspends:
            self._sync, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
            options = TELL_END
        layout = lay_out(self.plan)
        theirs = -1 if self._theirs is None else self._theirs.fileno()
        made: list[tuple[int, int, int, int, object]] = []
        try:
            self._parent = os.pidfd_open(os.getpid())
            self._image = Image(layout, {}, sync_fd=theirs, parent_pidfd=self._parent, hold_at=hold_at, options=options)
            _native.spawn(
                0 if self.plan.mechanism is Mechanism.CLONE3 else 1,
                self.plan.clone_flags,
                self.plan.exit_signal,
                self._image.map,
                layout.relocations,
                stack_size,
                -1,
                made,
            )
        except OSError as error:
            if made:
                raise
            self._release()
            cause, remedy = explain(self.plan, self.plan.birth_label, error.errno or 0, None)
            raise LaunchError(self.plan.birth_label, errno=error.errno, cause=cause, remedy=remedy) from None
        finally:
            if made:
                self.pid, self.pidfd, _, _, self._stack = made[0]
        if self.pidfd < 0 and not self._thread:
            self._cannot_be_watched(-self.pidfd)
            return
        if not self.plan.clone_flags & _FILES and self._theirs is not None:
            self._theirs.close()
        try:
            self._follow()
        except BaseException:
            self.close()
            raise

    def _cannot_be_watched(self, number: int) -> None:
        """There is no pidfd of a child whose call did not bring one: it is gone (ESRCH), or ended now."""
        self.pidfd = -1
        if number != errno.ESRCH:
            with suppress(ProcessLookupError, ChildProcessError):  # reaped already: SIGCHLD is ignored
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, WALL)
        self.exit = Exit(None, None, False, None)
        self.over = True
        self._image.freeze()
        self._release()
        if number != errno.ESRCH:
            cause, remedy = explain(self.plan, "pidfd_open", number, None)
            raise LaunchError("pidfd_open", errno=number, cause=cause, remedy=remedy)

    def _follow(self) -> None:
        """Until the child is held again, or its calls are over, or it has died."""
        if self._sync is None:
            self._end()
            return
        poller = select.poll()
        poller.register(self._sync, select.POLLIN)
        if self.pidfd >= 0:
            poller.register(self.pidfd, select.POLLIN)
        ready = {fd for fd, _ in poller.poll()}
        if self._sync.fileno() in ready and (word := self._receive()):
            (index,) = struct.unpack("=I", word)
            if index < len(self.plan.steps):
                self.held = index
                return
        self._end()

    def _receive(self) -> bytes:
        assert self._sync is not None
        try:
            return self._sync.recv(4)
        except ConnectionResetError:
            return b""

    # ---- the end ----

    def _end(self) -> None:
        """Wait for the child, which has nothing left to do or is dying, and take everything back."""
        if self._thread:
            self._join()
        else:
            self.exit = self._reaped()
        self.over = True
        self._image.freeze()
        self._release()

    def _join(self) -> None:
        """A thread cannot be waited for: the kernel clears a word of ours when it ends (CLONE_CHILD_CLEARTID)."""
        while (tid := self._image.child_tid) != 0:
            assert not isinstance(self._image.map, bytes)
            offset = self._image.child_tid_offset
            with memoryview(self._image.map) as memory, memory[offset : offset + 4] as word:
                try:
                    _native.call(_native.SYSCALLS["futex"], word, _FUTEX_WAIT, tid, None)
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.EINTR):  # changed meanwhile; a signal of ours
                        raise

    def _reaped(self) -> Exit:
        try:
            answer = _native.waitid(self.pidfd, os.WEXITED | WALL)
        except ChildProcessError:  # our parent's (CLONE_PARENT), or SIGCHLD is ignored
            wait_readable(self.pidfd)
            return exit_from_pidfd(self.pidfd)
        assert answer is not None
        code, status, _ = answer
        if code == os.CLD_EXITED:
            return Exit(status, None, False, None)
        return Exit(None, status, code == os.CLD_DUMPED, None)

    def _release(self) -> None:
        self._stack = None
        for end in (self._sync, self._theirs):
            if end is not None:
                end.close()
        self._sync = self._theirs = None
        for fd in (self.pidfd, self._parent):
            if fd >= 0:
                os.close(fd)
        self.pidfd = self._parent = -1

    def close(self) -> None:
        """End the child if it lives, and close everything: a thread is let go on to its next call, where it ends."""
        if self.over or self.pid < 0:
            return
        if self._sync is not None:
            self._image.hold_at_once()
            self._sync.shutdown(socket.SHUT_RDWR)
        if not self._thread:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        self.held = None
        self._end()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start(
    calls: Sequence[Step],
    *,
    flags: int = 0,
    exit_signal: int = signal.SIGCHLD,
    stack_size: int = STACK_SIZE,
    hold: int | str | None = None,
    check: bool = True,
) -> Run:
    """Make a child and let it make ``calls``: to the end, or until it waits before the call named by ``hold``.

    ``flags`` are CLONE_* bits; the rest is as for compile_calls(). ``stack_size`` is in bytes, rounded up to pages.
    Blocks until then. Raises SpecError for what cannot be, LaunchError if the call that makes the child is refused.
    """
    plan = compile_calls(
        calls, flags=flags, exit_signal=exit_signal, stack_size=stack_size, hold=hold is not None, check=check
    )
    return Run(plan, stack_size=stack_size, hold_at=None if hold is None else index_of(plan, hold))


def run(
    calls: Sequence[Step],
    *,
    flags: int = 0,
    exit_signal: int = signal.SIGCHLD,
    stack_size: int = STACK_SIZE,
    check: bool = True,
) -> Run:
    """The same to the end: the answer's ``answers`` and ``exit`` are final."""
    return start(calls, flags=flags, exit_signal=exit_signal, stack_size=stack_size, check=check)
