"""A lane: a thread that works beside the UI, with a mailbox that holds its newest result alone.

The thread never waits for the UI and the UI never for the thread: one wake-up stands for however many results
came since the mailbox was last looked into.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


class Lane(Generic[T]):
    """A daemon thread that calls ``work`` when it is asked to, and every ``interval`` seconds if given.

    The newest result waits in a mailbox for :meth:`newest`. ``wake`` is called, in the thread, when the
    mailbox was empty or last looked into before; ``failed`` with an OSError, after which the lane goes on,
    or with any other exception, which ends the lane and is raised. After a long pass the lane rests as long
    as that took, so it never takes more than half of one core.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], T | None],
        wake: Callable[[], object],
        failed: Callable[[Exception], object],
        interval: float | None = None,
    ) -> None:
        """Set up the lane; :meth:`start` starts it."""
        self._work = work
        self._wake = wake
        self._failed = failed
        self._interval = interval
        self._state = threading.Condition()
        self._stopping = self._paused = False
        self._asked = interval is not None
        self._newest: T | None = None
        self._woken = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; with an interval, its first pass begins at once."""
        self._thread.start()

    def end(self) -> None:
        """Have the thread end after the pass it is in."""
        with self._state:
            self._stopping = True
            self._state.notify()

    def join(self) -> None:
        """Wait until the thread has ended; one that was never started has."""
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Tell whether the thread is running."""
        return self._thread.is_alive()

    @property
    def paused(self) -> bool:
        """Tell whether the lane only works when it is asked to."""
        return self._paused

    def pause(self) -> None:
        """Only work when asked to, until :meth:`resume`."""
        with self._state:
            self._paused = True

    def resume(self) -> None:
        """Work every interval again, beginning at once."""
        with self._state:
            self._paused = False
            self._asked = True
            self._state.notify()

    def ask(self) -> None:
        """Begin a pass at once, or as soon as the one under way has ended; several requests are one."""
        with self._state:
            self._asked = True
            self._state.notify()

    @property
    def interval(self) -> float | None:
        """Seconds from the beginning of a pass to that of the next; None: only when asked to."""
        return self._interval

    @interval.setter
    def interval(self, seconds: float | None) -> None:
        with self._state:
            self._interval = seconds
            self._state.notify()

    def newest(self) -> T | None:
        """Take the newest result out of the mailbox; None when there is none that was not taken before."""
        with self._state:
            result, self._newest, self._woken = self._newest, None, False
            return result

    def _run(self) -> None:
        began = rested = monotonic()
        while self._wait(began, rested):
            began = monotonic()
            try:
                result = self._work()
            except OSError as error:
                self._failed(error)
            except Exception as error:
                self._failed(error)
                raise
            else:
                self._deliver(result)
            rested = 2 * monotonic() - began

    def _wait(self, began: float, rested: float) -> bool:
        """Wait until a pass is due; False when the thread has to end."""
        with self._state:
            while not self._stopping and not self._asked:
                if self._paused or self._interval is None:
                    self._state.wait()
                elif (left := max(began + self._interval, rested) - monotonic()) > 0:
                    self._state.wait(left)
                else:
                    break
            self._asked = False
            return not self._stopping

    def _deliver(self, result: T | None) -> None:
        if result is None:
            return
        with self._state:
            self._newest = result
            woken, self._woken = self._woken, True
        if not woken:
            self._wake()
