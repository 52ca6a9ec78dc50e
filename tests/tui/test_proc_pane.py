"""The pane of processes: every key of it at each size, its filter line and dialogs, what it reads, whole screens."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from golden import assert_golden, screen_text
from leftovers import Census
from leftovers import until as blocking_until
from machine import PLAIN, SECOND, history, in_namespaces, record, snapshot
from rich.cells import cell_len
from screen import SIZES, lines_of, until
from textual import on
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from nsview.host.cgroups.hierarchies import hierarchies
from nsview.host.cgroups.paths import groups_of
from nsview.host.events.event import Event
from nsview.host.history import History, advance
from nsview.host.model import Identity
from nsview.host.snapshot import PF_KTHREAD, take
from nsview.host.threads import Thread
from nsview.tui.comfort.applied import Keeper
from nsview.tui.processes.choosers import ChooseColumns, ChooseOne
from nsview.tui.processes.command import command_pieces
from nsview.tui.processes.detail import Detail, Details, ThreadSeen
from nsview.tui.processes.filter_line import FilterLine, finished
from nsview.tui.processes.find_line import FindLine
from nsview.tui.processes.pane import ProcessPane, summary
from nsview.tui.processes.reading import Reader, Wanted
from nsview.tui.processes.rows import Rows
from nsview.tui.processes.scene import CommandLines
from nsview.tui.processes.table import ProcTable
from nsview.tui.processes.view import Reference, Sort, View

SHELL, MAKE, CC, TOP, CRON = (
    record(5, comm="shell"),
    record(6, 5, "make"),
    record(7, 6, "cc"),
    record(8, 5, "top"),
    record(9, 1, "cron"),
)
KTHREADD = record(2, 0, "kthreadd", flags=PF_KTHREAD)
FAMILY = history(snapshot(SHELL, MAKE, CC, TOP, CRON, KTHREADD))
FAMILY = advance(FAMILY, snapshot(SHELL, MAKE._replace(utime=50), CC, TOP._replace(utime=9), CRON, KTHREADD, at=1))


class PaneApp(App[None]):
    """The pane alone on the screen, over a history that is arranged as it asks."""

    CSS = "ProcessPane { border: round $primary; }"

    def __init__(self, past: History, details: Details | None = None, launches: Any = None) -> None:
        super().__init__()
        self.past = past
        self.launches = {} if launches is None else launches
        self.asked: list[Wanted] = []
        self.given = {} if details is None else details
        self.pane = ProcessPane(read=lambda: self.read)
        self.pane.border_title = "1 Processes"

    def read(self, wanted: Wanted) -> Details:
        self.asked.append(wanted)
        return self.given

    def compose(self) -> ComposeResult:
        yield self.pane

    @property
    def table(self) -> ProcTable:
        return self.pane.table

    @on(ProcTable.ViewChanged)
    def arrange(self, message: ProcTable.ViewChanged) -> None:
        self.show(self.past)

    def show(self, past: History) -> None:
        """Arrange what the machine is like now by what the table wants."""
        self.past = past
        self.table.show(Rows(past, self.table.view, self.launches, {0: "root", 1000: "ann"}))


Script = Callable[[PaneApp, Pilot[None]], Awaitable[None]]


def play(script: Script, size: tuple[int, int] = (80, 24), past: History = FAMILY, **more: Any) -> None:
    """Run the pane, the table focused and its rows shown, and ``script`` beside it."""

    async def run() -> None:
        app = PaneApp(past, **more)
        async with app.run_test(size=size) as pilot:
            app.table.focus()
            app.show(past)
            await until(lambda: app.table.has_focus and app.table.cursor_line == 0 and app.asked)
            await script(app, pilot)
            await pilot.pause()

    asyncio.run(run())


def comms(app: PaneApp) -> list[str]:
    """The processes that have a row."""
    return [row.record.comm for row in app.table.rows if row.thread == 0]


async def settled(app: PaneApp, view: Callable[[View], object]) -> None:
    """Wait for rows that are arranged as ``view`` says."""
    await until(lambda: view(app.table.rows.view))


def titled(app: PaneApp) -> str:
    return screen_text(app).splitlines()[0]


# Keys.


@pytest.mark.parametrize("size", SIZES)
def test_keys_that_switch_something_switch_it_and_back(size: tuple[int, int]) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        for key, name, there, back in (
            ("t", "tree", False, True),
            ("H", "threads", True, False),
            ("K", "kernel", True, False),
            ("B", "boundaries", True, False),
            ("!", "audit", True, False),
            ("F", "follow", PLAIN.identity, None),
            ("=", "reference", Reference.INIT, Reference.SELF),
            ("m", "marked", PLAIN.identity, None),
        ):
            await pilot.press(key)
            await settled(app, lambda view, name=name, there=there: getattr(view, name) == there)
            await pilot.press(key)
            await settled(app, lambda view, name=name, back=back: getattr(view, name) == back)

    play(script, size)


@pytest.mark.parametrize("size", SIZES)
def test_kernel_threads_are_said_to_be_hidden_and_shown_at_a_key(size: tuple[int, int]) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        assert "kthreadd" not in comms(app)
        await until(lambda: "1 kernel thread" in titled(app))
        await pilot.press("K")
        await until(lambda: "kthreadd" in comms(app) and "hidden" not in titled(app))
        assert any("[kthreadd]" in line for line in lines_of(app.table))

    play(script, size)


@pytest.mark.parametrize("size", SIZES)
def test_folding_by_keys(size: tuple[int, int]) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        table = app.table
        await pilot.press("down", "left")
        await until(lambda: comms(app) == ["init", "shell", "cron"])
        await until(lambda: any("▸3 shell" in line for line in lines_of(table)))
        await pilot.press("right")
        await until(lambda: "cc" in comms(app))
        await pilot.press("right")
        await until(lambda: table.highlighted == MAKE.identity)
        await pilot.press("down", "left")
        await until(lambda: table.highlighted == MAKE.identity)
        await pilot.press("minus")
        await until(lambda: comms(app) == ["init", "shell", "make", "top", "cron"])
        await pilot.press("plus")
        await until(lambda: "cc" in comms(app))
        await pilot.press("E")
        await until(lambda: comms(app) == ["init", "shell", "cron"] and table.highlighted == SHELL.identity)
        await pilot.press("E")
        await until(lambda: "cc" in comms(app))

    play(script, size)


@pytest.mark.parametrize("size", SIZES)
def test_a_click_on_the_lines_of_the_tree_folds_and_opens(size: tuple[int, int]) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        table = app.table
        joint = lines_of(table)[2].index("├─")
        await pilot.click(table, offset=(joint + 1, 2))
        await until(lambda: comms(app) == ["init", "shell", "cron"] and table.highlighted == SHELL.identity)
        await pilot.click(table, offset=(lines_of(table)[2].index("▸3"), 2))
        await until(lambda: "cc" in comms(app))
        await pilot.click(table, offset=(lines_of(table)[2].index("shell"), 2))
        await pilot.click(table, offset=(lines_of(table)[6].index("└─"), 6))
        await until(lambda: table.highlighted == CRON.identity)
        assert "cc" in comms(app)

    play(script, size)


@pytest.mark.parametrize("size", SIZES)
def test_tagging_by_keys(size: tuple[int, int]) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        table = app.table
        await pilot.press("space")
        await until(lambda: table.tagged == [PLAIN.identity] and table.highlighted == SHELL.identity)
        await pilot.press("c")
        wanted = [one.identity for one in (PLAIN, SHELL, MAKE, CC, TOP)]
        await until(lambda: table.tagged == wanted)
        await until(lambda: sum(line.startswith("◈") for line in lines_of(table)) == 5)
        await until(lambda: "5 tagged" in titled(app))
        await pilot.press("u")
        await until(lambda: not table.tagged and "tagged" not in titled(app))

    play(script, size)


@pytest.mark.parametrize("size", SIZES)
def test_sorting_by_keys_and_mouse(size: tuple[int, int]) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        table = app.table
        await pilot.press("t", "greater_than_sign")
        await settled(app, lambda view: view.sort == Sort("pid"))
        await pilot.press("I")
        await until(lambda: comms(app) == ["cron", "top", "cc", "make", "shell", "init"])
        await until(lambda: "list by pid inverted" in titled(app))
        await pilot.press("less_than_sign", "less_than_sign")
        await settled(app, lambda view: view.sort == Sort("comm"))
        await pilot.press("S")
        await until(lambda: isinstance(app.screen, ChooseOne))
        offered = app.screen.query_one(OptionList)
        name = next(n for n, option in enumerate(offered.options) if str(option.prompt).startswith("cpu "))
        offered.highlighted = name
        await pilot.press("enter")
        await settled(app, lambda view: view.sort == Sort("cpu"))
        assert comms(app)[:2] == ["make", "top"]
        assert "CPU%▼" in lines_of(table)[0]
        await pilot.press("t")
        await settled(app, lambda view: view.tree and view.sort == Sort())
        assert comms(app) == ["init", "shell", "make", "cc", "top", "cron"]
        await pilot.click(table, offset=(lines_of(table)[0].index("RSS"), 0))
        await settled(app, lambda view: view.tree_sort == Sort("rss") and view.flat_sort == Sort("cpu"))
        await pilot.press("S", "escape")
        await until(lambda: app.screen is app.screen_stack[0])
        assert table.view.tree_sort == Sort("rss")

    play(script, size)


def test_frozen_order_stands_while_values_change_and_sorting_ends_it() -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.table.want(View(tree=False, flat_sort=Sort("cpu")))
        await until(lambda: comms(app)[:2] == ["make", "top"])
        await pilot.press("o")
        await until(lambda: "ORDER FROZEN" in titled(app))
        busy = snapshot(SHELL, MAKE._replace(utime=50), CC._replace(utime=90), TOP._replace(utime=9), CRON, at=2)
        app.show(advance(app.past, busy))
        assert comms(app)[:2] == ["make", "top"]
        await pilot.press("o")
        await until(lambda: comms(app)[0] == "cc" and "FROZEN" not in titled(app))
        await pilot.press("o")
        await settled(app, lambda view: view.order is not None)
        await pilot.press("I")
        await settled(app, lambda view: view.order is None)

    play(script)


@pytest.mark.parametrize("size", SIZES)
def test_followed_process_stays_under_the_cursor_and_in_view_until_the_cursor_moves(size: tuple[int, int]) -> None:
    crowd = [record(pid) for pid in range(100, 400)]

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        table = app.table
        app.table.select((390, 390))
        await pilot.press("F")
        await settled(app, lambda view: view.follow == (390, 390))
        table.jump_to(0)
        assert not table.in_view(table.cursor_line)
        app.show(advance(app.past, snapshot(*crowd, at=1)))
        assert table.in_view(table.cursor_line)
        assert table.highlighted == (390, 390)
        await until(lambda: "FOLLOWS 390" in titled(app))
        await pilot.press("up")
        await settled(app, lambda view: view.follow is None)

    play(script, size, history(snapshot(*crowd)))


def test_what_is_folded_away_or_a_kernel_thread_is_found_when_it_is_to_be_shown() -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        table = app.table
        await pilot.press("E")
        await until(lambda: "cc" not in comms(app))
        assert table.select(CC.identity)
        await until(lambda: table.highlighted == CC.identity)
        assert table.select(KTHREADD.identity)
        await until(lambda: table.highlighted == KTHREADD.identity)
        assert not table.select((4711, 4711))

    play(script)


def test_what_is_filtered_out_is_shown_while_the_cursor_is_on_it() -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        table = app.table
        await pilot.press("slash", *"pid=9", "enter")
        await until(lambda: comms(app) == ["init", "cron"])
        assert table.select(TOP.identity)
        await until(lambda: table.highlighted == TOP.identity)
        assert comms(app) == ["init", "shell", "top", "cron"]
        await pilot.press("down")
        await until(lambda: comms(app) == ["init", "cron"])

    play(script)


def test_cursor_does_not_rest_on_a_boundary() -> None:
    box = record(20, comm="box", ns=in_namespaces(n=4026532099))

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("B")
        line = await until(lambda: next((line for line in lines_of(app.table) if "├┄" in line), None))
        assert "net #2 [4026532099]" in line
        await pilot.press("down")
        await until(lambda: app.table.highlighted == box.identity)
        await pilot.press("up")
        await until(lambda: app.table.highlighted == PLAIN.identity)

    play(script, past=history(snapshot(box)))


def test_heading_names_the_process_that_is_marked_and_compared_with() -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("down", "m")
        await until(lambda: lines_of(app.table)[0].rstrip().endswith("NS≠marked 5"))
        assert next(line for line in lines_of(app.table) if "shell" in line).startswith("◎")

    play(script)


# Filter.


@pytest.mark.parametrize("size", SIZES)
def test_filter_is_in_force_as_it_is_typed_and_escape_ends_it(size: tuple[int, int]) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        line = app.query_one(FilterLine)
        assert not line.display
        await pilot.press("slash")
        await until(lambda: line.display and isinstance(app.focused, Input))
        await pilot.press(*"pid=7")
        await until(lambda: comms(app) == ["init", "shell", "make", "cc"])
        await until(lambda: "/ pid=7 · 1 of 6" in titled(app))
        await pilot.press("enter")
        await until(lambda: app.focused is app.table and not line.display)
        assert comms(app) == ["init", "shell", "make", "cc"]
        await pilot.press("slash")
        await until(lambda: isinstance(app.focused, Input) and line.text == "pid=7")
        await pilot.press("escape")
        await until(lambda: len(comms(app)) == 6 and app.focused is app.table and "pid=7" not in titled(app))
        await pilot.press("slash", *"zzz", "enter")
        await until(lambda: any("No process matches" in one for one in lines_of(app.table)))
        await pilot.press("escape")
        await until(lambda: len(comms(app)) == 6 and app.query_one(FilterLine).text == "")

    play(script, size)


@pytest.mark.parametrize("size", SIZES)
def test_wrong_filter_says_where_and_what_and_the_last_good_one_stays(size: tuple[int, int]) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"pid=7")
        await until(lambda: len(comms(app)) == 4)
        await pilot.press(*" rss=many")
        line = app.query_one(FilterLine)
        await until(lambda: line.has_class("-wrong"))
        await pilot.pause()
        screen = screen_text(app).splitlines()
        typed = next(n for n, one in enumerate(screen) if "rss=many" in one)
        assert screen[typed + 1].index("^") == screen[typed].index("many")
        assert "it takes an amount" in screen[typed + 1] + screen[typed + 2]
        assert len(comms(app)) == 4
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.focused, Input)
        assert line.text == "pid=7 rss=many"
        await pilot.press(*["backspace"] * 4, *"1K", "enter")
        await until(lambda: app.focused is app.table and not line.has_class("-wrong"))
        assert comms(app) == []

    play(script, size)


def test_word_that_may_become_a_column_is_not_in_force_until_it_is_meant() -> None:
    assert finished("pid=7 rs") == "pid=7 "
    assert (finished("ns.ne"), finished("!cpu"), finished("(rss")) == ("", "!", "(")
    assert finished("pid=7 sh") == "pid=7 sh"
    assert finished("rss ") == "rss "

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"to")
        await until(lambda: comms(app) == ["init", "shell", "top"])
        await pilot.press("space", *"stat")
        await until(lambda: app.query_one(FilterLine).text == "to stat")
        assert comms(app) == ["init", "shell", "top"]
        await pilot.press("enter")
        await until(lambda: comms(app) == [])

    play(script)


def test_names_of_columns_are_completed() -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"pid>1 switc")
        await until(lambda: app.query_one(FilterLine).query_one(Input)._suggestion == "pid>1 switches")
        await pilot.press("right")
        await until(lambda: app.query_one(FilterLine).text == "pid>1 switches")

    play(script)


@pytest.mark.parametrize("size", SIZES)
def test_filters_at_hand_are_put_into_the_filter_line(size: tuple[int, int]) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.table.select(CC.identity)
        await pilot.press("f")
        await until(lambda: isinstance(app.screen, ChooseOne))
        offered = app.screen.query_one(OptionList)
        titles = [str(option.prompt) for option in offered.options]
        assert any("same network namespace as 7 cc" in title for title in titles)
        offered.highlighted = next(n for n, title in enumerate(titles) if "ns!=init" in title)
        await pilot.press("enter")
        await until(lambda: comms(app) == [] and app.query_one(FilterLine).text == "ns!=init")
        await pilot.press("f", "home", "enter")
        await until(lambda: len(comms(app)) == 6)

    play(script, size)


@pytest.mark.parametrize("size", SIZES)
def test_find_goes_to_numbers_and_names_as_they_are_typed_and_hides_nothing(size: tuple[int, int]) -> None:
    many = history(snapshot(SHELL, MAKE, CC, TOP, CRON, record(71, comm="Make"), record(712, comm="late")))

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        table, line = app.table, app.query_one(FindLine)
        app.table.rows.scene.commands[TOP.identity] = "top -d 5 --MAKEfile"
        await pilot.press("ctrl+f", *"ma")
        await until(lambda: line.display and table.highlighted == MAKE.identity)
        for key, found in (("down", TOP), ("down", record(71)), ("down", MAKE), ("up", record(71)), ("ctrl+f", MAKE)):
            await pilot.press(key)
            await until(lambda found=found: table.highlighted == found.identity)
        await pilot.press("enter", "down")
        await until(lambda: app.focused is table and not line.display and table.highlighted == CC.identity)
        await pilot.press("ctrl+f", *"71", "2")
        await until(lambda: table.highlighted == (712, 712))
        await pilot.press("9")
        await until(lambda: "none here" in screen_text(app))
        await pilot.press("backspace")
        await until(lambda: "none here" not in screen_text(app))
        await pilot.press("escape", "ctrl+f", *"Ma")
        await until(lambda: table.highlighted == (71, 71))
        assert len(comms(app)) == 8

    play(script, size, many)


# Columns.


@pytest.mark.parametrize("size", SIZES)
def test_chosen_columns_are_shown_and_only_those_in_view_are_read(size: tuple[int, int]) -> None:
    details = {MAKE.identity: Detail(texts={"cwd": "/build"})}

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        table = app.table
        await pilot.press("C")
        await until(lambda: isinstance(app.screen, ChooseColumns))
        offered = app.screen.query_one(OptionList)
        lines = [str(option.prompt) for option in offered.options]
        names = [line[4:].split()[0] for line in lines]
        for place, line in enumerate(lines):
            if line.startswith("[x]") and names[place] != "state":
                offered.highlighted = place
                await pilot.press("space")
        for name in ("ppid", "cwd"):
            offered.highlighted = names.index(name)
            await pilot.press("enter" if name == "cwd" else "space")
        assert str(offered.options[names.index("cwd")].prompt).startswith("[x] cwd")
        await until(lambda: table.chosen == ("state", "ppid", "cwd"))
        await pilot.press("escape")
        await until(lambda: app.screen is app.screen_stack[0] and app.asked[-1].columns == ("cwd",))
        await until(lambda: any("/build" in line for line in lines_of(table)))
        line = next(line for line in lines_of(table) if "make" in line)
        assert line.split()[:4] == ["6", "S", "5", "/build"]
        assert {"PPID", "CWD"} <= set(lines_of(table)[0].split())
        await pilot.press("C", "a")
        await until(lambda: table.chosen is None)

    play(script, size, details=details)


def test_more_columns_than_fit_leave_the_command_its_room() -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.table.choose_columns(("cgroup", "exe", "cwd", "root", "caps"))
        await until(lambda: "CGROUP" in lines_of(app.table)[0])
        assert "COMMAND" in lines_of(app.table)[0]
        assert {len(line) for line in lines_of(app.table)} == {78}

    play(script)


def test_pane_keeps_how_the_table_is_liked_and_recalls_it() -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.recall({"tree": False, "kernel": True, "columns": ["ppid"]})
        await settled(app, lambda view: not view.tree and view.kernel)
        await until(lambda: "PPID" in lines_of(app.table)[0])
        assert app.pane.kept()["columns"] == ["ppid"]
        assert isinstance(app.pane, Keeper)

    play(script)


# What is read.


def test_arguments_pids_and_frozen_groups_are_shown_once_read() -> None:
    box = record(5709, comm="nginx", inner_pid=1, depth=3, start_time=20)
    details = {box.identity: Detail("/usr/sbin/nginx -g off", (5709, 72, 1), True, container="docker 3f2a")}

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await until(lambda: any("nginx -g off" in line for line in lines_of(app.table)))
        line = next(line for line in lines_of(app.table) if "nginx" in line)
        assert line.startswith(" ❄  5709/1 ")
        await pilot.resize_terminal(200, 60)
        await until(lambda: any("5709/72/1" in line and "/usr/sbin/nginx" in line for line in lines_of(app.table)))
        await pilot.press("down")
        await until(lambda: "5709 nginx" in screen_text(app).splitlines()[-1])
        assert "frozen · docker 3f2a" in screen_text(app).splitlines()[-1]

    play(script, past=history(snapshot(box)), details=details)


def pieces(comm: str, command: str | None, width: int = 60, **facts: Any) -> list[tuple[str, str]]:
    one = record(5, comm=comm, **facts)
    row = replace(Rows(history(snapshot(one)), View(tree=False, kernel=True))[1], detail=Detail(command))
    return [(text.rstrip(), look) for text, look in command_pieces(row, width) if text.strip()]


def test_programs_own_name_stands_out_in_its_arguments() -> None:
    assert pieces("sleep", "/bin/sleep 60") == [("/bin/", "faint"), ("sleep", "name"), (" 60", "value")]
    assert pieces("bash", "-bash") == [("-bash", "name")]
    assert pieces("nginx", "nginx: worker process") == [("nginx:", "name"), (" worker process", "value")]
    assert pieces("sleep", "/very/long/way/to/sleep 60", 16) == [("sleep", "name"), (" 60", "value")]
    assert pieces("nsview", "python -m nsview") == [("nsview", "name"), ("python -m nsview", "faint")]


def test_the_dead_keep_their_arguments_and_how_they_ended_has_its_room() -> None:
    alive, dead = snapshot(CRON, at=1), snapshot(at=2)
    past = advance(advance(None, alive), dead, [Event(int(1.5 * SECOND), "exit", 9, 9, exit_code=9)])

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        kept = CommandLines()
        kept.seen_from(alive.records)[CRON.identity] = "/usr/sbin/cron -f --and --many --more"
        app.table.show(Rows(past, commands=kept))
        await until(lambda: any("cron -f --an… killed by SIGKILL" in line for line in lines_of(app.table)))

    play(script)


def test_name_alone_where_there_are_no_arguments() -> None:
    assert pieces("sleep", None) == [("sleep", "name")]
    assert pieces("empty", "[empty]") == [("empty", "name")]
    assert pieces("kworker/0:0", None, flags=PF_KTHREAD) == [("[kworker/0:0]", "faint")]


@pytest.mark.parametrize("width", [0, 1, 5, 20, 100])
def test_command_fills_its_width_exactly(width: int) -> None:
    one = record(5, comm="漢字", ns=in_namespaces(n=9))
    past = history(snapshot(one, record(6, 5)), snapshot(record(6, 5), at=1))
    for view in (View(), View(tree=False), View().fold((5, 5), True)):
        for row in Rows(past, view, launches={(5, 5): "killed by SIGKILL"}):
            row = replace(row, detail=Detail("/usr/bin/漢字 漢字漢字"))

            assert sum(cell_len(text) for text, _ in command_pieces(row, width)) == width


def test_summary_says_what_is_own_shared_and_unknown() -> None:
    assert " ".join(summary("mnp··i?·", Detail())) == "· own m n p i · shared U u T · unknown C"
    assert " ".join(summary("········", Detail())) == "· all namespaces shared with the machine"
    assert " ".join(summary("????????", Detail(container="-"))) == "· namespaces unknown"


def test_reader_asks_only_about_those_in_view() -> None:
    crowd = [record(pid) for pid in range(2, 10_000)]

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("pagedown", "pagedown")
        await until(lambda: app.asked[-1].records[0].pid > 20)
        assert all(len(wanted.records) <= 23 for wanted in app.asked)

    play(script, past=history(snapshot(*crowd)))


def test_threads_are_read_of_those_in_view_and_keep_the_cursor() -> None:
    many = record(20, comm="many", threads=3)
    seen = tuple(
        ThreadSeen(Thread(200 + n, f"worker{n}", "S", (200 + n,), SECOND, 0, 0, {"net": 77} if n == 2 else {}), 1.5)
        for n in (1, 2)
    )

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        table = app.table
        await pilot.press("H")
        await until(lambda: app.asked[-1].threads == {many.identity})
        await until(lambda: any("worker2" in line for line in lines_of(table)))
        line = next(line for line in lines_of(table) if "worker2" in line)
        assert line.split()[:4] == ["202", "root", "S", "1.5"]
        assert "·n······" in line
        await pilot.press("down", "down", "down")
        await until(lambda: table.cursor_line == 3)
        app.show(advance(app.past, snapshot(record(10), many, record(30), at=1)))
        assert table.highlighted == many.identity
        assert table.rows.place_at(table.cursor_line) == (many.identity, 2)
        await pilot.press("left")
        await until(lambda: table.rows.place_at(table.cursor_line) == (many.identity, 0))

    play(script, past=history(snapshot(many, record(30))), details={many.identity: Detail(threads=seen)})


# With the kernel.


def looked_at(*pids: int, columns: tuple[str, ...] = (), threads: bool = False) -> dict[int, Detail]:
    rows = Rows(advance(advance(None, take()), take()))
    records = tuple(record for record in rows.history.newest.records.values() if record.pid in pids)
    whose: frozenset[Identity] = frozenset(record.identity for record in records) if threads else frozenset()
    found = Reader().read(Wanted(rows, records, columns, whose, records[0].identity))
    return {identity[0]: detail for identity, detail in found.items()}


def test_arguments_and_columns_of_a_real_process_are_read(nothing_left: Census) -> None:
    with subprocess.Popen(["sleep", "61"], cwd="/usr") as child:
        try:
            detail = looked_at(child.pid, columns=("cwd", "ppid"))[child.pid]
            assert detail.command == "sleep 61"
            assert detail.texts == {"cwd": "/usr", "ppid": str(os.getpid())}
            assert detail.pids is not None
            assert detail.pids[0] == child.pid
            assert not detail.frozen
        finally:
            child.kill()


def test_process_that_is_gone_is_left_out(nothing_left: Census) -> None:
    with subprocess.Popen(["sleep", "61"]) as child:
        rows = Rows(advance(None, take()))
        record_of_child = rows.history.newest.records[child.pid]
        child.kill()
    assert Reader().read(Wanted(rows, (record_of_child,))) == {}


def test_threads_of_a_real_process_are_read(nothing_left: Census) -> None:
    start = "for _ in range(2): threading.Thread(target=threading.Event().wait).start()"
    code = f"import threading\n{start}\nprint(1, flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            threads = looked_at(child.pid, threads=True)[child.pid].threads
            assert len(threads) == 2
            assert child.pid not in [seen.thread.tid for seen in threads]
        finally:
            child.kill()


@pytest.mark.needs("root", "unshare", "pid_namespace")
def test_pids_in_nested_namespaces_are_read_from_ours_to_its_own(nothing_left: Census) -> None:
    inner = "unshare --pid --fork sh -c 'echo ready; sleep 62; :'"
    command = ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", f"{inner}; :"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as outer:
        try:
            assert outer.stdout is not None
            outer.stdout.readline()
            newest = take().records
            deepest = max(
                (one for one in newest.values() if one.session == outer.pid), key=lambda one: (one.depth or 0, one.pid)
            )
            pids = looked_at(deepest.pid)[deepest.pid].pids
            assert pids is not None
            assert len(pids) == (deepest.depth or 0) + 1 >= 3
            assert (pids[0], pids[-1]) == (deepest.pid, deepest.inner_pid)
        finally:
            os.killpg(outer.pid, 9)


def _removed(group: Path) -> bool:
    """Version 1 counts who is just ending a little longer than it lists them."""
    try:
        group.rmdir()
    except OSError:
        return False
    return True


@pytest.mark.needs("root")
@pytest.mark.parametrize(
    ("version", "file", "on", "off"), [(2, "cgroup.freeze", "1", "0"), (1, "freezer.state", "FROZEN", "THAWED")]
)
def test_member_of_a_frozen_group_is_marked_and_after_the_thaw_no_more(
    version: int, file: str, on: str, off: str, nothing_left: Census
) -> None:
    mine = groups_of(Path("/proc/self/cgroup").read_bytes())
    freezers = [one for one in hierarchies() if one.version == version and (version == 2 or "freezer" in one.key)]
    above = freezers[0].directory(mine[freezers[0].key]) if freezers else None
    if above is None:
        pytest.skip(f"needs a hierarchy of version {version} that can freeze, mounted")
    group = Path(above, f"nsview-test-marks-{os.getpid()}")
    group.mkdir()
    try:
        with subprocess.Popen(["sleep", "63"]) as child:
            try:
                (group / "cgroup.procs").write_text(str(child.pid))
                assert not looked_at(child.pid)[child.pid].frozen
                (group / file).write_text(on)
                assert blocking_until(lambda: looked_at(child.pid)[child.pid].frozen)
                (group / file).write_text(off)
                assert blocking_until(lambda: not looked_at(child.pid)[child.pid].frozen)
            finally:
                (group / file).write_text(off)
                child.kill()
    finally:
        assert blocking_until(lambda: _removed(group))


# Whole screens.


def machine_with_everything() -> PaneApp:
    """Nested namespaces, one dead, one new, an own launch, threads, a kernel thread, a zombie, unknown namespaces."""
    box = in_namespaces(m=4026532201, n=4026532202, p=4026532203, u=4026532204, i=4026532205)
    inner = tuple(4026532303 if n == 2 else inode for n, inode in enumerate(box))
    own = record(4701, comm="nsview", start_time=300, rss=48 << 20, threads=3)
    launch = record(4711, 4701, "demo", start_time=400, inner_pid=1, depth=2, ns=box, rss=1 << 20)
    nested = record(4712, 4711, "init2", start_time=410, inner_pid=1, depth=3, ns=inner, uid=1000)
    yes = record(4713, 4712, "yes", start_time=420, inner_pid=2, depth=3, ns=inner, uid=1000)
    new = record(4720, 812, "sshd-session", start_time=900)
    daemon = record(812, comm="sshd", start_time=30, rss=9 << 20)
    zombie = record(813, 812, "ssh-agent", start_time=31, state="Z")
    killed = record(814, 1, "worker", start_time=32, rss=5 << 20)
    hidden = record(90, comm="guarded", start_time=33, uid=None, ns=(None,) * 8)
    then = snapshot(KTHREADD, own, launch, nested, yes, daemon, zombie._replace(state="S"), killed, hidden, at=1)
    now = snapshot(
        KTHREADD,
        own._replace(utime=1),
        launch,
        nested,
        yes._replace(state="R", utime=98),
        daemon,
        new,
        zombie,
        hidden,
        at=2,
    )
    ends = [Event(int(1.5 * SECOND), "exit", pid, pid, exit_code=code) for pid, code in ((813, 0), (814, 9))]
    seen = [
        ThreadSeen(Thread(tid, name, "S", (tid,), SECOND // 50, 0, 0, {}), 0.0)
        for tid, name in ((4702, "lane"), (4703, "engine"))
    ]
    details = {
        PLAIN.identity: Detail("/sbin/init splash", (1,)),
        own.identity: Detail("/usr/bin/python3 -m nsview", (4701,), threads=tuple(seen)),
        launch.identity: Detail("/usr/bin/demo --wait", (4711, 1), container="nsview demo"),
        nested.identity: Detail("/sbin/init2", (4712, 2, 1)),
        yes.identity: Detail("yes", (4713, 3, 2), frozen=False),
        daemon.identity: Detail("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", (812,)),
        new.identity: Detail("sshd-session: ann [priv]", (4720,)),
    }
    return PaneApp(advance(advance(None, then), now, ends), details, {launch.identity: None})


async def whole(size: tuple[int, int], name: str, *keys: str) -> None:
    """Press keys and compare the screen with the one that is kept."""
    app = machine_with_everything()
    async with app.run_test(size=size) as pilot:
        app.table.focus()
        app.show(app.past)
        await until(lambda: app.asked and app.table.details)
        app.table.select((4711, 400))
        await pilot.pause()
        await pilot.press(*keys)
        for _ in range(3):
            await pilot.pause()
        assert_golden(app, name)


@pytest.mark.parametrize("size", SIZES)
async def test_tree_of_a_machine_as_a_whole_screen(size: tuple[int, int]) -> None:
    await whole(size, "processes-tree")


@pytest.mark.parametrize("size", SIZES)
async def test_threads_boundaries_and_kernel_threads_as_a_whole_screen(size: tuple[int, int]) -> None:
    await whole(size, "processes-boundaries", "H", "B", "K")


@pytest.mark.parametrize("size", SIZES)
async def test_audit_of_a_sorted_list_under_a_filter_as_a_whole_screen(size: tuple[int, int]) -> None:
    await whole(size, "processes-audit", "exclamation_mark", "t", "slash", *"ns!=init cpu=x")
