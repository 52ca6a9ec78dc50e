"""What is said of an act before and after it: who is meant, and what the kernel says became of it."""

from __future__ import annotations

import os
import time
from collections import Counter

from nsview.host.snapshot import ProcessRecord
from nsview.host.text import printable
from nsview.tui.acting.guards import WARNED, Guard
from nsview.tui.acting.settings import Outcome
from nsview.tui.acting.whom import Scope, Whom

_TICKS = os.sysconf("SC_CLK_TCK")
NAMED = 6
"""How many of several processes are named one by one."""


def started(start_time: int) -> str:
    """Word a start time in clock ticks since boot as a time of the day."""
    ago = time.clock_gettime(time.CLOCK_BOOTTIME) - start_time / _TICKS
    return time.strftime("%H:%M:%S", time.localtime(time.time() - ago))


def one(record: ProcessRecord) -> str:
    """Name a process: pid and name."""
    return f"{record.pid} {printable(record.comm)}"


def one_for_good(record: ProcessRecord) -> str:
    """Name a process so that no other can be meant."""
    return f"{one(record)}, started {started(record.start_time)} (tick {record.start_time})"


def several(whom: Whom) -> str:
    """Name whom an act is for, in few words."""
    if whom.scope is Scope.THIS:
        return one(whom.subject)
    return f"{counted(whom.count)} {_OF[whom.scope].format(subject=one(whom.subject), whom=whom, group=group_of(whom))}"


_OF = {
    Scope.TAGGED: "tagged",
    Scope.SUBTREE: "from {subject} down",
    Scope.CGROUP: "of cgroup {group}",
    Scope.PID_NAMESPACE: "of pid namespace {whom.number}",
}


def group_of(whom: Whom) -> str:
    """Name the control group of a choice; empty when it has none."""
    return "" if whom.group is None else printable(whom.group.label)


def counted(number: int) -> str:
    """Word a number of processes."""
    return "1 process" if number == 1 else f"{number} processes"


def names(records: tuple[ProcessRecord, ...], most: int = NAMED) -> str:
    """Name some of these processes, and say how many more there are."""
    listed = ", ".join(one(record) for record in records[:most])
    more = len(records) - most
    return f"{listed} and {more} more" if more > 0 else listed


def left_out(whom: Whom) -> str:
    """Say who of the choice is left out; empty when nobody is."""
    if not whom.left_out:
        return ""
    by_guard = Counter(guard for _record, guard in whom.left_out)
    pieces = []
    for guard, count in by_guard.items():
        first = next(record for record, each in whom.left_out if each is guard)
        pieces.append(f"{guard.value} ({first.pid})" if count == 1 else f"{count} × {guard.value}")
    return f"left out: {', '.join(pieces)}"


def warning(whom: Whom) -> str:
    """Say what is special about the process; empty when nothing is."""
    guard: Guard | None = whom.guard if whom.scope is Scope.THIS else None
    return "" if guard is None else WARNED[guard]


def told(outcome: Outcome, did: str, read_back: str = "") -> tuple[str, bool]:
    """Word what became of an act, and tell whether all of it went well.

    ``did`` says what was done to whom; ``read_back`` what of it was read back (``nice``), whose values are in
    ``outcome.words``.
    """
    pieces = []
    if read_back and outcome.words:
        values = outcome.words.most_common()
        said = values[0][0] if len(values) == 1 else ", ".join(f"{value} ({count})" for value, count in values)
        pieces.append(f"{did}: {read_back} is {said}")
    elif outcome.done:
        pieces.append(did)
    elif not outcome.refused and not outcome.cancelled:
        pieces.append("nobody was there any more")
    if outcome.gone and outcome.done:
        pieces.append(f"{counted(outcome.gone)} had ended before")
    if outcome.cancelled:
        pieces.append(f"called off: {counted(outcome.cancelled)} left as it was")
    for sentence, count in outcome.refused.most_common():
        pieces.append(sentence if count == 1 else f"{count} ×: {sentence}")
    return ". ".join(pieces), bool(outcome.done) and not outcome.refused and not outcome.cancelled
