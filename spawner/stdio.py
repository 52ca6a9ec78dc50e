"""What a child finds on descriptors 0 to 2, and the parent's ends of it."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from dataclasses import dataclass, field

from spawner.spec import Stdio

_NAMES = ("stdin", "stdout", "stderr")


@dataclass(slots=True)
class Streams:
    """``child`` maps stdin, stdout, stderr to descriptors for the child (empty: inherited); ``parent`` maps the
    same names, or ``pty``, to our ends. All are close-on-exec and above 2. ``names`` has the path of the child's
    terminal as ``tty``, where it has one of its own.
    """

    child: dict[str, int] = field(default_factory=dict)
    parent: dict[str, int] = field(default_factory=dict)
    names: dict[str, bytes] = field(default_factory=dict)

    def close_child_ends(self) -> None:
        """Close what only the child needs; the parent would never see end of file otherwise."""
        for fd in set(self.child.values()):
            os.close(fd)
        self.child.clear()

    def close(self) -> None:
        """Close everything."""
        self.close_child_ends()
        for fd in self.parent.values():
            os.close(fd)
        self.parent.clear()


def above_stdio(fd: int) -> int:
    """Move a descriptor out of 0 to 2, where a caller that runs without stdio gets them; dup3 would hit it there."""
    if fd > 2:
        return fd
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return moved


def set_window(fd: int, rows: int, columns: int) -> None:
    """Tell a terminal its size (TIOCSWINSZ); its foreground group gets SIGWINCH."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


def open_streams(kind: Stdio, window: tuple[int, int]) -> Streams:
    """Open what ``kind`` asks for; OSError leaves nothing open."""
    streams = Streams()
    try:
        _OPENERS[kind](streams, window)
    except OSError:
        streams.close()
        raise
    return streams


def _inherit(streams: Streams, window: tuple[int, int]) -> None:
    pass


def _null(streams: Streams, window: tuple[int, int]) -> None:
    null = above_stdio(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
    streams.child.update(dict.fromkeys(_NAMES, null))


def _pipes(streams: Streams, window: tuple[int, int]) -> None:
    for name in _NAMES:
        ends = [above_stdio(fd) for fd in os.pipe2(os.O_CLOEXEC)]
        ours, theirs = reversed(ends) if name == "stdin" else ends
        streams.parent[name], streams.child[name] = ours, theirs


def _pty(streams: Streams, window: tuple[int, int]) -> None:
    master, slave = map(above_stdio, os.openpty())
    streams.parent["pty"] = master
    streams.child.update(dict.fromkeys(_NAMES, slave))
    streams.names["tty"] = os.fsencode(os.ttyname(slave))
    set_window(master, *window)


_OPENERS = {Stdio.INHERIT: _inherit, Stdio.NULL: _null, Stdio.PIPE: _pipes, Stdio.PTY: _pty}
