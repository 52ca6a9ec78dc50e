"""The collector: threads that look at the machine, the mailboxes between them and the UI, and their end."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from machine import record, snapshot
from screen import DEADLINE, until
from textual import on
from textual.app import App

from nsview.host.snapshot import Snapshot, take
from nsview.tui.collecting.collector import Collector, Frame
from nsview.tui.collecting.lane import Lane
from nsview.tui.processes.view import Reference, View

LONG = 3600.0
"""An interval that does not pass in a test: what happens then was asked for."""


class CollectingApp(App[None]):
    """Takes what its collector has to say."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.collector = Collector(self, **{"events": None, **options})
        self.frames: list[Frame] = []
        self.failures: list[Collector.Failed] = []

    @on(Collector.Arrived)
    def take_frame(self) -> None:
        frame = self.collector.take_frame()
        if frame is not None:
            self.frames.append(frame)

    @on(Collector.Failed)
    def note_failure(self, event: Collector.Failed) -> None:
        self.failures.append(event)


def collect(script: Callable[[CollectingApp], Awaitable[None]], **options: Any) -> CollectingApp:
    """Run an app with a collector and ``script`` beside it; no thread of the collector is left afterwards."""
    app = CollectingApp(**options)

    async def run() -> None:
        async with app.run_test():
            app.collector.start()
            try:
                await script(app)
            finally:
                app.collector.stop()

    asyncio.run(run())
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("nsview-")]
    return app


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def made_up(*steps: Snapshot) -> Callable[[Any], Snapshot]:
    """A machine whose whole is seen in these steps, the last for ever; asked for pids, as last seen."""
    left = list(steps)

    def look(pids: Any) -> Snapshot:
        return left.pop(0) if pids is None and len(left) > 1 else left[0]

    return look


def test_frames_come_at_the_interval(nothing_left):
    async def script(app: CollectingApp) -> None:
        await until(lambda: len({frame.snapshot.when_ns for frame in app.frames}) >= 3)
        assert os.getpid() in app.frames[-1].snapshot.records

    collect(script, interval=0.01)


def test_a_new_frame_can_be_asked_for():
    async def script(app: CollectingApp) -> None:
        await until(lambda: len(app.frames) == 1)
        app.collector.refresh_now()
        await until(lambda: len(app.frames) == 2)

    collect(script, interval=LONG)


def test_paused_the_picture_stands_still_but_for_a_refresh():
    async def script(app: CollectingApp) -> None:
        collector = app.collector
        await until(lambda: app.frames)
        collector.pause()
        assert collector.paused
        before = len(app.frames)
        collector.refresh_now()
        await until(lambda: len(app.frames) > before)
        collector.resume()
        before = len(app.frames)
        await until(lambda: len(app.frames) > before + 1)

    collect(script, interval=0.01)


def test_another_view_is_arranged_from_the_snapshot_at_hand():
    async def script(app: CollectingApp) -> None:
        await until(lambda: app.frames)
        app.collector.show_as(View(Reference.INIT))
        await until(lambda: app.frames[-1].rows.view == View(Reference.INIT))
        assert app.frames[-1].snapshot is app.frames[0].snapshot

    collect(script, interval=LONG)


def test_own_launches_are_marked_and_say_how_they_ended(child):
    async def script(app: CollectingApp) -> None:
        identity = take((child.pid,)).records[child.pid].identity

        def own() -> Any:
            rows = app.frames[-1].rows if app.frames else ()
            return next((row for row in rows if row.identity == identity and row.own), None)

        app.collector.launched(identity)
        assert (await until(own)).exit is None
        child.kill()
        child.wait()
        app.collector.exited(identity, "killed by SIGKILL")
        row = await until(lambda: row if (row := own()) and row.gone else None)
        assert row.exit == "killed by SIGKILL"

    collect(script, interval=LONG)


def test_owners_are_named():
    async def script(app: CollectingApp) -> None:
        rows = (await until(lambda: app.frames))[0].rows
        row = next(row for row in rows if row.record.pid == os.getpid())
        assert row.user == subprocess.check_output(["id", "-un"], text=True).strip()

    collect(script, interval=LONG)


def test_a_slow_ui_gets_the_newest_frame_and_one_wake_up():
    collector_app = CollectingApp(interval=LONG, snapshot=made_up(*(snapshot(at=at) for at in range(6))))
    posted: list[Any] = []
    collector_app.post_message = posted.append  # type: ignore[assignment,method-assign]
    collector = collector_app.collector
    collector.start()
    made = threading.Event()
    arrange = collector._arrange

    def counted() -> Any:
        frame = arrange()
        made.set()
        return frame

    collector._arranging._work = counted
    for _ in range(4):
        collector.refresh_now()
        assert made.wait(DEADLINE)
        made.clear()
    collector.stop()
    assert len(posted) == 1
    assert collector.take_frame() is not None
    assert collector.take_frame() is None


def test_a_refusal_of_the_kernel_is_told_and_tried_again():
    answers = [OSError(errno.EMFILE, os.strerror(errno.EMFILE))]

    def look(pids: Any) -> Snapshot:
        if answers:
            raise answers.pop()
        return snapshot(record(5))

    async def script(app: CollectingApp) -> None:
        await until(lambda: app.failures)
        assert "reading the processes" in str(app.failures[0])
        assert os.strerror(errno.EMFILE) in str(app.failures[0])
        assert not app.failures[0].fatal
        await until(lambda: app.frames)

    collect(script, interval=0.01, snapshot=look)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_is_told_and_ends_the_lane():
    def look(pids: Any) -> Snapshot:
        raise KeyError("fault")

    async def script(app: CollectingApp) -> None:
        await until(lambda: app.failures)
        assert app.failures[0].fatal
        assert isinstance(app.failures[0].error, KeyError)

    collect(script, interval=0.01, snapshot=look)


def test_stop_waits_for_the_pass_under_way():
    entered, passed, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        assert passed.wait(DEADLINE)
        ended.set()

    lane: Lane[None] = Lane("nsview-test", work, lambda: None, lambda error: None, LONG)
    lane.start()
    assert entered.wait(DEADLINE)
    lane.end()
    assert lane.alive
    passed.set()
    lane.join()
    assert ended.is_set()
    assert not lane.alive


def test_stop_before_start_and_twice_is_no_error():
    app = CollectingApp()
    app.collector.stop()
    app.collector.stop()


def test_stop_after_the_app_is_gone_is_no_error(nothing_left):
    async def run() -> CollectingApp:
        app = CollectingApp(interval=0.01)
        async with app.run_test():
            app.collector.start()
            await until(lambda: app.frames)
        return app

    asyncio.run(run()).collector.stop()


def test_lanes_end_by_themselves_when_nobody_is_left_to_tell():
    class Gone(App[None]):
        def post_message(self, message: Any) -> bool:
            raise RuntimeError("Event loop is closed")

    collector = Collector(Gone(), interval=0.01, events=None)
    collector.start()
    for lane in collector._lanes:
        lane.join()
    assert not any(lane.alive for lane in collector._lanes)
