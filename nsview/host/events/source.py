"""Where events come from: the kernel where it tells them, else looking again and again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from nsview.host.events.connector import Connector
from nsview.host.events.event import Event
from nsview.host.events.polling import INTERVAL, Polling
from nsview.host.events.refusal import SourceRefusedError


class Source(Protocol):
    """What gives events: read by one long-lived thread, stopped by any, then closed."""

    lost: int
    without_accounts: str | None
    describes_itself: str

    def read(self, timeout: float | None = None, gather: float = 0.0) -> list[Event]:
        """Wait up to ``timeout`` seconds (None: for ever) for events, then ``gather`` more; return all there are."""

    def __iter__(self) -> Iterator[Event]:
        """Yield events until stop()."""

    def stop(self) -> None:
        """End reading, from any thread or signal handler."""

    def close(self) -> None:
        """Give back what it holds; no thread may be reading."""


def open_events(interval: float = INTERVAL) -> tuple[Source, SourceRefusedError | None]:
    """Return the best source there is, and why it is not the kernel (None: it is).

    ``interval``: seconds between looks where one has to look.
    """
    try:
        return Connector(), None
    except SourceRefusedError as refused:
        return Polling(interval), refused
