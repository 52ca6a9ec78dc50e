"""The wire to a pty spends a bounded time per turn, by a clock that the test turns."""

from __future__ import annotations

import asyncio
import os
import tty
from contextlib import suppress
from itertools import pairwise

import pytest

from nsview.tui.terminal import pty_stream
from nsview.tui.terminal.pty_stream import CHUNK, PIECE_LEAST, TURN, PtyStream


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


async def test_those_that_flood_at_the_same_time_share_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now, pieces = 0.0, 0

    def emulated(_text: str) -> None:
        nonlocal now, pieces
        now += TURN / 8
        pieces += 1

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now

    def turn(stream: PtyStream) -> int:
        nonlocal pieces
        pieces = 0
        stream._read()
        return pieces

    monkeypatch.setattr(pty_stream, "time", Clock)
    pairs = [os.openpty() for _ in range(2)]
    one, other = (PtyStream(master, emulated, lambda: None) for master, _slave in pairs)
    try:
        for stream in (one, other):
            stream._text, stream._piece = "f" * 10_000, 64
        assert turn(one) == 8
        assert turn(other) == 8  # it was not known to flood yet
        assert (turn(one), turn(other)) == (4, 4)
        other._text = ""
        assert turn(other) == 0
        assert turn(one) == 8
    finally:
        for stream, (_master, slave) in zip((one, other), pairs, strict=True):
            stream.close()
            os.close(slave)
    assert not pty_stream._flooding


@pytest.mark.parametrize(
    ("piece", "took", "following"),
    [
        (CHUNK, TURN, CHUNK // 4),
        (64, TURN, PIECE_LEAST),
        (PIECE_LEAST, TURN, PIECE_LEAST),
        (512, TURN / 100, 1024),
        (CHUNK, 0.0, CHUNK),
        (512, TURN / 4, 512),
    ],
)
def test_dear_output_is_emulated_in_smaller_pieces(piece: int, took: float, following: int) -> None:
    assert pty_stream._next_piece(piece, took) == following
