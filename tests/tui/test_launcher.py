"""The launcher's thread: real children, launched, stepped, signalled, waited for and reaped without the UI."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from leftovers import Census, until

from nsview.tui.launching.form import hold_before
from nsview.tui.launching.launcher import Born, Changed, Failed, Launcher, LauncherMessage
from spawner import Exit, Spec, Stdio

M = TypeVar("M", bound=LauncherMessage)


class Told:
    """What the launcher posted, in order."""

    def __init__(self) -> None:
        self.messages: list[LauncherMessage] = []

    def wait(self, kind: type[M], condition: Callable[[M], object] = lambda _message: True) -> M:
        """Return the first message of a kind for which the condition holds, when it is there."""

        def there() -> M | None:
            return next((one for one in self.messages if isinstance(one, kind) and condition(one)), None)

        found = until(there, 10)
        assert found is not None, f"no {kind.__name__} among {self.messages}"
        return found


@pytest.fixture
def told() -> Told:
    """The mailbox of the launcher."""
    return Told()


@pytest.fixture
def launcher(told: Told, nothing_left: Census) -> Iterator[Launcher]:
    """A running launcher, which leaves nothing behind."""
    launcher = Launcher(told.messages.append)
    launcher.start()
    yield launcher
    launcher.close()
    for message in told.messages:
        if isinstance(message, Born) and message.pty is not None:
            os.close(message.pty)


def spec(*args: str) -> Spec:
    """Run these without a terminal."""
    return Spec(args=args, stdio=Stdio.NULL)


def on_a_terminal(*args: str) -> Spec:
    """Run these as the UI does: on a terminal of their own, and not longer than this process."""
    return Spec(args=args, stdio=Stdio.PTY, pdeathsig=signal.SIGKILL)


def test_child_is_launched_waited_for_and_reaped(launcher: Launcher, told: Told) -> None:
    launcher.launch(spec("sh", "-c", "exit 3"))
    born = told.wait(Born)
    ended = told.wait(Changed, lambda message: message.launched.exit)
    assert ended.launched.pid == born.launched.pid
    assert isinstance(ended.launched.exit, Exit)
    assert ended.launched.exit.code == 3
    assert until(lambda: not Path("/proc", str(born.launched.pid)).exists())


def test_output_of_a_child_that_ends_at_once_is_not_lost(launcher: Launcher, told: Told) -> None:
    launcher.launch(on_a_terminal("echo", "gone already"))
    born = told.wait(Born)
    told.wait(Changed, lambda message: message.launched.exit)
    assert born.pty is not None
    assert b"gone already" in os.read(born.pty, 100)


def test_failed_launch_says_which_step(launcher: Launcher, told: Told) -> None:
    launcher.launch(spec("/nonexistent/program"))
    failed = told.wait(Failed)
    assert "execve" in str(failed.error)
    assert failed.error is not None
    assert failed.error.errno == errno.ENOENT


def test_impossible_spec_is_refused_with_its_problems(launcher: Launcher, told: Told) -> None:
    launcher.launch(Spec(args=("true",), hostname="demo"))
    assert told.wait(Failed).problems


def test_held_child_is_stepped_and_resumed(launcher: Launcher, told: Told) -> None:
    launcher.launch(spec("/bin/true"), hold_before)
    born = told.wait(Born)
    assert born.launched.held is not None
    before = len(born.launched.timeline)
    launcher.resume(born.launched.number)
    resumed = told.wait(Changed, lambda message: message.launched.held is None)
    assert len(resumed.launched.timeline) > before
    ended = told.wait(Changed, lambda message: message.launched.exit)
    assert ended.launched.exit is not None
    assert ended.launched.exit.code == 0


def test_step_that_fails_tells_why_and_leaves_nothing(launcher: Launcher, told: Told) -> None:
    launcher.launch(spec("/nonexistent/program"), hold_before)
    born = told.wait(Born)
    launcher.resume(born.launched.number)
    failed = told.wait(Changed, lambda message: message.launched.trouble)
    assert failed.launched.exit is not None
    assert failed.launched.trouble is not None
    assert failed.launched.trouble.errno == errno.ENOENT
    launcher.launch(spec("/bin/true"))
    told.wait(Changed, lambda message: message.launched.number == 2 and message.launched.exit)


def test_signal_goes_through_the_pidfd(launcher: Launcher, told: Told) -> None:
    launcher.launch(spec("sleep", "1000"))
    born = told.wait(Born)
    launcher.signal(born.launched.number, signal.SIGUSR1)
    ended = told.wait(Changed, lambda message: message.launched.exit)
    assert ended.launched.exit is not None
    assert ended.launched.exit.signal == signal.SIGUSR1


def test_closing_ends_running_and_held_children_and_their_orphans(told: Told, nothing_left: Census) -> None:
    launcher = Launcher(told.messages.append)
    launcher.start()
    launcher.launch(on_a_terminal("sh", "-c", "setsid sleep 1000 & exec sleep 2000"))
    launcher.launch(spec("true"), hold_before)
    running = told.wait(Born, lambda message: message.launched.held is None)
    held = told.wait(Born, lambda message: message.launched.held is not None)
    assert running.pty is not None
    launcher.close()
    os.close(running.pty)
    assert not Path("/proc", str(running.launched.pid)).exists()
    assert not Path("/proc", str(held.launched.pid)).exists()
    launcher.close()


def test_end_of_an_orphan_leaves_no_zombie(launcher: Launcher, told: Told) -> None:
    launcher.launch(on_a_terminal("sh", "-c", "(setsid true &); exit 0"))
    told.wait(Changed, lambda message: message.launched.exit)
    launcher.launch(spec("true"))
    told.wait(Changed, lambda message: message.launched.number == 2 and message.launched.exit)
