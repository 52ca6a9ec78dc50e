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
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import NamedTuple

from textual.message import Message

from nsview.network import Connector
from nsview.tui.launching import held_facts, orphans, unborn
from nsview.tui.launching.held_facts import Changes, Look
from nsview.tui.launching.holding import Hold, Stops, planned, waiting
from nsview.tui.launching.launched import Launched, Run
from spawner import Child, Event, Exit, LaunchError, Plan, Problem, Spec, SpecError, compile_spec, launch
from spawner.child import exit_from_pidfd

END_WITHIN = 0.25
"""Seconds that programs get to end by themselves after SIGHUP, when the UI is left."""


class Doing(NamedTuple):
    """What the launcher waits for: in words, since when (time.monotonic()), and the child that goes on, if one does."""

    words: str
    since: float
    child: Child | None


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


class Tried(LauncherMessage):
    """So many of the launches asked for by try_out() are done: their runs, for each Spec; ``error`` ended it."""

    def __init__(
        self, wanted: int, runs: tuple[tuple[Run, ...], ...], error: SpecError | OSError | None = None
    ) -> None:
        self.wanted = wanted
        self.runs = runs
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

    ``post`` is called in the thread with each message, ``asked`` in the caller's when something was asked for. close()
    ends every child and all its descendants.
    """

    def __init__(self, post: Callable[[LauncherMessage], object], asked: Callable[[], object] = lambda: None) -> None:
        self._post = post
        self._asked = asked
        self.doing: Doing | None = None
        """What it waits for now."""
        self._open: deque[None] = deque()  # one for each piece of work asked for; no lock, for signal handlers ask too
        self._work: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._children: dict[int, Child] = {}
        self._states: dict[int, Launched] = {}
        self._numbers: dict[int, int] = {}
        self._looks: dict[int, Look | None] = {}
        self._made = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="nsview-launcher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        orphans.adopt()
        self._thread.start()

    def launch(
        self,
        spec: Spec,
        hold: Hold | None = None,
        *,
        breakpoints: Stops | None = None,
        beside: int | None = None,
    ) -> None:
        """Launch; answered by Born or Failed. ``hold`` picks the step the child has to wait before.

        ``breakpoints`` picks steps to stop at on the way there, in a plan that can be held at all. ``beside`` is the
        number of a launch to compare this one with.
        """
        self._ask(lambda: self._launch(spec, hold, breakpoints, beside))

    def step(self, number: int) -> None:
        """Have a held child do one step; answered by Changed."""
        self._ask(lambda: self._go_on(number, Child.step))

    def step_to(self, number: int, index: int) -> None:
        """Have a held child go on to a step, looked at after each; answered by Changed for each."""
        self._ask(lambda: self._step_to(number, index))

    def resume(self, number: int, until: int | None = None) -> None:
        """Have a held child do the rest, or what comes before a step, at once; answered by Changed."""
        self._ask(lambda: self._go_on(number, lambda child: child.resume(until)))

    def abort(self, number: int) -> None:
        """Kill a held child and take back all that was made for it; answered by Changed."""
        self._ask(lambda: self._abort(number))

    def try_out(self, specs: tuple[Spec, ...], count: int, tell: Callable[[Tried], object]) -> None:
        """Launch each Spec so many times, in turns, ending each child as soon as it runs; ``tell`` is told in the
        thread how far it is, now and then, and at last of all. What is asked of the launcher meanwhile comes between.
        """
        self._ask(lambda: self._try_out(specs, count, tell, ((),) * len(specs), ()))

    def reap(self) -> None:
        """Reap what was left by launched programs and has ended; done anyway whenever one of those ends."""
        self._ask(lambda: orphans.reap([child.pid for child in self._children.values()]))

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
        self._thread.join(END_WITHIN)
        while self._thread.is_alive():
            self._hurry()
            self._thread.join(END_WITHIN)
        orphans.adopt(False)
        os.close(self._wake)

    def _hurry(self) -> None:
        """Kill the child that the thread waits for, which may hang in execve (a network disk, FUSE)."""
        doing = self.doing
        if doing is None:
            return
        if doing.child is not None:
            with suppress(ProcessLookupError):
                doing.child.signal(signal.SIGKILL)
        elif self._thread.native_id is not None:
            unborn.kill(self._thread.native_id, [child.pid for child in [*self._children.values()]])

    def _ask(self, work: Callable[[], object]) -> None:
        self._open.append(None)
        self._work.put(work)
        os.eventfd_write(self._wake, 1)
        if threading.current_thread() is not self._thread:
            self._asked()

    @property
    def busy(self) -> bool:
        """Whether something that was asked for is not done yet."""
        return bool(self._open)

    # In the thread.

    @contextmanager
    def _waiting(self, words: str, child: Child | None = None) -> Iterator[None]:
        self.doing = Doing(words, time.monotonic(), child)
        try:
            yield
        finally:
            self.doing = None

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
            self._open.pop()

    def _launch(
        self,
        spec: Spec,
        hold: Hold | None,
        breakpoints: Stops | None,
        beside: int | None,
    ) -> None:
        try:
            plan, goal, stop = planned(spec, hold, breakpoints)
            before = self._look_at(os.getpid(), None) if stop is not None else None
            with self._waiting(f"launching {os.path.basename(spec.args[0])}"):
                child = launch(plan, hold=stop, network=Connector())
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
            timeline=child.timeline,
            held=child.held,
            goal=goal,
            returned_ns=child.returned_ns,
            beside=beside,
        )
        if child.held is not None:
            self._looks[number] = before
            done = Changes(0, child.held - 1, birth=True, acts=_acts(child.timeline))
            state = replace(state, changes=(self._changes(number, done),))
        self._states[number] = state
        # Duplicated here: a child may end, and its descriptors be closed, before the UI has seen the message.
        self._post(Born(state, None if child.pty is None else os.dup(child.pty)))

    def _go_on(self, number: int, how: Callable[[Child], object]) -> None:
        child = self._children.get(number)
        if child is None or child.held is None:
            return
        first = child.held
        # A step that fails ends the child and closes its pidfd, so stop watching that before.
        self._drop(child)
        try:
            with self._waiting(f"{child.pid} goes on", child):
                how(child)
        except LaunchError as error:
            end = Exit(None, None, False, None)
            self._change(number, trouble=error, exit=end, ended_before=first if error.index is None else error.index)
            self._forgotten(number)
            return
        self._watch(number, child)
        done = child.held is None
        last = len(child.plan.steps) if done else child.held
        assert last is not None
        state = self._states[number]
        acts = _acts(child.timeline)[len(_acts(state.timeline)) :]
        changes = self._changes(number, Changes(first, last - 1, running=done, acts=acts))
        self._change(number, changes=(*state.changes, changes))

    def _step_to(self, number: int, index: int) -> None:
        child = self._children.get(number)
        if child is None or child.held is None or child.held >= index:
            return
        self._go_on(number, Child.step)
        # What else was asked for, to give up say, comes first.
        self._ask(lambda: self._step_to(number, index))

    def _abort(self, number: int) -> None:
        child = self._children.get(number)
        if child is None or child.held is None:
            return
        before = child.held
        self._drop(child)
        pidfd = -1
        with suppress(OSError):  # no descriptor to be had: then how it ended stays unknown
            pidfd = os.dup(child.pidfd)
        child.close()
        end = Exit(None, None, False, None)
        if pidfd >= 0:
            end = exit_from_pidfd(pidfd)
            os.close(pidfd)
        self._change(number, exit=end, ended_before=before, aborted=True)
        self._forgotten(number)

    # What the held child is like.

    def _changes(self, number: int, done: Changes) -> Changes:
        """Look at a child now, and note what is another than at the last look."""
        child = self._children[number]
        before = self._looks.get(number)
        try:
            now = held_facts.look(*waiting(child))
        except held_facts.UnreadError as error:
            self._looks[number] = None
            return replace(done, unread=str(error))
        self._looks[number] = now
        if before is None:
            return replace(done, unread="what it was like before could not be read")
        rows, unknown = held_facts.differences(before, now)
        return replace(done, rows=rows, unknown=unknown)

    def _look_at(self, pid: int, start_time: int | None) -> Look | None:
        try:
            return held_facts.look(pid, start_time)
        except held_facts.UnreadError:
            return None

    # Launches for their times alone.

    def _try_out(
        self,
        specs: tuple[Spec, ...],
        count: int,
        tell: Callable[[Tried], object],
        runs: tuple[tuple[Run, ...], ...],
        plans: tuple[Plan, ...],
    ) -> None:
        """Do one round: each Spec once, so that what slows the machine for a while slows all of them."""
        try:
            plans = plans or tuple(compile_spec(spec) for spec in specs)
            with self._waiting("launching again"):
                runs = tuple((*done, _run(plan)) for plan, done in zip(plans, runs, strict=True))
        except (SpecError, OSError) as error:
            tell(Tried(count, runs, error))
            return
        tell(Tried(count, runs))
        if len(runs[0]) < count and not self._stopping:
            self._ask(lambda: self._try_out(specs, count, tell, runs, plans))

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
            # Where the plan forks a second time, the child is another process from there on.
            pid=child.pid,
            start_time=child.start_time,
            timeline=child.timeline,
            namespaces=tuple(child.namespaces.items()),
            **{"held": child.held, **new},  # type: ignore[arg-type]
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
        before = child.held
        self._drop(child)
        end = child.wait()
        oom_kills = None if child.cgroup is None else child.cgroup.oom_kills
        self._change(number, exit=end, held=None, ended_before=before, oom_kills=oom_kills)
        self._forgotten(number)
        orphans.reap([child.pid for child in self._children.values()])

    def _forgotten(self, number: int) -> None:
        self._looks.pop(number, None)
        self._children.pop(number).close()

    def _forget(self, number: int) -> None:
        child = self._children.get(number)
        if child is None:
            return
        if child.held is not None:
            self._abort(number)
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


def _acts(timeline: tuple[Event, ...]) -> tuple[str, ...]:
    """Return the labels of what the parent did for the child, in order."""
    return tuple(event.label for event in timeline if event.index is None and event.phase != "birth")


def _run(plan: Plan) -> Run:
    """Launch and end a child, and answer its times. Raises OSError."""
    with launch(plan, network=Connector()) as child:
        return Run(child.timeline, child.returned_ns)


def _ask_to_end(child: Child) -> None:
    try:
        child.signal(signal.SIGHUP)
        child.signal(signal.SIGCONT)
    except ProcessLookupError:
        return
