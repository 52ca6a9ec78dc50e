"""What takes its time: told while the launcher is at it for more than half a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.app import App
from textual.timer import Timer

from nsview.tui.launching.launcher import Launcher

PATIENCE = 0.5
"""Seconds after which it is told, and told anew."""


class UnderWay:
    """Looks at what the launcher is doing from when something is asked of it until it is idle."""

    def __init__(self, app: App[None], launcher: Launcher, tell: Callable[[str], object]) -> None:
        """``tell`` is called with what it is doing and for how long, and at last with nothing."""
        self._app = app
        self._launcher = launcher
        self._tell = tell
        self._timer: Timer | None = None

    def begin(self) -> None:
        """Look, from now on; any thread may say so."""
        self._app.call_later(self._begin)

    def _begin(self) -> None:
        if self._timer is None:
            self._timer = self._app.set_interval(PATIENCE, self._look)

    def _look(self) -> None:
        doing = self._launcher.doing
        seconds = 0.0 if doing is None else time.monotonic() - doing.since
        self._tell(f"{doing.words}: {seconds:.0f} s" if doing is not None and seconds >= PATIENCE else "")
        if not self._launcher.busy and self._timer is not None:
            self._timer.stop()
            self._timer = None
