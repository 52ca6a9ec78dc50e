"""The timeline on real held children: keys, what is shown after each step, breakpoints, giving up; at three sizes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace

import pytest
from golden import screen_text
from leftovers import Census
from screen import SIZES, until
from textual.widgets import Static
from timeline_app import TimelineApp, at_the_start, container

from nsview.tui.app import NsviewApp
from nsview.tui.diff.panel import DiffPanel
from nsview.tui.launching.launched import Launched
from nsview.tui.processes.table import ProcTable
from nsview.tui.timeline.changes_list import ChangesList
from nsview.tui.timeline.dialogs import StepDetails
from nsview.tui.timeline.launch_view import LaunchView
from nsview.tui.timeline.lines import PhaseLine, State, StepLine
from spawner import Mechanism, Spec, Stdio

pytestmark = pytest.mark.needs("root")


def step_line(app: TimelineApp, condition: Callable[[StepLine], object]) -> int:
    """Where a step is in the list."""
    view = app.grid.view
    assert isinstance(view, LaunchView)
    lines = enumerate(view.lines)
    return next(index for index, line in lines if isinstance(line, StepLine) and condition(line))


def under_cursor(app: TimelineApp) -> object:
    """The line under the cursor."""
    view = app.grid.view
    assert isinstance(view, LaunchView)
    assert app.grid.cursor_line is not None
    return view.lines[app.grid.cursor_line]


async def held(app: TimelineApp, spec: Spec) -> Launched:
    """Launch and hold before the first step."""
    app.desk.launcher.launch(spec, at_the_start)
    await until(lambda: app.desk.launches.front is not None)
    await settled(app, 0)
    return app.front


async def settled(app: TimelineApp, index: int | None) -> None:
    """Wait until the child waits before that step, and that is shown."""
    await until(lambda: app.front.held == index and app.pane._launched is app.front)


def shown_changes(app: TimelineApp) -> str:
    """The title of the changes that are shown, and the first of them."""
    box = app.query_one(ChangesList)
    return "\n".join(strip.text.rstrip() for strip in (box.render_line(y) for y in range(box.size.height)))


@pytest.mark.parametrize("size", SIZES)
async def test_container_is_stepped_from_the_first_to_the_last_step(
    size: tuple[int, int], nothing_left: Census
) -> None:
    app = TimelineApp()
    async with app.run_test(size=size) as pilot:
        launched = await held(app, container())
        told: dict[str, str] = {}
        for index, step in enumerate(launched.plan.steps):
            if step.phase == "exec":
                break
            await pilot.press("s")
            await settled(app, index + 1)
            await pilot.pause()
            line = under_cursor(app)
            assert isinstance(line, StepLine)
            assert (line.index, line.state) == (index, State.DONE)
            following = step_line(app, lambda line: line.state is State.NEXT)
            await until(lambda following=following: app.grid.in_view(following))  # type: ignore[misc]
            assert app.grid.in_view(app.grid.cursor_line or 0)
            told[step.label] = shown_changes(app)
        assert "host name:" in told["sethostname"]
        assert "→ box" in told["sethostname"]
        assert "uid map: none yet → 0→0 ×1" in told["write uid_map"]
        assert "/proc: not mounted → proc" in told["mount proc"]
        assert "addresses:" in told["lo up"]
        assert "Nothing that is read was changed by" in told["read ns/uts"]
        await pilot.press("r")
        await until(lambda: app.front.held is None)
        assert app.front.executed
        await until(lambda: "steps in" in str(app.query_one("#timeline-sum", Static).render()))


async def test_phase_is_done_step_by_step_and_each_is_looked_at(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(120, 40)) as pilot:
        launched = await held(app, container())
        ends = next(index for index, step in enumerate(launched.plan.steps) if step.label == "sethostname")
        await pilot.press("s", "S")
        await settled(app, ends)
        assert [(one.first, one.last) for one in app.front.changes[1:]] == [(i, i) for i in range(ends)]


async def test_cursor_goes_back_to_what_an_earlier_step_changed(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(80, 24)) as pilot:
        launched = await held(app, container())
        after = next(index for index, step in enumerate(launched.plan.steps) if step.label == "sethostname") + 1
        app.desk.launcher.step_to(1, after)
        await settled(app, after)
        await pilot.pause()
        assert "Changed by" in shown_changes(app)
        await pilot.press("C")
        assert isinstance(line := under_cursor(app), StepLine)
        assert line.label == "close gid_map"
        await pilot.press("C")
        await until(lambda: "gid map: none yet → 0→0 ×1" in shown_changes(app))
        await pilot.press("c", "c")
        await until(lambda: "→ box" in shown_changes(app))
        await pilot.press("home", "down")
        await until(lambda: "Other than in nsview since clone3" in shown_changes(app))


async def test_breakpoint_stops_who_runs_on_and_later_launches(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(120, 40)) as pilot:
        launched = await held(app, container())
        at = next(index for index, step in enumerate(launched.plan.steps) if step.label == "mount proc")
        app.grid.go_to(step_line(app, lambda line: line.index == at))
        await pilot.press("b")
        assert "●" in screen_text(app)
        await pilot.press("r")
        await settled(app, at)
        await pilot.press("r")
        await until(lambda: app.front.held is None)
        app.desk.launcher.launch(container(), breakpoints=app.desk.launches.stops)
        await until(lambda: app.front.number == 2)
        assert app.front.held == at
        await pilot.press("B")
        assert "●" not in screen_text(app)
        await pilot.press("r")
        await until(lambda: app.front.held is None)


async def test_breakpoint_for_next_time_can_be_set_on_a_launch_that_is_over(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(120, 40)) as pilot:
        app.desk.launcher.launch(Spec(args=("true",), stdio=Stdio.NULL))
        await until(lambda: app.desk.launches.front is not None and app.front.exit is not None)
        await settled(app, None)
        app.grid.go_to(step_line(app, lambda line: line.label == "dup stdin"))
        await pilot.press("h")
        app.desk.launcher.launch(Spec(args=("true",), stdio=Stdio.NULL), breakpoints=app.desk.launches.stops)
        await until(lambda: app.front.number == 2)
        assert app.front.held is not None
        assert app.front.plan.steps[app.front.held].label == "dup stdin"


async def test_what_is_no_step_of_the_child_takes_no_breakpoint(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await held(app, container())
        app.grid.go_to(step_line(app, lambda line: line.index is None))
        await pilot.press("b")
        assert not app.desk.launches.breakpoints


async def test_giving_up_ends_the_child_and_shows_where(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await held(app, container())
        await pilot.press("s")
        await settled(app, 1)
        await pilot.press("x")
        await until(lambda: app.front.exit is not None)
        await until(lambda: "given up before" in screen_text(app))
        assert "✝" in screen_text(app)
        assert not os.path.exists(f"/proc/{app.front.pid}")


async def test_held_child_killed_from_elsewhere_is_shown_so(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(80, 24)) as pilot:
        launched = await held(app, container())
        os.kill(launched.pid, signal.SIGKILL)
        await until(lambda: "killed by SIGKILL while it waited before" in screen_text(app))
        assert "✝" in screen_text(app)
        assert "▶" not in screen_text(app)
        await pilot.press("s", "S", "r", "x")


async def test_step_that_fails_is_marked_and_explained(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await held(app, Spec(args=("/nonexistent/program",), stdio=Stdio.NULL))
        await pilot.press("r")
        await until(lambda: app.front.trouble is not None)
        await until(lambda: "failed at execve" in screen_text(app))
        assert "✗" in screen_text(app)
        line = under_cursor(app)
        assert isinstance(line, StepLine)
        assert line.state is State.FAILED
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, StepDetails))
        await until(lambda: "ENOENT 2: No such file or directory" in screen_text(app))


async def test_phases_fold_one_by_one_and_all_at_once(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await held(app, container())
        view = app.grid.view
        assert isinstance(view, LaunchView)
        everything = view.count
        app.grid.go_to(next(i for i, line in enumerate(view.lines) if isinstance(line, PhaseLine) and line.steps > 1))
        await pilot.press("enter")
        assert app.grid.view.count < everything
        await pilot.press("enter")
        assert app.grid.view.count == everything
        await pilot.press("f")
        assert isinstance(app.grid.view, LaunchView)
        assert all(isinstance(line, PhaseLine) for line in app.grid.view.lines)
        await pilot.press("f")
        assert app.grid.view.count == everything


async def test_slowest_is_found_and_all_can_be_put_in_its_order(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(120, 40)) as pilot:
        app.desk.launcher.launch(Spec(args=("true",), stdio=Stdio.NULL, via=Mechanism.CLONE))
        await until(lambda: app.desk.launches.front is not None and app.front.exit is not None)
        await settled(app, None)
        slowest = max(app.front.timeline, key=lambda event: event.duration_ns or 0)
        await pilot.press("home", "m")
        line = under_cursor(app)
        assert isinstance(line, StepLine)
        assert line.event == slowest
        await pilot.press("o")
        view = app.grid.view
        assert isinstance(view, LaunchView)
        took = [line.took for line in view.lines if isinstance(line, StepLine)]
        assert len(took) == view.count == len(app.front.timeline)
        known = [ns for ns in took if ns is not None]
        assert known == sorted(known, reverse=True)
        await pilot.press("o")
        assert isinstance(app.grid.view, LaunchView)
        assert isinstance(app.grid.view.lines[0], PhaseLine)


async def test_reasons_of_a_change_are_told_where_the_keys_go_to_the_list_of_changes(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await held(app, container())
        await pilot.press("home", "down")
        await until(lambda: "since clone3" in shown_changes(app))
        await pilot.press("tab", "down", "enter")
        await until(lambda: isinstance(app.screen, StepDetails))
        await until(lambda: "NSpid" in screen_text(app))


async def test_child_that_forks_again_is_followed_by_tree_and_difference(nothing_left: Census) -> None:
    app = NsviewApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: app.desk.frame is not None)
        spec = container(via=Mechanism.FORK_UNSHARE, namespaces=frozenset({"pid", "user"}), hostname=None)
        app.launcher.launch(replace(spec, mount_proc=None), at_the_start)
        await until(lambda: app.launches.front is not None)
        first = app.launches.front
        assert first is not None
        fork = next(index for index, step in enumerate(first.plan.steps) if step.label == "second fork")
        app.launcher.step_to(1, fork + 1)
        await until(lambda: app.launches[1].held == fork + 1)
        now = app.launches[1]
        assert now.identity != first.identity
        await until(lambda: app.query_one(DiffPanel).pair is not None)
        await until(lambda: app.query_one(DiffPanel).pair.child == now.identity)  # type: ignore[union-attr]
        await until(lambda: app.query_one(ProcTable).highlighted == now.identity)
        await pilot.press("x")
        await until(lambda: app.launches[1].exit is not None)


@pytest.mark.parametrize("size", SIZES)
async def test_key_launches_and_stops_before_the_first_step(size: tuple[int, int], nothing_left: Census) -> None:
    app = NsviewApp()
    async with app.run_test(size=size) as pilot:
        await until(lambda: app.desk.frame is not None)
        await pilot.press("f6")
        await until(lambda: app.launches.front is not None)
        assert app.launches.front is not None
        assert app.launches.front.held == 0
        await until(lambda: app.panes.pane == "timeline")
        await pilot.press("s")
        await until(lambda: app.launches[1].held == 1)
        await pilot.press("x")
        await until(lambda: app.launches[1].aborted)
        await pilot.press("f5")
        await until(lambda: 2 in app.launches)
        assert app.launches[2].held is None, "only the launch that was asked to stop does"
