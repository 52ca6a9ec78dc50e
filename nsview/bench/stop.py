"""Ending early without leaving anything: a signal that asks for it is heeded between two turns.

A launcher that is killed half-way leaves its container, its control group or its process 1. So SIGINT, SIGTERM and
SIGHUP are noted, and heeded where nothing is under way; what takes seconds is told to hurry meanwhile.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

_HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Notes the first signal that asks for an end while it is entered; elsewhere than in the main thread it hears none.

    A second one is heeded like the first: what is under way ends soon.
    """

    def __init__(self) -> None:
        self._asked: int | None = None
        self._hurries: list[Callable[[], object]] = []
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in _HEEDED:  # but for what we were told to ignore, as by nohup(1)
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is None:
            self.check()

    @property
    def asked(self) -> bool:
        """Whether an end was asked for."""
        return self._asked is not None

    def check(self) -> None:
        """Raise KeyboardInterrupt, or SystemExit with 128 + the signal's number, when an end was asked for."""
        if self._asked == signal.SIGINT:
            raise KeyboardInterrupt
        if self._asked is not None:
            raise SystemExit(128 + self._asked)

    @contextmanager
    def hurrying(self, hurry: Callable[[], object]) -> Iterator[None]:
        """Have ``hurry`` called, once, as soon as an end is asked for while this is entered, or was already."""
        self._hurries.append(hurry)
        try:
            if self.asked:
                hurry()
            yield
        finally:
            self._hurries.remove(hurry)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._asked is None:
            self._asked = number
            for hurry in self._hurries:
                hurry()
