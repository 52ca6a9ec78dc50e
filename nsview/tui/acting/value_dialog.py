"""A dialog that asks for one value in one line: a nice value, an OOM score, any that is checked as it is typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from textual.widget import Widget
from textual.widgets import Input, Static

from nsview.tui.acting.dialog import ActDialog
from nsview.tui.acting.settings import Setting
from nsview.tui.acting.whom import Choices


def whole_number(text: str, least: int, most: int) -> int:
    """Return the number typed; ValueError, worded, when it is none or out of bounds. Pure."""
    try:
        number = int(text.replace("−", "-"))
    except ValueError:
        raise ValueError(f"type a whole number from {least} to {most}") from None
    if not least <= number <= most:
        raise ValueError(f"it goes from {least} to {most}")
    return number


class ValueDialog(ActDialog):
    """Asks for the value of a setting. ``parse`` makes it of what is typed and raises ValueError with words."""

    def __init__(
        self, title: str, choices: Choices, setting: Setting[Any], now: str, means: str, parse: Callable[[str], Any]
    ) -> None:
        super().__init__(title, choices, f"Enter sets it · Esc leaves · now: {now}")
        self._setting = setting
        self._now = now.replace("−", "-")
        self._means = means
        self._parse = parse

    def body(self) -> Iterable[Widget]:
        """Return the line and what its value means."""
        yield Static(self._means, markup=False)
        yield Input(self._now if self._fits(self._now) else "", id="value", compact=True)

    def call(self) -> str:
        """Return the call with what is typed, or why that does not fit."""
        text = self.query_one("#value", Input).value
        try:
            return self._setting.form(self._parse(text))
        except ValueError as error:
            return str(error)

    def on_input_changed(self, message: Input.Changed) -> None:
        """Say what it would do."""
        message.stop()
        self.say()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Leave with the value if it fits; else what is wrong stays said."""
        message.stop()
        if self._fits(message.value):
            self.answer(self._parse(message.value))

    def _fits(self, text: str) -> bool:
        try:
            self._parse(text)
        except ValueError:
            return False
        return True
