"""The terminal pane in the app: tabs, the full screen, bells, and always a word on how to leave."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from golden import assert_golden, screen_text
from leftovers import Census
from made_up_launch import launched
from screen import SIZES, lines_of, until
from test_app import launch, running
from textual import events
from textual.app import App, ComposeResult
from textual.widgets import Footer

import nsview.tui.app
from nsview.tui.desk import Desk
from nsview.tui.keys import LEAVE_TERMINAL
from nsview.tui.panes import Panes
from nsview.tui.processes.table import ProcTable
from nsview.tui.terminal.children_bar import ChildrenBar, fitting
from nsview.tui.terminal.pane import TerminalPane
from nsview.tui.terminal.search_line import SearchLine
from spawner import Exit


@pytest.mark.parametrize(
    ("widths", "front", "room", "shown"),
    [
        ([10, 10, 10], 0, 32, range(3)),
        ([10, 10, 10], 0, 31, range(2)),
        ([10, 10, 10], 2, 31, range(1, 3)),
        ([10] * 9, 4, 43, range(3, 6)),
        ([10] * 9, 8, 43, range(6, 9)),
        ([100], 0, 30, range(1)),
        ([100, 100], 1, 30, range(1, 2)),
        ([], 0, 30, range(0)),
    ],
)
def test_tabs_around_the_one_in_front_are_shown(widths: list[int], front: int, room: int, shown: range) -> None:
    assert fitting(widths, front, room) == shown


@pytest.mark.parametrize("size", SIZES)
async def test_full_screen_is_the_terminal_alone_and_says_how_to_leave(
    size: tuple[int, int], nothing_left: Census
) -> None:
    async with running(size) as (app, pilot):
        terminal = await launch(app, pilot, "sh -c 'stty size; trap \"stty size\" WINCH; while :; do sleep 0.05; done'")
        await until(lambda: app.focused is terminal and terminal.text() and terminal.size)
        before = terminal.size
        await pilot.press("f12")
        await until(lambda: terminal.size == (size[0], size[1] - 1))
        await until(lambda: f"{size[1] - 1} {size[0]}" in terminal.text())
        await until(lambda: screen_text(app).splitlines()[-1].endswith("F12 or Esc Esc leaves"))
        *rows, last = screen_text(app).splitlines()
        assert "sh · running" in last
        assert not app.query_one(Footer).display
        assert not any("Terminal" in row or "─" in row for row in rows)
        await pilot.press("f12")
        await until(lambda: terminal.size == before)
        assert app.query_one(Footer).display
        assert app.focused is terminal
        await pilot.press("f12")
        await until(lambda: app.query_one(Panes).fills_screen)
        await pilot.press(LEAVE_TERMINAL)
        await until(lambda: isinstance(app.focused, ProcTable))
        assert not app.query_one(Panes).fills_screen


async def test_border_says_how_to_leave_while_the_program_has_the_keys(nothing_left: Census) -> None:
    async with running() as (app, pilot):
        terminal = await launch(app, pilot, "sleep 1000")
        pane = app.query_one(TerminalPane)
        await until(lambda: "Esc Esc leaves" in str(pane.border_subtitle))
        await pilot.press(LEAVE_TERMINAL)
        await until(lambda: str(pane.border_subtitle) == f"{app.launches[1].pid} running")
        assert terminal.attached


async def test_one_escape_leaves_what_has_ended(nothing_left: Census) -> None:
    async with running() as (app, pilot):
        terminal = await launch(app, pilot, "sh -c 'exit 4'")
        await until(lambda: not terminal.attached and app.launches[1].exit)
        pane = app.query_one(TerminalPane)
        await until(lambda: str(pane.border_subtitle) == "exited 4 · Esc leaves")
        await pilot.press("q", "escape")
        await until(lambda: isinstance(app.focused, ProcTable))


async def test_bell_of_another_terminal_is_marked_until_something_is_typed_there(nothing_left: Census) -> None:
    async with running((120, 40)) as (app, pilot):
        first = await launch(app, pilot, "sh -c 'read line; printf \"\\a\"; exec cat'")
        await until(lambda: app.focused is first)
        bar = app.query_one(ChildrenBar)
        first.post_message(events.Key("enter", "\r"))
        await until(lambda: "sh · running · bell" in str(bar.render()) or "cat · running · bell" in str(bar.render()))
        await pilot.press("x")
        await until(lambda: "bell" not in str(bar.render()))


async def test_tabs_keep_their_order_and_a_click_chooses(nothing_left: Census) -> None:
    async with running((120, 40)) as (app, pilot):
        first = await launch(app, pilot, "sh -c 'echo first; exec cat'")
        second = await launch(app, pilot, "sh -c 'echo second; exec cat'")
        await until(lambda: app.query_one(Panes).terminal is second)
        bar = app.query_one(ChildrenBar)
        words = str(bar.render())
        assert words.index("1▸") < words.index("2▸")
        await pilot.click(ChildrenBar, offset=(3, 0))
        await until(lambda: app.query_one(Panes).terminal is first)
        assert str(bar.render()) == words


@pytest.mark.parametrize("size", SIZES)
async def test_history_is_looked_back_at_in_the_pane(size: tuple[int, int], nothing_left: Census) -> None:
    async with running(size) as (app, pilot):
        terminal = await launch(app, pilot, "sh -c 'seq 500; exec cat'")
        await until(lambda: app.focused is terminal and "500" in terminal.text() and terminal.size)
        await pilot.press("shift+pageup", "shift+pageup")
        back = 2 * (terminal.size.height - 1)
        await until(lambda: f" {back} of {len(terminal.history)} lines back" in lines_of(terminal)[0])
        await pilot.press("escape")
        await until(lambda: not terminal.looking.active)
        assert app.focused is terminal


class PaneApp(App[None]):
    """The pane alone, on made-up launches."""

    CSS_PATH = Path(nsview.tui.app.__file__).with_name("app.tcss")

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(self)

    def compose(self) -> ComposeResult:
        pane = TerminalPane(self.desk)
        pane.add_class("pane")
        pane.border_title = "5 Terminal"
        yield pane


@pytest.mark.parametrize("size", [(50, 12), (78, 20), (198, 56)])
@pytest.mark.parametrize("look", ["end", "back", "search"])
async def test_pane_looks_as_kept(size: tuple[int, int], look: str, nothing_left: Census) -> None:
    app = PaneApp()
    app.desk.launcher.start()
    async with app.run_test(size=size) as pilot:
        pane = app.query_one(TerminalPane)
        for number, more in enumerate(({"exit": Exit(3, None, False, None)}, {}, {}), 1):
            app.desk.launches.put(launched(7, number, **more))
        app.desk.launches.chosen = 2
        master, slave = os.openpty()
        await pane.add(2, master)
        app.desk.on_launch.publish(app.desk.launches.front)
        terminal = pane.terminal_of(2)
        assert terminal is not None
        terminal.focus()
        await until(lambda: terminal.has_focus and terminal.size)
        os.write(slave, b"".join(b"line %d of what a program wrote\n" % number for number in range(1, 201)) + b"$ ")
        await until(lambda: terminal.text().endswith("$"))
        if look != "end":
            await pilot.press("shift+pageup", "shift+pageup")
        if look == "search":
            await pilot.press("shift+f3")
            await until(lambda: isinstance(app.focused, SearchLine))
            await pilot.press(*"line 77", "enter")
            await until(lambda: any("line 77 " in line for line in lines_of(terminal)))
        await until(lambda: "Esc Esc" in screen_text(app))
        await pilot.pause()
        assert_golden(app, f"terminal-{look}")
        os.close(slave)
        await until(lambda: not terminal.attached)
    app.desk.launcher.close()
