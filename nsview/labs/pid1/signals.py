"""Signals to process 1 of a pid namespace: without a handler, with one, from inside, from outside, below an init."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Sequence
from functools import partial

from nsview.labs.lab import Event
from nsview.labs.pid1.part import Heard, finding
from nsview.labs.pid1.subject import CATCHABLE
from nsview.labs.pid1.talk import Subject, stopped, subject_in, until
from nsview.labs.pid1.words import names, worded
from spawner.first_process import FROM_ABOVE, STANDARD, Effect, by_default, to_process_1
from spawner.signals import signal_name


def from_inside(heard: Heard) -> Generator[Event, None, None]:
    """Each to an ordinary process; then to process 1, from itself and from its child."""
    with subject_in(namespace=True) as first:
        ordinary: dict[int, str] = {int(n): what for n, what in first.ask("trial", list(STANDARD)).items()}
        heard.signals["signals.control"] = ordinary
        yield finding(
            "signals.control",
            "send each to an ordinary process of the same namespace",
            worded({number: by_default(number) for number in STANDARD}),
            worded(ordinary),
            "signal(7): the default actions",
        )
        first.ask("default")
        inside = {number: to_process_1(number, from_above=False) for number in STANDARD}
        for key, done, question in (
            ("signals.itself", "process 1 sends each to itself", "to_itself"),
            ("signals.child", "its child sends each to process 1", "by_child"),
        ):
            answered = _one_by_one(first, partial(_asked, first, question))
            heard.signals[key] = answered
            yield finding(key, done, worded(inside), worded(answered), "pid_namespaces(7): no handler, no signal")


def from_above(heard: Heard) -> Generator[Event, None, None]:
    """Each from outside, those that act last."""
    with subject_in(namespace=True) as first:
        first.ask("default")
        spared = [number for number in STANDARD if number not in FROM_ABOVE]
        answered = _one_by_one(first, first.child.signal, spared)
        if len(answered) == len(spared):
            first.child.signal(signal.SIGSTOP)
            answered[signal.SIGSTOP] = Effect.STOPPED if until(lambda: stopped(first.child.pid)) else Effect.WENT_ON
            first.child.signal(signal.SIGKILL)
            ended = first.child.wait(10)
            answered[signal.SIGKILL] = Effect.WENT_ON if ended is None else Effect.ENDED
        heard.signals["signals.above"] = answered
        yield finding(
            "signals.above",
            "we send each to process 1 from outside",
            worded({number: to_process_1(number, from_above=True) for number in STANDARD}),
            worded(answered),
            "of what has no handler only SIGKILL and SIGSTOP act, and only from an ancestor namespace",
        )


def caught(_heard: Heard) -> Generator[Event, None, None]:
    """Each again, with a handler."""
    with subject_in(namespace=True) as first:
        first.ask("catch")
        first.ask("to_itself", list(CATCHABLE))
        yield finding(
            "signals.handler.inside",
            "the same with a handler for each, sent by itself",
            f"caught: {names(CATCHABLE)}",
            f"caught: {names(first.ask('taken'))}",
        )
        for number in CATCHABLE:
            first.child.signal(number)
            first.ask("identity")  # one by one: a signal that stops takes away a SIGCONT that waits
        yield finding(
            "signals.handler.above",
            "the same with a handler for each, sent from outside",
            f"caught: {names(CATCHABLE)}",
            f"caught: {names(first.ask('taken'))}",
        )


def crash(_heard: Heard) -> Generator[Event, None, None]:
    """A fault of its own."""
    with subject_in(namespace=True) as first:
        first.tell("crash")
        yield finding(
            "signals.crash",
            "process 1 reads memory that is not there",
            "ended by SIGSEGV",
            _ended(first),
            "a fault of one's own is forced (force_sig() in kernel/signal.c): not even process 1 goes on",
        )


def below_init(_heard: Heard) -> Generator[Event, None, None]:
    """The same with an init as process 1."""
    with subject_in(namespace=True, init=True) as below:
        below.ask("default")
        below.child.signal(signal.SIGTERM)
        yield finding(
            "signals.init",
            "with --init: SIGTERM from outside",
            f"ended with status {128 + signal.SIGTERM}",
            _ended(below),
            "process 1 is the init, which passes it on; the program is an ordinary process",
        )


def _asked(first: Subject, question: str, number: int) -> None:
    first.ask(question, [number])


def _one_by_one(first: Subject, send: Callable[[int], object], numbers: Sequence[int] = STANDARD) -> dict[int, str]:
    """What came of each signal; of those after the one that acted, nothing."""
    answered: dict[int, str] = {}
    for number in numbers:
        try:
            send(number)
        except (ConnectionError, ProcessLookupError):
            answered[number] = Effect.ENDED
            break
        if not first.answers:
            answered[number] = Effect.STOPPED if stopped(first.child.pid) else Effect.ENDED
            break
        answered[number] = Effect.WENT_ON
    return answered


def _ended(subject: Subject) -> str:
    found = subject.child.wait(30)
    if found is None:
        return "it goes on"
    return f"ended by {signal_name(found.signal)}" if found.signal else f"ended with status {found.code}"
