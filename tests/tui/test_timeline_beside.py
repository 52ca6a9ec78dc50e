"""Two launches side by side: matching, medians, words; and real launches by fork and clone."""

from __future__ import annotations

import signal

import pytest
from golden import assert_golden, screen_text
from leftovers import Census
from made_up_launch import TOOK, events, launched
from screen import SIZES, until
from textual.widgets import OptionList
from timeline_app import TimelineApp, container

from nsview.tui.launching.launched import Run
from nsview.tui.launching.launcher import Tried
from nsview.tui.timeline import trials
from nsview.tui.timeline.beside import (
    Measure,
    PairLine,
    Side,
    all_steps,
    compared,
    measure,
    returned,
    side_of,
    until_exec,
)
from nsview.tui.timeline.beside_view import BesideView, explained, signed, spread, times
from nsview.tui.timeline.dialogs import LaunchChoice, MechanismChoice, obstacle
from spawner import Mechanism, Spec, Stdio
from spawner.oci import Cgroup, Keep

FORK = Side("fork", (Run(events(7, Mechanism.FORK, birth=1_000_000), 900_000),))
CLONE = Side("clone", (Run(events(7, Mechanism.CLONE, birth=50_000), 120_000),))


def by_label(lines: tuple[PairLine, ...]) -> dict[str, PairLine]:
    """Lines by their labels."""
    return {line.label: line for line in lines}


# Values.


def test_steps_are_matched_by_label_and_the_call_that_makes_the_child_whatever_it_is() -> None:
    lines = by_label(compared(FORK, CLONE))
    birth = lines["fork | clone"]
    assert (birth.difference, birth.ratio) == (-950_000, 0.05)
    assert lines["mount /proc"].difference == 0
    assert lines["execve"].one == lines["execve"].two == Measure(TOOK[6], TOOK[6], TOOK[6], 1)


def test_steps_of_the_same_label_are_matched_in_their_order() -> None:
    birth, first, *_ = events(2)
    again = first.__class__(5, first.label, first.phase, first.text, 500_000, 600_000, 0)
    one, two = (Side("", (Run((birth, *steps), None),)) for steps in ((first, again), (first,)))
    lines = [line for line in compared(one, two) if line.label == first.label]
    assert [(line.one is None, line.two is None) for line in lines] == [(False, False), (False, True)]


def test_what_only_the_second_has_stands_behind_what_it_comes_after_there() -> None:
    birth, *steps = events(7)
    one = Side("", (Run((birth, *steps[:1], *steps[3:]), None),))
    lines = [line.label for line in compared(one, Side("", (Run((birth, *steps), None),))) if not line.total]
    assert lines == [birth.label, *(step.label for step in steps)]


def test_many_runs_come_to_a_median_and_the_middle_half() -> None:
    assert measure([5, 1, 9, 3, 7]) == Measure(5, 3, 7, 5)
    assert measure([4]) == Measure(4, 4, 4, 1)
    assert measure([]) is None
    runs = tuple(Run(events(7, birth=birth), 200_000) for birth in (100_000, 300_000, 200_000))
    birth = by_label(compared(Side("", runs), CLONE))["clone3 | clone"].one
    assert birth is not None
    assert birth.median == 200_000


def test_sums_are_of_all_steps_and_from_the_call_on() -> None:
    run = FORK.runs[0]
    assert all_steps(run) == 1_000_000 + sum(TOOK)
    assert returned(run) == 800_000
    assert until_exec(run) == 1_000_000 + sum(TOOK)
    sums = by_label(compared(FORK, CLONE))
    assert [line.label for line in compared(FORK, CLONE)][:3] == ["all steps", "parent goes on", "program runs"]
    assert sums["program runs"].difference == -950_000


def test_until_exec_is_not_told_of_a_child_that_was_held_and_unknown_where_nobody_saw_it() -> None:
    held = Side("held", FORK.runs, held=True)
    assert by_label(compared(held, CLONE))["program runs"].one is None
    assert by_label(compared(held, CLONE))["all steps"].one is not None
    assert until_exec(Run(events(3), 1)) is None
    assert returned(Run((), None)) is None


def test_posix_spawn_returns_when_the_program_runs() -> None:
    (birth,) = events(0, Mechanism.POSIX_SPAWN, birth=2_000_000)
    assert until_exec(Run((birth,), 2_150_000)) == 2_000_000


