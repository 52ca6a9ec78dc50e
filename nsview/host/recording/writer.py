"""Writing a recording: whole lines, each on its way to the disk before the next is made."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO

from nsview.host.events.event import LOST, Event
from nsview.host.namespaces import Namespace
from nsview.host.recording.form import LONGEST_COMMAND, LONGEST_LINE, MOST_PROCESSES, PART, Header
from nsview.host.recording.namespace_object import to_object
from nsview.host.snapshot import ProcessRecord, Snapshot

FULL_EVERY = 256
"""Samples from one that says everything to the next; those between say what has changed."""

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

Identity = tuple[int, int]


class Writer:
    """Writes to a binary file that the caller opened and closes; ``compress``: as gzip, flushed at each sample.

    A sample after the first says only which processes changed and which are gone; most do nothing from one sample
    to the next. ``samples``, ``events`` and ``lost`` count what was written.
    """

    def __init__(self, file: BinaryIO, header: Header, compress: bool = False) -> None:
        """Begin the file with its header; OSError as of write(2), here and in all methods."""
        self.samples = self.events = self.lost = 0
        self._file = file
        self._gzip = zlib.compressobj(6, wbits=16 + zlib.MAX_WBITS) if compress else None
        self._last: Mapping[int, ProcessRecord] = {}
        self._users: set[int] = set()
        self._put([header.to_object()])

    def sample(
        self,
        snapshot: Snapshot,
        users: Mapping[int, str] | None = None,
        commands: Mapping[Identity, str | None] | None = None,
    ) -> None:
        """Write a sample; with it the names of users, and command lines (raw, NUL after each word), not yet written.

        Raises ValueError when there are more processes than a reader would take.
        """
        records = snapshot.records
        if len(records) > MOST_PROCESSES:
            raise ValueError(f"a recording has room for {MOST_PROCESSES} processes, not for {len(records)}")
        full = self.samples % FULL_EVERY == 0
        last = {} if full else self._last
        changed = [
            record for pid, record in records.items() if (then := last.get(pid)) is not record and then != record
        ]
        lines: list[object] = []
        if fresh := {uid: name for uid, name in (users or {}).items() if uid not in self._users}:
            self._users |= fresh.keys()
            lines.append({"users": {str(uid): name for uid, name in fresh.items()}})
        lines += _commands_lines(commands or {})
        lines += [{"processes": changed[at : at + PART]} for at in range(PART, len(changed), PART)]
        self.samples += 1
        lines.append(
            {
                "sample": self.samples,
                "when_ns": snapshot.when_ns,
                "ended_ns": snapshot.ended_ns,
                "by": str(snapshot.producer),
                "vanished": snapshot.vanished,
                "errors": [[error.errno, error.count] for error in snapshot.errors],
                "full": full,
                "gone": [pid for pid in last if pid not in records],
                "processes": changed[:PART],
            }
        )
        self._last = records
        self._put(lines)

    def tell(self, events: Iterable[Event]) -> None:
        """Write events, which should stand in order of time; when compressed, they stay in memory up to a sample."""
        lines: list[object] = []
        for event in events:
            lines.append({"event": event.to_object()})
            self.events += 1
            if event.what == LOST:
                self.lost += 1 if event.count is None else event.count
        if lines:
            self._put(lines, flush=self._gzip is None)

    def namespaces(self, when_ns: int, namespaces: Iterable[Namespace], everything: bool) -> None:
        """Write what is known of namespaces: all there are, when ``everything`` was searched for, else new ones."""
        every = [_encode(to_object(namespace)) for namespace in namespaces]
        parts: list[list[str]] = [[]]
        for one in every:
            if sum(map(len, parts[-1])) > LONGEST_LINE // 4:
                parts.append([])
            parts[-1].append(one)
        facts = {"when_ns": when_ns, "everything": everything}
        for at, part in enumerate(parts):
            head = _encode({**facts, "more": at + 1 < len(parts)})
            self._write(f'{head[:-1]},"namespaces":[{",".join(part)}]}}\n')

    def end(self, reason: str, when_ns: int) -> None:
        """Write the last line, which says that the recording was ended and not cut short."""
        counts = {"samples": self.samples, "events": self.events, "lost": self.lost}
        self._put([{"end": {"reason": reason, "when_ns": when_ns, **counts}}], flush=False)
        if self._gzip is not None:
            self._file.write(self._gzip.flush(zlib.Z_FINISH))
        self._file.flush()

    def _put(self, lines: Sequence[object], flush: bool = True) -> None:
        self._write("".join(f"{_encode(line)}\n" for line in lines), flush)

    def _write(self, text: str, flush: bool = True) -> None:
        data = text.encode("ascii")
        if self._gzip is not None:
            data = self._gzip.compress(data) + (self._gzip.flush(zlib.Z_SYNC_FLUSH) if flush else b"")
        self._file.write(data)
        if flush:
            self._file.flush()


def _commands_lines(commands: Mapping[Identity, str | None]) -> Iterable[object]:
    """Yield command lines by identity, some in a line."""
    part: list[object] = []
    size = 0
    for (pid, start_time), words in commands.items():
        kept = None if words is None or len(words) > LONGEST_COMMAND else words
        part.append([pid, start_time, kept])
        size += len(kept or "")
        if len(part) == PART or size > 4 * LONGEST_COMMAND:
            yield {"commands": part}
            part, size = [], 0
    if part:
        yield {"commands": part}
