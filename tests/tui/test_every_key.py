"""Every key of every pane, pressed at every size: what opens lies within the screen, and Esc leaves it again.

What each key does is tested with its pane; this is about all of them together.
"""

from __future__ import annotations

import random

import pytest
from leftovers import Census
from screen import SIZES, until
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.screen import ModalScreen

from nsview.tui.app import NsviewApp
from nsview.tui.comfort.bound import all_bound
from nsview.tui.panes import PANE_OF, PANES
from nsview.tui.processes.table import ProcTable

LEAVING = {"app.quit", "terminal.leave"}
"""These are no keys to try: the first ends the app, the second is the terminal's."""

PRESSES = 60
"""Of keys at random, at each size."""


def keys_of(root: DOMNode) -> list[str]:
    """One key of each binding of a node and of those below it, but of those that leave."""
    found = (one.binding for one in all_bound(root) if one.binding.id not in LEAVING)
    return sorted({binding.key.split(",")[0] for binding in found})


def assert_sound(app: NsviewApp) -> None:
    """See that the app runs, and that what it shows lies within the screen."""
    screen = app.screen
    assert app.is_running
    assert screen.max_scroll_x == screen.max_scroll_y == 0
    for dialog in screen.query(".dialog") if isinstance(screen, ModalScreen) else ():
        assert screen.region.contains_region(dialog.region), dialog


async def leave(app: NsviewApp, pilot: Pilot[None]) -> None:
    """Leave whatever has opened."""
    while len(app.screen_stack) > 1:
        before = len(app.screen_stack)
        await pilot.press("escape")
        await until(lambda before=before: len(app.screen_stack) < before)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pane", [pane.name for pane in PANES if pane.name != "terminal"])
async def test_every_key_can_be_pressed_in_every_pane(pane: str, size: tuple[int, int], nothing_left: Census) -> None:
    digit = next(str(one.digit) for one in PANES if one.name == pane)
    app = NsviewApp(read_only=True)
    async with app.run_test(size=size) as pilot:
        await until(lambda: len(app.query_one(ProcTable).rows) > 1)
        # Those of the whole app once: they are the same in all panes, unless a pane has the key for itself.
        for key in keys_of(app if pane == "tree" else app.query_one(f"#{pane}")):
            if app.panes.pane_of(app.focused) != pane or not isinstance(app.focused, PANE_OF[pane].focused):
                await pilot.press(digit)  # the last key led elsewhere
            await pilot.press(key)
            assert_sound(app)
            await leave(app, pilot)
        await app.end_launches()
        await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
async def test_keys_at_random_end_nothing(size: tuple[int, int], nothing_left: Census) -> None:
    chance = random.Random(f"{size}")
    app = NsviewApp(read_only=True)
    async with app.run_test(size=size) as pilot:
        await until(lambda: len(app.query_one(ProcTable).rows) > 1)
        for _ in range(PRESSES):
            # Esc leaves a dialog that a key opened; what is typed into a field there is as good as any other text.
            await pilot.press(chance.choice([*keys_of(app), "escape", "escape", "tab", "enter", "x", "1"]))
            assert_sound(app)
        await leave(app, pilot)
        await app.end_launches()
        await pilot.pause()