def test_differences_and_ratios_are_worded() -> None:
    assert [signed(ns) for ns in (None, 0, 1500, -2_000_000)] == ["", "0 ns", "+1.50 µs", "−2.00 ms"]
    assert [times(ratio) for ratio in (None, 0.05, 12, 164, 1e6)] == ["", "×0.05", "×12.00", "×164", "×>10⁵"]
    assert spread(Measure(5000, 4000, 6000, 20)) == "5.00 µs (half of 20: 4.00 µs to 6.00 µs)"
    only = PairLine("setsid", "session", Measure(5, 5, 5, 1), None)
    assert explained(only).endswith("A 5 ns · only A has this step")


@pytest.mark.parametrize("width", [48, 60, 78, 196])
def test_lines_are_no_wider_than_there_is_room(width: int) -> None:
    view = BesideView(compared(FORK, CLONE))
    for pieces in (view.header(width), *(view.line(index, width) for index in range(view.count))):
        assert sum(len(text) for text, _look in pieces) <= width


def test_probe_is_the_same_launch_of_a_program_that_does_nothing() -> None:
    spec = container(argv0="init")
    probe = trials.probe_of(spec)
    assert probe.args == ("true",)
    assert probe.argv0 is None
    assert (probe.namespaces, probe.hostname, probe.stdio) == (spec.namespaces, spec.hostname, spec.stdio)


def test_what_only_one_launch_can_have_is_not_launched_many_times() -> None:
    assert trials.obstacle(container()) == ""
    assert "keeps" in trials.obstacle(container(keep=(Keep("uts", "/run/nsview-test"),)))
    assert "cgroup" in trials.obstacle(container(cgroup=Cgroup(name="mine"))).replace("control group", "cgroup")
    assert trials.obstacle(container(cgroup=Cgroup())) == ""


def test_call_that_cannot_launch_it_is_offered_with_its_reason() -> None:
    assert "fork cannot make namespaces" in obstacle(container(via=Mechanism.FORK))
    assert obstacle(container(via=Mechanism.FORK_UNSHARE)) == ""


# Panes.


@pytest.mark.parametrize("size", SIZES)
async def test_fork_beside_clone_looks_as_kept(size: tuple[int, int]) -> None:
    app = TimelineApp()
    async with app.run_test(size=size) as pilot:
        slow, fast = events(7, Mechanism.FORK, birth=1_000_000), events(6, Mechanism.CLONE, birth=50_000)
        app.put(launched(7, mechanism=Mechanism.FORK, timeline=slow, returned_ns=900_000))
        app.put(launched(7, 2, mechanism=Mechanism.CLONE, timeline=fast, returned_ns=120_000, held=None, beside=1))
        await pilot.pause()
        assert_golden(app, "timeline-beside")


