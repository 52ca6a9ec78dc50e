"""The timeline alone on a desk, with a launcher: what the app does for it, and nothing else."""

from __future__ import annotations

import os
import signal
from typing import Any, ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType

from nsview.tui.desk import Desk
from nsview.tui.launching.launched import Launched
from nsview.tui.launching.launcher import Born, Changed, Failed
from nsview.tui.timeline.grid import Waterfall
from nsview.tui.timeline.panel import Timeline
from spawner import IDMapping, Spec, Stdio


class TimelineApp(App[None]):
    """Keeps what the launcher tells on the desk, as the app does; its keys are the app's."""

    CSS = """
    .dialog { width: 76; max-width: 100%; height: auto; max-height: 90%; border: round $primary; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "step", "Step"),
        Binding("r", "resume", "Run"),
        Binding("x", "give_up", "Give up"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(self)
        self.failures: list[Failed] = []
        self._terminals: list[int] = []

    def compose(self) -> ComposeResult:
        yield Timeline(self.desk)

    def on_mount(self) -> None:
        self.desk.launcher.start()
        self.query_one(Waterfall).focus()

    def on_unmount(self) -> None:
        self.desk.launcher.close()
        while self._terminals:
            os.close(self._terminals.pop())

    @on(Born)
    def _born(self, message: Born) -> None:
        if message.pty is not None:
            self._terminals.append(message.pty)
        self.put(message.launched)

    @on(Changed)
    def _changed(self, message: Changed) -> None:
        self.desk.launches.put(message.launched)
        self.desk.on_launch.publish(self.desk.launches.front)

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        self.failures.append(message)

    def put(self, launched: Launched) -> None:
        """Bring a launch to the front."""
        self.desk.launches.put(launched)
        self.desk.launches.chosen = launched.number
        self.desk.on_launch.publish(launched)

    @property
    def front(self) -> Launched:
        """The launch in front."""
        front = self.desk.launches.front
        assert front is not None
        return front

    @property
    def pane(self) -> Timeline:
        """The timeline."""
        return self.query_one(Timeline)

    @property
    def grid(self) -> Waterfall:
        """Its list."""
        return self.query_one(Waterfall)

    def action_step(self) -> None:
        self.desk.launcher.step(self.front.number)

    def action_resume(self) -> None:
        self.desk.launcher.resume(self.front.number, self.desk.launches.next_stop(self.front))

    def action_give_up(self) -> None:
        self.desk.launcher.abort(self.front.number)


def at_the_start(_plan: object) -> int:
    """Hold before the first step."""
    return 0


def container(**more: Any) -> Spec:
    """A container with a name and a /proc of its own, that sleeps; all but the time namespace is new."""
    asked: dict[str, Any] = {
        "args": ("sleep", "1000"),
        "namespaces": frozenset({"mount", "uts", "ipc", "network", "pid", "user", "cgroup"}),
        "uid_mappings": (IDMapping(0, os.geteuid()),),
        "gid_mappings": (IDMapping(0, os.getegid()),),
        "hostname": "box",
        "mount_proc": "/proc",
        "stdio": Stdio.PTY,
        "pdeathsig": signal.SIGKILL,
    }
    return Spec(**(asked | more))
