"""All of one row of the diff panel: both values in full, what only one of them has, why, and where they are read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from nsview.host import capabilities
from nsview.host.capable import last_capability
from nsview.host.difference import DiffRow
from nsview.host.text import printable
from nsview.tui.diff.lines import SHARING, shown
from nsview.tui.diff.trail import Trend, sparkline

_MASK = re.compile(r"([0-9a-f]{16}) \(\d+\)")
_LIST = re.compile(r", | (?=[\w/+−-])")
_LONG = 60
_ELSEWHERE = {
    ("files", "mounts"): "mounts",
    ("usage", "open files"): "descriptors",
    ("usage", "threads"): "threads",
    ("usage", "pss"): "memory",
}
"""Rows that count what another section lists."""

Part = tuple[str, str]
"""A text and the style it is written in."""


def whole(row: DiffRow | Trend, names: tuple[str, str]) -> Content:
    """Word all that is known of a row; ``names`` are those of the two processes. Pure."""
    parts = _of_trend(row, names) if isinstance(row, Trend) else _of_row(row, names)
    return Content.assemble(*parts)


def _of_row(row: DiffRow, names: tuple[str, str]) -> Iterator[Part]:
    yield f"{row.attribute}\n", "bold"
    yield f"{printable(row.why)}\n", ""
    yield f"Read from {row.source}\n\n", "dim"
    if row.section == "sharing":
        yield f"{SHARING[row.same]}\n", "bold" if row.same is False else ""
        return
    sides = [_pieces(row.parent), _pieces(row.child)]
    if row.same is True and row.parent == row.child:
        yield "Both\n", "bold"
        yield _listed(sides[0]), ""
        yield from _hint(row)
        return
    for name, pieces in zip(names, sides, strict=True):
        yield f"{name}\n", "bold"
        yield _listed(pieces), ""
        yield "\n", ""
    common = {*sides[0]} & {*sides[1]}
    if common and max(map(len, sides)) > 1:
        for name, pieces in zip(names, sides, strict=True):
            if alone := [piece for piece in pieces if piece not in common]:
                yield f"Only {name}\n", "bold"
                yield _listed(alone), ""
                yield "\n", ""
    yield from _hint(row)
    if row.delta:
        yield "Δ ", "bold"
        yield f"{printable(row.delta)}\n", ""


def _hint(row: DiffRow) -> Iterator[Part]:
    if (row.section, row.attribute) in _ELSEWHERE:
        yield f"The section {_ELSEWHERE[row.section, row.attribute]} has more of this: unfold it.\n", "italic"


def _of_trend(line: Trend, names: tuple[str, str]) -> Iterator[Part]:
    yield f"{line.measure.name}\n", "bold"
    yield f"{line.measure.why}\n", ""
    yield f"Read from {line.measure.source}\n\n", "dim"
    width = 66
    top = line.top(width)
    for name, amounts, newest in zip(names, (line.parent, line.child), line.newest(), strict=True):
        yield f"{name}, {newest} now\n", "bold"
        yield f"{sparkline(amounts, width, top)}\n\n", ""
    yield f"Both are drawn on one scale: full height is {line.top_text(width).removeprefix('≤ ')}.\n", ""
    for name, side in zip(names, (line.parent, line.child), strict=True):
        known = [amount for amount in side if amount is not None]
        if known:
            low, high, mean = min(known), max(known), sum(known) / len(known)
            texts = [line.measure.text(amount) for amount in (low, mean, high)]
            yield f"{name}: least {texts[0]}, on average {texts[1]}, most {texts[2]} of {len(known)} looks\n", ""


def _pieces(value: str | None) -> list[str]:
    """Take a long value apart: a set of capabilities into names, a list into its members."""
    text = shown(value)
    if mask := _MASK.fullmatch(text):
        number = int(mask[1], 16)
        return [text, capabilities.words(number, last_capability()) or "none"]
    return [piece for piece in _LIST.split(text) if piece] if len(text) > _LONG else [text]


def _listed(pieces: list[str]) -> str:
    return "".join(f"  {piece}\n" for piece in pieces)


class WholeValue(ModalScreen[None]):
    """Shows a text that may be long; Escape closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,w,enter", "dismiss", "Close", key_display="Esc", id="whole.close"),
    ]

    DEFAULT_CSS = """
    WholeValue {
        align: center middle;
        & > .dialog { width: 90%; height: auto; max-height: 90%; }
        & VerticalScroll { height: auto; max-height: 1fr; }
    }
    """

    def __init__(self, text: Content) -> None:
        """Say what to show."""
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """The text, and how to leave."""
        with Vertical(classes="dialog"):
            with VerticalScroll(can_focus=True):
                yield Static(self._text, markup=False)
            yield Static("↑ ↓ scroll · Esc closes", classes="foot", markup=False)
