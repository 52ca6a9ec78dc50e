"""What is wrong with a filter, where, and what to do about it."""

from __future__ import annotations

from nsview.host.text import printable, width

_BEFORE, _AFTER = 40, 30


class FilterError(ValueError):
    """A text that is no filter: ``text``, where it went wrong (``at``, an index), what, and a ``remedy``."""

    def __init__(self, text: str, at: int, message: str, remedy: str = "") -> None:
        """Keep all four."""
        self.text = text
        self.at = at
        self.message = message
        self.remedy = remedy
        super().__init__(text, at, message, remedy)

    def __str__(self) -> str:
        """Word it in one line for a person."""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return printable(f"{self.message} (at character {self.at + 1}){remedy}")

    def pointer(self) -> str:
        """Return two lines: the filter, or what of it is near, and a caret below the place."""
        begin = max(0, self.at - _BEFORE)
        before = ("…" if begin else "") + printable(self.text[begin : self.at])
        after = printable(self.text[self.at : self.at + _AFTER])
        more = "…" if len(self.text) > self.at + _AFTER else ""
        return f"{before}{after}{more}\n{' ' * width(before)}^"
