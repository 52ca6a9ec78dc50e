"""What a way costs here, out of what labs have measured on this machine: cited, and never reckoned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nsview.labs.kept import Found, Kept
from nsview.labs.lab import Axis, Measurement, Spread

LABS = ("mechanisms", "isolation")
"""The labs that measure the ways to make a child; the first by the caller's size, the second by namespaces."""
COPIED = "clone3, no flags"
"""The contestant of the first lab that copies the caller's memory by clone3, and executes nothing."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One measured time: of ``series`` in the measurement ``key`` of ``lab``, at ``at``, an x of its ``axis``.

    ``label`` is what the lab calls an x that is no number. ``spread`` is in nanoseconds. ``until`` is the measurement's
    title: what was timed.
    """

    lab: str
    key: str
    series: str
    until: str
    axis: Axis
    at: float
    label: str
    spread: Spread


@dataclass(frozen=True, slots=True)
class Costs:
    """What is known of what it costs. ``by_way``: the way's name, and its times; ``measured``: the labs cited.

    ``told``: what is wrong with files that should hold some. ``differs``: how what was measured is not what was asked.
    """

    by_way: tuple[tuple[str, tuple[Cost, ...]], ...] = ()
    measured: tuple[Kept, ...] = ()
    told: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Labs that have measured nothing here yet: ``nsview lab NAME`` would."""


def costs_of(ways: Iterable[tuple[str, str]], namespaces: frozenset[str], found: Iterable[Found]) -> Costs:
    """Cite what was measured of ways, as (the way's name, the contestant that did what it does)."""
    there = tuple(found)
    kept = {each.lab: each.kept for each in there if each.kept is not None}
    by_way: list[tuple[str, tuple[Cost, ...]]] = []
    for way, series in ways:
        cited = (*_by_size(kept, series), *(_by_namespaces(kept, series, namespaces) if namespaces else ()))
        if cited:
            by_way.append((way, cited))
    labs = {cost.lab for _, cited in by_way for cost in cited}
    return Costs(
        tuple(by_way),
        tuple(each for each in kept.values() if each.lab in labs),
        tuple(each.told for each in there if each.told),
        missing=tuple(each.lab for each in there if each.kept is None),
    )


def _by_size(kept: dict[str, Kept], series: str) -> tuple[Cost, ...]:
    """From the smallest caller measured, and from the largest."""
    points = _points(kept.get("mechanisms"), "whole", series)
    return (points[0], points[-1]) if len(points) > 1 else points


def _by_namespaces(kept: dict[str, Kept], series: str, namespaces: frozenset[str]) -> tuple[Cost, ...]:
    """Into exactly these where that was measured, else into each alone."""
    points = _points(kept.get("isolation"), "launches", series)
    exact = tuple(cost for cost in points if _kinds(cost.label, points) == namespaces)
    return exact or tuple(cost for cost in points if cost.label in namespaces)


def _kinds(label: str, points: tuple[Cost, ...]) -> frozenset[str]:
    """The kinds that the second lab's label stands for: one, several joined by +, or all there are."""
    if label.startswith("all "):
        single = {cost.label for cost in points if cost.label != "none" and "+" not in cost.label}
        return frozenset(name for name in single if not name.startswith("all "))
    return frozenset() if label == "none" else frozenset(label.split("+"))


def _points(kept: Kept | None, key: str, series: str) -> tuple[Cost, ...]:
    measurement = None if kept is None else kept.measurement(key)
    if kept is None or measurement is None or measurement.y.unit != "ns":
        return ()
    return tuple(
        Cost(kept.lab, key, series, measurement.title, measurement.x, x, _label(measurement, x), spread)
        for line in measurement.series
        if line.name == series
        for x, spread in sorted(line.points, key=lambda point: point[0])
    )


def _label(measurement: Measurement, x: float) -> str:
    return measurement.labels.get(x, "")