async def test_medians_look_as_kept(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.put(launched(7, mechanism=Mechanism.FORK))
        await pilot.pause()
        app.desk.launcher.try_out = lambda specs, count, tell: None  # type: ignore[method-assign]
        await pilot.press("M")
        app.pane.post_message(Tried(20, (tuple(Run(events(7), 180_000 + i) for i in range(7)),)))
        await until(lambda: "7 of 20" in screen_text(app))
        app.pane.post_message(Tried(20, (tuple(Run(events(7), 180_000 + i * 1000) for i in range(20)),)))
        await until(lambda: "median of 20" in screen_text(app))
        await pilot.pause()
        assert_golden(app, "timeline-medians")


async def shown(app: TimelineApp, number: int) -> None:
    """Wait until a launch is in front, and shown."""
    await until(lambda: app.desk.launches.chosen == number and app.pane._launched is app.desk.launches.front)


@pytest.mark.parametrize("size", SIZES)
async def test_launch_is_made_again_by_another_call_and_compared(size: tuple[int, int], nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=size) as pilot:
        spec = Spec(args=("sleep", "1000"), stdio=Stdio.PTY, pdeathsig=signal.SIGKILL, via=Mechanism.FORK)
        app.desk.launcher.launch(spec)
        await shown(app, 1)
        await pilot.press("V")
        await until(lambda: isinstance(app.screen, MechanismChoice))
        options = app.screen.query_one(OptionList)
        assert options.get_option("posix_spawn").disabled
        options.highlighted = options.get_option_index("clone")
        await pilot.press("enter")
        await shown(app, 2)
        assert app.front.spec.args == spec.args
        assert app.front.plan.mechanism is Mechanism.CLONE
        assert app.front.beside == 1
        view = app.grid.view
        assert isinstance(view, BesideView)
        lines = by_label(tuple(view.lines))
        assert "fork | clone" in lines
        assert all(line.one is not None and line.two is not None for line in view.lines)
        one, two = (app.desk.launches[number] for number in (1, 2))
        births = [side.timeline[0].duration_ns or 0 for side in (one, two)]
        assert lines["fork | clone"].difference == births[1] - births[0]
        await pilot.press("escape")
        await until(lambda: not isinstance(app.grid.view, BesideView))


@pytest.mark.needs("root")
async def test_old_way_beside_one_call_shows_what_only_one_of_them_does(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(120, 40)) as pilot:
        app.desk.launcher.launch(container())
        await shown(app, 1)
        app.desk.launcher.launch(container(via=Mechanism.FORK_UNSHARE))
        await shown(app, 2)
        await pilot.press("v")
        await until(lambda: isinstance(app.grid.view, BesideView))
        view = app.grid.view
        assert isinstance(view, BesideView)
        lines = by_label(tuple(view.lines))
        assert lines["unshare"].two is None
        assert lines["unshare"].one is not None
        assert "only A" in screen_text(app)


async def test_third_launch_asks_which_to_compare_with(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("v", "V", "M")
        for number, via in enumerate((Mechanism.FORK, Mechanism.VFORK, Mechanism.CLONE), 1):
            app.desk.launcher.launch(
                container(
                    args=("true",),
                    namespaces=frozenset(),
                    hostname=None,
                    via=via,
                    uid_mappings=(),
                    gid_mappings=(),
                    mount_proc=None,
                )
            )
            await shown(app, number)
        await pilot.press("v")
        await until(lambda: isinstance(app.screen, LaunchChoice))
        await pilot.press("down", "enter")
        await until(lambda: isinstance(app.grid.view, BesideView))
        sides = app.pane._sides()
        assert sides is not None
        assert [side.name.split()[-1] for side in sides] == ["clone", "vfork"]
        assert sides[1] == side_of(app.desk.launches[2])


async def test_only_launch_has_nothing_to_be_compared_with_and_says_what_to_do(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.desk.launcher.launch(Spec(args=("true",), stdio=Stdio.NULL))
        await shown(app, 1)
        await pilot.press("v")
        await until(lambda: "no other launch: V" in screen_text(app))


async def test_medians_of_both_are_of_real_launches(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(120, 40)) as pilot:
        for number, via in enumerate((Mechanism.FORK, Mechanism.CLONE), 1):
            app.desk.launcher.launch(Spec(args=("sleep", "1000"), stdio=Stdio.NULL, via=via))
            await shown(app, number)
        await pilot.press("v", "M")
        await until(lambda: app.pane._trial is not None and app.pane._sides() is not None)
        sides = app.pane._sides()
        assert sides is not None
        assert [(side.name, len(side.runs)) for side in sides] == [
            ("median of 20 clone", 20),
            ("median of 20 fork", 20),
        ]
        assert all(run.timeline[-1].text.startswith("execve") for side in sides for run in side.runs)
        assert all('["true"]' in run.timeline[-1].text for side in sides for run in side.runs)
        assert len(app.desk.launches) == 2
        await pilot.press("escape")
        await until(lambda: not isinstance(app.grid.view, BesideView))


async def test_medians_that_cannot_be_had_are_refused_with_the_reason(nothing_left: Census) -> None:
    app = TimelineApp()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        app.put(launched(7, spec=container(cgroup=Cgroup(name="mine"))))
        await pilot.pause()
        await pilot.press("M")
        await until(lambda: "it names its" in screen_text(app))
        app.put(launched(7, 2, spec=Spec(args=("x",), env=(("PATH", "/nonexistent"),), stdio=Stdio.NULL)))
        await pilot.pause()
        await pilot.press("M")
        await until(lambda: "Launching again failed" in screen_text(app))
