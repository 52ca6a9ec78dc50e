"""Help on the pane that has the keys: what it shows, its own keys, and those that work everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widget import Widget

from nsview.tui.comfort.bound import Bound, bound_to
from nsview.tui.comfort.settings import path_of
from nsview.tui.keys import KEYS, help_text

_GENERAL = "# nsview\n\nSee what Linux does when a process is born."


def text_for(focused: Widget | None) -> str:
    """Return the help, as Markdown, for whoever has the keys now."""
    nodes = [] if focused is None else [node for node in focused.ancestors_with_self if isinstance(node, Widget)]
    about = next((node.HELP for node in nodes if node.HELP), _GENERAL)
    parts = ["\n".join(line.removeprefix("    ") for line in about.strip().splitlines())]
    if own := [*_own(nodes)]:
        parts.append(_table("Keys here", own))
    parts.append(f"# Keys everywhere\n\n{help_text()}")
    parts.append(f"Keys can be others: by their names, in `{path_of()}`, below `[keys]`.")
    return "\n\n".join(parts)


def _own(nodes: list[Widget]) -> Iterator[Bound]:
    ours = {key.id for key in KEYS}
    seen: set[str] = set()
    for node in nodes:
        for one in bound_to(node):
            if one.binding.id and one.binding.id not in ours | seen:
                seen.add(one.binding.id)
                yield one


def _table(heading: str, bound: list[Bound]) -> str:
    lines = [f"# {heading}", "", "| key | does | name |", "|---|---|---|"]
    for one in bound:
        binding = one.binding
        key = (binding.key_display or binding.key).replace("|", "\\|").replace("`", "backtick")
        does = (binding.tooltip or binding.description).replace("|", "\\|")
        lines.append(f"| `{key}` | {does} | `{binding.id}` |")
    return "\n".join(lines)


class Help(ModalScreen[None]):
    """Shows a help text until it is left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "dismiss(None)", "Leave", id="help.leave"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Lay the text out."""
        from textual.widgets import Markdown  # a twelfth of a second to import, and nobody needs it at the start

        with VerticalScroll(classes="dialog", can_focus=True):
            yield Markdown(self._text)
