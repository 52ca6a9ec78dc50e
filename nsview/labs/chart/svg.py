"""A measurement as SVG for a page: medians as marks, quartiles as whiskers, legible on light and on dark. Pure.

The background is left out and every colour is of middling lightness, so that one file serves both kinds of page (a page
that shows a picture by <img> gives it no style, and its theme need not be the system's). Contestants differ by the
shape of their mark as well as by colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from nsview.labs.chart.scale import Scale, across, axis_text, is_of_categories, rows, upward, value_text
from nsview.labs.lab import Measurement, Spread

WIDTH = 800
_PLOT_HEIGHT = 440
_ROW = 26
_INK = "#7d7d7d"
_GAP = 24
COLOURS = ("#2f81e0", "#d16a00", "#1f9a6a", "#c353ad", "#d9463e", "#1593b3", "#a67c00", "#8465e0", "#7d7d7d")
_CORNERS = (0, 4, 3, 44, 5, 33, 6)
"""Shapes of marks by their corners: 0 a circle; 44 a square on its corner, 33 a triangle on its corner."""
_LETTER = 6.6
"""About the width of a letter of 12 px: the picture cannot ask for it."""


def drawn(measurement: Measurement) -> str:
    """Return the measurement's picture as an SVG document."""
    return _document(measurement, *_inside(measurement))


def beneath_one_another(measurements: Sequence[Measurement]) -> str:
    """Return the pictures of several measurements as one SVG document."""
    parts, top = [], 0.0
    for measurement in measurements:
        height, inside = _inside(measurement)
        parts.append(_document(measurement, height, inside, top))
        top += height + _GAP
    height = top - _GAP
    size = f'width="{WIDTH}" height="{_n(height)}" viewBox="0 0 {WIDTH} {_n(height)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{"".join(parts)}</svg>\n'


def _inside(measurement: Measurement) -> tuple[float, list[str]]:
    if not any(series.points for series in measurement.series):
        return 80, [_text(WIDTH / 2, 56, "nothing was measured", "middle")]
    if is_of_categories(measurement):
        return _categories(measurement)
    return _PLOT_HEIGHT, list(_plot(measurement))


def _document(measurement: Measurement, height: float, parts: Iterable[str], top: float = 0) -> str:
    title = escape(measurement.title)
    summary = "; ".join(
        f"{series.name}: "
        + ", ".join(
            f"{measurement.labels.get(x, value_text(x, measurement.x.unit))} "
            f"{value_text(spread.median, measurement.y.unit)}"
            for x, spread in series.points
        )
        for series in measurement.series
    )
    lines = (
        f'<svg xmlns="http://www.w3.org/2000/svg" y="{_n(top)}" width="{WIDTH}" height="{_n(height)}"'
        f' viewBox="0 0 {WIDTH} {_n(height)}"'
        f' role="img" font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">',
        f"<title>{title}</title>",
        f"<desc>{escape(summary)}</desc>",
        _text(WIDTH / 2, 22, measurement.title, "middle", 'font-size="15" font-weight="600"'),
        *parts,
        "</svg>",
    )
    return "\n".join(lines) + "\n"


