"""The list of namespaces on the screen, flat or as a tree; the cursor stays on its namespace."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from nsview.host.columns.namespaces import owner_of
from nsview.host.namespaces import Namespace
from nsview.tui.cell_text import fitted
from nsview.tui.hues import Ordinals, hue, hues
from nsview.tui.line_list import LineList
from nsview.tui.namespaces.arranging import Line
from nsview.tui.namespaces.list_columns import HELD_BY, OWNER, ListColumn, fit
from spawner.namespaces import BY_NAME, KINDS

_NUMBER = 5
"""Cells of a letter and a number, as ``n1234``."""
_KIND = {kind: index for index, kind in enumerate(KINDS)}
_USER = BY_NAME["user"]


def numbered(ordinals: Ordinals, namespace: Namespace) -> str:
    """Return a namespace as the tree of processes has it: its letter, and its number."""
    return f"{namespace.kind.letter}{ordinals.number(_KIND[namespace.kind], namespace.inode)}"


class NamespaceList(LineList):
    """Shows :class:`Line` s."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "ns-list--branch",
        "ns-list--value",
        "ns-list--faint",
        "ns-list--name",
        "ns-list--hidden",
    }

    DEFAULT_CSS = """
    NamespaceList {
        height: 1fr;
        & > .ns-list--branch { color: $text-muted; }
        & > .ns-list--value { color: $foreground; }
        & > .ns-list--faint { color: $text-muted; }
        & > .ns-list--name { color: $text-accent; }
        & > .ns-list--hidden { color: $text-warning; }
        &:ansi > .ns-list--faint { text-style: dim; }
    }
    """

    class Opened(Message):
        """A person wants to see what is inside a namespace."""

        def __init__(self, inode: int) -> None:
            super().__init__()
            self.inode = inode

    def __init__(self, ordinals: Ordinals, *, id: str | None = None) -> None:
        """Begin with nothing; ``ordinals`` number the namespaces as the tree does."""
        super().__init__(id=id)
        self._ordinals = ordinals
        self.lines: tuple[Line, ...] = ()
        self._branch = 0
        self.note = "Looking for namespaces…"

    def show(self, lines: tuple[Line, ...], note: str) -> None:
        """Show these lines, or the note; the cursor stays on its namespace."""
        wanted = self.namespace
        self.lines, self.note = lines, note
        branch = max((len(line.branches) for line in lines), default=0)
        if branch != self._branch:
            self._branch = branch
            self.refresh()
        place = None
        if wanted is not None:
            place = next((at for at, line in enumerate(lines) if line.row.namespace.inode == wanted.inode), None)
        if place is None and lines:
            place = min(self.cursor_line or 0, len(lines) - 1)
        self.cursor_line = place
        self.lines_changed()
        self.show_cursor_line()

    @property
    def namespace(self) -> Namespace | None:
        """The namespace under the cursor."""
        if self.cursor_line is None or self.cursor_line >= len(self.lines):
            return None
        return self.lines[self.cursor_line].row.namespace

    def line_chosen(self) -> None:
        """Ask for what is inside."""
        if self.namespace is not None:
            self.post_message(self.Opened(self.namespace.inode))

    @property
    def line_count(self) -> int:
        """Number of namespaces."""
        return len(self.lines)

    def line_key(self, index: int) -> Hashable:
        """Name all that a line shows."""
        line = self.lines[index]
        columns, _ = fit(self.drawn_width - self._own_width)
        texts = tuple(self._text(column, line) for column in columns)
        return line.branches, numbered(self._ordinals, line.row.namespace), texts, line.row.namespace.name, self._branch

    @property
    def _own_width(self) -> int:
        return self._branch + _NUMBER + 1

    def header_strip(self, width: int) -> Strip:
        """Draw the titles."""
        columns, _ = fit(width - self._own_width)
        text = fitted("NS", self._own_width)
        text += "".join(fitted(column.title, column.width, column.right) + " " for column in columns) + "NAME"
        return Strip([Segment(fitted(text, width), self.look("lines--header"))], width)

    def line_strip(self, index: int, width: int, cursor: bool) -> Strip:
        """Draw a namespace."""
        segments = list(self._pieces(self.lines[index], width))
        if cursor:
            segments = self.under_cursor(segments)
        return Strip(segments).crop(0, width)

    def _pieces(self, line: Line, width: int) -> Iterator[Segment]:
        namespace = line.row.namespace
        columns, name = fit(width - self._own_width)
        yield Segment(line.branches, self.look("ns-list--branch"))
        number = self._ordinals.number(_KIND[namespace.kind], namespace.inode)
        shown = numbered(self._ordinals, namespace)
        yield Segment(shown, self._hue(number))
        yield Segment(" " * max(1, self._own_width - cell_len(line.branches + shown)), self.look("ns-list--value"))
        for column in columns:
            text = self._text(column, line)
            yield Segment(fitted(text, column.width, column.right) + " ", self.look(_look(line, column, text)))
        yield Segment(
            fitted(namespace.name or "-", name), self.look("ns-list--name" if namespace.name else "ns-list--faint")
        )

    def _text(self, column: ListColumn, line: Line) -> str:
        if column.title == OWNER:
            owner = owner_of(line.row.namespace)
            if owner is not None and owner > 0:
                return f"{_USER.letter}{self._ordinals.number(_KIND[_USER], owner)}"
        return column.text(line.row)

    def _hue(self, number: int) -> Style:
        """Return the look of a namespace: the tree's."""
        name = f"hue {hue(number)}"
        if name not in self._look:
            colours = hues(self.app.current_theme.dark, self.app.native_ansi_color)
            ground = self.look("ns-list--value").bgcolor
            self._look[name] = Style(color=colours[hue(number)].rich_color, bgcolor=ground, bold=True)
        return self._look[name]


def _look(line: Line, column: ListColumn, text: str) -> str:
    if column.title == HELD_BY and not line.row.namespace.members:
        return "ns-list--hidden"
    return "ns-list--faint" if text in ("-", "0", "?") else "ns-list--value"
