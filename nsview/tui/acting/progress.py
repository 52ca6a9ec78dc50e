"""How far a long act has come, told by its thread to the screen, and the wish to stop it, told the other way."""

from __future__ import annotations

import threading


class Progress:
    """Shared by the thread that acts and the dialog that shows it.

    ``total`` is None while it is unknown; ``over`` is set when the act has come to its end.
    """

    def __init__(self) -> None:
        self.words = ""
        self.done = 0
        self.total: int | None = None
        self.over = False
        self._cancelled = threading.Event()

    def say(self, words: str, done: int = 0, total: int | None = None) -> None:
        """Say what is done now, and how far it is."""
        self.words, self.done, self.total = words, done, total

    def cancel(self) -> None:
        """Ask the thread to stop as soon as that leaves things in order."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether it is to stop."""
        return self._cancelled.is_set()

    def pause(self, seconds: float) -> bool:
        """Wait so long, or until it is to stop; true when it is."""
        return self._cancelled.wait(seconds)
