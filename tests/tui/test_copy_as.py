"""Copy as: the launch panel's launch, or the one in front, in every language; copied, or written to a file."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from golden import assert_golden, screen_text
from launch_panel_app import PanelApp
from leftovers import Census
from screen import SIZES, until
from test_app import launch, running
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input
from tmux import Tmux

from nsview import places
from nsview.equivalents import FORMATS, Caller
from nsview.tui.app import NsviewApp
from nsview.tui.launching.copy_as import CopyAs, keep
from nsview.tui.launching.panel import LaunchPanel
from spawner import IDMapping, Spec, Stdio
from spawner.oci import Cgroup, Resources

MADE = Spec(
    args=("sh", "-c", "echo $HOME"),
    env=(("PATH", "/bin"),),
    namespaces=frozenset({"uts", "user", "mount", "pid"}),
    hostname="box",
    uid_mappings=(IDMapping(0, 1000),),
    gid_mappings=(IDMapping(0, 1000),),
    mount_proc="/proc",
    cgroup=Cgroup(resources=Resources(memory=64 << 20)),
    stdio=Stdio.PTY,
    pdeathsig=signal.SIGKILL,
)


class DialogApp(App[None]):
    """The dialog alone, over a launch that is made up; what is copied is in ``clipboard``."""

    CSS_PATH = PanelApp.CSS_PATH
    HORIZONTAL_BREAKPOINTS = NsviewApp.HORIZONTAL_BREAKPOINTS


@asynccontextmanager
async def dialog(
    monkeypatch: pytest.MonkeyPatch, spec: Spec = MADE, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[DialogApp, CopyAs, Pilot[None]]]:
    monkeypatch.setattr(Caller, "here", lambda: Caller(1000, 1000, {"PATH": "/bin", "HOME": "/home/me"}))
    app = DialogApp()
    async with app.run_test(size=size) as pilot:
        shown = CopyAs(spec, "What the launch panel says")
        app.push_screen(shown)
        await until(lambda: shown.is_current and shown.found)
        await pilot.pause()
        yield app, shown, pilot


@pytest.mark.parametrize("size", SIZES)
async def test_the_dialog_as_it_looks(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    async with dialog(monkeypatch, size=size) as (app, shown, pilot):
        assert_golden(app, "copy-as-nsview")
        await pilot.press("2")
        await until(lambda: shown.found and "unshare" in shown.found.text)
        await pilot.pause()
        assert_golden(app, "copy-as-unshare")


async def test_every_language_is_reached_by_its_digit_and_by_turning(monkeypatch: pytest.MonkeyPatch) -> None:
    async with dialog(monkeypatch) as (app, shown, pilot):
        for place, form in enumerate(FORMATS):
            await pilot.press(str(place + 1))
            assert shown.format is form
            await until(lambda: shown.found)
            await pilot.pause()
            assert f"[{place + 1} {form.name}]" in screen_text(app)
        await pilot.press("right")
        assert shown.format is FORMATS[0]
        await pilot.press("left", "shift+tab")
        assert shown.format is FORMATS[-2]
        await pilot.press("tab")
        assert shown.format is FORMATS[-1]
        await pilot.click("FormatBar", offset=(2, 0))
        await until(lambda: shown.format is FORMATS[0])


async def test_enter_copies_the_text_without_the_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    async with dialog(monkeypatch) as (app, shown, pilot):
        await pilot.press("2")
        await until(lambda: shown.found)
        text = shown.found.text if shown.found else ""
        await pilot.press("enter")
        await until(lambda: not shown.is_current)
        assert app.clipboard == text
        assert "hostname box" in text
        assert "#" not in text


async def test_w_writes_a_file_of_the_invoking_users_with_what_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "nsview.tui.launching.copy_as.invoker", lambda: places.Invoker(os.getuid(), os.getgid(), tmp_path)
    )
    async with dialog(monkeypatch) as (_app, shown, pilot):
        await pilot.press("2")
        await until(lambda: shown.found)
        await pilot.press("w")
        await until(lambda: not shown.is_current)
        (file,) = tmp_path.iterdir()
        lines = file.read_text().splitlines()
        assert lines[0] == "#!/bin/bash"
        assert any(line.startswith("# Not said here: control group of its own") for line in lines)
        assert subprocess.run(["bash", "-n", file], check=False).returncode == 0
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_file_that_cannot_be_written_is_said_and_the_dialog_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(
        "nsview.tui.launching.copy_as.invoker", lambda: places.Invoker(os.getuid(), os.getgid(), tmp_path / "file")
    )
    async with dialog(monkeypatch) as (app, shown, pilot):
        await pilot.press("w")
        await until(lambda: any("Not written" in note.message for note in app._notifications))
        assert shown.is_current


def test_two_files_of_one_second_have_different_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        "nsview.tui.launching.copy_as.invoker", lambda: places.Invoker(os.getuid(), os.getgid(), tmp_path)
    )
    assert len({keep("x", "sh", 0.0), keep("y", "sh", 0.0)}) == 2


async def test_what_cannot_be_planned_is_said_in_place_of_the_c_program(monkeypatch: pytest.MonkeyPatch) -> None:
    async with dialog(monkeypatch, Spec(args=("sh",), cwd="\0")) as (app, shown, pilot):
        await pilot.press("6")
        await until(lambda: "! " in screen_text(app))
        assert shown.found is None
        await pilot.press("enter")
        await pilot.pause()
        assert shown.is_current
        await pilot.press("escape")
        await until(lambda: not shown.is_current)


# ---- in the app ----


@pytest.mark.parametrize("size", SIZES)
async def test_y_in_the_launch_panel_shows_what_it_says(size: tuple[int, int]) -> None:
    async with running(size) as (app, pilot):
        app.query_one("#command", Input).value = "env LC_ALL=C sort"
        await until(lambda: app.query_one(LaunchPanel).form.command == "env LC_ALL=C sort")
        await pilot.press("4", "y")
        await until(lambda: isinstance(app.screen, CopyAs) and app.screen.found)
        await until(lambda: "env LC_ALL=C sort" in screen_text(app))
        await pilot.press("escape")
        app.query_one("#command", Input).value = "'"
        await until(lambda: app.query_one(LaunchPanel).outlook.problems)
        await pilot.press("4", "y")
        await until(lambda: any("Nothing to copy" in note.message for note in app._notifications))


@pytest.mark.needs("root", "uts_namespace")
async def test_the_launch_in_front_is_shown_from_its_timeline(nothing_left: Census) -> None:
    async with running((120, 40)) as (app, pilot):
        terminal = await launch(app, pilot, "sleep 1000", "uts")
        await until(lambda: app.focused is terminal)
        (launched,) = app.launches
        app.query_one("#command", Input).value = "other"
        for keys in (("y",), ("Y",)):
            app.action_pane("timeline")
            await pilot.press(*keys)
            await until(lambda: isinstance(app.screen, CopyAs) and app.screen.found)
            await until(lambda: "sleep 1000" in screen_text(app))
            assert f"{launched.pid} sleep, in other words" in screen_text(app)
            await pilot.press("escape")
            await until(lambda: not isinstance(app.screen, CopyAs))


@pytest.mark.needs("root", "tmux")
def test_in_a_terminal_a_launch_is_copied_through_osc_52(nothing_left: Census) -> None:
    with Tmux([sys.executable, "-m", "nsview"], 120, 40, env={"COLORTERM": "truecolor"}) as terminal:
        terminal.wait_for("1 Processes", "nsview")
        terminal.keys("4")
        terminal.wait_for("4 Launch")
        terminal.keys("u")
        terminal.wait_for(r"\[x\] u uts")
        terminal.keys("y")
        terminal.wait_for("in other words", "nsview run", r"\[1 nsview\]")
        terminal.keys("2")
        terminal.wait_for(r"\[2 unshare\]", "unshare")
        terminal.keys("Enter")
        terminal.wait_for("Copied: unshare")
        terminal.keys("q")
        assert terminal.wait_for_end() == 0
