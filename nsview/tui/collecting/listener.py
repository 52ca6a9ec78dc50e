"""What the kernel tells between two snapshots: who was born, who ended and how, who runs another program."""

from __future__ import annotations

from collections.abc import Callable

from nsview.host.events.brief import Known
from nsview.host.events.connector import Connector
from nsview.host.events.event import Event
from nsview.host.events.refusal import SourceRefusedError
from nsview.host.events.source import Source

Open = Callable[[], Source]
"""Begins to listen; SourceRefusedError where the kernel does not tell us."""

_MOST_READS = 8
"""So many times the kernel's queue is emptied after a snapshot: a fork bomb would fill it for ever."""


def proc_events() -> Source:
    """Listen to the proc connector, without what costs more and is not shown."""
    return Connector(("fork", "exec", "exit"), accounts=False, names=False)


class Listener:
    """Reads what has been told since it was last asked; between that it waits in the kernel's queue.

    For one thread: it needs none of its own, since a snapshot needs all that was told before it ended. ``unheard``
    says why the kernel tells us nothing; None while it does, or has not been asked.
    """

    def __init__(self, open_source: Open | None = proc_events) -> None:
        """Take what :meth:`begin` opens; None: nothing is listened to."""
        self.unheard: str | None = None
        self._open = open_source
        self._source: Source | None = None

    def begin(self) -> None:
        """Begin to listen, unless it has begun; not before the first snapshot, for a handshake takes time."""
        if self._open is None:
            return
        open_source, self._open = self._open, None
        try:
            self._source = open_source()
        except SourceRefusedError as refused:
            self.unheard = str(refused)

    def told(self, known: Known | None = None) -> list[Event] | None:
        """Return all that was told up to now; None when nobody listens.

        ``known``: of lives that are over before they are known by this, nothing need be told.
        """
        if self._source is None:
            return None
        if isinstance(self._source, Connector):
            self._source.known = known
        events: list[Event] = []
        for _ in range(_MOST_READS):
            more = self._source.read(timeout=0)
            if not more:
                break
            events += more
        return events

    def close(self) -> None:
        """End listening; may be called again."""
        self._open = None
        if self._source is not None:
            self._source.close()
            self._source = None
