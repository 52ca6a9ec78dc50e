"""Looking for a text in what scrolled off a terminal: which lines are found, and what is shown then."""

from __future__ import annotations

import pytest
from leftovers import Census
from screen import lines_of, until
from test_app import launch, running

from nsview.tui.terminal.search_line import SearchLine
from nsview.tui.terminal.searching import find, occurrences
from nsview.tui.terminal.terminal import ChildTerminal


@pytest.mark.parametrize(
    ("line", "wanted", "found"),
    [
        ("one two one", "one", [(0, 3), (8, 11)]),
        ("One two", "one", [(0, 3)]),
        ("one two", "One", []),
        ("aaaa", "aa", [(0, 2), (2, 4)]),
        ("日本 x", "x", [(5, 6)]),
        ("日本 x", "本", [(2, 4)]),
        ("İstanbul", "stan", [(1, 5)]),
        ("anything", "", []),
    ],
)
def test_occurrences_are_told_in_cells(line: str, wanted: str, found: list[tuple[int, int]]) -> None:
    assert occurrences(line, wanted) == found


def test_first_of_the_numbers_that_has_it_is_found() -> None:
    lines = ["needle", "hay", "needle", "hay"]
    assert find(lines.__getitem__, range(3, -1, -1), "needle") == 2
    assert find(lines.__getitem__, range(1, -1, -1), "needle") == 0
    assert find(lines.__getitem__, range(4), "pin") is None


async def test_matches_are_gone_to_from_the_newest_to_the_oldest_and_back(nothing_left: Census) -> None:
    async with running((120, 40)) as (app, pilot):
        terminal = await launch(app, pilot, "sh -c 'seq 500; exec cat'")
        await until(lambda: app.focused is terminal and "500" in terminal.text() and terminal.size)
        await pilot.press("shift+f3")
        await until(lambda: isinstance(app.focused, SearchLine))
        await pilot.press(*"99", "enter")
        await until(lambda: found(terminal) == "499")
        for wanted in ("399", "299", "199"):
            await pilot.press("up")
            await until(lambda wanted=wanted: found(terminal) == wanted)
        assert terminal.looking.active
        await pilot.press("down")
        await until(lambda: found(terminal) == "299")
        await pilot.press("escape")
        await until(lambda: app.focused is terminal)
        assert terminal.looking.active, "what was found stays to be read"
        await pilot.press("x")
        await until(lambda: not terminal.looking.active)
        assert found(terminal) == ""


async def test_what_is_not_there_is_said_and_nothing_moves(nothing_left: Census) -> None:
    async with running((80, 24)) as (app, pilot):
        terminal = await launch(app, pilot, "sh -c 'seq 100; exec cat'")
        await until(lambda: app.focused is terminal and "100" in terminal.text() and terminal.size)
        await pilot.press("shift+f3")
        await until(lambda: isinstance(app.focused, SearchLine))
        await pilot.press(*"xyz", "enter")
        await until(lambda: any("No older line has xyz" in one.message for one in app._notifications))
        assert not terminal.looking.active


def found(terminal: ChildTerminal) -> str:
    """The line on the screen that is marked as the one found."""
    style = terminal.get_component_rich_style("child-terminal--found")
    for y, text in enumerate(lines_of(terminal)):
        for segment in terminal.render_line(y):
            if segment.style is not None and segment.style.bgcolor == style.bgcolor and segment.style.underline:
                return text.split()[0]
    return ""
