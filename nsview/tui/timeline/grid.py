"""The list of a timeline's lines, whatever view of them is shown."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from nsview.tui.line_list import LineList
from nsview.tui.timeline.view import Nothing, View


class Waterfall(LineList):
    """Draws a view; the cursor stays on its line (by the view's key) when the lines are others."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"waterfall--{look}"
        for look in (
            "phase", "mark", "label", "time", "took", "bar", "slow", "refused", "failed", "next", "todo",
            "changed",
        )
    }  # fmt: skip

    DEFAULT_CSS = """
    Waterfall {
        height: 1fr;
        & > .waterfall--phase { color: $text-primary; text-style: bold; }
        & > .waterfall--mark { color: $text-accent; text-style: bold; }
        & > .waterfall--label { color: $foreground; }
        & > .waterfall--time { color: $text-muted; }
        & > .waterfall--took { color: $foreground; }
        & > .waterfall--bar { color: $text-primary; }
        & > .waterfall--slow { color: $text-warning; }
        & > .waterfall--refused { color: $text-muted; text-style: italic; }
        & > .waterfall--failed { color: $text-error; text-style: bold; }
        & > .waterfall--next { color: $text-accent; text-style: bold; }
        & > .waterfall--todo { color: $text-muted; text-style: dim; }
        & > .waterfall--changed { color: $text-success; }
    }
    """

    class Highlighted(Message):
        """The cursor is on another line, or what that shows has changed."""

    class Chosen(Message):
        """Enter or a double click on the line under the cursor."""

    def __init__(self, note: str) -> None:
        super().__init__()
        self.view: View = Nothing(note)
        self.note = note
        self._following: tuple[int, int] | None = None

    def show(self, view: View, cursor: Hashable | None = None, following: int | None = None) -> None:
        """Show a view, the cursor on the line with the key ``cursor``, else on the one it was on, else the first.

        As long as the cursor stays there, the line ``following``, some lines below it, is kept in view too.
        """
        wanted = (cursor, self.cursor_key)
        self.view, self.note = view, view.note
        self._strips.clear()
        places = {view.key(index): index for index in range(view.count)}
        place = next((places[key] for key in wanted if key in places), 0 if view.count else None)
        self.cursor_line = place
        self._following = None if place is None or following is None else (place, following)
        self.lines_changed()
        self.refresh()
        self.show_cursor_line()
        self.cursor_moved()

    @property
    def cursor_key(self) -> Hashable | None:
        """The view's key of the line under the cursor."""
        if self.cursor_line is None or self.cursor_line >= self.view.count:
            return None
        return self.view.key(self.cursor_line)

    def show_cursor_line(self) -> None:
        """Scroll by as little as brings the cursor, and what follows it, into view."""
        if self._following is not None and self._following[0] == self.cursor_line:
            following = self._following[1]
            if following >= self.top_line() + self.page:
                self.jump_to(following - self.page + 1)
        super().show_cursor_line()

    def go_to(self, index: int) -> None:
        """Put the cursor on a line."""
        self.move_cursor(index)

    @property
    def line_count(self) -> int:
        """Number of lines."""
        return self.view.count

    def line_key(self, index: int) -> Hashable:
        """Name a line; what it shows depends on the others too, so show() empties the cache."""
        return index

    def cursor_moved(self) -> None:
        """Tell that the cursor is elsewhere."""
        self.post_message(self.Highlighted())

    def line_chosen(self) -> None:
        """Tell that the line was chosen."""
        self.post_message(self.Chosen())

    def header_strip(self, width: int) -> Strip:
        """Draw the view's headings."""
        return Strip([Segment(text, self._look_of(look)) for text, look in self.view.header(width)])

    def line_strip(self, index: int, width: int, cursor: bool) -> Strip:
        """Draw a line of the view."""
        segments = [Segment(text, self._look_of(look)) for text, look in self.view.line(index, width)]
        rest = width - sum(cell_len(segment.text) for segment in segments)
        segments.append(Segment(" " * max(0, rest), self.look("waterfall--label")))
        if cursor:
            segments = self.under_cursor(segments)
        return Strip(segments).adjust_cell_length(width)

    def _look_of(self, look: str) -> Style:
        return self.look("lines--header" if look == "header" else f"waterfall--{look}")
