"""Whom an act is for: one process, the tagged ones, a subtree, a control group, a pid namespace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from nsview.host.model import Identity
from nsview.host.process import ProcessGoneError
from nsview.host.snapshot import ProcessRecord, take
from nsview.host.tree import ProcessTree
from nsview.tui.acting.groups import FoundGroup, found_groups
from nsview.tui.acting.guards import Guard, guard_of


class Scope(Enum):
    """How many an act is for; the value is its word in the dialogs."""

    THIS = "this"
    TAGGED = "tagged"
    SUBTREE = "subtree"
    CGROUP = "cgroup"
    PID_NAMESPACE = "pid namespace"


@dataclass(frozen=True, slots=True)
class Whom:
    """Whom to act on: ``members``, without those that are guarded, who are in ``left_out``.

    ``subject`` is the process it began with, and ``guard`` what is special about that. ``group`` is the control
    group of CGROUP; ``init`` the first process of PID_NAMESPACE, None if it cannot be told, ``number`` its inode.
    """

    scope: Scope
    subject: ProcessRecord
    members: tuple[ProcessRecord, ...]
    left_out: tuple[tuple[ProcessRecord, Guard], ...] = ()
    guard: Guard | None = None
    group: FoundGroup | None = None
    init: ProcessRecord | None = None
    number: int | None = None

    @property
    def count(self) -> int:
        """How many there are to act on."""
        return len(self.members)

    @property
    def holds_us(self) -> bool:
        """Whether nsview itself is among those left out."""
        return any(guard is Guard.SELF for _record, guard in self.left_out)


@dataclass(frozen=True, slots=True)
class Choices:
    """The scopes that make a difference for one process, THIS first, and all its groups, the smallest first."""

    whoms: tuple[Whom, ...]
    groups: tuple[FoundGroup, ...] = ()

    @property
    def this(self) -> Whom:
        """The process alone."""
        return self.whoms[0]

    @property
    def offered(self) -> tuple[Whom, ...]:
        """The scopes one may choose from: not those all of whose members are guarded."""
        return tuple(whom for whom in self.whoms if whom is self.this or whom.count)

    @property
    def subject(self) -> ProcessRecord:
        """The process."""
        return self.this.subject

    def of(self, scope: Scope) -> Whom | None:
        """Return the choice of a scope, None when there is none."""
        return next((whom for whom in self.whoms if whom.scope is scope), None)


def look(identity: Identity, me: Identity, tagged: Iterable[Identity] = ()) -> Choices:
    """Read the machine anew and return whom an act on this process can be for; ProcessGoneError when it is gone."""
    records = take().records
    record = records.get(identity[0])
    if record is None or record.identity != identity:
        raise ProcessGoneError(*identity)
    return choices(record, records, me, tuple(tagged), found_groups(identity))


def choices(
    subject: ProcessRecord,
    records: Mapping[int, ProcessRecord],
    me: Identity,
    tagged: Iterable[Identity] = (),
    groups: tuple[FoundGroup, ...] = (),
) -> Choices:
    """Return whom an act can be for. Pure. A scope of nobody, or of the process alone, is not among them."""
    tree = ProcessTree(records)
    ancestors = frozenset(tree.ancestors(me[0])) if me[0] in records else frozenset()

    def among(pids: Iterable[int], blank: Whom) -> Whom:
        members, left_out = [], []
        for pid in pids:
            record = records.get(pid)
            if record is None or record.has_ended:
                continue
            guard = guard_of(record, me, ancestors)
            if guard is None:
                members.append(record)
            else:
                left_out.append((record, guard))
        return replace(blank, members=tuple(members), left_out=tuple(left_out))

    this = Whom(Scope.THIS, subject, (subject,), guard=guard_of(subject, me, ancestors))
    found = [this]
    chosen = [pid for pid, start in tagged if pid in records and records[pid].start_time == start]
    if chosen:
        found.append(among(chosen, replace(this, scope=Scope.TAGGED)))
    below = [*tree.descendants(subject.pid)]
    if below:
        found.append(among([subject.pid, *below], replace(this, scope=Scope.SUBTREE)))
    if groups:
        group = groups[0]
        found.append(among(sorted(group.pids), replace(this, scope=Scope.CGROUP, group=group)))
    number = subject.namespace("pid")
    # Ours is the machine, or the container, as a whole: no act is for all of that.
    if number is not None and me[0] in records and number != records[me[0]].namespace("pid"):
        same = [record for record in records.values() if record.namespace("pid") == number]
        init = next((record for record in same if record.inner_pid == 1), None)
        blank = replace(this, scope=Scope.PID_NAMESPACE, init=init, number=number)
        found.append(among([record.pid for record in same], blank))
    return Choices(tuple(whom for whom in found if whom is this or whom.count or whom.left_out), groups)
