"""A fork bomb held by a pids limit, and a child that the kernel ends for want of memory: the UI is right about both."""

from __future__ import annotations

import signal
import sys
from functools import partial
from pathlib import Path

import pytest
from acted import acting, has_ended, identity_of, look_at, said, sure
from leftovers import Census
from screen import until

from nsview.host.model import Identity
from nsview.tui.app import NsviewApp
from nsview.tui.launching.wording import condition, launch_ending
from nsview.tui.processes.table import ProcTable
from nsview.tui.terminal.children_bar import ChildrenBar
from spawner import Spec, Stdio, oci
from spawner.cgroups.hierarchies import hierarchies

_LIMIT = 40
_BOMB = """
import os, time
while True:
    try:
        os.fork()
    except BlockingIOError:
        time.sleep(0.01)
"""
"""It never gives up: each process of it forks whenever the limit lets it."""

_WHEN_TOLD = """
import os, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
"""
_GREEDY = "kept = [b'x' * (1 << 20) for _ in range(1 << 10)]"


def pids_directory(group: str) -> Path:
    """Where the pids controller counts the group of a process, from /proc/PID/cgroup."""
    for each in hierarchies():
        if "pids" in each.controllers:
            line = next(line for line in group.splitlines() if line.split(":")[1] == each.key)
            return Path(each.mount, line.split(":", 2)[2].lstrip("/"))
    raise AssertionError("no pids controller")


def _is_in_front(app: NsviewApp, pane: str) -> bool:
    return app.panes.pane == pane


@pytest.mark.needs("root", "pids_controller")
async def test_a_fork_bomb_is_held_by_its_limit_looked_at_and_ended_with_its_cgroup(nothing_left: Census) -> None:
    spec = Spec(
        args=(sys.executable, "-S", "-c", _BOMB),
        cgroup=oci.Cgroup(resources=oci.Resources(pids=_LIMIT)),
        stdio=Stdio.NULL,
        new_session=True,
    )
    async with acting() as (app, pilot):
        app.launcher.launch(spec)
        await until(lambda: len(app.launches) == 1)
        (launched,) = app.launches
        group = pids_directory(Path(f"/proc/{launched.pid}/cgroup").read_text())
        await until(lambda: (group / "pids.current").read_text() == f"{_LIMIT}\n")
        await until(lambda: "max 0" not in (group / "pids.events").read_text())

        # While it goes on the screen does what it is asked to, and shows all of it.
        table = app.query_one(ProcTable)
        members = [int(pid) for pid in (group / "cgroup.procs").read_text().split()]
        await until(lambda: all(table.rows.record_of(identity_of(pid)) for pid in members[:5]))
        for key, pane in (("2", "diff"), ("6", "timeline"), ("1", "tree")):
            await pilot.press(key)
            await until(partial(_is_in_front, app, pane))
        await look_at(app, launched.pid)
        await pilot.press("ctrl+g")
        question = await sure(app)
        assert f"{_LIMIT} processes" in str(question.query_one(".who").render())
        await pilot.press("right", "enter")
        await said(app, f"Killed {_LIMIT} of {_LIMIT} processes of cgroup")
        await until(lambda: app.launches[1].exit)
        assert launch_ending(app.launches[1]) == "killed by SIGKILL"
        assert all(map(has_ended, members))
        await until(lambda: not group.exists())


@pytest.mark.needs("root", "memory_controller")
async def test_a_child_that_is_ended_for_want_of_memory_is_said_to_be(tmp_path: Path, nothing_left: Census) -> None:
    told = tmp_path / "now"
    spec = Spec(
        args=(sys.executable, "-S", "-c", _WHEN_TOLD + _GREEDY, str(told)),
        cgroup=oci.Cgroup(resources=oci.Resources(memory=24 << 20)),
        stdio=Stdio.NULL,
        new_session=True,
    )
    async with acting() as (app, _pilot):
        app.launcher.launch(spec)
        await until(lambda: len(app.launches) == 1)
        await look_at(app, app.launches[1].pid)
        told.touch()
        await until(lambda: app.launches[1].exit)
        launched = app.launches[1]
        assert launched.exit is not None
        assert launched.exit.signal == signal.SIGKILL
        assert launched.oom_kills == 1
        assert condition(launched) == launch_ending(launched) == "OOM-killed (SIGKILL)"
        await said(app, f"{launched.pid} {launched.title} OOM-killed")
        await until(lambda: "OOM-killed" in str(app.query_one(ChildrenBar).render()))
        table = app.query_one(ProcTable)
        await until(lambda: _exit_of(table, launched.identity) == "OOM-killed (SIGKILL)")


def _exit_of(table: ProcTable, identity: Identity) -> str | None:
    line = table.rows.line_of(identity)
    return None if line is None else table.rows[line].exit


@pytest.mark.needs("root", "memory_controller")
async def test_the_same_signal_from_a_person_is_not_said_to_be_for_want_of_memory(nothing_left: Census) -> None:
    spec = Spec(
        args=("sleep", "1000"),
        cgroup=oci.Cgroup(resources=oci.Resources(memory=24 << 20)),
        stdio=Stdio.NULL,
        new_session=True,
    )
    async with acting() as (app, _pilot):
        app.launcher.launch(spec)
        await until(lambda: len(app.launches) == 1)
        app.launcher.signal(1, signal.SIGKILL)
        await until(lambda: app.launches[1].exit)
        assert launch_ending(app.launches[1]) == "killed by SIGKILL"


@pytest.mark.needs("root", "memory_controller")
async def test_who_goes_on_after_its_child_was_ended_for_want_of_memory_says_so(nothing_left: Census) -> None:
    spec = Spec(
        args=("sh", "-c", f'{sys.executable} -S -c "{_GREEDY}"; exit 7'),
        cgroup=oci.Cgroup(resources=oci.Resources(memory=24 << 20)),
        stdio=Stdio.NULL,
        new_session=True,
    )
    async with acting() as (app, _pilot):
        app.launcher.launch(spec)
        await until(lambda: len(app.launches) == 1 and app.launches[1].exit)
        assert launch_ending(app.launches[1]) == "exited 7, 1 OOM-killed in its cgroup"
