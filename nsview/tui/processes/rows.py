"""From a history of snapshots to the rows of the process table. Values in, values out.

:class:`Rows` puts a history (nsview.host.history) in the order of a :class:`View`. A row's own values are
worked out when the row is asked for, so only rows in view cost anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import overload

from nsview.host.cells import SAME, cells, initial_reference, parent_reference
from nsview.host.columns.process_row import ProcessRow
from nsview.host.history import History
from nsview.host.model import Identity
from nsview.host.snapshot import TICKS_PER_SECOND, Namespaces, ProcessRecord
from nsview.host.tree import ProcessTree, true_parent
from nsview.tui.launching.wording import ending
from nsview.tui.processes.arrangement import BOUNDARY, Arrangement, arrange, changed_kinds
from nsview.tui.processes.detail import NOTHING_READ, Detail, ThreadSeen
from nsview.tui.processes.scene import CommandLines, TableScene
from nsview.tui.processes.view import AS_TREE, Reference, View
from spawner import Exit
from spawner.namespaces import KINDS

_NOTHING: Mapping[Identity, None] = MappingProxyType({})
_NOBODY: Mapping[int, str] = MappingProxyType({})

SHARED = "="
"""The cell, in audit, of a namespace that a contained process still shares with the machine."""

Place = tuple[Identity, int]
"""A line that stays what it is: a process, and 0 or the number of one of its threads."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    ``user`` is the name of the owner, the number where it has no name. ``branch`` is the tree's lines left
    of the name; ``cells`` the eight of ``mnpUuiCT``. Rates are per second and ``cpu`` is in percent of one
    core; None where one snapshot alone cannot tell. ``exit`` says how it ended, if it has and that is known.
    ``thread`` is 0, the number of one of its other threads, or BOUNDARY; ``below`` counts what a fold hides,
    None where it is open. ``aside``: shown only as the way to a match. ``detail`` is what was read of it besides;
    a thread's row has the thread's own facts in its record, the pid too.
    """

    record: ProcessRecord
    user: str
    branch: str
    cells: str
    cpu: float | None
    faults: float | None
    switches: float | None
    born: bool
    gone: bool
    own: bool
    marked: bool
    exit: str | None
    tagged: bool = False
    thread: int = 0
    below: int | None = None
    aside: bool = False
    detail: Detail = NOTHING_READ

    @property
    def identity(self) -> Identity:
        """The process's pid and start time."""
        return self.record.identity


