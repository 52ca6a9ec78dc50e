"""Whole screens as text, compared with those kept in tests/tui/golden/.

``NSVIEW_GOLDEN=write`` keeps what is shown now: read the difference in git before it is committed. Only a
made-up machine (machine.py) has screens that are the same every time.
"""

from __future__ import annotations

import asyncio
import difflib
import os
from pathlib import Path
from time import monotonic
from typing import Any

from screen import DEADLINE
from textual.app import App

_KEPT = Path(__file__).parent / "golden"
_WRITING = os.environ.get("NSVIEW_GOLDEN") == "write"  # asked before a test sees to its own environment


def screen_text(app: App[Any]) -> str:
    """Return what the app's screen shows, a line of text for each of the terminal's."""
    strips = app.screen._compositor.render_strips(app.size)
    return "".join(f"{strip.text.rstrip()}\n" for strip in strips)


def assert_golden(app: App[Any], name: str) -> None:
    """Compare the screen with the one kept as ``name`` for its size."""
    kept = _KEPT / f"{name}-{app.size.width}x{app.size.height}.txt"
    text = screen_text(app)
    if _WRITING:
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(text)
    assert kept.exists(), f"no screen is kept as {kept.name}: write it with NSVIEW_GOLDEN=write, and look at it"
    _assert_same(kept.read_text(), text, kept.name)


async def comes_to_golden(app: App[Any], name: str) -> None:
    """Wait until the screen is the one kept as ``name``: what threads of its own read comes when it comes.

    The ends of scrollbars are left out: an eighth of a line depends on which of two layouts came first.
    """
    kept = _KEPT / f"{name}-{app.size.width}x{app.size.height}.txt"
    if _WRITING:
        before, unchanged = "", monotonic()
        while monotonic() - unchanged < 1:
            await asyncio.sleep(0.05)
            if (text := _without_thumbs(app)) != before:
                before, unchanged = text, monotonic()
        kept.write_text(before)
    assert kept.exists(), f"no screen is kept as {kept.name}: write it with NSVIEW_GOLDEN=write, and look at it"
    wanted, end = _clean(kept.read_text()), monotonic() + DEADLINE
    while (text := _without_thumbs(app)) != wanted and monotonic() < end:
        await asyncio.sleep(0.05)
    _assert_same(wanted, text, kept.name)


def _without_thumbs(app: App[Any]) -> str:
    return _clean(screen_text(app))


def _clean(text: str) -> str:
    return text.translate(dict.fromkeys(map(ord, "▁▂▃▄▅▆▇"), " "))


def _assert_same(kept: str, shown: str, name: str) -> None:
    lines = difflib.unified_diff(kept.splitlines(), shown.splitlines(), "kept", "shown", lineterm="", n=0)
    difference = "\n".join(lines)
    assert not difference, f"the screen differs from {name}:\n{difference}"
