"""Between our terminal and a child's own: pass bytes and the window's size until the child has ended."""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import termios
import time
import tty
from collections.abc import Callable
from typing import Any

from spawner import Child, Exit

_CHUNK = 65536


def relay(child: Child, timeout: float | None) -> Exit | None:
    """Serve the child's terminal until it ends; None if that is not within ``timeout`` seconds."""
    restore = _raw(0)
    before: Any = signal.signal(signal.SIGWINCH, lambda *_: _follow_size(child))
    _follow_size(child)
    try:
        return _pump(child, None if timeout is None else time.monotonic() + timeout)
    finally:
        signal.signal(signal.SIGWINCH, before)
        restore()


def _raw(fd: int) -> Callable[[], None]:
    """Put a terminal into raw mode; the answer puts it back. Does nothing to what is no terminal."""
    if not os.isatty(fd):
        return lambda: None
    attributes = termios.tcgetattr(fd)
    tty.setraw(fd)
    return lambda: termios.tcsetattr(fd, termios.TCSADRAIN, attributes)


def _follow_size(child: Child) -> None:
    size = shutil.get_terminal_size()
    child.resize(size.lines, size.columns)


def _pump(child: Child, deadline: float | None) -> Exit | None:
    pty = child.pty
    assert pty is not None
    poller = select.poll()
    for fd in (0, pty, child.pidfd):
        poller.register(fd, select.POLLIN)
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = dict(poller.poll(left))
        if not ready and left == 0:
            return None
        if pty in ready and not _copy(pty, 1):
            poller.unregister(pty)
        if 0 in ready and not _copy(0, pty):
            poller.unregister(0)
            os.write(pty, b"\x04")  # our end of file, as a terminal says it
        if child.pidfd in ready and pty not in ready:
            return child.wait()


def _copy(source: int, target: int) -> bool:
    """Pass on what there is; False at the end. A pty whose last user has gone says EIO."""
    try:
        data = os.read(source, _CHUNK)
    except OSError as error:
        if error.errno == errno.EIO:
            return False
        raise
    rest = data
    while rest:
        rest = rest[os.write(target, rest) :]
    return bool(data)
