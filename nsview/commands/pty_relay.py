"""Between our terminal and a child's own: pass bytes and the window's size until the child has ended."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable
from typing import Any

from nsview.options.window import own_size
from spawner import Child, Exit

_CHUNK = 65536
_LONGEST_POLL = 1 << 30  # poll(2) takes an int of milliseconds
_VEOF = 6  # the index of the end-of-file character in a terminal's attributes, termios(3)


def relay(child: Child, timeout: float | None) -> Exit | None:
    """Serve the child's terminal until it ends; None if that is not within ``timeout`` seconds."""
    restore = _raw(0)
    before: Any = signal.signal(signal.SIGWINCH, lambda *_: _follow_size(child))
    _follow_size(child)  # it may have changed since the child was born
    try:
        return _Relay(child).run(None if timeout is None else time.monotonic() + timeout)
    finally:
        signal.signal(signal.SIGWINCH, before)
        restore()


def _raw(fd: int) -> Callable[[], None]:
    """Put a terminal into raw mode; the answer puts it back. Does nothing to what is no terminal."""
    if not os.isatty(fd):
        return lambda: None
    attributes = termios.tcgetattr(fd)
    tty.setraw(fd, termios.TCSADRAIN)  # not TCSAFLUSH: what was typed ahead is for the program
    return lambda: termios.tcsetattr(fd, termios.TCSADRAIN, attributes)


def _follow_size(child: Child) -> None:
    if (size := own_size()) is not None:
        child.resize(*size)


class _Relay:
    """The bytes under way. What is typed waits here while the child's terminal is full: writing to it while the
    child waits for us to read would stop both for good.
    """

    def __init__(self, child: Child) -> None:
        assert child.pty is not None
        self._child = child
        self._pty = child.pty
        self._pty_open = True
        # A closed descriptor's number may by now be another file's.
        self._input_open = sys.stdin is not None
        self._output_open = sys.stdout is not None
        self._typed = b""
        self._last = b"\n"
        os.set_blocking(self._pty, False)
        if not self._input_open:
            self._end_input()

    def run(self, deadline: float | None) -> Exit | None:
        """Pass bytes until the child has ended (None: or ``deadline``, a monotonic time, has come)."""
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            ready = dict(self._poller().poll(None if left is None else min(left, _LONGEST_POLL)))
            if not ready and left == 0:
                return None
            if events := ready.get(self._pty, 0):
                self._serve_pty(events)
            elif self._child.pidfd in ready:  # and nothing is left to read
                return self._child.wait()
            if 0 in ready and self._input_open:
                self._read_input()

    def _poller(self) -> select.poll:
        poller = select.poll()
        poller.register(self._child.pidfd, select.POLLIN)
        if self._pty_open:
            poller.register(self._pty, select.POLLIN | (select.POLLOUT if self._typed else 0))
        if self._input_open and not self._typed:
            poller.register(0, select.POLLIN)
        return poller

    def _serve_pty(self, events: int) -> None:
        if events & select.POLLOUT:
            self._typed = self._typed[os.write(self._pty, self._typed) :]
        if events & ~select.POLLOUT and not self._copy_output():
            self._pty_open = False
            self._typed = b""

    def _copy_output(self) -> bool:
        """Pass on what there is; False at the end. A pty whose last user has gone says EIO."""
        try:
            data = os.read(self._pty, _CHUNK)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno == errno.EIO:
                return False
            raise
        rest = data if self._output_open else b""
        while rest:
            rest = rest[os.write(1, rest) :]
        return bool(data)

    def _read_input(self) -> None:
        data = os.read(0, _CHUNK)
        if data:
            self._typed += data
            self._last = data[-1:]
        else:
            self._end_input()

    def _end_input(self) -> None:
        """Say end of file as a terminal does: by a character, of which the first only ends an unfinished line."""
        self._input_open = False
        character = termios.tcgetattr(self._pty)[_VEOF][termios.VEOF]
        self._typed += character if self._last == b"\n" else character * 2
