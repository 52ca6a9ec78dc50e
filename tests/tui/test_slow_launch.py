"""A launch that takes its time: what the launcher is at is told, and to quit does not wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import Census
from leftovers import until as until_there
from screen import lines_of, until
from slow_program import SlowProgram
from test_app import running
from textual.widgets import Input

from nsview.tui.header import HeaderLine
from nsview.tui.launching.launcher import Born, Launcher
from nsview.tui.launching.panel import LaunchPanel
from spawner import Spec, Stdio


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[SlowProgram]:
    """A program whose execve hangs."""
    with SlowProgram(tmp_path) as program:
        yield program


def closes(launcher: Launcher, slow: SlowProgram) -> bool:
    """Close a launcher; tell whether it had closed before the program was let go."""
    closing = threading.Thread(target=launcher.close, daemon=True)
    closing.start()
    closing.join(10)
    over = not closing.is_alive()
    slow.let_go()
    closing.join(10)
    return over


def test_closing_does_not_wait_for_an_execve_that_hangs(slow: SlowProgram, nothing_left: Census) -> None:
    launcher = Launcher(lambda _message: None)
    launcher.start()
    launcher.launch(Spec(args=(slow.path,), stdio=Stdio.NULL))
    slow.wait_for_somebody()
    assert closes(launcher, slow)


async def test_what_the_launcher_is_at_for_long_is_told_until_it_is_done(
    slow: SlowProgram, nothing_left: Census
) -> None:
    async with running() as (app, pilot):
        app.query_one("#command", Input).value = slow.path
        await until(lambda: app.query_one(LaunchPanel).form.command == slow.path)
        app.action_launch()
        await asyncio.to_thread(slow.wait_for_somebody)
        await until(lambda: "launching slow: " in lines_of(app.query_one(HeaderLine))[0])
        await pilot.press("down")  # everything else goes on
        assert len(app.launches) == 0
        slow.let_go()
        await until(lambda: len(app.launches) == 1)
        await until(lambda: "launching slow: " not in lines_of(app.query_one(HeaderLine))[0])


def test_closing_does_not_wait_for_a_held_child_whose_execve_hangs(slow: SlowProgram, nothing_left: Census) -> None:
    born: list[Born] = []
    launcher = Launcher(lambda message: born.append(message) if isinstance(message, Born) else None)
    launcher.start()
    launcher.launch(Spec(args=(slow.path,), stdio=Stdio.NULL), hold=lambda _plan: 0)
    assert until_there(lambda: born)
    launcher.resume(born[0].launched.number)
    slow.wait_for_somebody()
    assert closes(launcher, slow)
