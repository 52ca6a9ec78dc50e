"""What a terminal tells the widget that shows it: that the bell rang. Nothing else is wanted.

A program may send any of these a million times a second, so none of them makes a message each time. Titles, notices,
working directories and pointer shapes are refused: the text is anybody's, and the screen is ours.
"""

from __future__ import annotations

from textual_tty.monitor import MonitorChrome


class ChildChrome(MonitorChrome):  # type: ignore[misc]  # textual-tty has no types
    """The board's jack in a :class:`~nsview.tui.terminal.terminal.ChildTerminal`."""

    def on_bell(self) -> None:
        """Note that the bell has rung."""
        self.widget.ring()
