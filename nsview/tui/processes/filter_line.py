"""The filter line: a filter of the one language, in force as it is typed; what is wrong with it is shown where."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input, Static

from nsview.host.columns.process_row import ProcessRow, refer
from nsview.host.filter import Filter, FilterError, parse
from nsview.host.text import printable, width
from nsview.tui.processes.scene import COLUMNS, TABLE_COLUMNS


def parsed(text: str) -> Filter[ProcessRow] | None:
    """Read a filter over the columns of the table, None for one that asks nothing; FilterError if it is none."""
    found = parse(text, COLUMNS, refer)
    return None if found.is_empty else found


def finished(text: str, names: Collection[str] = TABLE_COLUMNS) -> str:
    """Return a filter that is being typed without a word at its end that may become a column's name.

    A blank or Enter says that it is meant as a word; until then all would vanish at each letter of ``rss>1M``.
    """
    begun = _LAST_WORD.search(text)
    is_name = begun is not None and any(name.startswith(begun[1]) for name in names)
    return text[: begun.start(1)] if begun is not None and is_name else text


_LAST_WORD = re.compile(r"(?:^|[\s(!])([A-Za-z_.]+)$", re.ASCII)


class ColumnNames(Suggester):
    """Completes the name of a column at the end of a filter."""

    def __init__(self, names: Collection[str]) -> None:
        """Distinguish capitals: columns have none but three letters of namespaces."""
        super().__init__(case_sensitive=True)
        self._names = names

    async def get_suggestion(self, value: str) -> str | None:
        """Return the filter with the name at its end completed; None if it is no beginning of one."""
        begun = value.rpartition(" ")[2].lstrip("!(")
        if len(begun) < 2 or begun in self._names:
            return None
        name = next((name for name in self._names if name.startswith(begun)), None)
        return None if name is None else value + name.removeprefix(begun)


class FilterLine(Vertical):
    """One line to type a filter in, and below it what is wrong. Hidden until ``open``; Esc gives the filter up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # First, for keys typed right after them are the list's.
        Binding("escape", "give_up", "No filter", id="filter.give-up", priority=True),
        Binding("enter,down", "keep", "Keep", show=False, id="filter.keep", priority=True),
    ]

    DEFAULT_CSS = """
    FilterLine { height: auto; display: none; background: $panel; }
    FilterLine Horizontal { height: 1; }
    FilterLine .slash { width: 2; color: $text-accent; text-style: bold; }
    FilterLine Input { width: 1fr; }
    FilterLine .wrong { height: auto; color: $text-error; display: none; }
    FilterLine.-wrong .wrong { display: block; }
    """

    class Filtered(Message):
        """Another filter is wanted, None for none; ``text`` is how it was typed."""

        def __init__(self, wanted: Filter[Any] | None, text: str) -> None:
            """Say which."""
            super().__init__()
            self.wanted = wanted
            self.text = text

    class Left(Message):
        """Typing is over: the keys are the table's again."""

    def __init__(
        self,
        read: Callable[[str], Filter[Any] | None] = parsed,
        names: Collection[str] = TABLE_COLUMNS,
        example: str = "user=root cpu>5 ns.net!=init /regex/ name",
    ) -> None:
        """``read`` reads a filter, None for one that asks nothing; ``names`` are columns; for a table of processes."""
        super().__init__()
        self._read = read
        self._columns = names
        self._example = example
        self.back_to: Widget | None = None
        """Who has the keys when typing is over, at once."""

    def compose(self) -> ComposeResult:
        """A slash, the line, what is wrong with it."""
        with Horizontal():
            yield Static("/ ", classes="slash", markup=False)
            yield Input(compact=True, suggester=ColumnNames(self._columns), placeholder=self._example)
        yield Static("", classes="wrong", markup=False)

    @property
    def text(self) -> str:
        """What is typed."""
        return self.query_one(Input).value

    def open(self) -> None:
        """Show the line, and type in it. At once: a key that was typed ahead, be it a pane's digit, belongs here."""
        self.display = True
        self.screen.set_focus(self.query_one(Input))

    def fill(self, text: str) -> None:
        """Put in a filter, and have it in force."""
        line = self.query_one(Input)
        if line.value == text:
            self._judge(text)
        else:
            line.value = text

    @on(Input.Changed)
    def _typed(self, message: Input.Changed) -> None:
        message.stop()
        self._judge(message.value, is_typed=self.display)

    def _judge(self, text: str, is_typed: bool = False) -> None:
        """Have the filter in force; of one that is none, say what is wrong, while the last stays in force."""
        try:
            wanted = self._read(text)
        except FilterError as error:
            self._complain(error)
            return
        self.remove_class("-wrong")
        if is_typed and (begun := finished(text, self._columns)) != text:
            try:
                text, wanted = begun, self._read(begun)
            except FilterError:  # "a or r": the last that was whole stays in force
                return
        self.post_message(self.Filtered(wanted, text.strip()))

    def _complain(self, error: FilterError) -> None:
        remedy = f"; {error.remedy}" if error.remedy else ""
        place = 2 + width(printable(error.text[: error.at]))
        message = printable(f"{error.message}{remedy}")
        room = self.size.width or 78
        caret = f"{' ' * min(place, room - 1)}^"
        beside = f"{caret} {message}"
        self.query_one(".wrong", Static).update(beside if width(beside) <= room else f"{caret}\n{message}")
        self.add_class("-wrong")
        if not self.display:  # letters typed right before Enter came after it
            self.open()

    def action_keep(self) -> None:
        """Go back to the table; the filter stays in force. One that is none keeps the line open."""
        self._judge(self.text)
        if not self.has_class("-wrong"):
            self._leave()

    def action_give_up(self) -> None:
        """Show everything again."""
        self._leave()
        self.fill("")

    def _leave(self) -> None:
        self.display = False
        if self.back_to is not None:
            self.screen.set_focus(self.back_to)
        self.post_message(self.Left())
