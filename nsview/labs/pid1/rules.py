"""What a signal does: the table that signal(7) and pid_namespaces(7) say, from which the lab expects. Pure."""

from __future__ import annotations

import signal
from collections.abc import Iterable

from nsview.host.signals import signal_name
from nsview.labs.pid1.subject import ENDED, STOPPED, WENT_ON

STANDARD = tuple(range(1, 32))

_STOPS = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
_IGNORED = frozenset({signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH})
FROM_ABOVE: dict[int, str] = {signal.SIGKILL: ENDED, signal.SIGSTOP: STOPPED}
"""What process 1 is not spared when its ancestors send it (kernel/signal.c, sig_task_ignored())."""
FROM_INSIDE: dict[int, str] = {}
"""The same of its own namespace: nothing."""


def by_default(number: int) -> str:
    """What a signal without a handler does to an ordinary process (signal(7))."""
    if number in _STOPS:
        return STOPPED
    return WENT_ON if number in _IGNORED else ENDED


def to_process_1(number: int, *, from_above: bool) -> str:
    """What a signal without a handler does to process 1 of a pid namespace (pid_namespaces(7))."""
    return (FROM_ABOVE if from_above else FROM_INSIDE).get(number, WENT_ON)


def worded(actions: dict[int, str]) -> str:
    """Say what came of each signal, the same together."""
    parts = []
    for action in (ENDED, STOPPED, WENT_ON):
        numbers = [number for number in sorted(actions) if actions[number] == action]
        if numbers:
            every = len(numbers) == len(actions) and len(numbers) > 2
            parts.append(f"{action}: " + (f"all {len(numbers)}" if every else names(numbers)))
    return "; ".join(parts)


def names(numbers: Iterable[int]) -> str:
    """Name signals without SIG."""
    return " ".join(signal_name(number).removeprefix("SIG") for number in numbers) or "none"
