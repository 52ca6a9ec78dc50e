"""Whole screens as text, compared with those kept in tests/tui/golden/.

``NSVIEW_GOLDEN=write`` keeps what is shown now: read the difference in git before it is committed. Only a
made-up machine (machine.py) has screens that are the same every time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from textual.app import App

_KEPT = Path(__file__).parent / "golden"


def screen_text(app: App[Any]) -> str:
    """Return what the app's screen shows, a line of text for each of the terminal's."""
    strips = app.screen._compositor.render_strips(app.size)
    return "".join(f"{strip.text.rstrip()}\n" for strip in strips)


def assert_golden(app: App[Any], name: str) -> None:
    """Compare the screen with the one kept as ``name`` for its size."""
    kept = _KEPT / f"{name}-{app.size.width}x{app.size.height}.txt"
    text = screen_text(app)
    if os.environ.get("NSVIEW_GOLDEN") == "write":
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(text)
    assert kept.exists(), f"no screen is kept as {kept.name}: write it with NSVIEW_GOLDEN=write, and look at it"
    assert text == kept.read_text(), f"the screen differs from {kept.name}"
