"""The wire between a pty's master and a terminal emulator: never blocks, and spends a bounded time per frame."""

from __future__ import annotations

import asyncio
import codecs
import os
import termios
import time
from collections.abc import Callable

FRAME = 1 / 30
"""Seconds between two turns at a flood of output."""

TURN = 0.008
"""Seconds of reading and emulating per turn, shared by all that flood at the same time. What is not read waits in
the pty, and its writer with it."""

CHUNK = 4096
"""A pty hands out no more than this at a time (N_TTY_BUF_SIZE)."""

PIECE_LEAST = 16
"""Characters emulated at once, at the least: some sequences are dear (to fill a large screen takes milliseconds)."""

PENDING_MOST = 1 << 20
"""Bytes typed or pasted that may wait for a program that does not read; what goes beyond is refused."""

_flooding: set[PtyStream] = set()
"""Those that had more to read than their last turn was long."""


def _next_piece(piece: int, took: float) -> int:
    """How much to emulate at once next, so that the clock is looked at several times in a turn."""
    if took > TURN / 2:
        return max(PIECE_LEAST, piece // 4)
    return min(CHUNK, piece * 2) if took < TURN / 8 else piece


class PtyStream:
    """Reads and writes one pty master on the running event loop.

    ``fd`` is the stream's own from here on. ``on_text`` gets decoded output in turns of
    at most ``TURN`` seconds, ``on_end`` is called once, when the last process has closed the other side.
    It is what bittty calls a connection, so a Board can write to it and resize it.
    """

    def __init__(self, fd: int, on_text: Callable[[str], None], on_end: Callable[[], None]) -> None:
        self._fd = fd
        os.set_blocking(self._fd, False)
        self._on_text = on_text
        self._on_end = on_end
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._pending = bytearray()
        self._loop = asyncio.get_running_loop()
        self._rest: asyncio.TimerHandle | None = None
        self._text = ""
        self._piece = CHUNK
        self._loop.add_reader(self._fd, self._read)

    @property
    def closed(self) -> bool:
        """Whether close() was called or the other side is gone."""
        return self._fd < 0

    def write(self, data: str) -> None:
        """Send text; see write_bytes."""
        self.write_bytes(data.encode())

    def write_bytes(self, data: bytes) -> None:
        """Send bytes, now or when the program reads; dropped once ``PENDING_MOST`` bytes are waiting."""
        if self.closed or len(self._pending) + len(data) > PENDING_MOST:
            return
        waiting = bool(self._pending)
        self._pending += data
        if not waiting:
            self._write()

    def flush(self) -> None:
        """Nothing to do: a pty has no buffer of ours in front of it."""

    def resize(self, rows: int, cols: int) -> None:
        """Set the window size; the kernel tells the programs in front by SIGWINCH (tty_ioctl(4))."""
        if not self.closed:
            termios.tcsetwinsize(self._fd, (rows, cols))

    def close(self) -> None:
        """Let go of the pty. What was not read is lost, ``on_end`` is not called."""
        if self.closed:
            return
        if self._rest is not None:
            self._rest.cancel()
        _flooding.discard(self)
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        os.close(self._fd)
        self._fd = -1

    def _read(self) -> None:
        began = now = time.monotonic()
        turn = TURN / max(1, len(_flooding))
        while not self.closed:
            if not self._text and not self._fill():
                return
            piece, self._text = self._text[: self._piece], self._text[self._piece :]
            self._on_text(piece)
            before, now = now, time.monotonic()
            self._piece = _next_piece(self._piece, now - before)
            if now - began >= turn:
                self._pause()
                return

    def _fill(self) -> bool:
        """Read what is there; tell whether there was anything."""
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            _flooding.discard(self)
            return False
        except OSError:  # EIO: the last descriptor of the other side is closed (pty(7))
            data = b""
        self._text = self._decoder.decode(data, final=not data)
        if data:
            return True
        if self._text:
            self._on_text(self._text)
        self.close()
        self._on_end()
        return False

    def _pause(self) -> None:
        if self.closed:
            return
        _flooding.add(self)
        self._loop.remove_reader(self._fd)
        self._rest = self._loop.call_later(FRAME, self._go_on)

    def _go_on(self) -> None:
        self._rest = None
        if self.closed:
            return
        self._loop.add_reader(self._fd, self._read)
        if self._text:  # nobody tells when there is something here
            self._read()

    def _write(self) -> None:
        while self._pending:
            try:
                sent = os.write(self._fd, self._pending[:CHUNK])
            except BlockingIOError:
                self._loop.add_writer(self._fd, self._write)
                return
            except OSError:  # EIO: nobody is left to read it
                self._pending.clear()
                break
            del self._pending[:sent]
        self._loop.remove_writer(self._fd)
