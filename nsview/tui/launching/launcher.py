"""The launcher: one long-lived thread that launches, steps, signals, waits for and reaps children.

It has to live long: PR_SET_PDEATHSIG fires when the *thread* that made the child ends. Work comes through a queue
and an eventfd, ends of children through their pidfds, all in one poll, so nothing is looked at in vain. What
happens goes to the UI as messages with immutable values.
"""

from __future__ import annotations

import os
import queue
import select
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from textual.message import Message

from nsview.network import Connector
from nsview.tui.launching import orphans
from spawner import Child, Event, Exit, LaunchError, Plan, Problem, Spec, SpecError, compile_spec, launch

END_WITHIN = 0.25
"""Seconds that programs get to end by themselves after SIGHUP, when the UI is left."""


@dataclass(frozen=True, slots=True)
class Launched:
    """A launch as it stands: values only, safe to keep.

    ``held`` is the index of the step the child waits before. ``exit`` is None while it lives.
    ``trouble`` is what went wrong after it was held, in the step it was told to do.
    """

    number: int
    spec: Spec
    plan: Plan
    pid: int
    start_time: int | None
    namespaces: tuple[tuple[str, int | None], ...]
    timeline: tuple[Event, ...]
    held: int | None
    exit: Exit | None = None
    trouble: LaunchError | None = None

    @property
    def identity(self) -> tuple[int, int]:
        """Its pid and start time."""
        return self.pid, self.start_time or 0

    @property
    def title(self) -> str:
        """The program's name without its directory."""
        return os.path.basename(self.spec.args[0])


class LauncherMessage(Message):
    """Something the launcher tells."""


class Born(LauncherMessage):
    """A child is there. ``pty`` is a descriptor of its terminal's master, now the receiver's, or None."""

    def __init__(self, launched: Launched, pty: int | None) -> None:
        self.launched = launched
        self.pty = pty
        super().__init__()


class Changed(LauncherMessage):
    """A child was stepped, resumed, or has ended."""

    def __init__(self, launched: Launched) -> None:
        self.launched = launched
        super().__init__()


class Failed(LauncherMessage):
    """A launch failed, or was refused; nothing of it is left. ``problems`` or ``error`` says why."""

    def __init__(
        self, spec: Spec, problems: tuple[Problem, ...] = (), error: LaunchError | OSError | None = None
    ) -> None:
        self.spec = spec
        self.problems = problems
        self.error = error
        super().__init__()


class SignalFailed(LauncherMessage):
    """A signal could not be sent to a child."""

    def __init__(self, launched: Launched, signo: int, error: OSError) -> None:
        self.launched = launched
        self.signo = signo
        self.error = error
        super().__init__()


