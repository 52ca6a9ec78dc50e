"""Where a person looks: at the screen, or back at what has scrolled off it. Pure: a position among numbered lines."""

from __future__ import annotations

from nsview.tui.terminal.history import History


class LookingBack:
    """A place in a history. At its end lies the screen, which follows what comes; further back it stands still."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._first: int | None = None

    @property
    def first(self) -> int:
        """The number of the first line shown; the screen's own first line is ``history.end``."""
        history = self._history
        return history.end if self._first is None else min(max(self._first, history.start), history.end)

    @property
    def back(self) -> int:
        """How many lines lie between the first one shown and the screen."""
        return self._history.end - self.first

    @property
    def active(self) -> bool:
        """Whether anything but the screen is shown."""
        return self.back > 0

    def move(self, back: int) -> None:
        """Go so many lines back, or forward where negative."""
        first = self.first - back
        self._first = first if first < self._history.end else None

    def to_start(self) -> None:
        """Go to the oldest line kept."""
        self.move(len(self._history))

    def to_end(self) -> None:
        """Follow the screen again."""
        self._first = None

    def mark(self) -> str:
        """Say how far back this is."""
        return f" {self.back:,} of {len(self._history):,} lines back, any key returns "

    def thumb(self, height: int) -> range:
        """The rows of a scroll bar of this height that stand for what is shown; at least one."""
        total = len(self._history) + height
        rows = max(1, height * height // total)
        above = self.first - self._history.start
        top = round(above * (height - rows) / max(1, total - height))
        return range(top, top + rows)
