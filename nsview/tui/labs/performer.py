"""The performer: runs one lab at a time in a thread of its own, and lets it wait where there is something to see."""

from __future__ import annotations

import threading
from collections.abc import Callable

from textual.message import Message

from nsview.labs.kept import keep
from nsview.labs.lab import Event, Lab, Report, Scene, Setting
from nsview.labs.running import perform


class _Stopped(Exception):  # noqa: N818 - no error: a person has ended the lab
    """Is raised through a lab's generator, which closes it."""


class Performer:
    """Runs labs; ``post`` is given :class:`Told`, then :class:`Over` or :class:`Broken`, in the thread.

    A generator cannot be closed while it is at work, and what it has made is its own to take away: so a lab that is
    to end does so when it comes to its next event, and then leaves nothing.
    """

    class Told(Message):
        """An event has come; ``held``: it is a scene, and the lab waits there for :meth:`Performer.go_on`."""

        def __init__(self, event: Event, held: bool) -> None:
            super().__init__()
            self.event = event
            self.held = held

    class Over(Message):
        """The lab has ended and left nothing; ``stopped``: because it was told to.

        ``unkept``: why what it measured could not be kept.
        """

        def __init__(self, report: Report, stopped: bool, unkept: str = "") -> None:
            super().__init__()
            self.report = report
            self.stopped = stopped
            self.unkept = unkept

    class Broken(Message):
        """The lab has raised what no lab should: a fault of its own; what it had made is taken away."""

        def __init__(self, report: Report) -> None:
            super().__init__()
            self.report = report

    def __init__(self, post: Callable[[Message], object]) -> None:
        """Set up; no thread is started before :meth:`begin`."""
        self._send = post
        self._state = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stepping = self._waiting = self._stopping = self._closed = False

    @property
    def stopping(self) -> bool:
        """Whether the lab was told to end, and is still at what it was doing."""
        return self._stopping

    def begin(self, lab: Lab, setting: Setting, stepping: bool) -> None:
        """Run a lab, the last being over; ``stepping``: wait at each scene. Nothing is begun after :meth:`close`."""
        if self._thread is not None:
            self._thread.join()  # it has told its last, or is about to
        with self._state:
            if self._closed:
                return
            self._stepping, self._waiting, self._stopping = stepping, False, False
            self._thread = threading.Thread(target=self._run, args=(lab, setting), name="nsview-lab", daemon=True)
            self._thread.start()

    def go_on(self, stepping: bool) -> None:
        """Let the lab leave the scene it is at; ``stepping``: wait at those to come."""
        with self._state:
            self._stepping, self._waiting = stepping, False
            self._state.notify_all()

    def stop(self) -> None:
        """Have the lab end at its next event; returns at once."""
        with self._state:
            self._stopping = True
            self._state.notify_all()

    def close(self) -> None:
        """End the lab, and take no other; returns when nothing is left of it. May be called again."""
        with self._state:
            self._closed = True
        self.stop()
        if self._thread is not None:
            self._thread.join()

    # In the thread.

    def _run(self, lab: Lab, setting: Setting) -> None:
        events: list[Event] = []

        def tell(event: Event) -> None:
            events.append(event)
            self._tell(event)

        try:
            report = perform(lab, setting, tell)
        except _Stopped:
            self._post(self.Over(Report(lab, tuple(events), setting=setting), stopped=True))
        except Exception as error:
            told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self._post(self.Broken(Report(lab, tuple(events), told, setting)))
            raise
        else:
            self._post(self.Over(report, stopped=False, unkept=_kept(report)))

    def _tell(self, event: Event) -> None:
        with self._state:
            held = self._waiting = isinstance(event, Scene) and self._stepping and not self._stopping
            self._post(self.Told(event, held))
            while self._waiting and not self._stopping:
                self._state.wait()
            if self._stopping:
                raise _Stopped

    def _post(self, message: Message) -> None:
        try:
            self._send(message)
        except RuntimeError:
            self._stopping = True  # The app's event loop was closed without close(): nobody is left to tell.


def _kept(report: Report) -> str:
    """Keep what a lab measured, for advice; why that cannot be, or nothing."""
    try:
        keep(report)
    except OSError as error:
        return f"measurements not kept: {error.filename or 'the state directory'}: {error.strerror}"
    return ""
