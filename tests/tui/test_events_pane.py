"""The events pane: a bounded log that follows, filters and stands still; whose events they are; real ones too."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from golden import assert_golden, screen_text
from leftovers import Census
from machine import SECOND, record, snapshot
from screen import SIZES, lines_of, until
from test_app import launch, running
from textual import on
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from tmux import Tmux

from nsview.host.events.event import LOST, Event
from nsview.host.events.family import Family
from nsview.host.events.refusal import SourceRefusedError
from nsview.host.events.source import Source
from nsview.host.events.story import Narrator
from nsview.host.lives import Life, Lives
from nsview.host.snapshot import Snapshot
from nsview.tui.desk import Desk, GoTo
from nsview.tui.events.hearing import Hearing
from nsview.tui.events.list import EventList, look_of
from nsview.tui.events.log import Choice, Entry, Log
from nsview.tui.events.panel import Events, parsed

ROOT = 700
"""The made-up nsview."""

NOON = 12 * 3600 * SECOND
"""When the made-up machine was started, on the first day of 1970."""


def machine() -> Snapshot:
    """The processes before anything happens."""
    return snapshot(record(ROOT, comm="nsview"))


def event(what: str, pid: int, at: float = 0.0, **more: object) -> Event:
    return Event(int(at * SECOND), what, pid, pid, **more)  # type: ignore[arg-type]


STORY = (
    event("fork", 901, 1.0, parent=ROOT),
    event("exec", 901, 1.001, comm="sh"),
    event("uid", 901, 1.002, ruid=0, euid=65534),
    event("fork", 902, 1.010, parent=901),
    event("exec", 902, 1.011, comm="sleep"),
    event("exit", 902, 1.500, parent=901, exit_code=signal.SIGKILL, last=True, cpu_ns=1_000_000),
    event("fork", 77, 1.6, parent=1),
    event("exec", 77, 1.601, comm="cron\x1b[31m"),
    event("exit", 901, 2.0, parent=ROOT, exit_code=3 << 8, last=True, cpu_ns=2_500_000),
    event(LOST, 0, 2.5, count=12, source="events"),
    event("comm", 1, 3.25, comm="systemd"),
)


def entries(*events: Event, start: int = 1) -> list[Entry]:
    lives = Lives(machine())
    family, narrator = Family(ROOT, lives), Narrator(lives, 0)
    found = []
    for number, one in enumerate(events, start):
        ours = family.holds(one) and one.pid != ROOT
        found.append(Entry(number, narrator.tell(one), ours))
    return found


@pytest.fixture(autouse=True)
def greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times of the day as they are there."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# ---- the log ----


def test_a_family_is_a_process_and_those_born_to_it_for_life() -> None:
    family = Family(5, [Life(6, ppid=5), Life(7, ppid=6), Life(8, ppid=1)])
    assert family.members == {5, 6, 7}
    assert [family.holds(one) for one in (event("fork", 9, parent=7), event("fork", 10, parent=8))] == [True, False]
    assert family.holds(event("exit", 9, parent=1, last=True))
    assert not family.holds(event("exec", 9))  # another process with its number


def test_a_storm_of_others_does_not_push_out_what_a_filter_shows() -> None:
    log = Log(most=3)
    log.choose(Choice(filter=parsed("what=uid")))
    log.add(entries(*STORY[:3]))
    log.add(entries(*STORY[3:8], start=4))
    assert [entry.number for entry in log.shown] == [3]
    log.choose(Choice())
    assert [entry.number for entry in log.shown] == [6, 7, 8]


def test_the_log_keeps_the_newest_and_says_how_many_it_dropped() -> None:
    log = Log(most=3)
    assert log.add(entries(*STORY[:2])) == 0
    assert log.add(entries(*STORY[2:5], start=3)) == 2
    assert [entry.number for entry in log.shown] == [3, 4, 5]
    assert (len(log), log.heard) == (3, 5)


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        (Choice(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        (Choice(ours=True), [1, 2, 3, 4, 5, 6, 9, 10]),
        (Choice(filter=parsed("what=exit status!=0")), [9, 10]),
        (Choice(filter=parsed("signal=SIGKILL or what=exec")), [2, 5, 6, 8, 10]),
        (Choice(filter=parsed("pid=902"), ours=True), [4, 5, 6, 10]),
    ],
)
def test_a_choice_shows_some_but_a_loss_always(choice: Choice, numbers: list[int]) -> None:
    log = Log()
    log.add(entries(*STORY))
    log.choose(choice)
    assert [entry.number for entry in log.shown] == numbers
    later = Log()
    later.choose(choice)
    later.add(entries(*STORY))
    assert later.shown == log.shown
    assert log.place(6) == next((at for at, number in enumerate(numbers) if number >= 6), None)


def test_births_of_threads_are_shown_when_asked_for() -> None:
    thread = Event(1, "fork", 901, 903, parent=901)
    log = Log()
    log.add(entries(thread))
    assert not log.shown
    log.choose(Choice(threads=True))
    assert len(log.shown) == 1


def test_ends_that_are_not_as_they_should_be_stand_out() -> None:
    looks = [look_of(entry.told) for entry in entries(*STORY)]
    assert looks == ["born", "runs", "plain", "born", "runs", "bad", "born", "runs", "bad", "lost", "plain"]


# ---- the pane, on made-up events ----


class MadeSource:
    """Gives the batches that a test puts in."""

    describes_itself = "made up"
    without_accounts: str | None = None
    lost = 0

    def __init__(self) -> None:
        self._state = threading.Condition()
        self._batches: list[list[Event]] = []
        self._stopped = self.closed = False

    def put(self, *events: Event) -> None:
        with self._state:
            self._batches.append(list(events))
            self._state.notify()

    def read(self, timeout: float | None = None, gather: float = 0.0) -> list[Event]:
        with self._state:
            self._state.wait_for(lambda: self._batches or self._stopped)
            return [] if self._stopped else self._batches.pop(0)

    def __iter__(self) -> Iterator[Event]:
        raise NotImplementedError

    def stop(self) -> None:
        with self._state:
            self._stopped = True
            self._state.notify()

    def close(self) -> None:
        self.closed = True


class PaneApp(App[None]):
    """The pane alone on the screen; notes where it wants to go."""

    CSS = ".pane { border: round $foreground 30%; }"
    BINDINGS: ClassVar = []

    def __init__(self, refused: SourceRefusedError | None = None) -> None:
        super().__init__()
        self.source = MadeSource()
        self.refused = refused
        self.panel = Events(Desk(self), self._hear)
        self.panel.id = "events"
        self.panel.add_class("pane")
        self.panel.border_title = "7 Events"
        self.went: list[GoTo] = []
        self.heard = 0

    def _hear(self, wake: Callable[[], object], failed: Callable[[Exception], object]) -> Hearing:
        def opened() -> tuple[Source, SourceRefusedError | None]:
            return self.source, self.refused

        return Hearing(ROOT, wake, failed, source=opened, look=machine, clock_ns=NOON)

    def compose(self) -> ComposeResult:
        yield self.panel

    @on(GoTo)
    def _went(self, message: GoTo) -> None:
        self.went.append(message)

    async def tell(self, *events: Event) -> None:
        """Let these events happen, and wait until they are taken."""
        self.heard += len(events)
        self.source.put(*events)
        await until(lambda: self.panel.lines.record.heard + len(self.panel._waiting) == self.heard)


@asynccontextmanager
async def pane(
    size: tuple[int, int] = (80, 24), *events: Event, refused: SourceRefusedError | None = None
) -> AsyncIterator[tuple[PaneApp, Pilot[None]]]:
    app = PaneApp(refused)
    async with app.run_test(size=size) as pilot:
        app.panel.lines.focus()
        await until(lambda: app.panel.lines.note == "Nothing has happened yet.")
        if events:
            await app.tell(*events)
        await pilot.pause()
        yield app, pilot
    assert app.source.closed


def births(count: int, first: int = 2000) -> list[Event]:
    return [event("fork", first + number, 10 + number / 1000, parent=1) for number in range(count)]


@pytest.mark.parametrize("size", [(50, 14), (64, 22), (76, 24), (80, 24), (198, 56)])
async def test_the_pane_as_it_looks(size: tuple[int, int]) -> None:
    async with pane(size, *STORY) as (app, _pilot):
        assert_golden(app, "events")


async def test_why_it_is_not_the_kernel_that_tells_is_said_at_the_foot() -> None:
    why = SourceRefusedError(errno.EPERM, "needs CAP_NET_ADMIN")
    async with pane(refused=why) as (app, _pilot):
        assert "made up: needs CAP_NET_ADMIN" in screen_text(app).splitlines()[-1]


async def test_nothing_of_another_process_gets_to_the_terminal_as_it_is() -> None:
    async with pane((80, 24), *STORY) as (app, _pilot):
        text = screen_text(app)
        assert "\x1b" not in text
        assert "cron" in text


@pytest.mark.parametrize("size", SIZES)
async def test_the_newest_is_kept_in_view_until_the_cursor_leaves_it(size: tuple[int, int]) -> None:
    async with pane(size, *births(100)) as (app, pilot):
        lines = app.panel.lines
        await until(lambda: lines.cursor_line == 99 and lines.in_view(99))
        await app.tell(*births(10, 3000))
        assert lines.cursor_line == 109
        await pilot.press("up", "up")
        stood, seen = lines.entry, lines_of(lines)
        await app.tell(*births(500, 4000))
        await pilot.pause()
        assert lines.entry == stood
        assert lines_of(lines) == seen
        assert "standing" in str(app.panel.border_title)
        await pilot.press("end")
        await app.tell(*births(1, 9000))
        assert lines.cursor_line == lines.line_count - 1
        await until(lambda: lines.in_view(lines.line_count - 1))
        assert "standing" not in str(app.panel.border_title)


async def test_what_is_looked_at_stays_in_place_while_the_oldest_are_forgotten() -> None:
    async with pane((80, 24), *births(60)) as (app, pilot):
        lines = app.panel.lines
        lines.record = Log(most=50)
        lines.record.heard = 60
        await app.tell(*births(50, 3000))
        lines.move_cursor(40)
        await pilot.pause()
        stood, seen = lines.entry, lines_of(lines)
        await app.tell(*births(12, 4000))
        await pilot.pause()
        assert lines.line_count == 50
        assert lines.entry == stood
        assert lines_of(lines)[1:10] == seen[1:10]


async def test_f_shows_the_events_of_our_launches_alone() -> None:
    async with pane((80, 24), *STORY) as (app, pilot):
        await pilot.press("f")
        assert [entry.number for entry in app.panel.lines.record.shown] == [1, 2, 3, 4, 5, 6, 9, 10]
        assert "mine · 8 of 11" in str(app.panel.border_title)
        await pilot.press("f")
        assert app.panel.lines.line_count == 11


async def test_a_filter_is_typed_and_given_up() -> None:
    async with pane((80, 24), *STORY) as (app, pilot):
        await pilot.press("slash", *"what=exec ")
        await until(lambda: app.panel.lines.line_count == 4)
        await pilot.press("enter")
        assert app.focused is app.panel.lines
        assert "/ what=exec" in str(app.panel.border_title)
        await pilot.press("slash", "escape")
        await until(lambda: app.panel.lines.line_count == 11)
        await pilot.press("slash", *"pid=x")
        await until(lambda: app.panel.query(".-wrong"))
        assert app.panel.lines.line_count == 11


async def test_paused_it_stands_still_and_what_came_is_shown_after() -> None:
    async with pane((80, 24), *STORY) as (app, pilot):
        await pilot.press("p")
        await app.tell(*births(5))
        assert app.panel.lines.line_count == 11
        assert "paused, 5 new" in str(app.panel.border_title)
        await pilot.press("p")
        assert app.panel.lines.line_count == 16


async def test_threads_and_clearing() -> None:
    async with pane((80, 24), *STORY, Event(4 * SECOND, "fork", 77, 78, parent=77)) as (app, pilot):
        assert app.panel.lines.line_count == 11
        await pilot.press("t")
        assert app.panel.lines.line_count == 12
        assert "begins thread 78" in screen_text(app)
        await pilot.press("c")
        assert app.panel.lines.line_count == 0
        assert "Nothing has happened since." in screen_text(app)
        await app.tell(*births(1))
        assert app.panel.lines.line_count == 1


async def test_enter_goes_to_the_process_unless_it_is_another_now() -> None:
    me = os.getpid()
    now = event("exec", me, time.monotonic(), comm="python")
    long_ago = event("exec", me, -1e6, comm="python")
    gone = event("exec", 4_194_303, 5.0, comm="x")
    async with pane((80, 24), now) as (app, pilot):
        await pilot.press("enter")
        await until(lambda: app.went)
        assert app.went[0].identity[0] == me
        assert app.went[0].pane == "tree"
        for other, words in ((long_ago, "another has its number"), (gone, "has ended")):
            await app.tell(other)
            await pilot.press("end", "enter")
            await until(lambda words=words: any(words in note.message for note in app._notifications))
        await app.tell(event(LOST, 0, 6.0, count=3, source="events"))
        await pilot.press("end", "enter")
        await pilot.pause()
        assert len(app.went) == 1


async def test_a_storm_is_shown_in_few_paintings() -> None:
    """Of 10,000 events at once the lines in view are drawn, not those that come and go in between."""
    async with pane((80, 24)) as (app, pilot):
        drawn = []
        draw = app.panel.lines.line_strip
        app.panel.lines.line_strip = lambda *args: (drawn.append(args), draw(*args))[1]  # type: ignore[method-assign]
        for batch in range(10):
            app.source.put(*births(1000, 10_000 + 1000 * batch))
        app.heard = 10_000
        await until(lambda: app.panel.lines.record.heard == 10_000)
        await pilot.pause()
        assert len(drawn) <= 10 * 2 * app.size.height
        assert "19999" in screen_text(app)


# ---- in the app, on real processes ----


@pytest.mark.needs("root", "proc_connector")
@pytest.mark.parametrize("size", SIZES)
async def test_the_whole_life_of_a_launch_is_told(size: tuple[int, int], nothing_left: Census) -> None:
    async with running(size) as (app, pilot):
        await pilot.press("7")
        panel = app.query_one(Events)

        def hears() -> bool:
            """Whether events are heard: a quiet machine is given one to be heard."""
            subprocess.run(["true"], check=True)
            return panel.lines.record.heard > 0

        await until(lambda: isinstance(app.focused, EventList) and hears())
        await pilot.press("f")
        await launch(app, pilot, "sh -c 'exit 3'")

        def told() -> list[str]:
            (launched,) = app.launches
            return [entry.told.words for entry in panel.lines.record.shown if entry.told.event.pid == launched.pid]

        await until(lambda: any(words.startswith("exits with 3") for words in told()))
        assert told()[0].startswith(f"is born to {os.getpid()}")
        assert any(words.startswith("executes") for words in told())
        app.action_pane("events")
        await until(lambda: any("exits with 3" in line for line in lines_of(panel.lines)))


@pytest.mark.needs("root", "proc_connector", "tmux")
def test_in_a_terminal_events_are_told_filtered_and_followed_to_the_tree(tmp_path: Path, nothing_left: Census) -> None:
    program = tmp_path / "dozing"
    shutil.copy("/bin/sleep", program)
    with Tmux([sys.executable, "-m", "nsview"], 120, 40, env={"COLORTERM": "truecolor"}) as terminal:
        terminal.wait_for("1 Processes", "nsview")
        terminal.keys("7")
        terminal.wait_for("7 Events", "WHAT HAPPENED", "/ Filter")
        terminal.keys("/")
        terminal.wait_for("/ what=exit", "No filter")
        terminal.type("comm=dozing ")
        terminal.keys("Enter")
        terminal.wait_for("7 Events.*/ comm=dozing", "f Mine")
        with subprocess.Popen([program, "1000"]) as sleeper:
            try:
                terminal.wait_for(rf"{sleeper.pid} dozing\s+executes dozi")
                terminal.keys("End", "Enter")
                terminal.wait_for(rf"─ {sleeper.pid} dozing")
            finally:
                sleeper.kill()
        terminal.keys("7")
        terminal.wait_for(rf"{sleeper.pid} dozing\s+is killed by")
        terminal.keys("q")
        assert terminal.wait_for_end() == 0
