"""Lists to tick: of flags, and of the eight namespaces by their letters."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.strip import Strip
from textual.widgets import SelectionList
from textual.widgets.selection_list import Selection

from spawner.namespaces import BY_LETTER, KINDS


class Picker(SelectionList[int]):
    """A list of flags to tick; tells which one the cursor is on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "select", "Pick", id="picker.pick", key_display="Space"),
    ]

    DEFAULT_CSS = """
    Picker {
        height: auto;
        border: none;
        padding: 0;
        background: $surface;
        text-wrap: nowrap;
        text-overflow: ellipsis;
        scrollbar-size: 0 0;
        &:focus { border: none; }
    }
    """

    def tick(self, values: Collection[int]) -> None:
        """Pick these of the list and no others."""
        for index in range(self.option_count):
            value = self.get_option_at_index(index).value
            (self.select if value in values else self.deselect)(value)

    def render_line(self, y: int) -> Strip:
        """Draw ``[x]`` or ``[ ]``: SelectionList tells them apart by colour alone, which not every screen has."""
        strip = super().render_line(y)
        index = self.scroll_offset.y + y
        if index >= self.option_count:
            return strip
        _left, button, _right, blank, *rest = strip
        picked = self.get_option_at_index(index).value in self.selected
        style = (blank.style or Style()) + Style(meta={"option": index}, bold=picked)
        if picked and button.style is not None:
            style += Style(color=button.style.color)
        box = Segment("[x]" if picked else "[ ]", style)
        return Strip([box, blank, *rest])


class NamespacePicker(Picker):
    """The eight namespaces; their letters, as in unshare(1), pick them too."""

    def __init__(self) -> None:
        width = max(len(kind.name) for kind in KINDS)
        rows = [
            Selection(
                Content.assemble((kind.letter, "bold"), f" {kind.name:{width}} ", (kind.isolates, "dim")),
                kind.flag,
            )
            for kind in KINDS
        ]
        super().__init__(*rows, id="new-namespaces")

    def on_key(self, event: events.Key) -> None:
        """Toggle the namespace whose letter was typed, and put the cursor there."""
        kind = BY_LETTER.get(event.character or "")
        if kind is not None:
            event.stop()
            self.toggle(kind.flag)
            self.highlighted = KINDS.index(kind)
