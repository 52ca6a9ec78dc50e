"""What a signal does to process 1 of a pid namespace: one table, read by the flags' explanations and by the labs.

Sources: signal(7), pid_namespaces(7); sig_task_ignored() in kernel/signal.c, SIGNAL_UNKILLABLE.
"""

from __future__ import annotations

import signal
from enum import StrEnum

from spawner.signals import signal_name


class Effect(StrEnum):
    """What became of a process that a signal was sent to."""

    ENDED = "ended"
    STOPPED = "stopped"
    WENT_ON = "went on"


STANDARD = tuple(range(1, 32))
"""The standard signals; those from 32 on are the real-time signals."""

_STOPS = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
_IGNORED = frozenset({signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH})
FROM_ABOVE: dict[int, str] = {signal.SIGKILL: Effect.ENDED, signal.SIGSTOP: Effect.STOPPED}
"""What process 1 is not spared when it has no handler and its ancestors send it."""
FROM_INSIDE: dict[int, str] = {}
"""The same of its own namespace: nothing."""


def by_default(number: int) -> str:
    """What a signal without a handler does to an ordinary process (signal(7))."""
    if number in _STOPS:
        return Effect.STOPPED
    return Effect.WENT_ON if number in _IGNORED else Effect.ENDED


def to_process_1(number: int, *, from_above: bool) -> str:
    """What a signal without a handler does to process 1 of a pid namespace (pid_namespaces(7))."""
    return (FROM_ABOVE if from_above else FROM_INSIDE).get(number, Effect.WENT_ON)


def told() -> str:
    """Say it to who makes a pid namespace."""
    above, inside = (
        " and ".join(signal_name(number) for number in sorted(table)) or "none" for table in (FROM_ABOVE, FROM_INSIDE)
    )
    return (
        f"It is spared signals that it has no handler for: from outside only {above} act, from inside {inside}; and it "
        "has to wait for orphans (or let --init)."
    )
