"""What a child finds on descriptors 0 to 2, and the parent's ends of it."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Callable, Iterable

from spawner.opened import close, lift
from spawner.spec import Stdio

_NAMES = ("stdin", "stdout", "stderr")


class Streams:
    """``child`` maps stdin, stdout, stderr to descriptors for the child (empty: inherited); ``parent`` maps the
    same names, or ``pty``, to our ends. All are close-on-exec and above 2. ``names`` has the path of the child's
    terminal as ``tty``, where it has one of its own.
    """

    def __init__(self) -> None:
        self.child: dict[str, int] = {}
        self.parent: dict[str, int] = {}
        self.names: dict[str, bytes] = {}
        self.opened: list[int] = []

    def close_child_ends(self) -> None:
        """Close what only the child needs; the parent would never see end of file otherwise."""
        self._close(self.child.values())
        self.child.clear()

    def close_end(self, name: str) -> None:
        """Close one of ours, if it is open."""
        if (fd := self.parent.get(name)) is not None:
            self._close((fd,))
            del self.parent[name]

    def close(self) -> None:
        """Close everything."""
        self._close(tuple(self.opened))
        self.child.clear()
        self.parent.clear()

    def _close(self, descriptors: Iterable[int]) -> None:
        for fd in {*descriptors}.intersection(self.opened):
            close(self.opened, fd)


def set_window(fd: int, rows: int, columns: int) -> None:
    """Tell a terminal its size (TIOCSWINSZ); its foreground group gets SIGWINCH."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


def open_streams(streams: Streams, kind: Stdio, window: tuple[int, int]) -> None:
    """Open what ``kind`` asks for; OSError, after which ``streams`` is still to be closed."""
    _OPENERS[kind](streams, window)


def _inherit(streams: Streams, window: tuple[int, int]) -> None:
    pass


# A descriptor is on the list by the line that opens it.


def _null(streams: Streams, window: tuple[int, int]) -> None:
    streams.opened.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
    streams.child.update(dict.fromkeys(_NAMES, lift(streams.opened)))


def _pipes(streams: Streams, window: tuple[int, int]) -> None:
    for name in _NAMES:
        reading, writing = _pair(streams.opened, lambda: os.pipe2(os.O_CLOEXEC))
        ours, theirs = (writing, reading) if name == "stdin" else (reading, writing)
        streams.parent[name], streams.child[name] = ours, theirs


def _pty(streams: Streams, window: tuple[int, int]) -> None:
    streams.parent["pty"], slave = _pair(streams.opened, os.openpty)
    streams.child.update(dict.fromkeys(_NAMES, slave))
    streams.names["tty"] = os.fsencode(os.ttyname(slave))
    set_window(streams.parent["pty"], *window)


def _pair(opened: list[int], make: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    opened += make()
    second = lift(opened)
    opened[-2:] = opened[:-3:-1]
    return lift(opened), second


_OPENERS = {Stdio.INHERIT: _inherit, Stdio.NULL: _null, Stdio.PIPE: _pipes, Stdio.PTY: _pty}
