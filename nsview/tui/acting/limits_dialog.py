"""A dialog with all limits of a process, one of which can be changed while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from nsview.tui.acting.dialog import ActDialog
from nsview.tui.acting.limit_table import LimitRow, amount_words, as_typed, typed
from nsview.tui.acting.settings import limit_setting
from nsview.tui.acting.whom import Choices


class LimitsDialog(ActDialog):
    """Shows the limits; Enter goes to the line where the marked one is typed, Enter there sets it (a NewLimit)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Down", show=False, id="limits.down"),
        Binding("up", "move(-1)", "Up", show=False, id="limits.up"),
    ]

    def __init__(self, choices: Choices, rows: Iterable[LimitRow]) -> None:
        super().__init__("Limits of", choices, "↑ ↓ choose · type soft:hard · Enter sets it · Esc leaves")
        self._rows = tuple(rows)

    def body(self) -> Iterable[Widget]:
        """Return the table and the line."""
        yield Static(f"{'limit':11}{'soft':>12}{'hard':>12}{'used':>12}", classes="foot", markup=False)
        limits = OptionList(*(Option(self._line(row)) for row in self._rows), id="limits", compact=True, markup=False)
        limits.can_focus = False
        limits.highlighted = 0
        yield limits
        yield Input(id="limit", compact=True)

    @staticmethod
    def _line(row: LimitRow) -> Content:
        limit = row.limit
        soft, hard, used = (amount_words(each, limit.unit) for each in (limit.soft, limit.hard, row.used))
        near = row.used is not None and limit.soft != "unlimited" and row.used * 10 >= limit.soft * 9 and limit.soft > 0
        return Content.assemble(
            (f"{row.name:11}", "bold"),
            f"{soft:>12}{hard:>12}",
            (f"{used if row.used is not None else '':>12}", "$text-warning" if near else ""),
            " near" if near else "",
        )

    @property
    def marked(self) -> LimitRow:
        """The limit that would be changed."""
        return self._rows[self.query_one("#limits", OptionList).highlighted or 0]

    def call(self) -> str:
        """Return the call with what is typed, or why that does not fit."""
        name = self.marked.name
        try:
            return limit_setting(name).form(typed(name, self.query_one("#limit", Input).value))
        except ValueError as error:
            return str(error)

    def action_move(self, by: int) -> None:
        """Mark another limit."""
        limits = self.query_one("#limits", OptionList)
        limits.highlighted = ((limits.highlighted or 0) + by) % len(self._rows)

    def on_option_list_option_highlighted(self, message: OptionList.OptionHighlighted) -> None:
        """Offer the limit as it is for typing."""
        message.stop()
        line = self.query_one("#limit", Input)
        line.value = as_typed(self.marked.limit)
        line.cursor_position = len(line.value)
        line.focus()
        self.say()

    def on_input_changed(self, message: Input.Changed) -> None:
        """Say what it would do."""
        message.stop()
        self.say()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Leave with the limit if it can be read; else what is wrong stays said."""
        message.stop()
        try:
            self.answer(typed(self.marked.name, message.value))
        except ValueError:
            self.app.bell()