class Launcher:
    """The thread and what the UI may ask of it; every method but close() returns at once.

    ``post`` is called in the thread with each message. close() ends every child and all its descendants.
    """

    def __init__(self, post: Callable[[LauncherMessage], object]) -> None:
        self._post = post
        self._work: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._children: dict[int, Child] = {}
        self._states: dict[int, Launched] = {}
        self._numbers: dict[int, int] = {}
        self._made = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="nsview-launcher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        orphans.adopt()
        self._thread.start()

    def launch(self, spec: Spec, hold: Callable[[Plan], int] | None = None) -> None:
        """Launch; answered by Born or Failed. ``hold`` picks the step the child has to wait before."""
        self._ask(lambda: self._launch(spec, hold))

    def step(self, number: int) -> None:
        """Have a held child do one step; answered by Changed."""
        self._ask(lambda: self._go_on(number, Child.step))

    def resume(self, number: int) -> None:
        """Have a held child do the rest; answered by Changed."""
        self._ask(lambda: self._go_on(number, Child.resume))

    def signal(self, number: int, signo: int) -> None:
        """Send a signal through the child's pidfd; answered only if that fails."""
        self._ask(lambda: self._signal(number, signo))

    def forget(self, number: int) -> None:
        """Kill the child if it lives, reap it and drop it; answered by Changed if it was alive."""
        self._ask(lambda: self._forget(number))

    def close(self) -> None:
        """End all children and their descendants, reap them, end the thread. Returns when nothing is left."""
        if self._thread.ident is None:
            return
        stopping, self._stopping = self._stopping, True
        if stopping:
            self._thread.join()
            return
        self._ask(lambda: None)
        self._thread.join()
        orphans.adopt(False)
        os.close(self._wake)

    # In the thread.

    def _ask(self, work: Callable[[], object]) -> None:
        self._work.put(work)
        os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        try:
            while not self._stopping:
                for fd, _event in self._poll.poll():
                    if fd == self._wake:
                        self._do_work()
                    else:
                        self._ended(self._numbers[fd])
        finally:
            self._end_all()

    def _do_work(self) -> None:
        os.eventfd_read(self._wake)
        while True:
            try:
                work = self._work.get_nowait()
            except queue.Empty:
                return
            work()

    def _launch(self, spec: Spec, hold: Callable[[Plan], int] | None) -> None:
        try:
            plan = compile_spec(spec, hold=hold is not None)
            child = launch(plan, hold=None if hold is None else hold(plan), network=Connector())
        except SpecError as error:
            self._post(Failed(spec, problems=error.problems))
            return
        except OSError as error:
            self._post(Failed(spec, error=error))
            return
        self._made += 1
        number = self._made
        self._children[number] = child
        self._watch(number, child)
        state = Launched(
            number=number,
            spec=spec,
            plan=plan,
            pid=child.pid,
            start_time=child.start_time,
            namespaces=tuple(child.namespaces.items()),
            timeline=tuple(child.timeline),
            held=child.held,
        )
        self._states[number] = state
        # Duplicated here: a child may end, and its descriptors be closed, before the UI has seen the message.
        self._post(Born(state, None if child.pty is None else os.dup(child.pty)))

    def _go_on(self, number: int, how: Callable[[Child], object]) -> None:
        child = self._children.get(number)
        if child is None or child.held is None:
            return
        # A step that fails ends the child and closes its pidfd, so stop watching that before.
        self._drop(child)
        try:
            how(child)
        except LaunchError as error:
            self._change(number, trouble=error, exit=Exit(None, None, False, None))
            del self._children[number]
            child.close()
            return
        self._watch(number, child)
        self._change(number)

    def _watch(self, number: int, child: Child) -> None:
        self._numbers[child.pidfd] = number
        self._poll.register(child.pidfd, select.POLLIN)

    def _drop(self, child: Child) -> None:
        self._poll.unregister(child.pidfd)
        del self._numbers[child.pidfd]

    def _change(self, number: int, **new: object) -> None:
        child = self._children[number]
        state = replace(
            self._states[number],
            timeline=tuple(child.timeline),
            namespaces=tuple(child.namespaces.items()),
            held=child.held,
            **new,  # type: ignore[arg-type]
        )
        self._states[number] = state
        self._post(Changed(state))

    def _signal(self, number: int, signo: int) -> None:
        child = self._children.get(number)
        if child is None:
            return
        try:
            child.signal(signo)
        except OSError as error:
            self._post(SignalFailed(self._states[number], signo, error))

    def _ended(self, number: int) -> None:
        child = self._children[number]
        self._drop(child)
        end = child.wait()
        self._change(number, exit=end)
        del self._children[number]
        child.close()
        orphans.reap([child.pid for child in self._children.values()])

    def _forget(self, number: int) -> None:
        child = self._children.get(number)
        if child is None:
            return
        child.signal(signal.SIGKILL)
        self._ended(number)

    def _end_all(self) -> None:
        """Ask politely first: a shell that is hung up tells its jobs, an editor saves its recovery file."""
        for child in self._children.values():
            if child.held is None:
                _ask_to_end(child)
        until = time.monotonic() + END_WITHIN
        while self._children and (left := until - time.monotonic()) > 0:
            for fd, _event in self._poll.poll(left * 1000):
                if fd in self._numbers:
                    number = self._numbers[fd]
                    self._drop(self._children[number])
                    self._children.pop(number).close()
                elif fd == self._wake:
                    os.eventfd_read(fd)
        for child in self._children.values():
            child.close()
        self._children.clear()
        orphans.end()


def _ask_to_end(child: Child) -> None:
    try:
        child.signal(signal.SIGHUP)
        child.signal(signal.SIGCONT)
    except ProcessLookupError:
        return
