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
"""Seconds of reading and emulating per turn. What is not read waits in the pty, and its writer with it."""

CHUNK = 4096
"""A pty hands out no more than this at a time (N_TTY_BUF_SIZE)."""

PENDING_MOST = 1 << 20
"""Bytes typed or pasted that may wait for a program that does not read; what goes beyond is refused."""


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
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        os.close(self._fd)
        self._fd = -1

    def _read(self) -> None:
        until = time.monotonic() + TURN
        while not self.closed:
            try:
                data = os.read(self._fd, CHUNK)
            except BlockingIOError:
                return
            except OSError:  # EIO: the last descriptor of the other side is closed (pty(7))
                data = b""
            self._on_text(self._decoder.decode(data, final=not data))
            if not data:
                self.close()
                self._on_end()
            elif time.monotonic() >= until:
                self._pause()
                return

    def _pause(self) -> None:
        self._loop.remove_reader(self._fd)
        self._rest = self._loop.call_later(FRAME, self._go_on)

    def _go_on(self) -> None:
        self._rest = None
        self._loop.add_reader(self._fd, self._read)

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
