"""The wire to a pty spends a bounded time per turn, by a clock that the test turns."""

from __future__ import annotations

import asyncio
import os
import tty
from contextlib import suppress
from itertools import pairwise

import pytest

from nsview.tui.terminal import pty_stream
from nsview.tui.terminal.pty_stream import CHUNK, TURN, PtyStream


async def test_flood_is_read_in_turns_of_bounded_length(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    got: list[str] = []

    def emulated(text: str) -> None:
        nonlocal now
        now += TURN / 2
        got.append(text)

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now

    monkeypatch.setattr(pty_stream, "time", Clock)
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(slave, False)
    stream = PtyStream(master, emulated, lambda: None)
    chunks, written = [0], 0
    try:
        with suppress(BlockingIOError):
            while True:
                written += os.write(slave, b"f" * CHUNK)
        assert written > 2 * CHUNK  # so the kernel holds more than one turn reads
        while sum(map(len, got)) < written:
            await asyncio.sleep(0)  # one round of the loop: whatever else waits for it runs as well
            if len(got) > chunks[-1]:
                chunks.append(len(got))
    finally:
        stream.close()
        os.close(slave)
    turns = [later - earlier for earlier, later in pairwise(chunks)]
    assert len(turns) > 1
    assert max(turns) == 2  # two chunks take a whole turn of this clock