class Rows(Sequence[Row]):
    """The table's rows in their order; ``rows[i]`` is worked out when asked for. Immutable.

    ``launches``: our own children, each with how it ended, None while it runs. ``users``: names by uid.
    Siblings stand by start time (flat, all processes do) unless the view says otherwise, so rows keep their order
    while values change. A process gone of late keeps its row, unless its pid is in use again.
    """

    def __init__(
        self,
        history: History | None = None,
        view: View = AS_TREE,
        launches: Mapping[Identity, str | None] = _NOTHING,
        users: Mapping[int, str] = _NOBODY,
        commands: CommandLines | None = None,
        last: Rows | None = None,
    ) -> None:
        """Put the processes in order; without a history there are none. ``last`` may spare some of the work."""
        self.history = history
        self.view = view
        self.commands = CommandLines() if commands is None else commands
        self._launches = launches
        self._users = users
        self._records = {} if history is None else _in_sight(history)
        self.scene = None if history is None else self._scene(history)
        self.arranged = Arrangement() if history is None else self._arranged(history, last)

    def _arranged(self, history: History, last: Rows | None) -> Arrangement:
        if last is None or last.history is None:
            return arrange(self._records, self.view, self.scene)
        return arrange(self._records, self.view, self.scene, last.arranged, history.others_than(last.history))

    def _scene(self, history: History) -> TableScene:
        newest = history.newest
        commands = self.commands.seen_from(newest.records)
        return TableScene(newest, history.before, self._referred(), commands, self._launches, self.view.tagged)

    def _referred(self) -> str:
        """Name the reference as a list's cells do."""
        if self.view.reference is Reference.MARKED and self.view.marked is not None:
            return str(self.view.marked[0])
        return _REFERRED.get(self.view.reference, "parent")

    def __len__(self) -> int:
        return len(self.arranged.records)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self._row(line) for line in range(*index.indices(len(self)))]
        return self._row(index)

    def initial_namespaces(self) -> Namespaces | None:
        """Return the machine's own namespaces as seen from here; None while they are unknown."""
        first = initial_reference(self._records)
        return None if first is None else first.ns

    def identity_at(self, line: int) -> Identity:
        """Return whose line it is."""
        return self.arranged.records[line].identity

    def place_at(self, line: int) -> Place:
        """Return what a line is of, beyond this picture."""
        return self.identity_at(line), self.arranged.threads[line]

    def order(self) -> dict[Identity, int]:
        """Return the line of each process that has one."""
        return {self.identity_at(line): line for line in self.arranged.lines.values()}

    def is_boundary(self, line: int) -> bool:
        """Tell whether a line is but a mark above a process."""
        return self.arranged.threads[line] == BOUNDARY

    def line_of(self, identity: Identity, thread: int = 0) -> int | None:
        """Return the line a process is on, or the nearest of its threads; None if it has none."""
        line = self.arranged.lines.get(identity[0])
        if line is None or self.identity_at(line) != identity:
            return None
        if thread <= 0:
            return line
        last = min(line + thread, len(self) - 1)
        return next(n for n in range(last, line - 1, -1) if self.identity_at(n) == identity)

    def record_of(self, identity: Identity) -> ProcessRecord | None:
        """Return the last that is known of a process, on a line or not."""
        record = self._records.get(identity[0])
        return record if record is not None and record.identity == identity else None

    def process_row(self, record: ProcessRecord) -> ProcessRow:
        """Return a process as the columns of all lists see it."""
        assert self.scene is not None, "rows without a history are empty"
        return ProcessRow(record, self.scene)

    def command_of(self, record: ProcessRecord) -> str | None:
        """Return a command line that was read before, None where it was not: nothing is read for it."""
        return None if self.scene is None else self.scene.commands.get(record.identity)

    def parent_of(self, identity: Identity) -> Identity | None:
        """Return the parent of a process, None if either is not known."""
        record = self.record_of(identity)
        parent = None if record is None else true_parent(record, self._records)
        return None if parent is None else parent.identity

    def ancestors_of(self, identity: Identity) -> Iterable[Identity]:
        """Yield parent, grandparent and so on."""
        seen = {identity}
        above = self.parent_of(identity)
        while above is not None and above not in seen:
            yield above
            seen.add(above)
            above = self.parent_of(above)

    def is_parent(self, identity: Identity) -> bool:
        """Tell whether anything is below a process in the tree."""
        tree = self.arranged.tree
        return tree is not None and identity[0] in tree.children

    def subtree_of(self, identity: Identity) -> list[Identity]:
        """Return a process and all below it; under a filter, those that are shown."""
        tree = self.arranged.tree
        if tree is None:
            tree = ProcessTree(self._records)
        if identity[0] not in tree.records:
            return [identity]
        return [identity, *(tree.records[pid].identity for pid in tree.descendants(identity[0]))]

    def roots(self) -> list[Identity]:
        """Return the processes at the top of the tree."""
        tree = self.arranged.tree
        return [] if tree is None else [tree.records[pid].identity for pid in tree.roots]

    def is_gone(self, identity: Identity) -> bool:
        """Tell whether a process is gone, in this table's eyes."""
        live = None if self.history is None else self.history.newest.records.get(identity[0])
        return live is None or live.identity != identity

    def changed_kinds(self, record: ProcessRecord) -> tuple[int, ...]:
        """Return which namespaces, by their place in ``mnpUuiCT``, change with a process."""
        return changed_kinds(record, self._records)

    def against_the_machine(self, record: ProcessRecord) -> str:
        """Return a process's eight cells, compared with the machine's own namespaces."""
        return cells(record, initial_reference(self._records))

    def detailed(self, line: int, detail: Detail) -> Row:
        """Return a row with what was read of its process; a thread's row with the thread's own facts."""
        row = self._row(line)
        if row.thread <= 0:
            return replace(row, detail=detail)
        seen = detail.threads[row.thread - 1] if row.thread <= len(detail.threads) else None
        return self._thread_row(row, seen)

    def _thread_row(self, row: Row, seen: ThreadSeen | None) -> Row:
        """Fill in a thread; until it has been read nothing is known of it. It is compared with its own process."""
        process = row.record
        row = replace(row, cpu=None, faults=None, switches=None, born=False, exit=None, own=False, marked=False)
        if seen is None:
            return replace(row, record=process._replace(comm="…", state="?"), cells=SAME * len(process.ns))
        thread = seen.thread
        m, n, p, user, u, i, c, t = (
            thread.namespaces.get(kind.proc, own) for kind, own in zip(KINDS, process.ns, strict=True)
        )
        record = process._replace(
            pid=thread.tid,
            inner_pid=None if thread.inner_tids is None else thread.inner_tids[-1],
            comm=thread.comm,
            state=thread.state,
            utime=(thread.cpu_ns or 0) * TICKS_PER_SECOND // 1_000_000_000,
            stime=0,
            ns=(m, n, p, user, u, i, c, t),
        )
        against = process if self.view.reference is Reference.PARENT else self._reference(process)
        detail = Detail(pids=thread.inner_tids)
        return replace(row, record=record, cells=cells(record, against), cpu=seen.cpu, detail=detail)

    def _row(self, line: int) -> Row:
        record, thread = self.arranged.records[line], self.arranged.threads[line]
        identity = record.identity
        history = self.history
        assert history is not None, "rows without a history are empty"
        change = history.change(record)
        gone = self.is_gone(identity)
        return Row(
            record=record,
            user="?" if record.uid is None else self._users.get(record.uid, str(record.uid)),
            branch=self._branch(line),
            cells=self._cells(record),
            cpu=change.cpu,
            faults=change.faults_per_second,
            switches=change.switches_per_second,
            born=identity in history.born,
            gone=gone,
            own=identity in self._launches,
            marked=identity == self.view.marked,
            exit=self._ending(record, gone, history),
            tagged=identity in self.view.tagged,
            thread=thread,
            below=self.arranged.below.get(record.pid) if thread == 0 else None,
            aside=record.pid in self.arranged.aside,
        )

    def _ending(self, record: ProcessRecord, gone: bool, history: History) -> str | None:
        """Word how a process ended: as the launcher has it, else as the kernel told all who listen."""
        if told := self._launches.get(record.identity):
            return told
        if gone:
            departed = history.gone.get(record.pid)
            death = None if departed is None or departed.record.identity != record.identity else departed.death
        else:
            death = history.zombies.get(record.identity)
        return None if death is None or death.exit_code is None else status_text(death.exit_code)

    def _cells(self, record: ProcessRecord) -> str:
        if not self.view.audit:
            return cells(record, self._reference(record))
        found = self.against_the_machine(record)
        return found.replace(SAME, SHARED) if any(map(str.isalpha, found)) else found

    def _branch(self, line: int) -> str:
        arranged = self.arranged
        record, thread, tree = arranged.records[line], arranged.threads[line], arranged.tree
        if tree is None:
            if thread:
                return "  ╴"
            return "◆ " if self.changed_kinds(record) else ""
        if thread > 0:
            is_last = record.pid not in tree.children and arranged.threads[line + 1 : line + 2] != [thread + 1]
            return f"{tree.branches(record.pid, is_last)[:-2]}╴ "
        branch = tree.branches(record.pid)
        if thread == BOUNDARY:
            return f"{branch[:-3]}├┄ "
        return f"{branch[:-2]}◆ " if branch and self.changed_kinds(record) else branch

    def _reference(self, record: ProcessRecord) -> ProcessRecord | None:
        match self.view.reference:
            case Reference.PARENT:
                return parent_reference(record, self._records)
            case Reference.INIT:
                return initial_reference(self._records)
            case Reference.SELF:
                return self._records.get(os.getpid())
            case Reference.MARKED:
                return None if self.view.marked is None else self.record_of(self.view.marked)


_REFERRED = {Reference.INIT: "init", Reference.SELF: "self"}


def status_text(status: int) -> str:
    """Word a status as of wait(2): ``exited 3``, ``killed by SIGKILL``."""
    if os.WIFSIGNALED(status):
        return ending(Exit(None, os.WTERMSIG(status), os.WCOREDUMP(status), None))
    return ending(Exit(os.WEXITSTATUS(status), None, False, None))


def _in_sight(history: History) -> Mapping[int, ProcessRecord]:
    """Return the living and those gone of late; where a pid is used again, the living."""
    living = history.newest.records
    return {**{pid: departed.record for pid, departed in history.gone.items()}, **living} if history.gone else living
