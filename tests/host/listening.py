"""Listening to events in a thread of its own, as a program does that has other work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from leftovers import until

from nsview.host.events.connector import Connector
from nsview.host.events.event import LOST, Event
from nsview.host.lives import Life, Lives
from nsview.host.snapshot import take

PATIENCE = 60.0


class Listener:
    """What was told since it began, and the lives that make of it."""

    def __init__(self, source: Connector) -> None:
        self.source = source
        self.events: list[Event] = []
        self.lives = Lives()
        self.ended: list[Life] = []
        self.batches = 0

    def run(self) -> None:
        while batch := self.source.read():
            self.batches += 1
            for event in batch:
                self.ended += self.lives.fold(event)
            if any(event.what == LOST and event.source == "events" for event in batch):
                self.lives.rescan(take())
            self.events += batch

    def waits_for(self, condition: Callable[[Event], bool]) -> Event:
        """The first event that ``condition`` holds for, once it is told."""
        read = [0]

        def found() -> Event | None:
            events = self.events[read[0] :]
            read[0] += len(events)
            return next(filter(condition, events), None)

        event = until(found, PATIENCE)
        assert event is not None, f"not told among {len(self.events)} events"
        return event

    def of(self, pid: int) -> list[Event]:
        return [event for event in self.events if event.pid == pid]

    def end_of(self, pid: int) -> Event:
        """The exit with which a process ended."""
        return self.waits_for(lambda event: event.what == "exit" and event.pid == pid and event.last is not False)


@contextmanager
def listening(**options: object) -> Iterator[Listener]:
    with Connector(**options) as source:  # type: ignore[arg-type]
        listener = Listener(source)
        thread = threading.Thread(target=listener.run)
        thread.start()
        try:
            yield listener
        finally:
            source.stop()
            thread.join()


def what(events: Iterable[Event]) -> list[str]:
    return [event.what for event in events]
