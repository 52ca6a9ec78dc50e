"""The timeline's values: bars from nanoseconds, lines from a launch, phases, words; and panes of made-up launches."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest
from golden import assert_golden
from made_up_launch import ACTION, STEPS, TOOK, events, launched, plan
from screen import SIZES
from timeline_app import TimelineApp

from nsview.host.difference import DiffRow
from nsview.tui.launching.held_facts import Changes
from nsview.tui.launching.holding import Mark, mark_of, places
from nsview.tui.launching.launches import Launches
from nsview.tui.timeline.launch_view import LaunchView
from nsview.tui.timeline.lines import PhaseLine, State, StepLine, by_duration, end_of_phase, grouped, steps_of
from nsview.tui.timeline.waterfall import bars, duration
from nsview.tui.timeline.words import (
    change_words,
    changes_title,
    details,
    manual,
    result_word,
    steps_worded,
    sums,
    traced,
    unknown_words,
    why,
    wrapped,
)
from spawner import Event, Exit, LaunchError


def event(start: int, took: int | None, label: str = "step") -> Event:
    """A step that began at ``start`` ns and took ``took``."""
    return Event(0, label, "phase", f"{label}()", start, None if took is None else start + took, 0)


def row(attribute: str, before: str | None, after: str | None, delta: str | None = None) -> DiffRow:
    """A change of an attribute."""
    return DiffRow("system", attribute, before, after, delta, "a reason", "a file", None)


# Bars and times.


def test_bars_are_in_proportion() -> None:
    first, second = bars([event(0, 3000), event(3000, 1000)], 40)
    assert (first.start, first.length) == (0, 30)
    assert (second.start, second.length) == (30, 10)


def test_every_step_has_at_least_a_cell_within_the_axis() -> None:
    laid = bars([event(at, 1) for at in range(100)] + [event(100, 1_000_000)], 10)
    assert all(bar.length >= 1 and 0 <= bar.start < 10 and bar.start + bar.length <= 10 for bar in laid)


def test_long_pause_is_drawn_short_and_told() -> None:
    first, second = bars([event(0, 1000), event(60_000_000_000, 1000)], 50)
    assert second.start - (first.start + first.length) < 6
    assert second.waited_ns > 59_000_000_000


def test_pauses_of_our_own_making_take_no_room() -> None:
    first, second = bars([event(0, 1000), event(60_000_000_000, 1000)], 50, wait_most=0)
    assert (first.start, first.length, second.start, second.length) == (0, 25, 25, 25)


def test_step_without_an_end_takes_no_room_and_its_time_is_unknown() -> None:
    (bar,) = bars([event(0, None)], 10)
    assert bar.length == 1
    assert duration(None) == "?"


def test_no_events_or_no_room_give_no_bars() -> None:
    assert bars([], 10) == ()
    assert bars([event(0, 1)], 0) == ()


def test_durations_have_three_figures_and_a_unit() -> None:
    worded = [duration(ns) for ns in (0, 999, 1000, 12_345, 999_499, 999_600, 4_560_000, 1_200_000_000, 10**12)]
    assert worded == ["0 ns", "999 ns", "1.00 µs", "12.3 µs", "999 µs", "1.00 ms", "4.56 ms", "1.20 s", "1000 s"]


# Lines.


def test_of_a_launch_that_runs_its_program_only_what_was_done_is_listed() -> None:
    steps = steps_of(launched(7))
    assert [step.label for step in steps] == ["clone3", *(step.label for step in STEPS)]
    assert all(step.state is State.DONE for step in steps)
    assert [step.took for step in steps[1:]] == [*TOOK]


def test_of_a_held_child_the_next_step_and_those_to_come_are_listed_too() -> None:
    steps = steps_of(launched(3))
    assert [step.state for step in steps] == [State.DONE] * 4 + [State.NEXT] + [State.TO_COME] * 3
    assert [step.index for step in steps] == [None, 0, 1, 2, 3, 4, 5, 6]
    assert steps[4].label == "sethostname"
    assert steps[4].took is None


def test_what_the_parent_will_do_stands_before_the_step_it_comes_before() -> None:
    steps = steps_of(launched(2, plan=plan(actions=(ACTION,))))
    labels = [step.label for step in steps]
    assert labels.index("move link") == labels.index("mount /proc") - 1
    assert next(step for step in steps if step.label == "move link").state is State.TO_COME


def test_what_the_parent_has_done_is_not_listed_twice() -> None:
    timeline = (*events(5), Event(None, "move link", "network", "move", 400_000, 401_000, 0))
    steps = steps_of(launched(5, plan=plan(actions=(ACTION,)), timeline=timeline))
    assert [step.label for step in steps].count("move link") == 1


def test_step_that_was_passed_over_stands_in_its_place_and_is_never_done() -> None:
    timeline = tuple(one for one in events(4) if one.index != 2)
    steps = steps_of(launched(4, timeline=timeline))
    assert [(step.index, step.state) for step in steps[2:5]] == [
        (1, State.DONE),
        (2, State.NEVER),
        (3, State.DONE),
    ]


def test_of_a_child_that_died_while_held_the_place_is_marked_and_the_rest_never_done() -> None:
    end = Exit(None, 9, False, None)
    steps = steps_of(launched(4, held=None, exit=end, ended_before=4))
    assert [step.state for step in steps[5:]] == [State.DIED, State.NEVER, State.NEVER]


def test_refused_call_that_the_plan_goes_on_after_is_told_from_the_one_it_failed_at() -> None:
    gone_on = steps_of(launched(6, timeline=events(6, refused={4: -errno.EBUSY})))
    assert gone_on[5].state is State.REFUSED
    end: dict[str, Any] = {"held": None, "exit": Exit(None, None, False, None), "ended_before": 4}
    failed = steps_of(launched(5, timeline=events(5, refused={4: -errno.EPERM}), **end))
    assert failed[5].state is State.FAILED


def test_phases_head_their_steps_with_sums() -> None:
    lines = grouped(steps_of(launched(4)))
    headings = [line for line in lines if isinstance(line, PhaseLine)]
    assert [(line.phase, line.done, line.steps) for line in headings] == [
        ("birth", 1, 1),
        ("ids", 3, 3),
        ("system", 1, 1),
        ("mounts", 0, 1),
        ("signals", 0, 1),
        ("exec", 0, 1),
    ]
    assert headings[1].took == sum(TOOK[:3])
    assert len(lines) == 6 + 1 + len(STEPS)


def test_folded_phase_keeps_its_heading_and_shows_that_the_child_waits_in_it() -> None:
    steps = steps_of(launched(1))
    lines = grouped(steps, frozenset({("phase", "ids", 0)}))
    heading = next(line for line in lines if isinstance(line, PhaseLine) and line.phase == "ids")
    assert (heading.folded, heading.state, heading.done) == (True, State.NEXT, 1)
    assert not any(isinstance(line, StepLine) and line.phase == "ids" for line in lines)


def test_slowest_first_and_what_has_no_time_last() -> None:
    steps = by_duration(steps_of(launched(5)))
    took = [step.took for step in steps]
    known = [ns for ns in took if ns is not None]
    assert known == sorted(known, reverse=True)
    assert took[len(known) :] == [None] * 2


def test_end_of_a_phase_is_the_first_step_of_the_next() -> None:
    assert end_of_phase(plan(), 0) == 3
    assert end_of_phase(plan(), 3) == 4
    assert end_of_phase(plan(), 6) == 7


def test_what_was_seen_to_change_stands_at_the_last_step_done_before_it_was_seen() -> None:
    seen = (
        Changes(0, -1, birth=True, rows=(row("a", "1", "2"),)),
        Changes(0, 2, rows=(row("b", "1", "2"), row("c", "1", "2"))),
        Changes(3, 3, unread="it had ended before it could be read"),
    )
    timeline = tuple(one for one in events(4) if one.index != 2)
    steps = {step.label: step for step in steps_of(launched(4, timeline=timeline, changes=seen))}
    assert steps["clone3"].changed == 1
    assert (steps["open uid_map"].changed, steps["write uid_map"].changed) == (None, 2)
    assert (steps["sethostname"].changed, steps["sethostname"].unread) == (None, True)


# Breakpoints.


def test_breakpoint_is_found_in_another_plan_by_label_and_count() -> None:
    assert mark_of(plan(), 3) == Mark("sethostname", 0)
    assert places(plan(), frozenset({Mark("sethostname"), Mark("execve"), Mark("not there")})) == (3, 6)


def test_held_child_stops_next_at_the_nearest_breakpoint_or_its_goal() -> None:
    launches = Launches()
    held = launched(2, goal=6)
    assert launches.next_stop(held) == 6
    assert launches.toggle_breakpoint(held.plan, 4)
    assert launches.next_stop(held) == 4
    assert launches.stops is not None
    assert launches.stops(plan()) == (4,)
    assert not launches.toggle_breakpoint(held.plan, 4)
    assert launches.stops is None
    assert launches.next_stop(launched(6, goal=6)) is None
    assert launches.next_stop(launched(7)) is None


# Words.


def test_results_are_worded_as_strace_does() -> None:
    assert result_word(None) == "?"
    assert result_word(3) == "3"
    assert result_word(-errno.EPERM) == f"-1 EPERM ({os.strerror(errno.EPERM)})"
    assert result_word(-4000).startswith("-1 4000")


def test_man_page_is_that_of_the_call() -> None:
    steps = steps_of(launched(7))
    pages = {step.label: manual(step, plan()) for step in steps}
    assert pages["clone3"] == "man 2 clone3"
    assert pages["mount /proc"] == "man 2 mount"
    assert pages["signal mask"] == "man 2 sigprocmask"


def test_why_comes_from_the_plan_and_says_how_a_step_stands() -> None:
    steps = {step.label: step for step in steps_of(launched(3))}
    assert why(steps["sethostname"], plan()) == (
        "the child waits before this step; its own name, in its own uts namespace"
    )
    assert why(steps["execve"], plan()) == "not done yet"
    assert "inside its new namespaces" in why(steps["clone3"], plan())
    assert traced(steps["sethostname"]) == 'sethostname("box", 3)'
    assert traced(steps["close uid_map"]) == "close(#0) = 0"


def test_details_tell_errno_cause_file_and_conditions() -> None:
    error = LaunchError("mount /proc", index=4, errno=errno.EPERM, cause="proc is masked", remedy="new pid namespace")
    one = launched(
        5,
        held=None,
        exit=Exit(None, None, False, None),
        ended_before=4,
        trouble=error,
        timeline=events(5, refused={4: -errno.EPERM}),
    )
    steps = {step.label: step for step in steps_of(one)}
    told = dict(details(steps["mount /proc"], one))
    assert told["errno"] == f"EPERM 1: {os.strerror(errno.EPERM)}"
    assert (told["cause"], told["remedy"], told["file"]) == ("proc is masked", "new pid namespace", "/proc")
    assert told["goes on"] == "also after EBUSY"
    assert told["manual"] == "man 2 mount"
    assert dict(details(steps["close uid_map"], one))["only if"] == "step 0 open uid_map succeeded"


def test_sums_tell_when_the_parent_was_back_and_the_program_ran() -> None:
    told = sums(launched(7))
    assert "clone3" in told
    assert "8 steps in 728 µs" in told
    assert "parent back after 80.0 µs" in told
    assert "exec after 628 µs" in told


def test_sums_of_a_held_child_say_where_it_waits_and_of_a_dead_one_where_it_died() -> None:
    assert sums(launched(3))[0] == "held before sethostname"
    end: dict[str, Any] = {"held": None, "exit": Exit(None, 9, False, None), "ended_before": 3}
    assert sums(launched(3, **end))[0] == "killed by SIGKILL while it waited before sethostname"
    assert sums(launched(3, aborted=True, **end))[0] == "given up before sethostname"


def test_times_with_our_pauses_in_them_are_called_so() -> None:
    told = sums(launched(7, changes=(Changes(0, 6, rows=()),)))
    assert "exec after 628 µs with pauses" in told


def test_sums_are_wrapped_at_their_dots_and_the_least_telling_left_out() -> None:
    assert wrapped(["one", "two", "three"], 9, 2) == "one · two\nthree"
    assert wrapped(["one", "two", "three"], 9, 1) == "one · two"
    assert wrapped([], 9, 2) == ""


def test_changes_are_worded_with_who_did_them_and_unknown_is_a_question_mark() -> None:
    assert change_words(row("host name", "vm", "box")) == "host name: vm → box"
    assert change_words(row("caps effective", "3f", "21", "−CHOWN")) == "caps effective: −CHOWN  3f → 21"
    assert change_words(row("host name", None, "a\nb")) == "host name: ? → a\\nb"
    assert steps_worded(Changes(3, 3), plan()) == "3 sethostname"
    assert steps_worded(Changes(0, 2, birth=True), plan()) == "clone3 and steps 0–2"
    acts = Changes(3, 3, acts=("move link",))
    assert steps_worded(acts, plan()) == "3 sethostname and move link of the parent"
    assert changes_title(Changes(3, 3), plan()) == "Nothing that is read was changed by 3 sethostname"
    assert changes_title(Changes(3, 3, unread="gone"), plan()) == "What 3 sethostname changed is unknown: gone"
    assert unknown_words(Changes(3, 3)) == ""
    assert unknown_words(Changes(3, 3, unknown=("host name", "a\nb"))) == "? not told: host name, a\\nb"
    alone = Changes(0, -1, birth=True, rows=(row("a", "1", "2"),))
    assert changes_title(alone, plan()) == "Other than in nsview since clone3 (1)"


@pytest.mark.parametrize("width", [40, 48, 60, 78, 196])
def test_lines_are_no_wider_than_there_is_room(width: int) -> None:
    one = launched(4, changes=(Changes(0, 3, birth=True, rows=(row("a", "1", "2"),)),))
    view = LaunchView(grouped(steps_of(one, (5,))), one.timeline, one.was_held)
    for pieces in (view.header(width), *(view.line(index, width) for index in range(view.count))):
        assert sum(len(text) for text, _look in pieces) <= width


# Panes of made-up launches, as text: what a person sees.


@pytest.mark.parametrize("size", SIZES)
async def test_held_child_looks_as_kept(size: tuple[int, int]) -> None:
    seen = (
        Changes(0, -1, birth=True, rows=(row("uts", "uts:[1]", "uts:[2]", "own"), row("domain name", None, "none"))),
        Changes(0, 0, rows=()),
        Changes(1, 1, rows=(row("uid map", "none yet", "0→1000 ×1"),)),
        Changes(2, 2, rows=()),
        Changes(3, 3, rows=(row("host name", "vm", "box"),), unknown=("domain name",)),
    )
    app = TimelineApp()
    async with app.run_test(size=size) as pilot:
        held = launched(4, changes=seen)
        app.desk.launches.toggle_breakpoint(held.plan, 5)
        app.put(held)
        await pilot.pause()
        assert_golden(app, "timeline-held")


@pytest.mark.parametrize("size", SIZES)
async def test_launch_that_runs_looks_as_kept(size: tuple[int, int]) -> None:
    app = TimelineApp()
    async with app.run_test(size=size) as pilot:
        app.put(launched(7))
        await pilot.pause()
        assert_golden(app, "timeline-ran")


async def test_all_about_a_step_looks_as_kept() -> None:
    app = TimelineApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.put(launched(4, changes=(Changes(3, 3, rows=(row("host name", "vm", "box"),)),)))
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert_golden(app, "timeline-step")
        await pilot.press("escape")
        await pilot.pause()
        assert len(app.screen_stack) == 1
