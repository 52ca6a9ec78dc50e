"""The launch panel alone in a running app; nothing is launched, and what is wanted is noted."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from golden import screen_text
from screen import until
from textual import on
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Static

from nsview.tui.app import NsviewApp
from nsview.tui.launching.panel import LaunchPanel
from nsview.tui.launching.pickers import NamespacePicker


class PanelApp(App[None]):
    """The panel alone, as wide as it is on a screen of the app's own sizes."""

    CSS_PATH = Path(inspect.getfile(NsviewApp)).with_name("app.tcss")
    CSS = ".-mid #launch { width: 52; } .-wide #launch { width: 56; }"

    HORIZONTAL_BREAKPOINTS = NsviewApp.HORIZONTAL_BREAKPOINTS

    def __init__(self, privileged: bool = True, read_only: bool = False) -> None:
        super().__init__()
        self.panel = LaunchPanel(id="launch", classes="pane", privileged=privileged, read_only=read_only)
        self.wanted: list[LaunchPanel.Wanted] = []

    def compose(self) -> ComposeResult:
        yield self.panel

    @on(LaunchPanel.Wanted)
    def note(self, message: LaunchPanel.Wanted) -> None:
        self.wanted.append(message)

    def text(self, name: str) -> str:
        """What one of the panel's texts says; empty when it is not shown."""
        static = self.query_one(f"#{name}", Static)
        return str(static.render()) if static.display else ""


@asynccontextmanager
async def running(
    size: tuple[int, int] = (60, 60), privileged: bool = True, read_only: bool = False
) -> AsyncIterator[tuple[PanelApp, Pilot[None]]]:
    """Run the panel until the first plan is there."""
    app = PanelApp(privileged, read_only)
    async with app.run_test(size=size) as pilot:
        app.query_one(NamespacePicker).focus()
        await until(lambda: app.panel.outlook.plan is not None)
        yield app, pilot


async def lying_still(app: PanelApp, pilot: Pilot[None], top: Widget | None = None) -> None:
    """Scroll the form so that it begins with ``top``, or at its beginning, and wait until nothing moves."""
    form = app.query_one("#launch-form")
    before = ""
    while (text := screen_text(app)) != before:
        before = text
        if top is None:
            form.scroll_home(animate=False)
        else:
            form.scroll_to_widget(top, animate=False, top=True)
        await pilot.pause(0.1)
