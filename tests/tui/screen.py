"""What a widget shows, as text, and waiting for it to show something; apps are run without a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from textual.widget import Widget

SIZES = ((80, 24), (120, 40), (200, 60))
"""Of the terminals the UI is made for."""

DEADLINE = 10.0
"""Seconds after which something awaited is held not to come."""

T = TypeVar("T")


def lines_of(widget: Widget) -> list[str]:
    """Return what a line API widget shows, line by line, at its full width."""
    return [widget.render_line(y).text for y in range(widget.size.height)]


async def until(condition: Callable[[], T]) -> T:
    """Let the app run until ``condition`` is true, and return what it is."""
    end = monotonic() + DEADLINE
    while not (answer := condition()):
        assert monotonic() < end, "what was awaited did not come"
        await asyncio.sleep(0.005)
    return answer
