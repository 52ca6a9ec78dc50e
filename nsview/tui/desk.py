"""What all panes share: who looks, who launches, what was launched, and which process a person looks at now."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.app import App
from textual.message import Message
from textual.signal import Signal

from nsview.host.model import Identity
from nsview.tui.acting.signals import start_time_of
from nsview.tui.collecting.collector import Collector, Frame
from nsview.tui.hues import Ordinals
from nsview.tui.later import find

if TYPE_CHECKING:
    from nsview.tui.launching.launched import Launched
    from nsview.tui.launching.launcher import Launcher
    from nsview.tui.launching.launches import Launches
    from nsview.tui.launching.under_way import UnderWay

_CAP_SYS_ADMIN = 21


def is_privileged() -> bool:
    """Tell whether we have CAP_SYS_ADMIN here (proc_pid_status(5), CapEff)."""
    status = Path("/proc/self/status").read_text()
    effective = int(status.partition("CapEff:")[2].split(maxsplit=1)[0], 16)
    return bool(effective >> _CAP_SYS_ADMIN & 1)


class GoTo(Message):
    """Asks the app to put the tree's cursor on a process; ``pane``: and to bring that pane to the front."""

    def __init__(self, identity: Identity, pane: str | None = None) -> None:
        super().__init__()
        self.identity = identity
        self.pane = pane


class Compare(Message):
    """Asks the app to compare these two processes until they are let go, and, for ``front``, to show that."""

    def __init__(self, parent: Identity, child: Identity, front: bool = True) -> None:
        super().__init__()
        self.parent = parent
        self.child = child
        self.front = front


class Release(Message):
    """Asks the app to let go of these two, if it is them that are compared: the tree's cursor chooses again."""

    def __init__(self, parent: Identity, child: Identity) -> None:
        super().__init__()
        self.parent = parent
        self.child = child


class Desk:
    """Made once by the app, and given to each pane.

    A pane that shows something about the process under the cursor, the newest frame or the launch in front
    subscribes to the signal in its ``on_mount``; what is so now is in the attribute of the same name. Panes ask
    the app by posting :class:`GoTo`, :class:`Compare` or :class:`Release`.
    """

    def __init__(
        self,
        app: App[None],
        *,
        read_only: bool = False,
        interval: float = 1.0,
        tell: Callable[[str], object] = lambda _words: None,
    ) -> None:
        """``tell`` is called with what the launcher is at, where that takes long; with nothing when it is done."""
        self.read_only = read_only
        """Whether acting on processes, and launching, is switched off."""
        self.privileged = is_privileged()
        self.me: Identity = (os.getpid(), start_time_of(os.getpid()))
        self._app = app
        self._tell = tell
        self.collector = Collector(app, interval=interval)
        self.ordinals = Ordinals()
        """The numbers of namespaces, ``#1`` the machine's own: the same in every pane."""
        self.process: Identity | None = None
        """The process under the tree's cursor."""
        self.frame: Frame | None = None
        """The newest picture of the machine."""
        self.on_process: Signal[Identity | None] = Signal(app, "process")
        self.on_frame: Signal[Frame] = Signal(app, "frame")
        self.on_launch: Signal[Launched | None] = Signal(app, "launch")
        """The launch in front is another, or has changed: held elsewhere, ended."""
        self._endings: list[Callable[[], None]] = []

    @cached_property
    def launcher(self) -> Launcher:
        """Who launches: made when it is first asked for."""
        place = "acting.read_only:ReadOnlyLauncher" if self.read_only else "launching.launcher:Launcher"
        return cast("Launcher", find(f"nsview.tui.{place}")(self._app.post_message, self._asked))

    def _asked(self) -> None:
        """Look how long the launcher takes for what it was asked."""
        self._under_way.begin()

    @cached_property
    def _under_way(self) -> UnderWay:
        make = find("nsview.tui.launching.under_way:UnderWay")
        return cast("UnderWay", make(self._app, self.launcher, self._tell))

    @cached_property
    def launches(self) -> Launches:
        """What was launched."""
        return cast("Launches", find("nsview.tui.launching.launches:Launches")())

    def at_the_end(self, end: Callable[[], None]) -> None:
        """Have this called by :meth:`close`, from whatever thread and perhaps more than once, before launches end."""
        self._endings.append(end)

    def close(self) -> None:
        """End all launched programs, and what else was begun; returns when nothing is left. May be called again."""
        for end in self._endings:
            end()
        if "launcher" in self.__dict__:
            self.launcher.close()

    def look_at(self, identity: Identity | None) -> None:
        """Tell all panes that the cursor is on another process."""
        if identity != self.process:
            self.process = identity
            self.on_process.publish(identity)

    def show(self, frame: Frame) -> None:
        """Tell all panes that there is a newer picture."""
        self.frame = frame
        self.on_frame.publish(frame)
