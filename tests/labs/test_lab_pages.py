"""Pages of labs: all that a run told is on its page, under an anchor that is there once; hostile values stay text."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from leftovers import Census
from markdown_it import MarkdownIt

from nsview.host.text import printable
from nsview.labs.document import document, measurement_of
from nsview.labs.lab import (
    Axis,
    Conclusion,
    Finding,
    Lab,
    Measurement,
    Report,
    Scene,
    Series,
    Setting,
    Spread,
    Stage,
    Verdict,
)
from nsview.labs.pages.contents import contents
from nsview.labs.pages.markdown import slug, table, text
from nsview.labs.pages.page import page, pictures
from nsview.labs.pages.quoting import LINK, QuoteError, quoted
from nsview.labs.running import perform
from nsview.labs.table import LABS, find

_LAB = Lab("made-up", "Made | up", "Does <it>?", "1", "nowhere:run")
_SPREADS = tuple((float(x), Spread(x * 1000.0, x * 900.0, x * 1500.0, 7)) for x in (1, 2))
_MEASURED = Measurement(
    "time",
    "Until it is done",
    Axis("size", "bytes"),
    Axis("time", "ns"),
    (Series("one|way", _SPREADS), Series("b", ())),
)
_NAMED = Measurement(
    "named", "By name", Axis("kind", ""), Axis("time", "ns"), (Series("one", _SPREADS),), {1.0: "small", 2.0: "large"}
)
_EVENTS = (
    Finding("before", "asked at once", "a", "a", Verdict.AS_EXPECTED),
    Stage("First *stage*", "It says _so_."),
    Scene("Two to look at", 1, 2, "pid 2"),
    Scene("Two to look at", 3, 4, "pid 4"),
    Finding("one.with", "do `this` | that", "x" * 50, "x" * 50, Verdict.AS_EXPECTED, "because <b>", "CLONE_VM"),
    Finding("one.without", "do that", "yes", "no", Verdict.OTHERWISE),
    _MEASURED,
    Stage("Second"),
    Finding("two/three", "ask", "yes", "?", Verdict.LEFT_OUT, "it takes root"),
    _NAMED,
    Conclusion(
        "so-it-is", "it took 1.6µs", Verdict.AS_EXPECTED, {"took_ns": 1600, "bytes": 1 << 22, "ten": 10, "who": "me"}
    ),
    Conclusion("nothing-follows", "nothing", Verdict.LEFT_OUT),
)


def _document(*events: Any, error: str | None = None, thorough: bool = True) -> dict[str, Any]:
    return document(Report(_LAB, events or _EVENTS, error, Setting(thorough)))


def _anchors(text: str) -> list[str]:
    named = re.findall(r'<a id="([^"]+)"', text)
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return named + [slug(re.sub(r"\\(.)", r"\1", heading)) for heading in headings]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line[1:-1])]


@pytest.mark.parametrize("name", ["mechanisms", "pid1"])
def test_everything_that_a_run_told_is_on_its_page(name: str, nothing_left: Census) -> None:
    report = perform(find(name), Setting())
    told = document(report)
    made = page(told)
    for finding in report.findings:
        assert f'<a id="asked-{finding.key}"' in made
        assert text(finding.done) in made
        assert text(finding.expected) in made
        assert text(finding.why) in made
        assert finding.verdict is Verdict.LEFT_OUT or text(finding.answered) in made
    for conclusion in report.conclusions:
        assert f'<a id="{conclusion.key}"' in made
        assert text(conclusion.says) in made
    for stage in (event for event in report.events if isinstance(event, Stage)):
        assert f"## {text(stage.title)}\n" in made
    assert len(pictures(told)) == len(report.measurements)
    for file, svg in pictures(told).items():
        assert f"]({file})" in made
        ElementTree.fromstring(svg)
    assert [anchor for anchor, count in Counter(_anchors(made)).items() if count > 1] == []


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    tables = [block.splitlines() for block in page(_document()).split("\n\n") if block.startswith("|")]
    assert len(tables) > 4
    for lines in tables:
        assert {len(_cells(line)) for line in lines} == {len(_cells(lines[1]))}


def test_what_was_told_in_a_stage_stands_below_its_title() -> None:
    before, first, second, left = (part for part in re.split(r"^## (?!What follows)", page(_document()), flags=re.M))
    assert "asked-before" in before
    assert first.startswith("First \\*stage\\*\n\nIt says \\_so\\_.\n\n")
    assert first.count("Two to look at") == 1
    assert "pid 2" not in first
    assert "asked-one.with" in first
    assert "chart-time" in first
    assert "chart-named" in second
    assert left.startswith("Left out\n")
    assert "asked-two/three" in left
    assert "it takes root" in left


def test_a_long_answer_is_written_once_and_an_unexpected_one_beside_what_was_expected() -> None:
    made = page(_document())
    assert made.count("x" * 50) == 1
    (row,) = (line for line in made.splitlines() if "asked-one.without" in line)
    assert "**otherwise**" in row
    assert _cells(row)[2:] == ["yes", "no"]


def test_medians_are_told_with_their_quartiles_and_what_was_not_measured_is_unknown() -> None:
    rows = [_cells(line) for line in page(_document()).splitlines() if line.startswith(("| one", "| b "))]
    assert rows == [
        ["one\\|way", "1µs<br><sub>900ns – 1.5µs</sub>", "2µs<br><sub>1.8µs – 3µs</sub>"],
        ["b", "?", "?"],
        ["one", "1µs<br><sub>900ns – 1.5µs</sub>", "2µs<br><sub>1.8µs – 3µs</sub>"],
    ]


def test_it_says_how_it_was_run_and_that_it_ended_early() -> None:
    assert "`nsview lab made-up --thorough --json`" in page(_document())
    made = page(_document(thorough=False, error="no <memory>"))
    assert "`nsview lab made-up --json`" in made
    assert "it ended early: no &lt;memory&gt;" in made


def test_of_a_lab_that_told_nothing_there_is_a_page_too() -> None:
    made = page(document(Report(_LAB, ())))
    assert "# Made \\| up" in made
    assert "What follows" not in made
    assert "Left out" not in made


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("a|b", "a\\|b"),
        ("CLONE_NEW_PID", "CLONE_NEW_PID"),
        ("_exit", "\\_exit"),
        ("*a* `b` [c](d)", "\\*a\\* \\`b\\` \\[c\\](d)"),
        ("<script>&amp;", "&lt;script&gt;&amp;amp;"),
        ("two\nlines", "two\\\\nlines"),
        ("1. no list", "1\\. no list"),
        ("1.5 ms", "1.5 ms"),
        ("- none", "\\- none"),
        ("-1", "-1"),
        ("# none", "\\# none"),
        ("a\\|b", "a\\\\\\|b"),
        ("$x$", "\\$x\\$"),
    ],
)
def test_a_value_stays_text(value: str, read: str) -> None:
    assert text(value) == read


@given(st.text(max_size=40))
def test_whatever_a_value_is_made_of_is_read_as_it_is_written(value: str) -> None:
    """In a table's cell, by a reader of CommonMark with tables; blanks at its ends and between words aside."""
    html = (
        MarkdownIt("commonmark").enable(["table", "strikethrough"]).render("\n".join(table(("h",), [(text(value),)])))
    )
    (cell,) = re.findall(r"<td>(.*?)</td>", html, re.S) or [""]
    assert "<" not in cell
    assert unescape(cell).split() == printable(value).split()


