"""Asks which namespaces of a process to enter, as whom, and what to run there; shows the command that does it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from nsview.host.process import ProcessGoneError
from nsview.host.text import printable
from nsview.tui.launching.pickers import Picker
from nsview.tui.terminal.entering import Door, House, spec_of, words
from spawner import Problem, Spec, SpecError


class EnterDialog(ModalScreen[Spec | None]):
    """Answers with the Spec to launch; None when left. What is wrong is said where it was typed, and nothing lost."""

    DEFAULT_CSS = """
    EnterDialog { align: center middle; }
    EnterDialog Input { border: none; height: 1; padding: 0; background: $boost; width: 1fr; }
    EnterDialog .row { height: 1; }
    EnterDialog .row > Label { width: 10; color: $text-muted; }
    EnterDialog .row > .more { padding-left: 2; }
    EnterDialog #enter-words { color: $text-accent; height: auto; max-height: 2; }
    EnterDialog #enter-wrong { color: $text-error; height: auto; max-height: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Leave", id="enter.leave"),
        Binding("enter", "go", "Enter", priority=True, id="enter.go"),
    ]

    def __init__(self, house: House) -> None:
        super().__init__()
        self._house = house
        self._offered = ""

    def compose(self) -> ComposeResult:
        """Lay it out."""
        house = self._house
        pid, start_time = house.identity
        with Vertical(classes="dialog"):
            yield Static(
                f"Run a program in the namespaces of {pid} {printable(house.comm)} (tick {start_time})",
                classes="title",
                markup=False,
            )
            rows = ((_worded(door), at, door.wanted) for at, door in enumerate(house.doors))
            yield Picker(*rows, id="enter-doors", compact=True)
            with Horizontal(classes="row"):
                yield Label("user")
                yield Input(placeholder="ours, or 0 inside U", id="enter-uid")
                yield Label("group", classes="more")
                yield Input(placeholder="likewise", id="enter-gid")
            with Horizontal(classes="row"):
                yield Label("program")
                yield Input(id="enter-program")
            yield Static("", id="enter-words", markup=False)
            yield Static("", id="enter-wrong", markup=False)
            yield Static(
                "Space ticks · Tab next field · Enter opens a terminal there · Esc leaves",
                classes="foot",
                markup=False,
            )

    def on_mount(self) -> None:
        """Offer a shell."""
        self.query_one("#enter-wrong").display = False
        self._offer()
        self._say()

    @property
    def entered(self) -> frozenset[str]:
        """The namespaces that are ticked."""
        doors = self._house.doors
        return frozenset(doors[at].kind.name for at in self.query_one("#enter-doors", Picker).selected)

    def on_selection_list_selected_changed(self) -> None:
        """Another root directory may have another shell."""
        self._offer()
        self._say()

    def on_input_changed(self, message: Input.Changed) -> None:
        """Show the command with what is typed."""
        message.stop()
        self._say()

    def _offer(self) -> None:
        """Put the shell there, unless something else was typed."""
        line = self.query_one("#enter-program", Input)
        offer = self._house.program(self.entered)
        if line.value == self._offered:
            line.value = offer
        self._offered = offer
        line.placeholder = "" if offer else "no shell is in its root: a program, by its path inside"

    def _typed(self) -> tuple[str, str, list[str]]:
        uid, gid, program = (self.query_one(f"#enter-{name}", Input).value for name in ("uid", "gid", "program"))
        try:
            return uid.strip(), gid.strip(), shlex.split(program)
        except ValueError as error:
            raise SpecError((Problem(f"program: {error}".lower(), "close the quotes"),)) from None

    def _say(self) -> None:
        """Show the command, and take back what was wrong."""
        self.query_one("#enter-wrong").display = False
        if not self.entered:
            said = "tick what to enter" if self._house.wanted else "all its namespaces are ours too: nothing to enter"
            self.query_one("#enter-words", Static).update(said)
            return
        try:
            shown = shlex.join(["nsview", "enter", *words(self._house, self.entered, *self._typed())])
        except SpecError as error:
            shown = str(error)
        self.query_one("#enter-words", Static).update(printable(shown))

    def action_go(self) -> None:
        """Leave with the Spec, or say what is in its way."""
        try:
            spec = spec_of(self._house, self.entered, *self._typed())
        except SpecError as error:
            self._complain(map(str, error.problems))
        except ProcessGoneError as error:
            self._complain((f"process {error.pid} is gone",))
        else:
            self.dismiss(spec)

    def _complain(self, lines: Iterable[str]) -> None:
        wrong = self.query_one("#enter-wrong", Static)
        wrong.update(printable("; ".join(lines)))
        wrong.display = True


def _worded(door: Door) -> str:
    inode = "?" if door.inode is None else str(door.inode)
    what = "cannot be read" if door.inode is None else "ours too" if door.ours else f"its own: {door.kind.isolates}"
    return f"{door.kind.letter} {door.kind.name:8}{inode:>11}  {what}"
