"""The first picture shows the tree alone; the other panes come right after it, and what is typed waits for them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from leftovers import Census
from screen import SIZES, until
from textual import events

from nsview.tui import panes
from nsview.tui.acting.table import ACTS
from nsview.tui.app import NsviewApp
from nsview.tui.later import find
from nsview.tui.panes import PANES

LATE = ("bittty", "spawner.birth", "nsview.tui.launching.panel", "nsview.tui.diff.panel", "nsview.equivalents")
"""Costly to import, and not seen at first."""


def test_the_first_picture_imports_nothing_that_is_not_in_it() -> None:
    looking = f"import sys, nsview.tui.app, nsview.tui.processes.pane; print([m for m in {LATE} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", looking], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_all_that_is_imported_later_is_there() -> None:
    for pane in PANES:
        assert callable(find(f"nsview.tui.{pane.widget}"))
        assert isinstance(pane.focused, type)
    for act in ACTS:
        assert callable(find(f"nsview.tui.{act.where}"))


@pytest.mark.parametrize("size", SIZES)
async def test_keys_typed_ahead_wait_for_their_panes(
    size: tuple[int, int], nothing_left: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = NsviewApp(whole=False)
    importing = panes._import_all
    there: list[bool] = []

    def type_and_import() -> None:
        """Type while there is nothing but the tree, and only then let the rest be imported."""
        there.append(app.panes.whole or bool(app.query("#diff")))
        for key in ("3", "2", "d"):
            app.post_message(events.Key(key, key))
        importing()

    monkeypatch.setattr(panes, "_import_all", type_and_import)
    async with app.run_test(size=size) as pilot:
        await until(lambda: app.panes.whole and app.panes.pane == "diff")
        await until(lambda: app.query_one("#diff").only_differences)  # type: ignore[attr-defined]
        assert there == [False]
        assert {pane.name for pane in PANES} <= {node.id for node in app.walk_children()}
        await app.end_launches()
        await pilot.pause()
