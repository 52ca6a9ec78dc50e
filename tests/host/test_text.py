"""Names and amounts are safe to print and keep their width."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsview.host import text as texts
from nsview.host.text import cut, printable, width
from nsview.host.units import bytes_text, count_text, microseconds_text, signed


@given(st.binary() | st.text())
def test_printable_is_one_line_without_control(raw):
    assert printable(raw).isprintable()


@given(st.binary())
def test_printable_is_the_same_for_bytes_and_their_decoding(raw):
    assert printable(raw) == printable(os.fsdecode(raw))


def test_printable_keeps_letters_of_all_scripts():
    assert printable("żółw 名前 ✓") == "żółw 名前 ✓"


@given(st.text().map(printable), st.integers(0, 30))
def test_cut_text_fits(text, columns):
    assert width(cut(text, columns)) <= columns


def test_wide_characters_take_two_columns_and_marks_none():
    assert width("名前") == 4
    assert width("e\u0301") == 1
    assert cut("名前名前", 6) == "名前…"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"),
        (1023, "1023"),
        (1024, "1.0K"),
        (10_189, "10K"),
        (1024**2 - 1, "1.0M"),
        (5 << 30, "5.0G"),
        (-2048, "-2.0K"),
    ],
)
def test_bytes_are_short(amount, text):
    assert bytes_text(amount) == text


@given(st.integers(0, 1 << 62))
def test_bytes_take_at_most_five_columns(amount):
    assert len(bytes_text(amount)) <= 5


def test_counts_are_grouped_and_differences_signed():
    assert count_text(1234567) == "1 234 567"
    assert microseconds_text(811_020_499) == "811 020 µs"
    assert signed(count_text(12)) == "+12"
    assert signed(count_text(-12)) == "−12"


def test_what_is_told_at_once_to_be_narrow_is():
    chars = [chr(code) for code in range(0x2600) if texts._NARROW.fullmatch(chr(code)) and chr(code).isprintable()]
    assert len(chars) > 700
    assert [char for char in chars if texts._columns(char) != 1] == []
