"""Events in lines: the time of day, the process, what it is called, what happened."""

from __future__ import annotations

import time

from nsview.host.events.event import LOST
from nsview.host.events.story import Told
from nsview.wording.table import show

LOST_NOTE = "everything was looked at again"


def cells(told: Told) -> tuple[str, str, str, str]:
    """Return the time, the pid, the command and what happened; a loss is of no process."""
    event = told.event
    pid, name = ("-", "-") if event.what == LOST else (str(event.pid), show(told.comm))
    words = f"{told.words}; {LOST_NOTE}" if event.what == LOST and event.source == "events" else told.words
    return time_of_day(told.when_ns), pid, name, words


def time_of_day(nanoseconds: int) -> str:
    """Word a time since the Epoch as ``14:03:59.042``, where we are."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{rest // 1_000_000:03d}"
