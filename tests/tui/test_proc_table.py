"""The process table in a running app: what it shows at each size, its cursor, keys and mouse, its cost."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from machine import PLAIN, history, in_namespaces, record, snapshot
from rich.cells import cell_len
from screen import SIZES, lines_of, until
from textual import events, on
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from nsview.host.snapshot import take
from nsview.tui.processes.columns import COLUMNS, fit
from nsview.tui.processes.command import shortened
from nsview.tui.processes.rows import Rows
from nsview.tui.processes.table import ProcTable
from nsview.tui.processes.view import Reference, View


class Recording(ProcTable):
    """Notes which lines it was made to draw."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[int] = []

    def render_line(self, y: int):
        self.drawn.append(y)
        return super().render_line(y)


class TableApp(App[None]):
    """A table alone on the screen, and what it posted."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Recording()
        self.highlighted: list[Any] = []
        self.selected: list[Any] = []
        self.views: list[View] = []

    def compose(self) -> ComposeResult:
        yield self.table

    @on(ProcTable.Highlighted)
    def note_highlighted(self, event: ProcTable.Highlighted) -> None:
        self.highlighted.append(event.identity)

    @on(ProcTable.Selected)
    def note_selected(self, event: ProcTable.Selected) -> None:
        self.selected.append(event.identity)

    @on(ProcTable.ViewChanged)
    def note_view(self, event: ProcTable.ViewChanged) -> None:
        self.views.append(event.view)


Script = Callable[[TableApp, Pilot[None]], Awaitable[None]]


def play(script: Script, size: tuple[int, int] = (80, 24)) -> None:
    """Run the app with the table focused and ``script`` beside it."""

    async def run() -> None:
        app = TableApp()
        async with app.run_test(size=size) as pilot:
            app.table.focus()
            await until(lambda: app.table.has_focus and app.table.size.height == size[1])
            await script(app, pilot)

    asyncio.run(run())


def crowd(count: int) -> Rows:
    return Rows(history(snapshot(*(record(pid) for pid in range(2, count + 1)))))


async def shown(app: TableApp, text: str) -> str:
    """Wait for a line with ``text`` and return it."""
    return await until(lambda: next((line for line in lines_of(app.table) if text in line), None))


@pytest.mark.parametrize("size", [*SIZES, (60, 10), (45, 6)])
def test_every_line_fills_the_width_exactly(size):
    rows = Rows(
        history(
            snapshot(
                record(2, comm="漢字漢字漢字", ns=in_namespaces(m=98, T=99)),
                record(4_000_000, 2, comm="x" * 60, rss=10**18, utime=10**9, uid=None),
            )
        )
    )

    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.show(rows)
        await shown(app, "init")
        assert {cell_len(line) for line in lines_of(app.table)} == {size[0]}

    play(script, size)


def test_columns_give_way_to_the_command_as_the_width_shrinks():
    titles = {width: [column.title for column in fit(width).columns] for width in (45, 60, 80, 120, 200)}
    assert titles[45] == ["", "PID", "S", "mnpUuiCT"]
    assert titles[60] == ["", "PID", "S", "CPU%", "RSS", "mnpUuiCT"]
    assert titles[80] == ["", "PID", "USER", "S", "CPU%", "RSS", "mnpUuiCT"]
    assert titles[120][-2:] == ["FLT/s", "mnpUuiCT"]
    assert titles[200][-1] == "m  n  p  U  u  i  C  T"
    for width in range(20, 250):
        layout = fit(width)
        assert sum(column.width + len(column.gap) for column in layout.columns) + layout.command == max(
            width, sum(column.width + len(column.gap) for column in COLUMNS if column.leaves is None)
        )


@pytest.mark.parametrize("size", SIZES)
def test_a_contained_process_shows_its_namespaces(size):
    rows = Rows(history(snapshot(record(20, comm="box", inner_pid=1, ns=in_namespaces(p=70, u=71)))))

    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.show(rows)
        line = await shown(app, "box")
        assert "20/1" in line
        assert "◆ box" in line
        assert ("p2 ·  u2" if size[0] == 200 else "··p·u···") in line
        assert "NS≠parent" in lines_of(app.table)[0]

    play(script, size)


def test_marks_of_own_new_and_gone_processes():
    past = history(snapshot(record(5), record(6)), snapshot(record(7), at=1))
    rows = Rows(past, View(marked=(7, 7)), launches={(5, 5): "exited 3"})

    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.show(rows)
        assert (await shown(app, "p5")).startswith("●✝")
        assert "p5 exited 3" in await shown(app, "p5")
        assert (await shown(app, "p6 gone")).startswith(" ✝")
        assert (await shown(app, "p7")).startswith("◎+")

    play(script)


def test_unknown_is_a_question_mark_never_a_zero():
    hidden = record(5, uid=None, ns=(None,) * 8)

    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.show(Rows(history(snapshot(hidden))))
        assert (await shown(app, "p5")).split() == ["5", "?", "S", "?", "4.0K", "????????", "└─", "p5"]

    play(script)


def test_hostile_names_cannot_reach_the_terminal():
    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.show(Rows(history(snapshot(record(5, comm="\x1b[2J\nx\u202e")))))
        line = await shown(app, "└─")
        assert r"\x1b[2J\nx\u202e" in line
        assert line.isprintable()

    play(script, (120, 40))


def test_nothing_read_yet_says_so():
    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        assert await shown(app, "Reading the processes…")

    play(script)


def test_keys_move_the_cursor_and_tell():
    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        table = app.table
        table.show(crowd(100))
        for key, line in (
            ("down", 1),
            ("down", 2),
            ("up", 1),
            ("pagedown", 24),
            ("end", 99),
            ("down", 99),
            ("pageup", 76),
            ("home", 0),
            ("up", 0),
        ):
            await pilot.press(key)
            await until(lambda line=line: table.cursor_line == line)
            assert table.in_view(line)
            assert table.highlighted == (line + 1, line + 1)
        await until(lambda: app.highlighted == [(n, n) for n in (1, 2, 3, 2, 25, 100, 77, 1)])
        await pilot.press("down", "enter")
        await until(lambda: app.selected == [(2, 2)])

    play(script)


def test_mouse_moves_the_cursor_chooses_and_scrolls():
    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        table = app.table
        table.show(crowd(100))
        await shown(app, "p20")
        await pilot.click(table, offset=(10, 5))
        await until(lambda: table.highlighted == (5, 5))
        assert not app.selected
        await pilot.click(table, offset=(10, 0))
        assert table.highlighted == (5, 5)
        await pilot.click(table, offset=(10, 7), times=2)
        await until(lambda: app.selected == [(7, 7)])
        table.post_message(events.MouseScrollDown(table, 5, 5, 0, 1, 0, False, False, False))
        await until(lambda: table.top_line() > 0)
        assert table.highlighted == (7, 7)

    play(script)


def test_cursor_stays_on_its_process_and_on_its_line_of_the_screen():
    few = [record(pid) for pid in range(100, 200)]
    more = [record(pid) for pid in range(50, 60)]

    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        table = app.table
        table.show(Rows(history(snapshot(*few))))
        table.select((140, 140))
        place = table.cursor_line - table.top_line()
        told = len(app.highlighted)
        table.show(Rows(history(snapshot(*few), snapshot(*more, *few, at=1))))
        assert table.highlighted == (140, 140)
        assert table.cursor_line - table.top_line() == place
        assert "p140" in lines_of(table)[1 + place]
        table.show(Rows(history(snapshot(*few))))
        assert table.cursor_line - table.top_line() == place
        assert len(app.highlighted) <= told + 1

    play(script)


def test_what_is_in_view_stays_when_the_cursor_is_not():
    few = [record(pid) for pid in range(100, 200)]

    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        table = app.table
        table.show(Rows(history(snapshot(*few))))
        await shown(app, "p100")
        table.jump_to(50)
        top = lines_of(table)[1].split()[-1]
        table.show(Rows(history(snapshot(*few, *(record(pid) for pid in range(50, 60))))))
        assert lines_of(table)[1].split()[-1] == top

    play(script)


def test_what_is_left_is_in_view_when_most_rows_go():
    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        table = app.table
        table.show(crowd(1000))
        await shown(app, "p20")
        table.jump_to(900)
        await shown(app, "p905")
        table.show(crowd(50))
        assert await shown(app, "p50")
        table.show(crowd(3))
        assert await shown(app, "init")
        table.show(crowd(0))
        assert await shown(app, "init")
        await pilot.press("up", "down", "pagedown", "end", "home", "enter")
        await until(lambda: app.selected == [PLAIN.identity])

    play(script)


def test_cursor_stays_on_the_dead_while_they_are_shown_then_moves_to_the_parent():
    shell, child = record(5, comm="shell"), record(6, 5, comm="child")
    other = record(7, comm="other")
    alive = snapshot(shell, child, other)

    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        table = app.table
        table.show(Rows(history(alive)))
        table.select(child.identity)
        table.show(Rows(history(alive, snapshot(shell, other, at=1))))
        assert table.highlighted == child.identity
        table.show(Rows(history(alive, snapshot(shell, other, at=1), snapshot(shell, other, at=20))))
        assert table.highlighted == shell.identity
        await until(lambda: app.highlighted[-1:] == [shell.identity])

    play(script)


def test_cursor_of_a_reused_pid_does_not_pass_to_the_new_process():
    old, new = record(6, 5), record(6, 1, start_time=99)
    shell = record(5)

    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.show(Rows(history(snapshot(shell, old))))
        app.table.select(old.identity)
        app.table.show(Rows(history(snapshot(shell, old), snapshot(shell, new, at=1))))
        assert app.table.highlighted == shell.identity

    play(script)


def test_keys_ask_for_another_view():
    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        past = history(snapshot(record(5)))
        app.table.show(Rows(past))
        await pilot.press("=", "t", "down", "m")
        await until(lambda: len(app.views) == 3)
        assert app.views == [
            View(Reference.INIT),
            View(Reference.INIT, tree=False),
            View(Reference.MARKED, tree=False, marked=(5, 5)),
        ]
        app.table.show(Rows(past, app.views[0]))
        assert "NS≠pid 1" in lines_of(app.table)[0]

    play(script)


def test_only_rows_in_view_are_worked_out(monkeypatch):
    worked: list[int] = []
    whole = Rows._row

    def counted(self: Rows, line: int):
        worked.append(line)
        return whole(self, line)

    monkeypatch.setattr(Rows, "_row", counted)
    rows = crowd(10_000)

    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.show(rows)
        await shown(app, "p20")
        assert set(worked) <= set(range(24))

    play(script)


def test_only_lines_that_look_different_are_painted():
    def at(seconds: float, rss: int) -> Rows:
        return Rows(history(snapshot(record(5, rss=rss), record(6), record(7), at=seconds)))

    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        table = app.table
        table.show(at(0, 1 << 20))
        await shown(app, "1.0M")
        await pilot.pause()
        table.drawn.clear()
        table.show(at(1, 2 << 20))
        await until(lambda: table.drawn)
        await pilot.pause()
        assert set(table.drawn) == {2}

    play(script)


def test_colour_is_by_namespace_and_follows_the_theme():
    boxes = [record(pid, ns=in_namespaces(u=80 + pid % 2)) for pid in (5, 6, 7)]

    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.show(Rows(history(snapshot(*boxes))))
        await shown(app, "p7")

        def colours() -> list[Any]:
            strips = [app.table.render_line(y) for y in (2, 3, 4)]
            return [next(s.style.color for s in strip if s.text == "u") for strip in strips]

        dark = colours()
        assert dark[0] == dark[2] != dark[1]
        app.theme = "textual-light"
        light = await until(lambda: colours() if colours() != dark else None)
        assert light[0] == light[2] != light[1]
        app.theme = "ansi-dark"
        await until(lambda: all(colour.number is not None and colour.number < 16 for colour in colours()))

    play(script)


def test_letters_stay_without_colours(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")

    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        assert app.no_color
        app.table.show(Rows(history(snapshot(record(5, ns=in_namespaces(u=80))))))
        assert "····u···" in await shown(app, "p5")

    play(script)


def test_deep_branches_are_shortened_from_the_left():
    deep = "│  " * 10 + "└◆ "
    assert shortened(deep, 80, 0) == deep
    assert shortened("│  └◆ ", 28, 0) == "│ ◆ "
    assert shortened(deep, 28, 0) == "⋯ │ │ │ │ │ ◆ "
    assert shortened(deep, 28, 24) == "⋯ ◆ "


@pytest.mark.parametrize("size", SIZES)
def test_a_real_child_is_found_below_us(size):
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            found = take().records[child.pid]

            async def script(app: TableApp, pilot: Pilot[None]) -> None:
                rows = Rows(history(take(), take()), users={found.uid or 0: "somebody"})
                app.table.show(rows)
                assert app.table.select(found.identity)
                line = await shown(app, f" {child.pid} ")
                assert "└─ sleep" in line or "├─ sleep" in line
                assert "········" in line or "·  ·" in line
                assert rows.parent_of(found.identity)[0] == found.ppid

            play(script, size)
        finally:
            child.kill()


@pytest.mark.needs("root")
@pytest.mark.needs("unshare", "uts_namespace")
@pytest.mark.parametrize("size", SIZES)
def test_a_real_child_in_a_uts_namespace_of_its_own_has_the_letter_and_the_boundary(size):
    with subprocess.Popen(["unshare", "--uts", "sleep", "60"]) as child:
        try:

            async def script(app: TableApp, pilot: Pilot[None]) -> None:
                def contained() -> str | None:
                    past = history(take(), take())
                    app.table.show(Rows(past))
                    app.table.select(past.newest.records[child.pid].identity)
                    ours = (line for line in lines_of(app.table) if f" {child.pid} " in line)
                    return next((line for line in ours if "◆ sleep" in line), None)

                line = await until(contained)
                # Its number is the next that no namespace in view of this machine has.
                assert re.search(r"·  ·  ·  ·  u\d+ +·  ·  ·" if size[0] == 200 else "····u···", line)

            play(script, size)
        finally:
            child.kill()


def test_first_row_is_under_the_cursor_at_the_start():
    async def script(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.show(crowd(3))
        await until(lambda: app.highlighted == [PLAIN.identity])
        app.table.show(crowd(4))
        await pilot.press("down")
        await until(lambda: len(app.highlighted) == 2)

    play(script)