def test_a_measurement_is_read_back_from_its_document() -> None:
    told = _document()
    assert [measurement_of(each) for each in told["measurements"]] == [_MEASURED, _NAMED]


def test_the_list_of_pages_has_each_with_its_conclusions() -> None:
    made = contents([_document()])
    assert "[Made \\| up](made-up.md)" in made
    assert "nsview lab made-up --thorough" in made
    assert "(made-up.md#so-it-is)" in made
    assert "1 otherwise, 2 left out" in made


# ---- texts that quote ----


@pytest.mark.parametrize(
    ("anchor", "what", "said"),
    [
        ("so-it-is", "took_ns:ns", "1.6 µs"),
        ("so-it-is", "bytes:bytes", "4 MiB"),
        ("so-it-is", "took_ns/ten:times", "160"),
        ("so-it-is", "ten", "10"),
        ("so-it-is", "bytes:id", "4194304"),
        ("so-it-is", "who", "me"),
        ("chart-time", "one|way@2:ns", "2 µs"),
        ("chart-time", "x@2:bytes", "2"),
        ("chart-named", "one@large:ns", "2 µs"),
        ("made--up", "architecture", os.uname().machine),
        ("asked-one.without", "answered", "no"),
        ("asked-one.without", "expected", "yes"),
    ],
)
def test_a_quotation_says_what_the_lab_told(anchor: str, what: str, said: str) -> None:
    link = f'took [999 s](labs/made-up.md#{anchor} "{what}"), and [a link](labs/made-up.md#so-it-is) without'
    assert quoted(link, {"made-up": _document()}) == link.replace("999 s", said)


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("made-up.md#so-it-was", "took_ns:ns"),
        ("made-up.md#so-it-is", "none:ns"),
        ("made-up.md#so-it-is", "took_ns:hours"),
        ("made-up.md#so-it-is", "took_ns/who"),
        ("made-up.md#chart-time", "one|way@3:ns"),
        ("made-up.md#chart-none", "one|way@1:ns"),
        ("made-up.md#asked-one.without", "took_ns"),
        ("other.md#so-it-is", "took_ns:ns"),
    ],
)
def test_what_no_lab_has_told_cannot_be_quoted(place: str, what: str) -> None:
    link = f'[1](labs/{place} "{what}")'
    assert LINK.fullmatch(link)
    with pytest.raises(QuoteError, match=re.escape(link)):
        quoted(f"it took {link}", {"made-up": _document()})


@pytest.mark.parametrize(
    ("place", "holds"),
    [
        ("so-it-is", "took_ns > ten"),
        ("so-it-is", "took_ns/ten < 161"),
        ("chart-time", "one|way@1 < one|way@2"),
    ],
)
def test_what_a_text_says_holds_has_to_hold(place: str, holds: str) -> None:
    claim = f'<!-- holds: labs/made-up.md#{place} "{holds}" -->'
    assert quoted(claim, {"made-up": _document()}) == claim
    for otherwise in (
        claim.replace(" < ", " > ") if "<" in holds else claim.replace(" > ", " < "),
        claim.replace("made-up", "x"),
    ):
        with pytest.raises(QuoteError):
            quoted(otherwise, {"made-up": _document()})
    with pytest.raises(QuoteError, match="no number"):
        quoted('<!-- holds: labs/made-up.md#so-it-is "who < 2" -->', {"made-up": _document()})


def test_every_lab_has_a_name_that_a_file_and_a_link_may_have() -> None:
    assert [lab.name for lab in LABS if not re.fullmatch(r"[a-z0-9-]+", lab.name)] == []