# ---- pieces ----


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _text(x: float, y: float, words: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"{" " * bool(more)}{more}>{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, more: str = "") -> str:
    return f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" stroke="{_INK}"{" " * bool(more)}{more}/>'


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _mark(x: float, y: float, index: int) -> str:
    corners = _CORNERS[index % len(_CORNERS)]
    if corners == 0:
        return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="4.5" fill="{_colour(index)}"/>'
    turns = {4: 0.125, 44: 0.0, 33: 0.25}.get(corners, -0.25)
    number = {44: 4, 33: 3}.get(corners, corners)
    points = " ".join(
        f"{_n(x + 5.5 * math.cos(angle))},{_n(y + 5.5 * math.sin(angle))}"
        for angle in (2 * math.pi * (turns + corner / number) for corner in range(number))
    )
    return f'<polygon points="{points}" fill="{_colour(index)}"/>'


def _told(name: str, spread: Spread, unit: str) -> str:
    median, lower, upper = (value_text(value, unit) for value in (spread.median, spread.lower, spread.upper))
    return f"<title>{escape(f'{name}: {median} [{lower}, {upper}], of {spread.count}')}</title>"


# ---- numbers on a plane ----


def _plot(measurement: Measurement) -> Iterator[str]:
    names = max(len(series.name) for series in measurement.series)
    left, top, bottom = 78.0, 44.0, _PLOT_HEIGHT - 52.0
    right = max(WIDTH - 40 - names * _LETTER, WIDTH * 0.6)
    x_scale, y_scale = across(measurement), upward(measurement)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x_scale.place(x) * (right - left), bottom - y_scale.place(y) * (bottom - top)

    for value in y_scale.ticks(measurement.y.unit, 7):
        y = at(x_scale.low, value)[1]
        yield _line(left, y, right, y, 'stroke-opacity="0.3"')
        yield _text(left - 8, y + 4, value_text(value, measurement.y.unit), "end")
    free = 0.0
    for value in sorted({x for series in measurement.series for x, _ in series.points}):
        x, words = at(value, y_scale.low)[0], value_text(value, measurement.x.unit)
        yield _line(x, bottom, x, bottom + 5)
        if x - len(words) * _LETTER / 2 >= free:
            yield _text(x, bottom + 20, words, "middle")
            free = x + len(words) * _LETTER / 2 + 6
    yield _line(left, bottom, right, bottom)
    yield _text((left + right) / 2, bottom + 42, axis_text(measurement.x), "middle")
    middle = _n((top + bottom) / 2)
    yield _text(16, (top + bottom) / 2, axis_text(measurement.y), "middle", f'transform="rotate(-90 16 {middle})"')
    for index, series in enumerate(measurement.series):
        points = sorted(series.points)
        path = " ".join(",".join(map(_n, at(x, spread.median))) for x, spread in points)
        yield f'<polyline points="{path}" fill="none" stroke="{_colour(index)}" stroke-width="1.5"/>'
        for value, spread in points:
            x, y = at(value, spread.median)
            low, high = at(value, spread.lower)[1], at(value, spread.upper)[1]
            yield f"<g>{_told(f'{series.name}, {value_text(value, measurement.x.unit)}', spread, measurement.y.unit)}"
            yield f'<path d="M{_n(x)} {_n(low)}V{_n(high)}M{_n(x - 4)} {_n(low)}h8M{_n(x - 4)} {_n(high)}h8"'
            yield f' stroke="{_colour(index)}" stroke-width="1.5" fill="none"/>'
            yield f"{_mark(x, y, index)}</g>"
    yield from _legend(measurement, right + 18, top + 8)


def _legend(measurement: Measurement, x: float, y: float) -> Iterator[str]:
    """Name the contestants in the order in which they end, the highest first."""
    known = [(index, series) for index, series in enumerate(measurement.series) if series.points]
    known.sort(key=lambda pair: -max(pair[1].points)[1].median)
    for line, (index, series) in enumerate(known):
        yield _mark(x, y + 20 * line, index)
        yield _text(x + 12, y + 20 * line + 4, series.name)
    yield _text(x - 5, y + 20 * len(known) + 6, "whiskers: quartiles", more='font-size="10"')


# ---- categories ----


def _categories(measurement: Measurement) -> tuple[float, list[str]]:
    lines = rows(measurement)
    scale = upward(measurement)
    headed = any(row.spread is None for row in lines)
    indent = 14 if headed else 0
    left = min(max(len(row.name) for row in lines) * _LETTER + indent + 24, WIDTH * 0.45)
    right, top = WIDTH - 84.0, 44.0
    bottom = top + _ROW * len(lines)
    parts = list(_upright(measurement, scale, left, right, top, bottom))
    for number, row in enumerate(lines):
        y = top + _ROW * (number + 0.5)
        if row.spread is None:
            parts.append(_text(12, y + 4, row.name, more='font-weight="600"'))
            continue
        parts.append(_text(left - 12, y + 4, row.name, "end"))
        low, at, high = (
            left + scale.place(value) * (right - left)
            for value in (row.spread.lower, row.spread.median, row.spread.upper)
        )
        colour = _colour(row.series)
        parts += [
            f"<g>{_told(row.name, row.spread, measurement.y.unit)}",
            f'<rect x="{_n(left)}" y="{_n(y - 8)}" width="{_n(at - left)}" height="16" fill="{colour}"'
            ' opacity="0.25"/>',
            f'<path d="M{_n(low)} {_n(y)}H{_n(high)}M{_n(low)} {_n(y - 4)}v8M{_n(high)} {_n(y - 4)}v8"'
            f' stroke="{colour}" stroke-width="1.5" fill="none"/>',
            f"{_mark(at, y, row.series)}</g>",
            _text(WIDTH - 12, y + 4, value_text(row.spread.median, measurement.y.unit), "end"),
        ]
    return bottom + 52, parts


def _upright(
    measurement: Measurement, scale: Scale, left: float, right: float, top: float, bottom: float
) -> Iterator[str]:
    for value in scale.ticks(measurement.y.unit, 6):
        x = left + scale.place(value) * (right - left)
        yield _line(x, top, x, bottom, 'stroke-opacity="0.3"')
        yield _text(x, bottom + 18, value_text(value, measurement.y.unit), "middle")
    yield _line(left, top, left, bottom)
    words = f"{axis_text(measurement.y)}; whiskers: quartiles"
    yield _text((left + right) / 2, bottom + 40, words, "middle")
