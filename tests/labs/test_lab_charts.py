"""Pictures of measurements: everything measured is in them, they fit, and colour is never needed."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from nsview.host.text import width
from nsview.labs.chart import svg, text
from nsview.labs.chart.scale import Scale, rows, scale_of, value_text
from nsview.labs.lab import Axis, Measurement, Series, Spread

_SVG = "{http://www.w3.org/2000/svg}"
_MEGABYTE = 1 << 20
_SIZES = (10, 32, 64, 256, 1024, 4096)


def _spread(median: float) -> Spread:
    return Spread(median, median * 0.9, median * 1.2, 30)


def _lines(logarithmic: bool = True) -> Measurement:
    ways = {
        "fork": lambda size: 1e5 + 4e4 * size,
        "vfork": lambda size: 6e5,
        "a way <&> with a long name": lambda _: 7e5,
    }
    return Measurement(
        "return",
        "Time to return",
        Axis("parent's memory", "bytes", logarithmic),
        Axis("time", "ns", logarithmic),
        tuple(
            Series(name, tuple((size * _MEGABYTE, _spread(cost(size))) for size in _SIZES))
            for name, cost in ways.items()
        ),
    )


def _categories() -> Measurement:
    return Measurement(
        "faults",
        "Faults",
        Axis("pages", ""),
        Axis("faults", "faults"),
        (Series("child", ((0, _spread(10)), (1, _spread(16384)))), Series("parent", ((0, _spread(0)),))),
        {0: "small pages", 1: "huge pages"},
    )


def _contestants() -> Measurement:
    return Measurement(
        "launch",
        "Launch",
        Axis("", ""),
        Axis("time", "ns"),
        (Series("nsview", ((0, _spread(6e5)),)), Series("runc", ((0, _spread(5e7)),))),
    )


def _nothing() -> Measurement:
    return Measurement("none", "Nothing", Axis("", ""), Axis("", ""), (Series("nobody", ()),))


_ALL = pytest.mark.parametrize(
    "measurement", [_lines(), _lines(False), _categories(), _contestants(), _nothing()], ids=lambda each: each.key
)


@_ALL
@pytest.mark.parametrize("room", [60, 61, 79, 80, 100, 200])
def test_a_picture_fits_the_terminal(measurement: Measurement, room: int) -> None:
    lines = list(text.drawn(measurement, room))
    assert lines
    assert max(map(width, lines)) <= room


@_ALL
def test_a_picture_in_the_terminal_has_no_control_characters(measurement: Measurement) -> None:
    assert all(line.isprintable() for line in text.drawn(measurement, 80))


def test_marks_differ_by_shape_and_every_point_is_on_the_plane() -> None:
    lines = list(text.drawn(_lines(), 100))
    plane = "".join(line for line in lines if "│" in line or "┤" in line)
    assert [plane.count(mark) for mark in text.MARKS[:3]] == [len(_SIZES)] * 3


@pytest.mark.parametrize("room", [60, 120])
def test_every_median_is_in_the_table(room: int) -> None:
    table = [line for line in text.drawn(_lines(), room) if line.startswith("● fork")]
    medians = " ".join(table).split()
    assert {value_text(1e5 + 4e4 * size, "ns") for size in _SIZES} <= set(medians)
    assert "30%" in medians


def test_a_dearer_way_is_drawn_higher() -> None:
    lines = list(text.drawn(_lines(), 100))
    assert next(n for n, line in enumerate(lines) if "●" in line) < next(
        n for n, line in enumerate(lines) if "○" in line
    )


def test_categories_have_their_medians_and_quartiles_in_the_line() -> None:
    lines = list(text.drawn(_categories(), 80))
    assert any("16 384 [14 746, 19 661]" in line for line in lines)
    assert sum("small pages" in line for line in lines) == 1


def test_categories_with_one_contestant_each_need_no_headings() -> None:
    assert [row.name for row in rows(_contestants())] == ["nsview", "runc"]
    assert [row.spread is None for row in rows(_categories())] == [True, False, False, False]


def test_hostile_names_are_made_safe() -> None:
    hostile = Measurement("h", "a\x1b[31m", Axis("x\n", ""), Axis("y", ""), (Series("b\x07", ((1, _spread(2)),)),))
    assert all(line.isprintable() for line in text.drawn(hostile, 80))


@_ALL
def test_an_svg_is_well_formed_and_names_everything(measurement: Measurement) -> None:
    root = ElementTree.fromstring(svg.drawn(measurement))
    words = {element.text for element in root.iter(f"{_SVG}text")}
    assert measurement.title in words
    assert {series.name for series in measurement.series if series.points} <= words
    assert set(measurement.labels.values()) <= words


def test_an_svg_has_a_whisker_and_a_mark_for_every_point() -> None:
    root = ElementTree.fromstring(svg.drawn(_lines()))
    groups = list(root.iter(f"{_SVG}g"))
    assert len(groups) == 3 * len(_SIZES)
    assert all(group.find(f"{_SVG}path") is not None for group in groups)


def test_an_svg_needs_nothing_from_elsewhere_and_is_the_same_each_time() -> None:
    drawn = svg.drawn(_lines())
    assert drawn.count("http") == 1  # the name of SVG itself
    assert drawn == svg.drawn(_lines())


def test_values_are_told_in_units_that_people_read() -> None:
    told = [value_text(value, "ns") for value in (0, 12, 999, 999.7, 1000, 1_234_000, 999_700_000, 2.5e9)]
    assert told == ["0ns", "12ns", "999ns", "1µs", "1µs", "1.23ms", "1s", "2.5s"]
    assert value_text(1 << 28, "bytes") == "256M"
    assert value_text(12345, "faults") == "12 345"
    assert value_text(1.25, "") == "1.25"


@pytest.mark.parametrize("logarithmic", [True, False])
@pytest.mark.parametrize("unit", ["ns", "bytes", ""])
@pytest.mark.parametrize("values", [(1.0,), (3.0, 3.1), (1e3, 1e9), (0.0, 5.0), (0.0,), (7e6, 9e9)], ids=str)
def test_a_scale_holds_its_values_and_has_ticks_within(values: tuple[float, ...], unit: str, logarithmic: bool) -> None:
    scale = scale_of(values, logarithmic)
    ticks = scale.ticks(unit)
    assert len(ticks) <= 6
    assert ticks == sorted(set(ticks))
    assert all(scale.low * (1 - 1e-6) <= tick <= scale.high * (1 + 1e-6) for tick in ticks)
    assert [scale.place(value) for value in values] == sorted(scale.place(value) for value in values)


def test_a_logarithmic_scale_gives_equal_room_to_equal_ratios() -> None:
    scale = Scale(1.0, 10_000.0, True)
    assert [round(scale.place(value), 6) for value in (1, 10, 100, 1000, 10_000)] == [0, 0.25, 0.5, 0.75, 1]
    assert scale.place(0) == 0
