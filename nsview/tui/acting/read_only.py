"""Launching switched off: a launcher that does nothing that it is asked to, whatever that is, and says so."""

from __future__ import annotations

from collections.abc import Callable

from nsview.tui.launching.launcher import Launcher, LauncherMessage


class ReadOnly(LauncherMessage):
    """The launcher was asked for something, and does not do it."""


class ReadOnlyLauncher(Launcher):
    """A launcher for ``--read-only``: it can be started and closed, and everything else is answered by ReadOnly.

    All requests come to the launcher's thread one way, and that way is closed; so are requests not invented yet.
    """

    def _ask(self, work: Callable[[], object]) -> None:
        if self._stopping:  # close() wakes the thread, which then ends
            super()._ask(work)
        else:
            self._post(ReadOnly())
