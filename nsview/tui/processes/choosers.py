"""Dialogs of the process table: choose one of a list; choose which columns are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nsview.tui.cell_text import fitted

_CSS = """
ChooseOne, ChooseColumns { align: center middle; }
.chooser {
    width: 76; max-width: 100%; height: auto; max-height: 90%;
    border: round $primary; background: $surface; padding: 0 1;
}
.chooser .title { text-style: bold; }
.chooser .foot { color: $text-muted; }
.chooser OptionList {
    height: auto; max-height: 100%; border: none; padding: 0; text-wrap: nowrap; text-overflow: ellipsis;
}
ChooseColumns .chooser, ChooseOne.-long .chooser { height: 90%; }
ChooseColumns .chooser OptionList, ChooseOne.-long .chooser OptionList { height: 1fr; }
"""
_SHORT = 16


@dataclass(frozen=True, slots=True)
class Offer:
    """One that can be chosen: what is answered, its name, and what it is."""

    answer: str
    name: str
    about: str


def _line(offer: Offer, width: int) -> Content:
    return Content.assemble((fitted(offer.name, width), "bold"), "  ", (offer.about, "dim"))


class ChooseOne(ModalScreen[str | None]):
    """Asks for one of several; None when left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Leave", id="choose.leave")]
    DEFAULT_CSS = _CSS

    def __init__(self, title: str, offers: Sequence[Offer], current: str) -> None:
        """Offer these; the cursor begins on ``current``."""
        super().__init__(classes="-long" if len(offers) > _SHORT else None)
        self._title = title
        self._offers = offers
        self._current = current

    def compose(self) -> ComposeResult:
        """Say what for, and offer."""
        width = max(cell_len(offer.name) for offer in self._offers)
        with Vertical(classes="chooser"):
            yield Static(self._title, classes="title", markup=False)
            yield OptionList(*(Option(_line(offer, width)) for offer in self._offers), compact=True)
            yield Static("Enter chooses; Esc leaves", classes="foot", markup=False)

    def on_mount(self) -> None:
        """Begin on the current one."""
        answers = [offer.answer for offer in self._offers]
        self.query_one(OptionList).highlighted = answers.index(self._current) if self._current in answers else 0

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Answer."""
        message.stop()
        self.dismiss(self._offers[message.option_index].answer)


class ChooseColumns(ModalScreen[None]):
    """Asks for any number of columns; each choice is shown at once by ``apply``, None being what suits."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Leave", id="columns.leave"),
        Binding("space", "choose", "Choose", id="columns.choose"),
        Binding("a", "automatic", "Automatic", id="columns.automatic"),
    ]
    DEFAULT_CSS = _CSS

    def __init__(
        self, offers: Sequence[Offer], chosen: Sequence[str], apply: Callable[[tuple[str, ...] | None], object]
    ) -> None:
        """Offer these, of which some are chosen already; what is chosen besides comes at the right of them."""
        super().__init__()
        self._offers = offers
        self._chosen = [*chosen]
        self._apply = apply
        self._width = max(cell_len(offer.name) for offer in offers)

    def compose(self) -> ComposeResult:
        """Offer the columns."""
        with Vertical(classes="chooser"):
            yield Static("Columns, as far as they fit", classes="title", markup=False)
            yield OptionList(*(Option(self._line(offer)) for offer in self._offers), compact=True)
            yield Static("Space chooses, shown at once; a: those that suit; Esc leaves", classes="foot", markup=False)

    def _line(self, offer: Offer) -> Content:
        box = "[x] " if offer.answer in self._chosen else "[ ] "
        return Content.assemble((box, "bold"), _line(offer, self._width))

    def on_mount(self) -> None:
        """Begin on the first that is shown now."""
        shown = (n for n, offer in enumerate(self._offers) if offer.answer in self._chosen)
        self.query_one(OptionList).highlighted = next(shown, 0)

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Show it, or no more."""
        message.stop()
        self._turn(message.option_index)

    def action_choose(self) -> None:
        """Show the column under the cursor, or no more."""
        place = self.query_one(OptionList).highlighted
        if place is not None:
            self._turn(place)

    def _turn(self, place: int) -> None:
        offer = self._offers[place]
        if offer.answer in self._chosen:
            self._chosen.remove(offer.answer)
        else:
            self._chosen.append(offer.answer)
        self.query_one(OptionList).replace_option_prompt_at_index(place, self._line(offer))
        self._apply((*self._chosen,))

    def action_automatic(self) -> None:
        """Leave it to the width."""
        self._apply(None)
        self.dismiss(None)
