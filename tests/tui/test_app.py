"""The whole app at its three sizes, on this machine's processes, with real launches."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from leftovers import Census
from screen import SIZES, lines_of, until
from textual.pilot import Pilot
from textual.widgets import Footer, Input, Static
from textual.widgets._footer import FooterKey

from nsview.tui.app import NsviewApp
from nsview.tui.comfort.help import Help
from nsview.tui.diff.panel import DiffGrid
from nsview.tui.keys import KEYS, LEAVE_TERMINAL
from nsview.tui.launching.panel import LaunchPanel
from nsview.tui.launching.pickers import NamespacePicker, Picker
from nsview.tui.panes import PANE_OF, Panes
from nsview.tui.processes.table import ProcTable
from nsview.tui.terminal.children_bar import ChildrenBar
from nsview.tui.terminal.terminal import ChildTerminal
from nsview.tui.timeline.panel import Waterfall


@asynccontextmanager
async def running(size: tuple[int, int] = (120, 40)) -> AsyncIterator[tuple[NsviewApp, Pilot[None]]]:
    """Run the app until its first frame is shown."""
    app = NsviewApp()
    async with app.run_test(size=size) as pilot:
        await until(lambda: len(app.query_one(ProcTable).rows) > 1)
        try:
            yield app, pilot
        finally:
            await app.end_launches()
            # What the threads said last is to be handled while the panes are there.
            await pilot.pause()


def visible(app: NsviewApp) -> set[str]:
    """The panes that can be seen."""
    return {name for name in PANE_OF if app.query_one(f"#{name}").region.area and _shown(app, name)}


def _shown(app: NsviewApp, name: str) -> bool:
    return all(node.display for node in app.query_one(f"#{name}").ancestors_with_self if node.id)


async def launch(app: NsviewApp, pilot: Pilot[None], command: str = "sh", *names: str) -> ChildTerminal:
    """Launch a command through the panel into these namespaces, and return its terminal."""
    before = len(app.launches)
    app.query_one("#command", Input).value = command
    panel = app.query_one(LaunchPanel)
    await until(lambda: panel.form.command == command)
    for name in names:
        app.query_one(NamespacePicker).toggle(_bit(name))
    await until(lambda: panel.form.namespaces == set(names))
    app.action_launch()
    await until(lambda: len(app.launches) == before + 1 and app.query(f"#terminal-{before + 1}"))
    return app.query_one(f"#terminal-{before + 1}", ChildTerminal)


def _bit(name: str) -> int:
    from spawner.namespaces import BY_NAME

    return BY_NAME[name].flag


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((80, 24), {"tree"}),
        ((120, 40), {"tree", "launch", "terminal"}),
        ((200, 60), {"tree", "launch", "terminal", "diff", "timeline"}),
    ],
)
async def test_each_size_shows_what_fits(size: tuple[int, int], wanted: set[str], nothing_left: Census) -> None:
    async with running(size) as (app, _pilot):
        assert visible(app) == wanted


@pytest.mark.parametrize("size", SIZES)
async def test_digits_bring_their_pane_to_the_front_and_give_it_the_focus(size: tuple[int, int]) -> None:
    wanted = {"1": ("tree", ProcTable), "2": ("diff", DiffGrid), "4": ("launch", NamespacePicker)}
    async with running(size) as (app, pilot):
        for digit, (pane, widget) in {**wanted, "6": ("timeline", Waterfall)}.items():
            await pilot.press(digit)
            await until(lambda pane=pane: pane in visible(app))
            assert isinstance(app.focused, widget)
            if size == (80, 24):
                assert visible(app) == {pane}


@pytest.mark.parametrize("size", SIZES)
async def test_everything_lies_within_the_screen_and_the_footer_is_whole(size: tuple[int, int]) -> None:
    async with running(size) as (app, pilot):
        for digit in "1246":
            await pilot.press(digit)
            await pilot.pause()
            footer = app.query_one(Footer)
            assert footer.max_scroll_x == 0
            assert len(footer.query("FooterKey")) <= 8
            assert app.screen.max_scroll_x == app.screen.max_scroll_y == 0
            assert all(app.screen.region.contains_region(app.query_one(f"#{name}").region) for name in visible(app))


@pytest.mark.parametrize("size", [(60, 16), (40, 10), (20, 5)])
async def test_smaller_terminals_keep_the_tree(size: tuple[int, int]) -> None:
    async with running(size) as (app, _pilot):
        assert visible(app) == {"tree"}


def test_every_key_has_an_id_of_its_own_and_an_action_that_exists() -> None:
    assert len({key.id for key in KEYS}) == len(KEYS)
    for key in KEYS:
        assert hasattr(NsviewApp, f"action_{key.action.partition('(')[0]}")
    taken = {f"ctrl+{letter}" for letter in "mjihbasq"}
    assert not taken & {name for key in KEYS for name in key.keys.split(",")}


@pytest.mark.parametrize("size", SIZES)
async def test_key_table_gives_every_binding_an_id(size: tuple[int, int]) -> None:
    async with running(size) as (app, pilot):
        for digit in "1246":
            await pilot.press(digit)
            for node in app.focused.ancestors_with_self if app.focused else ():
                if type(node).__module__.startswith("nsview"):
                    assert all(one.id for one in type(node).__dict__.get("BINDINGS", ()))


@pytest.mark.needs("root", "uts_namespace")
@pytest.mark.parametrize("size", SIZES)
async def test_launch_shows_terminal_timeline_row_and_difference(size: tuple[int, int], nothing_left: Census) -> None:
    async with running(size) as (app, pilot):
        terminal = await launch(app, pilot, "sh", "uts")
        await until(lambda: app.focused is terminal and terminal.text().strip())
        await pilot.press(*"hostname demo; hostname", "enter")
        await until(lambda: "\ndemo" in terminal.text())
        (launched,) = app.launches
        assert os.readlink(f"/proc/{launched.pid}/ns/uts") != os.readlink("/proc/self/ns/uts")
        assert os.uname().nodename != "demo"
        table = app.query_one(ProcTable)
        await until(lambda: table.highlighted == (launched.pid, launched.start_time))
        await pilot.press(LEAVE_TERMINAL, "2")
        grid = app.query_one(DiffGrid)
        machine = os.uname().nodename
        await until(lambda: any("host name" in line and machine in line and "demo" in line for line in lines_of(grid)))
        await pilot.press("6", "end")
        await until(lambda: any("execve" in line for line in lines_of(app.query_one(Waterfall))))


async def test_exit_status_is_shown_and_the_terminal_stays(nothing_left: Census) -> None:
    async with running() as (app, pilot):
        terminal = await launch(app, pilot, "sh -c 'echo last words; exit 3'")
        bar = app.query_one(ChildrenBar)
        await until(lambda: "exited 3" in str(bar.render()))
        await until(lambda: "last words" in terminal.text())
        assert "exited 3" in str(app.query_one("#terminal").border_subtitle)


async def test_failed_launch_says_which_step_and_why(nothing_left: Census) -> None:
    async with running() as (app, pilot):
        app.query_one("#command", Input).value = "/nonexistent/program"
        panel = app.query_one(LaunchPanel)
        await until(lambda: panel.form.command == "/nonexistent/program")
        await pilot.press("f5")
        problems = app.query_one("#problems", Static)
        await until(lambda: problems.display and "execve" in str(problems.render()))
        assert "ENOENT" in str(problems.render())
        assert not len(app.launches)


async def test_refused_form_is_not_launched(nothing_left: Census) -> None:
    async with running() as (app, pilot):
        app.query_one(LaunchPanel).put("--hostname", "demo")
        await until(lambda: app.query_one(LaunchPanel).outlook.problems)
        await pilot.press("f5")
        await until(lambda: app.query_one(Panes).pane == "launch")
        assert not len(app.launches)


@pytest.mark.needs("root")
async def test_held_child_waits_is_stepped_and_runs_on(nothing_left: Census) -> None:
    async with running() as (app, pilot):
        app.use_preset("hold")
        panel = app.query_one(LaunchPanel)
        for name in ("mount", "network", "pid", "user", "ipc", "cgroup"):
            app.query_one(NamespacePicker).deselect(_bit(name))
        app.query_one("#ticks").deselect(0)
        await until(lambda: panel.form.namespaces == {"uts"} and panel.outlook.plan is not None)
        if not app.desk.privileged:
            app.query_one(NamespacePicker).select(_bit("user"))
        await pilot.press("f5")
        await until(lambda: len(app.launches))
        (launched,) = app.launches
        assert launched.held is not None
        assert app.query_one(Panes).pane == "timeline"
        assert Path(f"/proc/{launched.pid}/comm").read_text() == Path("/proc/self/comm").read_text()
        await pilot.press("r")
        await until(lambda: app.launches[1].held is None)
        terminal = app.query_one("#terminal-1", ChildTerminal)
        await until(lambda: terminal.text().strip())


async def test_footer_offers_to_step_a_held_child_and_is_still_whole(nothing_left: Census) -> None:
    async with running((80, 24)) as (app, pilot):
        await pilot.press("4")
        app.query_one("#ticks", Picker).select(1)
        await until(lambda: app.query_one(LaunchPanel).form.hold)
        await pilot.press("f5")
        await until(lambda: len(app.launches))
        for digit in "126":
            await pilot.press(digit)
            footer = app.query_one(Footer)
            await until(lambda footer=footer: "Step" in _words(footer))
            assert "Run" in _words(footer).split()
            assert footer.max_scroll_x == 0


def _words(footer: Footer) -> str:
    return " ".join(key.description for key in footer.query(FooterKey))


async def test_several_launches_each_keep_their_terminal(nothing_left: Census) -> None:
    async with running() as (app, pilot):
        first = await launch(app, pilot, "sh -c 'echo first; exec sleep 1000'")
        await until(lambda: "first" in first.text())
        second = await launch(app, pilot, "sh -c 'echo second; exit 0'")
        await until(lambda: "second" in second.text() and app.launches[2].exit)
        await pilot.press(LEAVE_TERMINAL)
        await until(lambda: isinstance(app.focused, ProcTable))
        await pilot.press("left_square_bracket")
        await until(lambda: app.query_one(Panes).terminal is first)
        await pilot.press("right_square_bracket")
        await until(lambda: app.query_one(Panes).terminal is second)
        await pilot.press("x")
        await until(lambda: len(app.launches) == 1 and app.query_one(Panes).terminal is first)
        await pilot.press("x")
        assert len(app.launches) == 1, "a running program is not closed by mistake"


@pytest.mark.parametrize("size", SIZES)
async def test_zoom_shows_one_pane_and_back(size: tuple[int, int]) -> None:
    async with running(size) as (app, pilot):
        before = visible(app)
        await pilot.press("z")
        await until(lambda: visible(app) == {"tree"})
        await pilot.press("z")
        await until(lambda: visible(app) == before)


async def test_help_is_about_the_pane_that_has_the_focus() -> None:
    async with running() as (app, pilot):
        await pilot.press("4", "question_mark")
        await until(lambda: isinstance(app.screen, Help))
        assert "Tick the namespaces" in app.screen._text  # type: ignore[attr-defined]
        await pilot.press("4")
        assert isinstance(app.screen, Help), "keys of the panes do not reach through a dialog"
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, Help))


async def test_palette_has_every_key_and_every_preset() -> None:
    from nsview.tui.launching.presets import PRESETS

    async with running() as (app, _pilot):
        commands = {command.title for command in app.get_system_commands(app.screen)}
        assert {f"Preset: {preset.title}" for preset in PRESETS} <= commands
        assert len(commands) >= len(KEYS) + len(PRESETS)
        assert "Screenshot" not in commands


async def test_typing_a_command_is_not_taken_for_keys_of_the_app() -> None:
    async with running() as (app, pilot):
        command = app.query_one("#command", Input)
        command.value = ""
        command.focus()
        await pilot.press(*"q1246nkzpx[]s?")
        await until(lambda: command.value == "q1246nkzpx[]s?")
        assert not app._exit


async def test_pause_lets_the_picture_stand_still() -> None:
    async with running() as (app, pilot):
        await pilot.press("p")
        await until(lambda: "PAUSED" in str(app.query_one("#header", Static).render()))
        await pilot.press("p")
        await until(lambda: "PAUSED" not in str(app.query_one("#header", Static).render()))


async def test_quitting_reaps_what_is_running(nothing_left: Census) -> None:
    async with running() as (app, pilot):
        await launch(app, pilot, "sh -c 'sleep 1000 & exec sleep 2000'")
        (launched,) = app.launches
        await app.action_quit()
        assert not Path(f"/proc/{launched.pid}").exists()
