"""Comparing and judging in the whole app: who is compared with whom, held pairs, the debugger's key, real children."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from leftovers import Census
from screen import SIZES, lines_of, until
from textual.pilot import Pilot
from textual.widgets import Static

from nsview.host.snapshot import take
from nsview.tui.app import NsviewApp
from nsview.tui.diff.grid import DiffGrid
from nsview.tui.diff.lines import Heading
from nsview.tui.diff.pair import Pair
from nsview.tui.diff.panel import DiffPanel
from nsview.tui.processes.table import ProcTable
from nsview.tui.security.list import SecurityList
from nsview.tui.security.panel import SecurityPanel

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def two(nothing_left: Census) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Two children of ours that sleep."""
    with subprocess.Popen(["sleep", "60"]) as one, subprocess.Popen(["sleep", "61"]) as other:
        records = take((one.pid, other.pid)).records
        yield records[one.pid].identity, records[other.pid].identity
        one.kill()
        other.kill()


@asynccontextmanager
async def running(size: tuple[int, int]) -> AsyncIterator[tuple[NsviewApp, Pilot[None]]]:
    app = NsviewApp(interval=0.2)
    async with app.run_test(size=size) as pilot:
        await until(lambda: app.query_one(ProcTable).highlighted == app.desk.me)
        yield app, pilot
        await app.end_launches()


async def go_to(app: NsviewApp, identity: tuple[int, int]) -> None:
    table = app.query_one(ProcTable)
    await until(lambda: table.select(identity))
    await until(lambda: app.desk.process == identity)


def title(app: NsviewApp) -> str:
    return str(app.query_one("#diff-title", Static).content)


@pytest.mark.parametrize("size", SIZES)
async def test_a_marked_process_and_the_cursor_s_are_compared_and_held_until_let_go(size, two):
    one, other = two
    async with running(size) as (app, pilot):
        panel = app.query_one(DiffPanel)
        await pilot.press("D")
        await until(lambda: any("tag two" in note.message for note in app._notifications))
        await go_to(app, one)
        await pilot.press("m")
        await until(lambda: app.query_one(ProcTable).view.marked == one)
        await go_to(app, other)
        await pilot.press("D")
        await until(lambda: panel.pair == Pair(one, other) and panel.held)
        await until(lambda: app.focused is app.query_one(DiffGrid) and "held, Esc lets go" in title(app))
        await until(lambda: Heading("namespaces", 0, 10, False) in app.query_one(DiffGrid).lines)
        await pilot.press("1")
        await go_to(app, one)
        assert panel.pair == Pair(one, other), "the cursor does not choose while they are held"
        await pilot.press("2", "v")
        await until(lambda: panel.pair == Pair(other, one) and panel.held)
        await pilot.press("escape")
        await until(lambda: panel.pair is not None and panel.pair.child == one)
        assert panel.pair.parent == app.desk.me
        assert not panel.held


async def test_two_tagged_processes_are_compared(two):
    one, other = two
    async with running((120, 40)) as (app, pilot):
        table = app.query_one(ProcTable)
        for identity in two:
            await go_to(app, identity)
            await pilot.press("space")
            await until(lambda identity=identity: identity in table.view.tagged)
        await go_to(app, app.desk.me)
        await pilot.press("D")
        await until(lambda: app.query_one(DiffPanel).pair == Pair(one, other))


@pytest.mark.parametrize("size", SIZES)
async def test_the_security_pane_follows_the_cursor(size, two):
    one, _ = two
    async with running(size) as (app, pilot):
        await go_to(app, one)
        await pilot.press("8")
        pane = app.query_one(SecurityPanel)
        await until(lambda: app.focused is app.query_one(SecurityList))
        await until(lambda: pane.picture is not None and pane.picture.subject.process == one and pane.picture.found)
        assert pane.picture.subject.parent == app.desk.me
        assert any("mount file systems" in line for line in lines_of(app.query_one(SecurityList)))
        await go_to(app, app.desk.me)
        await until(lambda: pane.picture is not None and pane.picture.subject.process == app.desk.me)


async def test_what_is_hidden_reads_nothing_while_the_machine_is_looked_at():
    async with running((80, 24)) as (app, _pilot):
        panel, pane = app.query_one(DiffPanel), app.query_one(SecurityPanel)
        await until(lambda: panel.looks > 1)
        assert pane.picture is None
        assert not panel.query_one(DiffGrid).lines
        assert os.getpid() == app.desk.me[0]
