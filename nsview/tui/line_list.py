"""A list of lines under a fixed header, with a cursor: at the cost of the lines in view alone.

Built on Textual's line API. Subclasses hold the values and draw a line; this class scrolls, moves the cursor,
keeps drawn lines in an LRU cache and repaints only those whose look has changed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import chain
from textwrap import wrap
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nsview.tui.cell_text import fitted


class LineList(ScrollView, can_focus=True):
    """Lines under a header; up, down, page, home, end, mouse and wheel move in it.

    Subclasses give ``line_count``, ``line_key``, ``line_strip`` and ``header_strip``, and may narrow
    ``can_rest`` (may the cursor stand on this line?) and fill ``cursor_moved`` and ``line_chosen``.
    """

    ALLOW_SELECT = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor_up", "Up", show=False, id="lines.up"),
        Binding("down", "cursor_down", "Down", show=False, id="lines.down"),
        Binding("pageup", "page_up", "Page up", show=False, id="lines.page-up"),
        Binding("pagedown", "page_down", "Page down", show=False, id="lines.page-down"),
        Binding("home", "first", "First line", show=False, id="lines.first"),
        Binding("end", "last", "Last line", show=False, id="lines.last"),
        Binding("enter", "choose", "Choose", show=False, id="lines.choose"),
    ]

    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--header", "lines--cursor"}

    DEFAULT_CSS = """
    LineList {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        background: $surface;
        color: $foreground;
        & > .lines--header { text-style: bold; background: $panel; color: $foreground; }
        & > .lines--cursor {
            background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground;
            text-style: $block-cursor-blurred-text-style;
        }
        &:focus > .lines--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
            text-style: $block-cursor-text-style;
        }
        &:ansi > .lines--header { text-style: bold underline; }
        &:ansi:blur > .lines--cursor { text-style: underline; }
        &:nocolor:focus > .lines--cursor { text-style: reverse; }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        """Begin with no lines and no cursor."""
        super().__init__(id=id, classes=classes)
        self.cursor_line: int | None = None
        """Index of the line under the cursor, None while there is none."""
        self.note = ""
        """What is said in place of lines when there are none."""
        self.drawn_width = 0
        """Width of the line that is being drawn."""
        self._strips: LRUCache[Hashable, Strip] = LRUCache(512)
        self._painted: dict[int, Strip] = {}
        self._look: dict[str, Style] = {}

    # What a subclass says about its lines.

    @property
    def line_count(self) -> int:
        """Number of lines below the header."""
        raise NotImplementedError

    def line_key(self, index: int) -> Hashable:
        """Everything the look of a line depends on, but for its width, the cursor and the theme."""
        raise NotImplementedError

    def line_strip(self, index: int, width: int, cursor: bool) -> Strip:
        """Draw a line, ``width`` cells wide."""
        raise NotImplementedError

    def header_strip(self, width: int) -> Strip:
        """Draw the header, ``width`` cells wide."""
        raise NotImplementedError

    def can_rest(self, index: int) -> bool:
        """Tell whether the cursor may stand on this line."""
        return True

    def cursor_moved(self) -> None:
        """Act on a new place of the cursor."""

    def line_chosen(self) -> None:
        """Act on Enter or a double click on the line under the cursor."""

    # Painting.

    def look(self, name: str) -> Style:
        """Return the style of a component class, from a cache that a new theme empties."""
        style = self._look.get(name)
        if style is None:
            style = self._look[name] = self.get_component_rich_style(name)
        return style

    def under_cursor(self, segments: Iterable[Segment]) -> list[Segment]:
        """Give a line the cursor's look; without the focus its own colours stay, on the cursor's ground."""
        style = self.look("lines--cursor")
        if self.has_focus:
            return [Segment(text, style) for text, _, _ in segments]
        ground = Style(bgcolor=style.bgcolor, underline=style.underline, reverse=style.reverse)
        return [Segment(text, (own or style) + ground) for text, own, _ in segments]

    def notify_style_update(self) -> None:
        """Forget all that was drawn in the old styles."""
        super().notify_style_update()
        self._look.clear()
        self._strips.clear()
        self._painted.clear()

    @property
    def line_width(self) -> int:
        """Cells from the left edge to the scrollbar."""
        return self.scrollable_content_region.width

    def render_line(self, y: int) -> Strip:
        """Draw line ``y`` of what is in view; line 0 is the header."""
        strip = self._painted[y] = self._strip_at(y, self.line_width)
        return strip

    def _strip_at(self, y: int, width: int) -> Strip:
        self.drawn_width = width
        if y == 0:
            return self.header_strip(width)
        index = self.scroll_offset.y + y - 1
        if index >= self.line_count:
            text = self._note_line(y - 1, width) if not self.line_count else ""
            return Strip([Segment(fitted(text, width), self.rich_style)], width)
        cursor = index == self.cursor_line
        key = (self.line_key(index), width, cursor, self.has_focus)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self.line_strip(index, width, cursor)
        return strip

    def _note_line(self, y: int, width: int) -> str:
        """Return line ``y`` of the note, which stands one line and two cells away from the edges."""
        wrapped = wrap(self.note, max(10, width - 4))
        return f"  {wrapped[y - 1]}" if 1 <= y <= len(wrapped) else ""

    def repaint_changed(self) -> None:
        """Have those lines in view painted anew whose look differs from what is on the screen."""
        width = self.line_width
        self._repaint(y for y in range(self.size.height) if self._painted.get(y) != self._strip_at(y, width))

    def _repaint(self, lines: Iterable[int]) -> None:
        regions = [Region(0, y, self.size.width, 1) for y in lines if 0 <= y < self.size.height]
        if regions:
            self.refresh(*regions)

    def lines_changed(self) -> None:
        """Take note that the lines are others now, perhaps more or fewer."""
        size = Size(0, self.line_count + 1)
        if size != self.virtual_size:
            self.virtual_size = size
        self.repaint_changed()

    # Cursor and scrolling.

    @property
    def page(self) -> int:
        """Number of lines in view below the header."""
        return max(1, self.size.height - 1)

    def top_line(self) -> int:
        """Index of the first line in view."""
        return self.scroll_offset.y

    def in_view(self, index: int) -> bool:
        """Tell whether a line is in view."""
        return self.top_line() <= index < self.top_line() + self.page

    def move_cursor(self, index: int | None) -> None:
        """Put the cursor on a line (or the nearest below, else above, where it may rest), in view."""
        target = None if index is None else self._resting_place(index, 1)
        if target != self.cursor_line:
            before, self.cursor_line = self.cursor_line, target
            header = 1 - self.top_line()
            self._repaint(line + header for line in (before, target) if line is not None)
            self.cursor_moved()
        self.show_cursor_line()

    def show_cursor_line(self) -> None:
        """Scroll by as little as brings the cursor into view."""
        if self.cursor_line is None:
            return
        top = self.top_line()
        if self.cursor_line <= top:
            heading = self.cursor_line
            while heading > 0 and not self.can_rest(heading - 1):
                heading -= 1
            self.jump_to(heading)
        elif self.cursor_line >= top + self.page:
            self.jump_to(self.cursor_line - self.page + 1)

    def jump_to(self, top: int) -> None:
        """Make line ``top`` the first in view, at once."""
        self.scroll_to(y=max(0, top), animate=False, force=True)

    def _resting_place(self, index: int, towards: int) -> int | None:
        """Find the line nearest to ``index`` that the cursor may rest on, ``towards`` (1 or -1) first."""
        count = self.line_count
        index = max(0, min(index, count - 1))
        onward = range(index, count) if towards > 0 else range(index, -1, -1)
        back = range(index, -1, -1) if towards > 0 else range(index, count)
        return next(filter(self.can_rest, chain(onward, back)), None) if count else None

    def _step(self, lines: int) -> None:
        """Move the cursor by ``lines``, or as far as there are lines to rest on."""
        if self.cursor_line is None:
            self.move_cursor(0)
            return
        goal = self._resting_place(self.cursor_line + lines, 1 if lines > 0 else -1)
        self.move_cursor(goal)

    def action_cursor_up(self) -> None:
        """Move the cursor up one line."""
        self._step(-1)

    def action_cursor_down(self) -> None:
        """Move the cursor down one line."""
        self._step(1)

    def action_page_up(self) -> None:
        """Move the cursor up by what is in view."""
        self._step(-self.page)

    def action_page_down(self) -> None:
        """Move the cursor down by what is in view."""
        self._step(self.page)

    def action_first(self) -> None:
        """Move the cursor to the first line."""
        self.move_cursor(0)
        self.jump_to(0)

    def action_last(self) -> None:
        """Move the cursor to the last line."""
        self.move_cursor(self.line_count - 1)

    def action_choose(self) -> None:
        """Choose the line under the cursor."""
        if self.cursor_line is not None:
            self.line_chosen()

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the line clicked on; a double click chooses it."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y == 0:
            return
        index = self.top_line() + offset.y - 1
        if index < self.line_count and self.can_rest(index):
            self.move_cursor(index)
            if event.chain == 2:
                self.line_chosen()

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self._painted.clear()
        self.show_cursor_line()
