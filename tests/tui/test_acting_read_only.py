"""``--read-only``: no act in the table and nothing the launcher can be asked for does anything; one notice says so."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

import pytest
from acted import acting, child, identity_of, look_at, said
from leftovers import Census, processes
from screen import SIZES, until
from textual.widgets import Static

from nsview.tui.acting.actor import READ_ONLY
from nsview.tui.acting.read_only import ReadOnly, ReadOnlyLauncher
from nsview.tui.acting.table import ACTS
from nsview.tui.keys import KEYS
from nsview.tui.launching.launcher import Launcher, LauncherMessage
from nsview.tui.launching.panel import LaunchPanel
from spawner import Spec


def kernels_word(pid: int) -> tuple[object, ...]:
    """All of a process that an act could change."""
    files = ("limits", "oom_score_adj", "cgroup")
    texts = (Path(f"/proc/{pid}/{name}").read_text() for name in files)
    nice, cpus = os.getpriority(os.PRIO_PROCESS, pid), os.sched_getaffinity(pid)
    return *texts, nice, cpus, os.sched_getscheduler(pid), identity_of(pid)


@pytest.mark.parametrize("size", SIZES)
async def test_no_act_does_anything(size: tuple[int, int], nothing_left: Census) -> None:
    with child() as process:
        async with acting(size, read_only=True) as (app, pilot):
            await look_at(app, process.pid)
            before = kernels_word(process.pid)
            assert "READ-ONLY" in str(app.query_one("#header", Static).render())
            for act in ACTS:
                app.action_act(act.name)
                await pilot.pause()
                assert len(app.screen_stack) == 1, act.name
            assert not [worker for worker in app.workers if worker.group == "act"]
            assert [notice.message for notice in app._notifications] == [READ_ONLY]
            assert kernels_word(process.pid) == before
            assert process.poll() is None


async def test_the_keys_of_acts_say_so(nothing_left: Census) -> None:
    with child() as process:
        async with acting(read_only=True) as (app, pilot):
            await look_at(app, process.pid)
            for act in ACTS:
                await pilot.press(act.keys.split(",")[0])
            await said(app, "started with --read-only")
            assert len(app.screen_stack) == 1
            assert process.poll() is None


async def test_nothing_is_launched(nothing_left: Census) -> None:
    async with acting(read_only=True) as (app, pilot):
        before = processes().keys()
        await until(lambda: app.query_one(LaunchPanel).is_mounted)
        app.launcher.launch(Spec(args=("sleep", "1000")))
        await said(app, "started with --read-only")
        await pilot.press("f5")
        for action in ("step", "resume", "close_child"):
            await app.run_action(action)
        await pilot.pause()
        assert not len(app.launches)
        assert processes().keys() == before


def test_every_request_to_the_launcher_is_refused() -> None:
    """Whatever it can be asked for, those things too that are added after this test."""
    told: list[LauncherMessage] = []
    launcher = ReadOnlyLauncher(told.append)
    launcher.start()
    try:
        asked = 0
        for name, method in inspect.getmembers(Launcher, inspect.isfunction):
            if not name.startswith("_") and name not in ("start", "close"):
                needed = [
                    each
                    for each in inspect.signature(method).parameters.values()
                    if each.default is each.empty and each.name != "self"
                ]
                getattr(launcher, name)(*(Spec(args=("sleep", "1000")) if one.name == "spec" else 1 for one in needed))
                asked += 1
        assert asked >= 5
        assert [type(message) for message in told] == [ReadOnly] * asked
        assert not [word for word in processes().values() if "sleep" in word]
    finally:
        launcher.close()


async def test_looking_goes_on(nothing_left: Census) -> None:
    async with acting(read_only=True) as (app, pilot):
        await pilot.press("2")
        await until(lambda: app.panes.pane == "diff")
        await pilot.press("1")
        await until(lambda: app.panes.pane == "tree")
        assert {key.action for key in KEYS} > {f"act('{act.name}')" for act in ACTS}
