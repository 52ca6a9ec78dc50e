"""From values to places on a picture: scales, their ticks, and values with their units. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nsview.host.units import bytes_text, count_text
from nsview.labs.lab import Axis, Measurement, Spread

_MARGIN = 0.04
"""Part of the scale left free at each end of a logarithmic one, and above a linear one."""
_DURATIONS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


def value_text(value: float, unit: str) -> str:
    """Return a value of an axis in at most some seven characters: ``1.2ms``, ``256M``, ``12 345``."""
    if unit == "ns":
        for size, name in _DURATIONS:
            # 999.6 of a unit would be written as 1000 of it
            if abs(value) >= 0.9995 * size or size == 1.0:
                return f"{_three_digits(value / size)}{name}"
    if unit == "bytes":
        return bytes_text(round(value))
    if value == round(value):
        return count_text(round(value))
    return count_text(round(value)) if abs(value) >= 1000 else _three_digits(value)


def _three_digits(value: float) -> str:
    size = abs(value)
    text = f"{value:.0f}" if size >= 99.95 else f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from ``low`` to ``high`` as places from 0 to 1."""

    low: float
    high: float
    logarithmic: bool

    def place(self, value: float) -> float:
        """Return where a value is; what lies outside is put at the end, as is zero on a logarithmic scale."""
        if self.logarithmic:
            if value <= 0:
                return 0.0
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 1.0)

    def ticks(self, unit: str, most: int = 6) -> list[float]:
        """Return round values on the scale, at most about ``most``: powers of ten, or of two for bytes."""
        chosen: list[float] = []
        for chosen in self._rounder(unit):
            if len(chosen) <= most:
                break
        return chosen

    def _rounder(self, unit: str) -> Iterator[list[float]]:
        """Yield lists of ticks, each sparser than the one before."""
        base = 2.0 if unit == "bytes" else 10.0
        if not self.logarithmic:
            steps = (1.0,) if base == 2.0 else (1.0, 2.0, 5.0)
            exponent = math.floor(math.log(self.high - self.low, base)) - 4
            while True:
                for step in steps:
                    width = step * base**exponent
                    first, last = math.ceil(self.low / width), math.floor(self.high / width * (1 + 1e-12))
                    yield [index * width for index in range(first, last + 1)]
                exponent += 1
        first = math.floor(math.log(self.low, base))
        last = math.ceil(math.log(self.high, base))
        if base == 10.0:
            for within in ((1, 2, 5), (1, 3)):
                yield self._kept(step * base**each for each in range(first, last + 1) for step in within)
        for stride in range(1, max(last - first, 1) + 1):
            yield self._kept(base**each for each in range(first - first % stride, last + 1, stride))

    def _kept(self, values: Iterable[float]) -> list[float]:
        return [value for value in values if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)]


def scale_of(values: Iterable[float], logarithmic: bool) -> Scale:
    """Return the scale on which all these values have a place; a linear one begins at zero, to show proportions."""
    known = list(values)
    if logarithmic:
        positive = [value for value in known if value > 0] or [1.0]
        low, high = min(positive), max(positive)
        if high / low < 2:
            low, high = low / 1.5, high * 1.5
        margin = (high / low) ** _MARGIN
        return Scale(low / margin, high * margin, True)
    low, high = min([0.0, *known]), max([0.0, *known])
    if low == high:
        high = low + 1
    return Scale(low and low - _MARGIN * (high - low), high and high + _MARGIN * (high - low), False)


def across(measurement: Measurement) -> Scale:
    """Return the scale of ``x``: as wide as its values, for it is what was chosen and not what was measured."""
    values = sorted({x for series in measurement.series for x, _ in series.points})
    if measurement.x.logarithmic or len(values) < 2:
        return scale_of(values, measurement.x.logarithmic)
    margin = _MARGIN * (values[-1] - values[0])
    return Scale(values[0] - margin, values[-1] + margin, False)


def upward(measurement: Measurement) -> Scale:
    """Return the scale of ``y``, with room for the quartiles."""
    return scale_of(
        (
            value
            for series in measurement.series
            for _, spread in series.points
            for value in (spread.lower, spread.median, spread.upper)
        ),
        measurement.y.logarithmic,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a picture of categories: ``spread`` is None where ``name`` is a heading of those below it.

    ``series`` is the index of the contestant.
    """

    name: str
    spread: Spread | None
    series: int = 0


def is_of_categories(measurement: Measurement) -> bool:
    """Whether what is told apart are names and not numbers: ``x`` has labels, or there is only one of it."""
    return bool(measurement.labels) or len({x for series in measurement.series for x, _ in series.points}) < 2


def rows(measurement: Measurement) -> list[Row]:
    """Return the categories from top to bottom, as they were told."""
    places = list(dict.fromkeys(x for series in measurement.series for x, _ in series.points))
    found: list[Row] = []
    for x in places if len(places) < 2 else sorted(places):
        label = measurement.labels.get(x, value_text(x, measurement.x.unit))
        at = [
            (index, series.name, spread)
            for index, series in enumerate(measurement.series)
            for where, spread in series.points
            if where == x
        ]
        if len(places) > 1 and len(at) == 1:
            found.append(Row(label, at[0][2], at[0][0]))
            continue
        if len(places) > 1:
            found.append(Row(label, None))
        found += [Row(name, spread, index) for index, name, spread in at]
    return found


def axis_text(axis: Axis) -> str:
    """Return the title of an axis, and what its marks are where nobody would guess."""
    return f"{axis.title} (logarithmic)" if axis.logarithmic else axis.title
