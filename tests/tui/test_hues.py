"""The colours of namespace instances: apart from each other, readable on every theme's ground, and stable."""

from __future__ import annotations

from itertools import pairwise

import pytest
from textual.color import Color
from textual.theme import BUILTIN_THEMES

from nsview.tui.hues import HUES, Ordinals, hue, hues

READABLE = 3.0
"""WCAG's least contrast for large or bold text, which letters of namespaces are."""


def luminance(color: Color) -> float:
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def contrast(one: Color, other: Color) -> float:
    dim, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("name", [name for name, theme in BUILTIN_THEMES.items() if not theme.ansi])
def test_every_hue_is_readable_on_every_theme(name):
    theme = BUILTIN_THEMES[name]
    ground = Color.parse(theme.to_color_system().generate()["surface"])
    assert min(contrast(color, ground) for color in hues(theme.dark, ansi=False)) >= READABLE


@pytest.mark.parametrize(("dark", "ansi"), [(True, False), (False, False), (True, True), (False, True)])
def test_hues_differ(dark, ansi):
    colors = hues(dark, ansi)
    assert len(set(colors)) == HUES


def test_neighbours_in_the_order_are_far_apart():
    for dark in (True, False):
        for one, other in pairwise(hues(dark, ansi=False)):
            assert max(abs(a - b) for a, b in zip(one.rgb, other.rgb, strict=True)) > 60


def test_ansi_hues_are_the_terminals_own_and_none_is_black_white_or_grey():
    numbers = {color.rich_color.number for color in hues(True, ansi=True)}
    assert numbers == {1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14}


def test_numbers_count_each_kind_from_one_and_stay():
    ordinals = Ordinals()
    assert [ordinals.number(0, inode) for inode in (50, 60, 50)] == [1, 2, 1]
    assert ordinals.number(1, 60) == 1
    assert ordinals.number(0, 60) == 2


def test_numbers_twelve_apart_share_a_hue():
    assert hue(1) == hue(13) == 0
    assert {hue(number) for number in range(1, 13)} == set(range(HUES))
