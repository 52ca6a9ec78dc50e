"""Reading what is known of the processes in view beside their records.

One pass takes as many files as there are lines on the screen, however many processes there are. What cannot change
is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic_ns

from nsview.host.cgroups.directory import Directory
from nsview.host.cgroups.hierarchies import Hierarchy, hierarchies
from nsview.host.cgroups.paths import groups_of
from nsview.host.cgroups.values import frozen
from nsview.host.columns.process_files import container
from nsview.host.columns.process_row import ProcessRow, command_line
from nsview.host.model import Identity
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import ProcessRecord
from nsview.host.threads import threads_of
from nsview.tui.processes.detail import Detail, Details, ThreadSeen
from nsview.tui.processes.rows import Rows
from nsview.tui.processes.scene import TABLE_COLUMNS


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is in view: processes of ``rows``, these columns, ``threads`` of some, and who is under the cursor."""

    rows: Rows
    records: tuple[ProcessRecord, ...]
    columns: tuple[str, ...] = ()
    threads: frozenset[Identity] = frozenset()
    cursor: Identity | None = None


Read = Callable[[Wanted], Details]


class Reader:
    """Reads details again and again, in one thread; keeps what cannot change, and what rates are counted from."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._pids: dict[Identity, tuple[int, ...]] = {}
        self._ran: dict[tuple[Identity, int], tuple[int, int]] = {}
        self._freezers: tuple[Hierarchy, ...] | None = None

    def read(self, wanted: Wanted) -> Details:
        """Read what is wanted; who is gone is left out. OSError only where none of the ordinary answers came."""
        if self._freezers is None:
            self._freezers = tuple(one for one in hierarchies() if one.version == 2 or "freezer" in one.key.split(","))
        known: dict[bytes | str, bool] = {}
        found = {}
        for record in wanted.records:
            try:
                with PinnedProcess(record.pid, record.start_time) as process:
                    found[record.identity] = self._detail(process, record, wanted, known)
            except ProcessGoneError:
                continue
        self._pids = {identity: pids for identity, pids in self._pids.items() if identity in found}
        self._ran = {key: ran for key, ran in self._ran.items() if key[0] in found}
        return found

    def _detail(
        self, process: PinnedProcess, record: ProcessRecord, wanted: Wanted, known: dict[bytes | str, bool]
    ) -> Detail:
        identity = record.identity
        row = wanted.rows.process_row(record)
        return Detail(
            self._command(process, row),
            self._nested(process, record),
            self._is_frozen(process, known),
            {name: TABLE_COLUMNS[name].text(row) for name in wanted.columns},
            self._threads(process, identity) if identity in wanted.threads else (),
            container(process) if identity == wanted.cursor else None,
        )

    def _command(self, process: PinnedProcess, row: ProcessRow) -> str | None:
        record, kept = row.record, row.scene.commands
        if record.is_kernel_thread:
            return None
        if record.identity not in kept:
            words = process.read("cmdline")
            kept[record.identity] = None if words is None else command_line(words, record)
        return kept.get(record.identity)

    def _nested(self, process: PinnedProcess, record: ProcessRecord) -> tuple[int, ...] | None:
        """Return its pids; the file is read only where the record has not all of them."""
        if record.depth is None or record.inner_pid is None:
            return None
        if record.depth <= 1:
            return (record.pid, record.inner_pid)[: record.depth + 1]
        identity = record.identity
        if identity not in self._pids:
            text = (process.status() or {}).get("NSpid")
            if text is None:
                return None
            self._pids[identity] = tuple(map(int, text.split()))
        return self._pids[identity]

    def _is_frozen(self, process: PinnedProcess, known: dict[bytes | str, bool]) -> bool:
        """Tell whether a control group it is in is frozen; of each group it is asked once in a pass (``known``).

        Most processes are in the same groups as another: what their file says is taken apart once.
        """
        text = process.read("cgroup") or b""
        if text not in known:
            known[text] = self._is_any_frozen(groups_of(text), known)
        return known[text]

    def _is_any_frozen(self, groups: Mapping[str, str], known: dict[bytes | str, bool]) -> bool:
        for freezer in self._freezers or ():
            path = groups.get(freezer.key)
            place = None if path is None else freezer.directory(path)
            if place is not None:
                if place not in known:
                    known[place] = _group_is_frozen(place, freezer.version)
                if known[place]:
                    return True
        return False

    def _threads(self, process: PinnedProcess, identity: Identity) -> tuple[ThreadSeen, ...]:
        now = monotonic_ns()
        seen = []
        for tid, thread in (threads_of(process) or {}).items():
            if tid == identity[0]:
                continue
            key, cpu = (identity, tid), None
            if thread.cpu_ns is not None:
                before = self._ran.get(key)
                if before is not None and now > before[0]:
                    cpu = max(0.0, 100 * (thread.cpu_ns - before[1]) / (now - before[0]))
                self._ran[key] = (now, thread.cpu_ns)
            seen.append(ThreadSeen(thread, cpu))
        return tuple(seen)


def _group_is_frozen(place: str, version: int) -> bool:
    """Ask the freezer of a group: freezer.state of version 1, cgroup.events of version 2."""
    with Directory(place) as directory:
        if version == 1:
            return (directory.read("freezer.state") or "").strip() == "FROZEN"
        freeze, events = directory.read("cgroup.freeze"), directory.read("cgroup.events")
    return freeze is not None and events is not None and frozen(freeze, events) == "FROZEN"
