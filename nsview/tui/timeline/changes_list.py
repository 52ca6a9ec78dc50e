"""The list of what a step changed, under the waterfall."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from rich.segment import Segment
from textual.message import Message
from textual.strip import Strip

from nsview.host.difference import DiffRow
from nsview.tui.cell_text import fitted
from nsview.tui.launching.held_facts import Changes
from nsview.tui.line_list import LineList
from nsview.tui.timeline.words import change_words, changes_title, unknown_words
from spawner import Plan


class ChangesList(LineList):
    """One line for each attribute that is another after a step than before; ``?`` is what could not be read."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "changes--header",
        "changes--section",
        "changes--row",
        "changes--unknown",
        "changes--cursor",
    }

    DEFAULT_CSS = """
    ChangesList {
        height: 3;
        & > .changes--header { text-style: bold; background: $panel; color: $text-success; }
        & > .changes--section { color: $text-muted; }
        & > .changes--row { color: $foreground; }
        & > .changes--unknown { color: $text-warning; }
        & > .changes--cursor { color: $foreground; }
        &:focus > .changes--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
        }
        &:ansi > .changes--header { text-style: bold underline; }
        &:ansi:focus > .changes--cursor { text-style: underline; }
        &:nocolor:focus > .changes--cursor { text-style: reverse; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.rows: tuple[DiffRow, ...] = ()
        self.unknown = ""

    def show(self, changes: Changes, plan: Plan) -> None:
        """Show what changed between two looks."""
        title, unknown = changes_title(changes, plan), unknown_words(changes)
        if (title, changes.rows, unknown) == (self.title, self.rows, self.unknown):
            return
        self.title, self.rows, self.unknown = title, changes.rows, unknown
        self._strips.clear()
        self.cursor_line = 0 if self.line_count else None
        self.lines_changed()
        self.refresh()
        self.jump_to(0)

    class Chosen(Message):
        """Enter or a double click on a change."""

    def line_chosen(self) -> None:
        """Tell that a change was chosen."""
        self.post_message(self.Chosen())

    @property
    def line_count(self) -> int:
        """Number of changes, and a line for what is unknown."""
        return len(self.rows) + bool(self.unknown)

    def line_key(self, index: int) -> Hashable:
        """Name all that a line shows."""
        return index

    def header_strip(self, width: int) -> Strip:
        """Say whose changes these are."""
        return Strip([Segment(fitted(self.title, width), self.look("changes--header"))], width)

    def line_strip(self, index: int, width: int, cursor: bool) -> Strip:
        """Draw a change, or what is unknown."""
        row = self.rows[index] if index < len(self.rows) else None
        section = f"{fitted('' if row is None else row.section, 12)} " if width >= 60 else ""
        unknown = row is None or row.parent is None or row.child is None
        text = fitted(self.unknown if row is None else change_words(row), width - len(section))
        segments = [
            Segment(section, self.look("changes--section")),
            Segment(text, self.look("changes--unknown" if unknown else "changes--row")),
        ]
        if cursor and self.has_focus:
            style = self.look("changes--cursor")
            segments = [Segment(text, (own or style) + style) for text, own, _ in segments]
        return Strip(segments).adjust_cell_length(width)
