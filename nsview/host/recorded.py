"""A recorded sample in the place of the machine: what was not recorded is unknown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO, TypeVar

from nsview.host import users
from nsview.host.columns.process_row import Scene, command_line
from nsview.host.namespaces import Namespace
from nsview.host.namespaces.membership import members_of
from nsview.host.namespaces.relations import Relations, recall, related
from nsview.host.process import PinnedProcess
from nsview.host.recording import Found, Header, Reader, RecordingError
from nsview.host.recording.reader import find
from nsview.host.snapshot import ProcessRecord, Snapshot
from nsview.host.source import At
from nsview.host.tree import ProcessTree

T = TypeVar("T")


class Recorded:
    """A sample of a recording. The names of users it tells are those that are shown from now on."""

    recorded = True

    def __init__(self, file: BinaryIO, at: At | None = None) -> None:
        """Read up to the sample that ``at`` chooses (the last); RecordingError."""
        reader = Reader(file)
        self.header = reader.header
        self.found = find(reader, None if at is None else at.of(reader.header))
        if at is not None and at.number not in (None, self.found.number):
            raise RecordingError(f"it has {self.found.number} samples, not {at.number}")
        self.notice = self.found.notice
        users.told(self.found.users)

    def scene(self, reference: str = "parent", interval: float | None = None) -> Scene:
        """Return the sample; the one before it is beside it, however long before that was."""
        return RecordedScene(self.header, self.found, reference)

    def snapshot(self) -> Snapshot:
        """Return the sample's."""
        return self.found.snapshot

    def namespaces(self, snapshot: Snapshot) -> dict[int, Namespace]:
        """Join the processes of the sample with the relations that were recorded."""
        known = self.found.namespaces
        present = members_of(snapshot, ProcessTree(snapshot.records))
        if not self.found.everything:
            relations: dict[int, Relations] = {}
            for inode in present:
                recall(inode, known, relations)
            return related(present.values(), relations)
        inside = ("members", "leader", "leader_start_time", "awaited_by")
        joined = {
            inode: replace(namespace, **{name: getattr(present[inode], name) for name in inside})
            if inode in present
            else namespace
            for inode, namespace in known.items()
        }
        return {**joined, **{inode: namespace for inode, namespace in present.items() if inode not in joined}}


class RecordedScene(Scene):
    """A sample as rows, on the clocks of the machine it was taken on."""

    def __init__(self, header: Header, found: Found, reference: str) -> None:
        """Take what was found."""
        records = found.snapshot.records
        commands: dict[tuple[int, int], str | None] = {
            record.identity: command_line(words, record)
            for record in records.values()
            if (words := found.commands.get(record.identity)) is not None
        }
        super().__init__(found.snapshot, found.before, reference, commands)
        self._header = header

    @property
    def boot_time_ns(self) -> int:
        """That machine's clock since boot at the sample, if it did not sleep meanwhile."""
        return self.snapshot.when_ns + self._header.boottime_ns - self._header.monotonic_ns

    @property
    def epoch_ns(self) -> int:
        """When that machine's clock since boot was zero."""
        return self._header.realtime_ns - self._header.boottime_ns

    @property
    def memory(self) -> int:
        """That machine's memory in bytes."""
        return self._header.memory

    @property
    def own_pid(self) -> int:
        """The pid of who recorded."""
        return self._header.reader

    def answer(self, record: ProcessRecord, question: Callable[[PinnedProcess], T]) -> T | None:
        """Answer nothing: it was not recorded."""
        return None
