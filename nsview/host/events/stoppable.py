"""What one thread reads until any other, or a signal handler, stops it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from nsview.host.events.event import Event


class Stoppable(ABC):
    """A source of events; a context manager that closes it. ``_stopping`` is readable once it is stopped."""

    def __init__(self) -> None:
        """Open what stop() writes to; close() has to close it."""
        self._stopping = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._stopped = False

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def stop(self) -> None:
        """Make read() return and iteration end, at once and for good; from any thread or signal handler."""
        self._stopped = True
        os.eventfd_write(self._stopping, 1)

    def __iter__(self) -> Iterator[Event]:
        """Yield events until stop()."""
        while not self._stopped:
            yield from self.read()

    @abstractmethod
    def read(self, timeout: float | None = None, gather: float = 0.0) -> list[Event]:
        """Return events, [] when the time is over or after stop()."""

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds; no thread may be reading."""
