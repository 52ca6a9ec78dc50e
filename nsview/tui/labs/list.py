"""The list of the labs pane: the labs there are, or what one of them tells, the newest at the bottom."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from nsview.tui.cell_text import fitted
from nsview.tui.labs.lines import NAME_WIDTH, SIGN_LOOKS, SIGN_WIDTH, Line, Look
from nsview.tui.line_list import LineList


class LabList(LineList):
    """Lines of labs or of what one tells. While the cursor is on the last line it follows what comes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "whole", "All of it", show=False, id="labs.whole", tooltip="all that is known of the line"),
    ]

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"labs--{look}" for look in Look}

    DEFAULT_CSS = """
    LabList {
        height: 1fr;
        & > .labs--name { color: $foreground; text-style: bold; }
        & > .labs--text { color: $foreground; }
        & > .labs--faint { color: $text-muted; }
        & > .labs--stage { color: $text-primary; text-style: bold; }
        & > .labs--scene { color: $text-accent; text-style: bold; }
        & > .labs--wrong { color: $text-error; text-style: bold; }
        & > .labs--left-out { color: $text-warning; }
        & > .labs--right { color: $text-success; }
        & > .labs--chart { color: $foreground; }
        &:ansi > .labs--faint { text-style: dim; }
        &:nocolor > .labs--wrong { text-style: bold reverse; }
    }
    """

    class Chosen(Message):
        """A person has chosen a line by Enter or a double click; ``about``: the lab or event it is about."""

        def __init__(self, about: int | None) -> None:
            """Say which."""
            super().__init__()
            self.about = about

    class Whole(Message):
        """A person wants to read all of what the line under the cursor is about."""

        def __init__(self, about: int | None) -> None:
            """Say which."""
            super().__init__()
            self.about = about

    class Resized(Message):
        """Lines have to be fitted to another width."""

    def __init__(self) -> None:
        """Begin with no lines."""
        super().__init__()
        self.lines: tuple[Line, ...] = ()
        self.heading = ""
        """What is said above the lines."""
        self._fitted_to = 0

    def show(self, lines: tuple[Line, ...], follow: bool) -> None:
        """Show these lines; ``follow``: the cursor goes to the last, else it stays on what it is on."""
        place = self._place()
        self.lines = lines
        self._strips.clear()
        self.cursor_line = self._line_at(place)
        self.lines_changed()
        if follow and lines:
            self.move_cursor(len(lines) - 1)
        elif self.cursor_line is None and lines:
            self.move_cursor(0)

    @property
    def follows(self) -> bool:
        """Whether the cursor is on the last line."""
        return self.cursor_line is None or self.cursor_line >= len(self.lines) - 1

    @property
    def about(self) -> int | None:
        """What the line under the cursor is about."""
        known = self.cursor_line is not None and self.cursor_line < len(self.lines)
        return self.lines[self.cursor_line].about if known and self.cursor_line is not None else None

    def _place(self) -> tuple[int | None, int]:
        """Name the cursor's line by what it is about, and how many lines into it."""
        about, number = self.about, 0
        if self.cursor_line is None or about is None:
            return None, self.cursor_line or 0
        while self.cursor_line > number and self.lines[self.cursor_line - number - 1].about == about:
            number += 1
        return about, number

    def _line_at(self, place: tuple[int | None, int]) -> int | None:
        about, number = place
        if about is None:
            return self._resting_place(number, 1) if self.lines else None
        same = [index for index, line in enumerate(self.lines) if line.about == about]
        return same[min(number, len(same) - 1)] if same else None

    def head(self, text: str) -> None:
        """Say this above the lines."""
        if text != self.heading:
            self.heading = text
            self.repaint_changed()

    def line_chosen(self) -> None:
        """Tell what was chosen."""
        self.post_message(self.Chosen(self.about))

    def action_whole(self) -> None:
        """Ask for all of it."""
        self.post_message(self.Whole(self.about))

    def on_resize(self) -> None:
        """Have lines fitted to the new width."""
        super().on_resize()
        if self.line_width != self._fitted_to:
            self._fitted_to = self.line_width
            self.post_message(self.Resized())

    def can_rest(self, index: int) -> bool:
        """Let the cursor pass over empty lines."""
        return bool(self.lines[index].text)

    @property
    def line_count(self) -> int:
        """Number of lines."""
        return len(self.lines)

    def line_key(self, index: int) -> Hashable:
        """Name all that a line shows."""
        return self.lines[index]

    def header_strip(self, width: int) -> Strip:
        """Draw what is said above the lines."""
        return Strip([Segment(fitted(self.heading, width), self.look("lines--header"))], width)

    def line_strip(self, index: int, width: int, cursor: bool) -> Strip:
        """Draw a line."""
        segments = list(self._pieces(self.lines[index], width))
        rest = width - sum(cell_len(segment.text) for segment in segments)
        segments.append(Segment(" " * max(0, rest), self.look("labs--text")))
        if cursor:
            segments = self.under_cursor(segments)
        return Strip(segments).crop(0, width)

    def _pieces(self, line: Line, width: int) -> Iterator[Segment]:
        text = fitted(line.text, width) if cell_len(line.text) > width else line.text
        left, first, rest = 0, line.look, line.look
        if line.sign is not None:
            left, first = SIGN_WIDTH, SIGN_LOOKS[line.sign]
        elif line.look is Look.NAME:
            left, rest = NAME_WIDTH, Look.TEXT
        yield Segment(text[:left], self.look(f"labs--{first}"))
        yield Segment(text[left:], self.look(f"labs--{rest}"))
