"""A dialog that offers values in a list which typing narrows: signals, I/O priorities, policies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from nsview.tui.acting.dialog import ActDialog
from nsview.tui.acting.whom import Choices


@dataclass(frozen=True, slots=True)
class Pick:
    """One value that is offered: its name, what it means, and the call that sets it."""

    name: str
    means: str
    value: Any
    call: str


class PickDialog(ActDialog):
    """Offers what ``offers(typed)`` returns. Typing narrows, up and down move, Enter chooses."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Down", show=False, id="pick.down"),
        Binding("up", "move(-1)", "Up", show=False, id="pick.up"),
        Binding("pagedown", "move(8)", "Page down", show=False, id="pick.page-down"),
        Binding("pageup", "move(-8)", "Page up", show=False, id="pick.page-up"),
    ]

    def __init__(self, title: str, choices: Choices, offers: Callable[[str], Iterable[Pick]], now: str = "") -> None:
        super().__init__(title, choices, "Enter chooses · Esc leaves" + (f" · now: {now}" if now else ""))
        self._offers = offers
        self._shown: tuple[Pick, ...] = ()

    def body(self) -> Iterable[Widget]:
        """Return a line to type in and the list."""
        yield Input(placeholder="type to find: name, number or meaning", id="find", compact=True)
        yield OptionList(id="offers", compact=True, markup=False)

    def on_mount(self) -> None:
        """Offer everything."""
        self.query_one("#offers", OptionList).can_focus = False
        self._narrow("")

    def on_input_changed(self, message: Input.Changed) -> None:
        """Offer what fits."""
        message.stop()
        self._narrow(message.value)

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Take what is marked."""
        message.stop()
        self._take(self.picked)

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Take what was clicked on."""
        message.stop()
        self._take(self._shown[message.option_index])

    def on_option_list_option_highlighted(self, message: OptionList.OptionHighlighted) -> None:
        """Say what it would do."""
        message.stop()
        self.say()

    def action_move(self, by: int) -> None:
        """Move the mark."""
        offers = self.query_one("#offers", OptionList)
        if self._shown:
            offers.highlighted = max(0, min(len(self._shown) - 1, (offers.highlighted or 0) + by))

    @property
    def picked(self) -> Pick | None:
        """What is marked."""
        at = self.query_one("#offers", OptionList).highlighted
        return self._shown[at] if at is not None and at < len(self._shown) else None

    def call(self) -> str:
        """Return the call for what is marked."""
        return "nothing fits" if self.picked is None else self.picked.call

    def _take(self, pick: Pick | None) -> None:
        if pick is not None:
            self.answer(pick.value)

    def _narrow(self, text: str) -> None:
        self._shown = tuple(self._offers(text))
        width = max((len(pick.name) for pick in self._shown), default=0)
        offers = self.query_one("#offers", OptionList)
        offers.clear_options()
        offers.add_options(
            Option(Content.assemble((f"{pick.name:{width}}  ", "bold"), (pick.means, "dim"))) for pick in self._shown
        )
        offers.highlighted = 0 if self._shown else None
        self.say()
