"""A measurement for a terminal: a plot of marks and a table of the medians, in plain characters. Pure.

Contestants differ by the shape of their mark and never by colour, so that it reads alike in a pipe and on paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from nsview.host.text import cut, printable, width
from nsview.labs.chart.scale import Row, across, axis_text, is_of_categories, rows, upward, value_text
from nsview.labs.lab import Measurement, Series, Spread

MARKS = "●○■□▲△◆◇▼▽★☆"
_HEIGHT = 16
_NARROWEST, _WIDEST = 40, 110
_NONE = "?"


def drawn(measurement: Measurement, room: int) -> Iterator[str]:
    """Yield the lines of a measurement's picture, in at most ``room`` columns (of 40 or more)."""
    room = min(max(room, _NARROWEST), _WIDEST)
    yield cut(printable(measurement.title), room)
    if not any(series.points for series in measurement.series):
        yield "  nothing was measured"
    elif is_of_categories(measurement):
        yield from _categories(measurement, room)
    else:
        yield from _plot(measurement, room)
        yield ""
        yield from _table(measurement, room)


def _mark(index: int) -> str:
    return MARKS[index % len(MARKS)]


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


# ---- categories: a line for each, with its quartiles ----


def _categories(measurement: Measurement, room: int) -> Iterator[str]:
    lines = rows(measurement)
    indent = 2 if any(row.spread is None for row in lines) else 0
    names = {row: printable(row.name) for row in lines}
    texts = {row: _spread_text(row.spread, measurement.y.unit) for row in lines if row.spread is not None}
    right = max(map(width, texts.values()))
    left = min(max(width(name) + indent for name in names.values()), max(room - right - 4 - 16, 8))
    space = room - left - right - 4
    scale = upward(measurement)
    for row in lines:
        if row.spread is None:
            yield cut(names[row], room)
            continue
        name = _padded(" " * indent + cut(names[row], left - indent), left)
        places = [scale.place(value) for value in (row.spread.lower, row.spread.median, row.spread.upper)]
        picture = _whisker(row, [round(place * (space - 1)) for place in places], space) if space > 3 else ""
        yield cut(f"{name}  {picture}  {texts[row]}".rstrip(), room)
    yield cut(f"{printable(axis_text(measurement.y))}: median [quartiles]", room)


def _whisker(row: Row, places: Sequence[int], space: int) -> str:
    lower, median, upper = places
    cells = ["·"] * median + [" "] * (space - median)
    cells[lower : upper + 1] = "─" * (upper - lower + 1)
    if lower < upper:
        cells[lower], cells[upper] = "├", "┤"
    cells[median] = _mark(row.series)
    return "".join(cells)


def _spread_text(spread: Spread, unit: str) -> str:
    median, lower, upper = (value_text(value, unit) for value in (spread.median, spread.lower, spread.upper))
    return median if lower == upper == median else f"{median} [{lower}, {upper}]"


# ---- numbers: marks on a plane ----


def _plot(measurement: Measurement, room: int) -> Iterator[str]:
    x, y = across(measurement), upward(measurement)
    ticks = {
        round((1 - y.place(value)) * (_HEIGHT - 1)): value_text(value, measurement.y.unit)
        for value in y.ticks(measurement.y.unit, _HEIGHT // 3)
    }
    left = max([width(text) for text in ticks.values()], default=0)
    space = room - left - 2
    grid = [[" "] * space for _ in range(_HEIGHT)]
    spots = [
        [
            (round(x.place(at) * (space - 1)), round((1 - y.place(spread.median)) * (_HEIGHT - 1)))
            for at, spread in sorted(series.points)
        ]
        for series in measurement.series
    ]
    for points in spots:
        _connect(grid, points)
    for index, points in enumerate(spots):
        for column, line in points:
            _put(grid[line], column, _mark(index))
    yield cut(printable(axis_text(measurement.y)), room)
    for line, cells in enumerate(grid):
        edge = "┤" if line in ticks else "│"
        yield f"{ticks.get(line, ''):>{left}} {edge}{''.join(cells)}".rstrip()
    values = sorted({at for series in measurement.series for at, _ in series.points})
    yield from _bottom(
        [(round(x.place(at) * (space - 1)), value_text(at, measurement.x.unit)) for at in values], left, space
    )
    yield cut(f"{' ' * (left + 2)}{printable(axis_text(measurement.x))}", room)


def _connect(grid: list[list[str]], points: Sequence[tuple[int, int]]) -> None:
    """Dot the way between neighbours, where nothing is yet."""
    for (column, line), (column_after, line_after) in pairwise(points):
        for each in range(column + 1, column_after):
            at = round(line + (line_after - line) * (each - column) / (column_after - column))
            if grid[at][each] == " ":
                grid[at][each] = "·"


def _put(cells: list[str], column: int, mark: str) -> None:
    """Put a mark at its place, or beside those that are there: all of one ``x`` can still be counted."""
    for place in sorted(range(len(cells)), key=lambda each: abs(each - column)):
        if cells[place] not in MARKS:
            cells[place] = mark
            return


def _bottom(ticks: Sequence[tuple[int, str]], left: int, space: int) -> Iterator[str]:
    line, words, free = ["─"] * space, [" "] * space, 0
    for column, text in ticks:
        line[column] = "┬"
        begin = min(max(column - width(text) // 2, 0), max(space - width(text), 0))
        if begin >= free:
            words[begin : begin + width(text)] = text
            free = begin + width(text) + 1
    yield f"{' ' * left} └{''.join(line)}"
    yield f"{' ' * left}  {''.join(words)}".rstrip()


# ---- the medians ----


def _table(measurement: Measurement, room: int) -> Iterator[str]:
    values = sorted({at for series in measurement.series for at, _ in series.points})
    heads = [value_text(at, measurement.x.unit) for at in values]
    names = [f"{_mark(index)} {printable(series.name)}" for index, series in enumerate(measurement.series)]
    cells = [_medians(series, values, measurement.y.unit) for series in measurement.series]
    spread = [_farthest(series) for series in measurement.series]
    columns = zip(heads, *cells, strict=True)
    widths = [max(map(width, column)) for column in columns]
    left = min(max(map(width, ("median", *names))), room // 2)
    last = max(map(width, ("spread", *spread)))
    for block in _blocks(widths, room - left - last - 2):
        yield _line("median", [heads[at] for at in block], [widths[at] for at in block], left) + f"  {'spread':>{last}}"
        for name, row, far in zip(names, cells, spread, strict=True):
            line = _line(cut(name, left), [row[at] for at in block], [widths[at] for at in block], left)
            yield f"{line}  {far:>{last}}"
    yield cut("spread: the quartiles' distance by the median, at its largest", room)


def _line(name: str, cells: Sequence[str], widths: Sequence[int], left: int) -> str:
    return _padded(name, left) + "".join(
        "  " + " " * (columns - width(cell)) + cell for cell, columns in zip(cells, widths, strict=True)
    )


def _blocks(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Yield the columns that fit beside one another, all of them in turn."""
    block: list[int] = []
    used = 0
    for index, columns in enumerate(widths):
        if block and used + columns + 2 > room:
            yield block
            block, used = [], 0
        block.append(index)
        used += columns + 2
    yield block


def _medians(series: Series, values: Sequence[float], unit: str) -> list[str]:
    known = dict(series.points)
    return [value_text(known[at].median, unit) if at in known else _NONE for at in values]


def _farthest(series: Series) -> str:
    shares = [(spread.upper - spread.lower) / spread.median for _, spread in series.points if spread.median]
    return f"{max(shares):.0%}" if shares else _NONE
