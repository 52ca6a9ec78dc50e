"""A program's colours as the terminal that we are in shows them best.

An indexed colour stays one: where there are 16 or 256 colours it is sent by its number, so that it comes out as
that terminal's own, not as the nearest to what we take it for. Its red, green and blue go along for those who
compute with it (dimming, shades of grey under NO_COLOR, pictures of the screen).
"""

from __future__ import annotations

from bittty.devices.palette import PaletteDevice
from bittty.model import DEFAULT
from bittty.palette import build_256
from bittty.style import Color, Style
from rich.color import Color as RichColor
from rich.color import ColorType
from rich.color_triplet import ColorTriplet
from rich.style import Style as RichStyle

_NAMED = 16
_USUAL = build_256(DEFAULT.palette.base16)


def rich_colour(colour: Color | None, palette: PaletteDevice) -> RichColor | None:
    """Return a cell's colour; None is the terminal's own."""
    rgb = palette.resolve(colour)
    if colour is None or rgb is None:
        return None
    triplet = ColorTriplet(*rgb)
    if colour.mode != "indexed" or rgb != _USUAL[colour.value]:
        return RichColor.from_triplet(triplet)  # also an index to which the program has given another colour
    number = colour.value
    kind = ColorType.STANDARD if number < _NAMED else ColorType.EIGHT_BIT
    return RichColor(f"color({number})", kind, number, triplet)


def rich_style(style: Style, palette: PaletteDevice) -> RichStyle:
    """Return a cell's style. Links are left out: the program chose them, and the browser would run as us."""
    return RichStyle(
        color=rich_colour(style.fg, palette),
        bgcolor=rich_colour(style.bg, palette),
        bold=style.bold,
        dim=style.dim,
        italic=style.italic,
        underline=style.underline,
        underline2=True if style.underline_style == "double" else None,
        blink=style.blink,
        reverse=style.reverse,
        conceal=style.conceal,
        strike=style.strike,
        overline=style.overline,
    )
