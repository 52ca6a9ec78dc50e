"""Hearing events: a thread that reads them, knows whose they are and what was known of each process then."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from nsview.host.events.event import LOST
from nsview.host.events.family import Family
from nsview.host.events.refusal import SourceRefusedError
from nsview.host.events.source import Source, open_events
from nsview.host.events.story import Narrator
from nsview.host.lives import Lives
from nsview.host.snapshot import Snapshot, take
from nsview.tui.collecting.lane import Lane
from nsview.tui.events.log import MOST, Entry

GATHERED = 0.01
"""Seconds in which events gather: each waking costs, but what has ended by then tells nobody its program's name."""

Open = Callable[[], tuple[Source, SourceRefusedError | None]]
"""As :func:`nsview.host.events.source.open_events`."""


class Hearing:
    """Hears events from :meth:`start` to :meth:`end`. ``wake`` is called, in the thread, when there are new ones.

    ``root``: of whose descendants it is said that they are ours; root's own events are not. What nobody takes is
    forgotten from the beginning. ``about`` says where the events come from where that is not all there could be.
    """

    def __init__(
        self,
        root: int,
        wake: Callable[[], object],
        failed: Callable[[Exception], object],
        *,
        source: Open = open_events,
        look: Callable[[], Snapshot] = take,
        clock_ns: int | None = None,
    ) -> None:
        """Set up the thread. ``clock_ns``: what CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, None for as it is."""
        self._clock_ns = clock_ns
        self.about = ""
        self._root = root
        self._open = source
        self._look = look
        self._source: Source | None = None
        self._narrator: Narrator | None = None
        self._entries: deque[Entry] = deque(maxlen=MOST)
        self._heard = 0
        self._state = threading.Lock()
        self._ended = False
        self._lane: Lane[int] = Lane("nsview-events", self._hear, wake, failed)

    def start(self) -> None:
        """Start to hear."""
        self._lane.start()
        self._lane.ask()

    def end(self) -> None:
        """Stop, and wait until the thread has ended."""
        with self._state:
            self._ended = True
            if self._source is not None:
                self._source.stop()
        self._lane.end()
        self._lane.join()
        if self._source is not None:
            self._source.close()
            self._source = None

    def take(self) -> list[Entry]:
        """Return what was heard since this was last called."""
        self._lane.newest()
        found = []
        while self._entries:
            found.append(self._entries.popleft())
        return found

    @property
    def begun(self) -> bool:
        """Tell whether nothing can be missed any more; from then on ``about`` is as it stays."""
        return self._narrator is not None

    # In the thread.

    def _begin(self) -> None:
        source, refused = self._open()
        with self._state:
            self._source = source
            if self._ended:
                source.stop()
        if refused is not None:
            self.about = f"{source.describes_itself}: {refused}"
        elif source.without_accounts is not None:
            self.about = f"no CPU times: {source.without_accounts}"
        self._lives = Lives(self._look())
        self._family = Family(self._root, self._lives)
        ahead = time.time_ns() - time.monotonic_ns() if self._clock_ns is None else self._clock_ns
        self._narrator = Narrator(self._lives, ahead)

    def _hear(self) -> int | None:
        if self._narrator is None:
            self._begin()
            self._lane.ask()
            return 0
        assert self._source is not None
        batch = self._source.read(None, GATHERED)
        for event in batch:
            ours = self._family.holds(event) and event.pid != self._root
            self._heard += 1
            self._entries.append(Entry(self._heard, self._narrator.tell(event), ours))
        if any(event.what == LOST and event.source == "events" for event in batch):
            self._lives.rescan(self._look())
        if not self._ended:
            self._lane.ask()
        return self._heard if batch else None
