"""What all dialogs of acts have: who is meant, for how many, the very call that will be made, and a way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import OptionList, Static

from nsview.host.text import printable
from nsview.tui.acting.whom import Choices, Scope, Whom
from nsview.tui.acting.wording import group_of, left_out, one_for_good, warning

_OTHER_LINES = 12
"""Of a dialog with a list: border, title, whom, a note, a heading, a line to type in, call and foot, some of two."""
_FEWEST = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What was chosen: for whom, and what."""

    whom: Whom
    value: Any


class ScopeLine(Static):
    """One line with the scopes there are; the chosen one is in brackets. A click, or :meth:`next`, chooses."""

    DEFAULT_CSS = "ScopeLine { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }"

    class Changed(Message):
        """Another scope was chosen."""

    def __init__(self, choices: Choices) -> None:
        super().__init__("", markup=False)
        self._choices = choices
        self._at = 0
        self._ends: list[int] = []

    @property
    def whom(self) -> Whom:
        """Whom the act is for."""
        return self._choices.offered[self._at]

    def on_mount(self) -> None:
        """Show the first."""
        self._show()

    def next(self) -> None:
        """Choose the next scope."""
        self._choose((self._at + 1) % len(self._choices.offered))

    def on_click(self, event: events.Click) -> None:
        """Choose the scope clicked on."""
        place = next((place for place, end in enumerate(self._ends) if event.x < end), None)
        if place is not None:
            self._choose(place)

    def _choose(self, place: int) -> None:
        self._at = place
        self._show()
        self.post_message(self.Changed())

    def _show(self) -> None:
        parts = [Content.styled("whom ", "$text-muted")]
        at, self._ends = 5, []
        for place, whom in enumerate(self._choices.offered):
            word = whom.scope.value if whom.scope is Scope.THIS else f"{whom.scope.value} {whom.count}"
            text = f"[{word}]" if place == self._at else f" {word} "
            parts.append(Content.styled(text, "bold" if place == self._at else ""))
            at += cell_len(text)
            self._ends.append(at)
        if len(self._choices.offered) > 1:
            parts.append(Content.styled("  F2 the next", "$text-muted"))
        self.update(Content("").join(parts))


class ActDialog(ModalScreen[Answer | None]):
    """Asks what to do; None when left. Subclasses give the body, the call and the value."""

    DEFAULT_CSS = """
    ActDialog { align: center middle; }
    ActDialog .note { color: $text-warning; height: auto; }
    ActDialog .call { color: $text-accent; height: auto; max-height: 2; }
    ActDialog .dialog { max-height: 100%; }
    ActDialog Input { background: $boost; }
    ActDialog OptionList:nocolor > .option-list--option-highlighted { text-style: underline; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Leave", id="act.leave"),
        Binding("f2", "next_scope", "For whom", id="act.scope", priority=True),
    ]

    def __init__(self, title: str, choices: Choices, foot: str) -> None:
        super().__init__()
        self._title = title
        self.choices = choices
        self._foot = foot

    # What subclasses say.

    def body(self) -> Iterable[Widget]:
        """Return the widgets between whom and the call."""
        raise NotImplementedError

    def call(self) -> str:
        """Return the call that Enter makes for each process; empty while nothing fit is chosen."""
        raise NotImplementedError

    # What they have.

    @property
    def whom(self) -> Whom:
        """Whom the act is for."""
        return self.query_one(ScopeLine).whom

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog"):
            yield Static(f"{self._title} {one_for_good(self.choices.subject)}", classes="title", markup=False)
            yield ScopeLine(self.choices)
            yield Static("", id="note", classes="note", markup=False)
            yield from self.body()
            yield Static("", id="call", classes="call", markup=False)
            yield Static(self._foot, classes="foot", markup=False)

    def on_mount(self) -> None:
        """Say what would be done."""
        self.say()

    def on_resize(self) -> None:
        """Let a list have what the other lines leave, so that what Enter does is always in sight."""
        for offers in self.query(OptionList):
            offers.styles.max_height = max(_FEWEST, self.size.height - _OTHER_LINES)

    def on_scope_line_changed(self) -> None:
        """Say what would be done to the others."""
        self.say()

    def action_next_scope(self) -> None:
        """Choose the next scope."""
        self.query_one(ScopeLine).next()

    def say(self) -> None:
        """Show the call, whom it meets, and what is special about them."""
        whom, call = self.whom, self.call()
        place = group_of(whom) or (f"pid namespace {whom.number}" if whom.scope is Scope.PID_NAMESPACE else "")
        said = "; ".join(text for text in (place, left_out(whom), warning(whom)) if text)
        note = self.query_one("#note", Static)
        note.display = bool(said)
        note.update(said)
        times = "" if whom.count == 1 or not call else f" for each of {whom.count}"
        self.query_one("#call", Static).update(printable(call) + times)

    def answer(self, value: object) -> None:
        """Leave with what was chosen."""
        self.dismiss(Answer(self.whom, value))
