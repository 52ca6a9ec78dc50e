"""The list of the security pane: statements with yes, no or ``?``, then the facts."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from nsview.host.difference import DiffRow
from nsview.host.text import printable
from nsview.tui.cell_text import fitted
from nsview.tui.diff.lines import NAMESPACE, brief, numbered
from nsview.tui.hues import Ordinals
from nsview.tui.line_list import LineList
from nsview.tui.security.lines import GAINED, LOST, MARKS, Can, Line, Title, name_of


class SecurityList(LineList):
    """Statements with yes, no or ``?``, then the facts; the cursor stays on its line when values change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "choose", "Whole value", show=False, id="security.whole"),
    ]

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "security--title",
        "security--note",
        "security--yes",
        "security--no",
        "security--unknown",
        "security--changed",
        "security--name",
        "security--value",
        "security--faint",
    }

    DEFAULT_CSS = """
    SecurityList {
        height: 1fr;
        & > .security--title { color: $text-primary; text-style: bold; }
        & > .security--note { color: $text-muted; }
        & > .security--yes { color: $text-accent; text-style: bold; }
        & > .security--no { color: $text-muted; }
        & > .security--unknown { color: $text-warning; }
        & > .security--changed { color: $text-success; text-style: bold; }
        & > .security--name { color: $foreground; }
        & > .security--value { color: $foreground; }
        & > .security--faint { color: $text-muted; }
        &:ansi > .security--faint { text-style: dim; }
    }
    """

    class LineHighlighted(Message):
        """The cursor is on another line, or the line under it has changed; None when there is none to be on."""

        def __init__(self, line: Line | None) -> None:
            """Say which line."""
            super().__init__()
            self.line = line

    class Whole(Message):
        """A person wants to read all of a line."""

        def __init__(self, line: Can | DiffRow) -> None:
            """Say which."""
            super().__init__()
            self.line = line

    def __init__(self, ordinals: Ordinals) -> None:
        """Begin with nothing to show; ``ordinals`` number the namespaces."""
        super().__init__()
        self.lines: tuple[Line, ...] = ()
        self._ordinals = ordinals

    def show(self, lines: tuple[Line, ...], note: str) -> None:
        """Show these lines, the note if there are none; the cursor stays on its line."""
        wanted = name_of(self.line)
        self.lines, self.note = lines, note
        self._strips.clear()
        self.cursor_line = next((i for i, line in enumerate(lines) if wanted and name_of(line) == wanted), None)
        self.lines_changed()
        if self.cursor_line is None and lines:
            self.move_cursor(0)
        else:
            self.cursor_moved()

    @property
    def line(self) -> Line | None:
        """The line under the cursor."""
        return None if self.cursor_line is None or self.cursor_line >= len(self.lines) else self.lines[self.cursor_line]

    def cursor_moved(self) -> None:
        """Tell which line is under the cursor now."""
        self.post_message(self.LineHighlighted(self.line))

    def line_chosen(self) -> None:
        """Ask for all of the line."""
        if isinstance(self.line, Can | DiffRow):
            self.post_message(self.Whole(self.line))

    def can_rest(self, index: int) -> bool:
        """Let the cursor pass over titles."""
        return not isinstance(self.lines[index], Title)

    @property
    def line_count(self) -> int:
        """Number of lines, titles among them."""
        return len(self.lines)

    def line_key(self, index: int) -> Hashable:
        """Name all that a line shows."""
        return self.lines[index]

    def header_strip(self, width: int) -> Strip:
        """Draw the columns' headings."""
        text = f"     {fitted('what', self._name_width(width))} why, or value"
        return Strip([Segment(fitted(text, width), self.look("lines--header"))], width)

    def line_strip(self, index: int, width: int, cursor: bool) -> Strip:
        """Draw a line."""
        segments = list(self._pieces(self.lines[index], width))
        rest = width - sum(cell_len(segment.text) for segment in segments)
        segments.append(Segment(" " * max(0, rest), self.look("security--value")))
        if cursor:
            segments = self.under_cursor(segments)
        return Strip(segments).crop(0, width)

    def _name_width(self, width: int) -> int:
        longest = max((cell_len(line.finding.ability.name) for line in self.lines if isinstance(line, Can)), default=10)
        return min(longest, max(12, width - _LEFT - 1 - _LEAST_WHY))

    def _pieces(self, line: Line, width: int) -> Iterator[Segment]:
        name = self._name_width(width)
        left = max(0, width - _LEFT - name - 1)
        match line:
            case Title():
                yield Segment(f"{line.text} ", self.look("security--title"))
                yield Segment(line.note, self.look("security--note"))
            case Can():
                can = line.finding.verdict.can
                look = self.look(_LOOKS[can])
                yield Segment(fitted(MARKS[can], 4), look)
                change = " " if line.changed is None else GAINED if line.changed else LOST
                yield Segment(change, self.look("security--changed"))
                dim = look if can is False else self.look("security--name")
                yield Segment(fitted(line.finding.ability.name, name) + " ", dim)
                yield Segment(fitted(printable(line.finding.verdict.why), left), self.look("security--faint"))
            case DiffRow():
                differs = line.same is False
                yield Segment("    ", self.look("security--name"))
                yield Segment("≠" if differs else " ", self.look("security--changed"))
                # Names of facts are short: their values may begin where statements have their second half.
                short = min(name, _FACT)
                yield Segment(fitted(line.attribute, short) + " ", self.look("security--name"))
                known = "security--unknown" if line.child is None else "security--value"
                yield Segment(brief(self._value(line), max(0, width - _LEFT - short - 1)), self.look(known))

    def _value(self, row: DiffRow) -> str:
        text = numbered(row.child, self._ordinals, False)
        if NAMESPACE.fullmatch(row.child or ""):
            return text + {True: "  shared with its parent", False: "  its own", None: ""}[row.same]
        return text


_LOOKS = {True: "security--yes", False: "security--no", None: "security--unknown"}
_LEFT = 5
"""Cells of the mark, and of what changed."""
_FACT = 20
_LEAST_WHY = 14
