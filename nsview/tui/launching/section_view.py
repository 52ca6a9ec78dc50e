"""A section of the launch panel on the screen: a line to type in for each option, ticks, and lines of options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Collapsible, Input, Label, SelectionList, TextArea
from textual.widgets.collapsible import CollapsibleTitle
from textual.widgets.selection_list import Selection

from nsview.tui.launching.form import Form
from nsview.tui.launching.pickers import Picker
from nsview.tui.launching.sections import ON, Row, Section, Shape

_EDITING = {
    "backspace": "delete_left",
    "ctrl+h": "delete_left",
    "delete": "delete_right",
    "left": "cursor_left",
    "right": "cursor_right",
    "home": "home",
    "end": "end",
}


class FormInput(Input):
    """A line of the form; up and down go to the fields above and below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", "Field above", show=False, id="form.up"),
        Binding("down", "app.focus_next", "Field below", show=False, id="form.down"),
    ]

    async def on_key(self, event: events.Key) -> None:
        """Edit as soon as it is this key's turn.

        Actions of keys that are bound wait until the key has gone up through all of the form, and letters do not: on
        a busy machine those typed after a backspace would come before it.
        """
        if event.key in _EDITING:
            event.stop()
            event.prevent_default()
            await self.run_action(_EDITING[event.key])


class OptionInput(FormInput):
    """The value of one option, or several values parted by spaces."""

    def __init__(self, row: Row, text: str) -> None:
        super().__init__(text, placeholder=row.example, compact=True, select_on_focus=False)
        self.row = row


class OptionLines(TextArea):
    """Options in order, a line for each; up and down leave it at its ends."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "up_or_out", "Line above", show=False, id="form.line-up"),
        Binding("down", "down_or_out", "Line below", show=False, id="form.line-down"),
    ]

    def __init__(self, row: Row, text: str) -> None:
        super().__init__(
            text,
            placeholder=row.example,
            compact=True,
            soft_wrap=False,
            tab_behavior="focus",
            highlight_cursor_line=False,
        )
        self.row = row

    @property
    def line(self) -> str:
        """The line the cursor is in."""
        return self.document.get_line(self.cursor_location[0])

    def action_up_or_out(self) -> None:
        """Go a line up, or to the field above."""
        if self.cursor_location[0] == 0:
            self.screen.focus_previous()
        else:
            self.action_cursor_up()

    def action_down_or_out(self) -> None:
        """Go a line down, or to the field below."""
        if self.cursor_location[0] == self.document.line_count - 1:
            self.screen.focus_next()
        else:
            self.action_cursor_down()


class Fold(Collapsible):
    """A part of the form that can be closed; up and down go past its title."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", "Field above", show=False, id="form.fold-up"),
        Binding("down", "app.focus_next", "Field below", show=False, id="form.fold-down"),
    ]


class SectionView(Fold):
    """A section, whose rows are made when it is first opened; closed it tells what is set in it.

    Who opens it is in its first row. Posts ``Edited`` for each change of a row.
    """

    class Edited(Message):
        """A row holds another text now."""

        def __init__(self, row: Row, text: str) -> None:
            super().__init__()
            self.row = row
            self.text = text

    def __init__(self, section: Section, form: Form) -> None:
        self._rows_view = _Rows(section)
        super().__init__(self._rows_view, title=section.title, id=f"section-{section.name}", classes="section")
        self.section = section
        self._form = form
        self._wrong: Mapping[str, str] = {}

    @property
    def ticks(self) -> list[Row]:
        """The rows that are ticked, in their order."""
        return [row for row in self.section.rows if row.shape is Shape.TICK]

    def on_mount(self) -> None:
        """Tell what is set."""
        self.show(self._form, {})

    def show(self, form: Form, wrong: Mapping[str, str], *, texts: bool = False) -> None:
        """Tell how many rows are set and which are wrong; ``texts``: and put the form into the rows."""
        self._form, self._wrong = form, wrong
        bad = any(row.key in wrong for row in self.section.rows)
        self.title = f"{self.section.title}{' ✗' if bad else ''}: {set_in(self.section, form)}"
        if texts:
            self._rows_view.fill(form)
        self._rows_view.mark(wrong)

    @on(Collapsible.Expanded)
    async def _open(self, event: Collapsible.Expanded) -> None:
        event.stop()
        await self._rows_view.make(self._form)
        self._rows_view.mark(self._wrong)
        if self.app.focused is self.query_one(CollapsibleTitle):
            self._rows_view.focus_first()


