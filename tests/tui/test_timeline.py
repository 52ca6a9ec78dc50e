"""The timeline: bars from nanoseconds, and the panel on a real launch."""

from __future__ import annotations

from screen import lines_of, until
from textual.app import App, ComposeResult
from textual.widgets import Static

from nsview.tui.launching.launcher import Launched
from nsview.tui.timeline.panel import Timeline, Waterfall
from nsview.tui.timeline.waterfall import bars, duration
from spawner import Event, Spec, Stdio, launch


def event(start: int, took: int | None, label: str = "step") -> Event:
    """A step that began at ``start`` ns and took ``took``."""
    return Event(0, label, "phase", f"{label}()", start, None if took is None else start + took, 0)


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


class TimelineApp(App[None]):
    """The panel alone."""

    def compose(self) -> ComposeResult:
        yield Timeline()


async def test_panel_shows_every_step_of_a_real_launch_and_explains_the_slowest() -> None:
    with launch(Spec(args=("true",), stdio=Stdio.NULL)) as child:
        launched = Launched(
            number=1,
            spec=Spec(args=("true",)),
            plan=child.plan,
            pid=child.pid,
            start_time=child.start_time,
            namespaces=(),
            timeline=child.timeline,
            held=None,
        )
    app = TimelineApp()
    async with app.run_test(size=(100, 60)):
        app.query_one(Timeline).show(launched)
        grid = app.query_one(Waterfall)
        await until(lambda: any("execve" in line for line in lines_of(grid)))
        text = "\n".join(lines_of(grid))
        assert all(one.label[:20] in text for one in launched.timeline)
        assert text.count("█") >= len(launched.timeline)
        slowest = max(launched.timeline, key=lambda one: one.duration_ns or 0)
        foot = app.query_one("#timeline-step", Static)
        await until(lambda: slowest.text[:20] in str(foot.render()))
        await until(lambda: f"{len(launched.timeline)} steps" in str(app.query_one("#timeline-sum", Static).render()))
