"""A recording is stopped by a signal handler wherever it is: also where it holds a lock of its own."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from leftovers import Census

from nsview.host.events.polling import Polling
from nsview.host.recording import Writer
from nsview.host.recording.recorder import Plan, Recorder, header
from nsview.host.snapshot import take

HEADER = header("a test")
LONG = 10
"""Seconds after which it counts as one that hangs."""


@contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in what takes longer, locks too."""

    def over(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def record(stop_at: int, with_events: bool) -> str | None:
    """Record, and stop before the line ``stop_at`` of all that the waiting runs; the reason told."""
    snapshot = take((os.getpid(),))
    file = io.BytesIO()
    source = Polling(0.001, lambda: snapshot) if with_events else None
    lines = 0

    def watch(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        if event == "line":
            lines += 1
            if lines == stop_at:
                sys.settrace(None)
                recorder.stop()
        return watch

    class Traced(Recorder):
        def _stopped_before(self, due: float) -> bool:
            if lines < stop_at:
                sys.settrace(watch)
            try:
                return super()._stopped_before(due)
            finally:
                sys.settrace(None)

    try:
        recorder = Traced(Writer(file, HEADER), Plan(interval=0.002), source, look=lambda: snapshot)
        recorder.run()
    finally:
        if source is not None:
            source.close()
    return json.loads(file.getvalue().splitlines()[-1])["end"]["reason"]


@pytest.mark.parametrize("with_events", [False, True], ids=["alone", "with events"])
def test_it_ends_in_order_wherever_it_is_stopped(with_events: bool, nothing_left: Census) -> None:
    tracing = sys.gettrace()
    try:
        for line in range(1, 40):
            with no_longer_than(LONG):
                assert record(line, with_events) == "signal", f"stopped at line {line}"
    finally:
        sys.settrace(tracing)
