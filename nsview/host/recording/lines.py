"""The lines of a file, plain or compressed: bounded in length, and whole but for the last of a file cut short."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from nsview.host.recording.form import LONGEST_LINE, RecordingError

_GZIP = b"\x1f\x8b"
_AS_GZIP = 16 + zlib.MAX_WBITS
_CHUNK = 1 << 16


class Lines:
    """Iterates over the lines without their newline. ``number`` is that of the last line; ``is_cut`` says at the end
    whether the file ends within a line or within compressed data: the last line is then the rest, perhaps a part.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read a binary file from its beginning; compressed ones are known by their first bytes (RFC 1952)."""
        self.number = 0
        self.is_cut = False
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines; RecordingError when one is too long or the compressed data are damaged."""
        rest = b""
        for piece in self._pieces():
            head, *lines = (rest + piece).split(b"\n") if b"\n" in piece else [rest + piece]
            for line in (head, *lines)[:-1]:
                yield self._counted(line)
            rest = lines[-1] if lines else head
            if len(rest) > LONGEST_LINE:
                self._counted(rest)
        if rest:
            self.is_cut = True
            yield self._counted(rest)

    def _counted(self, line: bytes) -> bytes:
        self.number += 1
        if len(line) > LONGEST_LINE:
            raise RecordingError(f"it is longer than {LONGEST_LINE >> 20} MiB", self.number)
        return line

    def _pieces(self) -> Iterator[bytes]:
        first = self._file.read(_CHUNK)
        more = iter(lambda: self._file.read(_CHUNK), b"")
        if first[:2] == _GZIP:
            yield from self._inflated(first, more)
            return
        yield first
        yield from more

    def _inflated(self, data: bytes, more: Iterator[bytes]) -> Iterator[bytes]:
        """Decompress member after member, a piece of bounded size at a time."""
        member = zlib.decompressobj(_AS_GZIP)
        inflate: Callable[[bytes, int], bytes] = member.decompress
        while data:
            try:
                piece = inflate(data, _CHUNK)
            except zlib.error as error:
                raise RecordingError(f"the compressed data are damaged ({error})", self.number + 1) from None
            if piece:
                yield piece
            data = member.unused_data if member.eof else member.unconsumed_tail
            if not data:
                data = next(more, b"")
                if data and not member.eof:
                    continue
            if member.eof and data:
                member = zlib.decompressobj(_AS_GZIP)
                inflate = member.decompress
        self.is_cut = not member.eof