def set_in(section: Section, form: Form) -> str:
    """What is set in a section, for its title: how many and which; where nothing is, what there is to set."""
    filled = [row for row in section.rows if form.text(row.key)]
    if not filled:
        first = section.rows[0]
        only = first.options if first.shape is Shape.LINES else ()
        return ", ".join(
            [*(one.long.removeprefix("--") for one in only), *(row.label for row in section.rows[bool(only) :])]
        )
    if len(section.rows) == 1:
        lines = sum(bool(line.strip()) for line in form.text(filled[0].key).splitlines())
        return f"{lines} lines" if lines > 1 else "1 line"
    return f"{len(filled)} set: {', '.join(row.label for row in filled)}"


class _Rows(Vertical):
    """The rows of a section."""

    DEFAULT_CSS = "_Rows { height: auto; }"

    def __init__(self, section: Section) -> None:
        super().__init__()
        self._section = section
        self._ticks = [row for row in section.rows if row.shape is Shape.TICK]
        self._made = False
        self._labels: dict[Row, Label] = {}
        self._fields: dict[Row, OptionInput] = {}
        self._lines: dict[Row, OptionLines] = {}
        self._picker: Picker | None = None

    async def make(self, form: Form) -> None:
        """Make the widgets, once."""
        if not self._made:
            self._made = True
            await self.mount_all([*self._widgets(form)])

    def _widgets(self, form: Form) -> Iterator[Horizontal | Picker | Label | OptionLines]:
        for row in self._section.rows:
            if row.shape in (Shape.TEXT, Shape.MANY):
                self._labels[row] = label = Label(_label(row, False))
                self._fields[row] = field = OptionInput(row, form.text(row.key))
                yield Horizontal(label, field, classes="row option")
            elif row.shape is Shape.LINES:
                if len(self._section.rows) > 1:
                    yield Label(_label(row, False), classes="option-heading")
                self._lines[row] = OptionLines(row, form.text(row.key))
                yield self._lines[row]
        if self._ticks:
            ticks = (Selection(row.label, place, bool(form.text(row.key))) for place, row in enumerate(self._ticks))
            self._picker = Picker(*ticks, classes="options")
            yield self._picker

    def fill(self, form: Form) -> None:
        """Put a form into the rows that were made."""
        with self.prevent(Input.Changed, TextArea.Changed, SelectionList.SelectedChanged):
            for row, field in self._fields.items():
                if field.value != form.text(row.key):
                    field.value = form.text(row.key)
            for row, lines in self._lines.items():
                if lines.text != form.text(row.key):
                    lines.text = form.text(row.key)
            if self._picker is not None:
                self._picker.tick({place for place, row in enumerate(self._ticks) if form.text(row.key)})

    def focus_first(self) -> None:
        """Give the keys to the first row."""
        self.query("OptionInput, OptionLines, Picker").first().focus()

    def mark(self, wrong: Mapping[str, str]) -> None:
        """Mark the rows that cannot be read."""
        for row, field in self._fields.items():
            if field.has_class("-wrong") != (row.key in wrong):
                field.set_class(row.key in wrong, "-wrong")
                self._labels[row].update(_label(row, row.key in wrong))
        for row, lines in self._lines.items():
            lines.set_class(row.key in wrong, "-wrong")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if isinstance(event.input, OptionInput):
            self.post_message(SectionView.Edited(event.input.row, event.input.value))

    @on(TextArea.Changed)
    def _edited(self, event: TextArea.Changed) -> None:
        event.stop()
        if isinstance(event.text_area, OptionLines):
            self.post_message(SectionView.Edited(event.text_area.row, event.text_area.text))

    @on(SelectionList.SelectedChanged)
    def _ticked(self, event: SelectionList.SelectedChanged[int]) -> None:
        event.stop()
        for place, row in enumerate(self._ticks):
            self.post_message(SectionView.Edited(row, ON if place in event.selection_list.selected else ""))


def _label(row: Row, wrong: bool) -> str:
    return f"{'✗' if wrong else ' '} {row.label}"
