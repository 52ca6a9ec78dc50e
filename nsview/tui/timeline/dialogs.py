"""Dialogs of the timeline: all about one step; which launch, or which way of launching, to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nsview.host.text import printable
from nsview.tui.cell_text import breakable
from nsview.tui.launching.held_facts import Changes
from nsview.tui.launching.launched import Launched
from nsview.tui.launching.wording import condition
from nsview.tui.timeline.lines import StepLine
from nsview.tui.timeline.words import change_words, changes_title, details, unknown_words
from spawner import Mechanism, Spec, SpecError, compile_spec


class StepDetails(ModalScreen[None]):
    """Everything about a step, and everything that changed by it, with its reasons and sources."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss(None)", "Leave", id="step.leave"),
    ]

    DEFAULT_CSS = """
    StepDetails { align: center middle; }
    StepDetails > .dialog { width: 110; }
    """

    def __init__(self, line: StepLine, launched: Launched, changes: Changes | None) -> None:
        super().__init__()
        self._line, self._launched, self._changes = line, launched, changes

    def compose(self) -> ComposeResult:
        """Set it out as one text."""
        line = self._line
        place = "" if line.index is None else f"{line.index} "
        with VerticalScroll(classes="dialog", can_focus=True):
            yield Static(f"{place}{printable(line.label)}", classes="title", markup=False)
            yield Static(self._text())
            yield Static("Esc leaves", classes="foot", markup=False)

    def _text(self) -> Content:
        told = details(self._line, self._launched)
        lines = [Content.assemble((f"{name:8} ", "dim"), words) for name, words in told if words]
        if self._changes is not None:
            lines += [Content(), Content.styled(changes_title(self._changes, self._launched.plan), "bold")]
            for row in self._changes.rows:
                lines.append(Content.assemble((f"{row.section:12} ", "dim"), change_words(row)))
                lines.append(Content.styled(f"{'':13}{printable(f'{row.why}; {row.source}')}", "dim"))
            if self._changes.unknown:
                lines.append(Content(unknown_words(self._changes)))
        return Content("\n").join(lines)


class _Choice(ModalScreen[str | None]):
    """Asks for one of several; answers its id, None when left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Leave", id="choice.leave")]

    DEFAULT_CSS = "_Choice { align: center middle; }"

    title_text = ""
    foot_text = "Enter chooses; Esc leaves"

    def options(self) -> Iterable[Option]:
        """Say what there is to choose from."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Set out the list."""
        with Vertical(classes="dialog"):
            yield Static(self.title_text, classes="title", markup=False)
            yield OptionList(*self.options(), compact=True)
            yield Static(self.foot_text, classes="foot", markup=False)

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Answer with what was chosen."""
        message.stop()
        self.dismiss(message.option_id)


class LaunchChoice(_Choice):
    """Asks which other launch to put beside the one in front; answers its number."""

    title_text = "Put which launch beside this one?"

    def __init__(self, others: Sequence[Launched]) -> None:
        super().__init__()
        self._others = others

    def options(self) -> Iterable[Option]:
        """List the launches."""
        for launched in self._others:
            words = f"{launched.pid:>7} {printable(launched.title)}  "
            about = printable(f"{launched.plan.birth_label}, {condition(launched)}")
            yield Option(Content.assemble((words, "bold"), (about, "dim")), id=str(launched.number))


class MechanismChoice(_Choice):
    """Asks by which other call to launch the same again; what cannot be is there too, with its reason."""

    title_text = "Launch the same again, to compare, by"
    foot_text = "Enter launches its program once more; Esc leaves"

    def __init__(self, spec: Spec, used: Mechanism) -> None:
        super().__init__()
        self._spec, self._used = spec, used

    def options(self) -> Iterable[Option]:
        """List the calls."""
        for mechanism in Mechanism:
            if mechanism is Mechanism.AUTO:
                continue
            against = obstacle(replace(self._spec, via=mechanism))
            about = against or ("as it was launched, once more" if mechanism is self._used else "")
            words = Content.assemble((f"{mechanism.value:12} ", "bold"), (printable(about), "dim"))
            yield Option(words, id=mechanism.value, disabled=bool(against))


def obstacle(spec: Spec) -> str:
    """Say why a Spec cannot be launched, the first reason and how many more; empty where it can."""
    try:
        compile_spec(spec)
    except SpecError as error:
        first, *others = (problem.message for problem in error.problems)
        more = f"; and {len(others)} more reason{'s' if len(others) > 1 else ''}" if others else ""
        return breakable(first) + more
    return ""
