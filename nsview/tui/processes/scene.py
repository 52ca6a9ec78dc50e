"""What a row of the table can be asked beside its record: the columns that filters, sorting and the picker offer.

They are those of every list of processes, and two that only the screen knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import cached_property

from nsview.host.columns.column import Column, by_name
from nsview.host.columns.kinds import FLAG
from nsview.host.columns.process_row import ProcessRow, Scene
from nsview.host.columns.processes import PROCESS_COLUMNS
from nsview.host.model import Identity
from nsview.host.snapshot import ProcessRecord, Snapshot
from nsview.host.tree import true_parent


class CommandLines:
    """Command lines read before, over many snapshots, by pid. One that goes by another name now, or whose pid is
    another process by now, is forgotten. Any thread may use it.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: dict[int, tuple[int, str, str | None]] = {}

    def __len__(self) -> int:
        """Count those kept."""
        return len(self._kept)

    def seen_from(self, records: Mapping[int, ProcessRecord]) -> MutableMapping[Identity, str | None]:
        """Return them as :class:`Scene` wants them: those that are true of these records."""
        return _OfRecords(self._kept, records)

    def forget(self, pid: int) -> None:
        """Forget that of a process, which runs another program now."""
        self._kept.pop(pid, None)

    def keep_only(self, records: Mapping[int, ProcessRecord]) -> None:
        """Forget those of processes that are gone, when there are many."""
        if len(self._kept) > 2 * len(records) + 1000:
            for pid in [pid for pid in [*self._kept] if pid not in records]:
                self.forget(pid)


class _OfRecords(MutableMapping[Identity, str | None]):
    """The kept command lines by identity, as far as they are true of some records."""

    def __init__(self, kept: dict[int, tuple[int, str, str | None]], records: Mapping[int, ProcessRecord]) -> None:
        self._kept = kept
        self._records = records

    def __getitem__(self, identity: Identity) -> str | None:
        pid, start_time = identity
        kept, record = self._kept.get(pid), self._records.get(pid)
        if kept is None or kept[0] != start_time or (record is not None and record.comm != kept[1]):
            raise KeyError(identity)
        return kept[2]

    def __setitem__(self, identity: Identity, text: str | None) -> None:
        pid, start_time = identity
        record = self._records.get(pid)
        # What could not be read may be readable the next time.
        if text is not None and record is not None and record.start_time == start_time:
            self._kept[pid] = (start_time, record.comm, text)

    def __delitem__(self, identity: Identity) -> None:
        del self._kept[identity[0]]

    def __iter__(self) -> Iterator[Identity]:
        return iter([(pid, kept[0]) for pid, kept in [*self._kept.items()]])

    def __len__(self) -> int:
        return len(self._kept)


class TableScene(Scene):
    """A scene that knows what nsview launched, and which processes a person has tagged."""

    def __init__(
        self,
        snapshot: Snapshot,
        before: Snapshot | None,
        reference: str,
        commands: MutableMapping[Identity, str | None],
        launches: Mapping[Identity, object],
        tagged: frozenset[Identity],
    ) -> None:
        """Look at a snapshot."""
        super().__init__(snapshot, before, reference, commands)
        self._launches = launches
        self.tagged = tagged

    @cached_property
    def launched(self) -> frozenset[Identity]:
        """Our launches and all below them, and what they left to us: nsview adopts orphans of its children."""
        found = {*self._launches}
        mine = self.records.get(self.own_pid)
        known: dict[int, bool] = {}
        for record in self.records.values():
            path: list[ProcessRecord] = []
            above: ProcessRecord | None = record
            while above is not None and above.pid not in known and above.identity not in found and above is not mine:
                path.append(above)
                known[above.pid] = False  # until it is known better, and against circles
                above = true_parent(above, self.records)
            if above is not None and (above is mine or above.identity in found or known.get(above.pid)):
                known.update((one.pid, True) for one in path)
        found.update(record.identity for record in self.records.values() if known.get(record.pid))
        return frozenset(found)


def _asked(question: Callable[[TableScene], frozenset[Identity]]) -> Callable[[ProcessRow], bool | None]:
    """Tell whether a row is among those that the scene knows; in another scene nobody knows."""
    return lambda row: row.record.identity in question(row.scene) if isinstance(row.scene, TableScene) else None


COLUMNS: tuple[Column[ProcessRow], ...] = (
    *PROCESS_COLUMNS,
    Column("launched", "OWN", FLAG, _asked(lambda scene: scene.launched), "launched by nsview, or below what was"),
    Column("tagged", "TAGGED", FLAG, _asked(lambda scene: scene.tagged), "tagged in the table (Space)"),
)
TABLE_COLUMNS: Mapping[str, Column[ProcessRow]] = by_name(COLUMNS)
