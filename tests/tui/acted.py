"""Acting in the app as a person does: the cursor on a real process, keys, and what the app said about it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from screen import until
from textual.pilot import Pilot

from nsview.host.model import Identity
from nsview.tui.acting.dialog import ActDialog
from nsview.tui.acting.signals import start_time_of
from nsview.tui.acting.sure import Sure
from nsview.tui.app import NsviewApp
from nsview.tui.processes.table import ProcTable


@asynccontextmanager
async def acting(
    size: tuple[int, int] = (120, 40), read_only: bool = False
) -> AsyncIterator[tuple[NsviewApp, Pilot[None]]]:
    """Run the app until its first frame is shown."""
    app = NsviewApp(read_only=read_only)
    async with app.run_test(size=size) as pilot:
        await until(lambda: len(app.query_one(ProcTable).rows) > 1)
        try:
            yield app, pilot
        finally:
            await app.end_launches()
            await pilot.pause()


@contextmanager
def child(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A child of the test, which is ended and reaped at last."""
    with subprocess.Popen(command or ("sleep", "1000"), stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def identity_of(pid: int) -> Identity:
    """A process's pid and start time."""
    return pid, start_time_of(pid)


async def look_at(app: NsviewApp, pid: int) -> None:
    """Put the tree's cursor on a process."""
    identity = identity_of(pid)
    table = app.query_one(ProcTable)
    app.collector.refresh_now()
    await until(lambda: table.rows.record_of(identity))
    table.select(identity)
    await until(lambda: app.desk.process == identity)


async def dialog(app: NsviewApp) -> ActDialog:
    """Wait for the dialog of an act."""
    await until(lambda: isinstance(app.screen, ActDialog) and app.screen.is_mounted and app.screen.query("#call"))
    screen = app.screen
    assert isinstance(screen, ActDialog)
    return screen


async def sure(app: NsviewApp) -> Sure:
    """Wait for the question whether one is sure."""
    await until(lambda: isinstance(app.screen, Sure) and app.screen.focused is not None)
    screen = app.screen
    assert isinstance(screen, Sure)
    return screen


async def said(app: NsviewApp, *words: str) -> str:
    """Wait for a notice with these words in it, and return it."""
    heard: dict[str, None] = {}

    def found() -> str | None:
        heard.update(dict.fromkeys(notice.message for notice in app._notifications))
        return next((text for text in reversed(heard) if all(word in text for word in words)), None)

    try:
        text = await until(found)
    except AssertionError:
        raise AssertionError(f"never said {words}; said: {[*heard]}") from None
    assert text is not None
    return text


def shown(app: NsviewApp, selector: str) -> str:
    """What a line of the dialog says."""
    return str(app.screen.query_one(selector).render())


def state(pid: int) -> str:
    """The kernel's letter for a process's state; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2][:1]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children_of(pid: int) -> list[int]:
    """The children of a process."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def reap(*pids: int) -> None:
    """Reap those that are ours now: the app has orphans come to its own process, which is the test's."""
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def has_ended(pid: int) -> bool:
    """Whether it is gone or a zombie."""
    return state(pid) in ("", "Z", "X")


def let_go_on(pid: int) -> None:
    """SIGCONT."""
    os.kill(pid, signal.SIGCONT)
