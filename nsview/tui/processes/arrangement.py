"""From records and a view to the lines of the table: which processes, tree, order, threads, boundaries. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

from nsview.host.columns.process_row import ProcessRow, Scene
from nsview.host.model import Identity
from nsview.host.snapshot import PF_KTHREAD, ProcessRecord
from nsview.host.tree import ProcessTree, true_parent
from nsview.tui.processes.scene import TABLE_COLUMNS
from nsview.tui.processes.view import BY_START, Sort, View

BOUNDARY = -1
"""In place of a thread's number: the line says which namespaces change with the process below it."""


@dataclass(slots=True)
class Arrangement:
    """The lines in their order: of each its process, and which of the process's threads it is.

    ``threads``: 0 is the process itself, ``k`` the k-th of its other threads, BOUNDARY a line above it; ``lines`` are
    those of the processes themselves, by pid. ``tree`` is None for a flat list. ``below`` counts, by pid, what a fold
    hides; ``aside`` are those shown only as the way to a match. ``found`` of ``total`` processes match.
    ``kernel_threads`` counts those left out. ``of`` and ``view`` are what was arranged.
    """

    of: Mapping[int, ProcessRecord] = field(default_factory=dict)
    view: View | None = None

    records: list[ProcessRecord] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    lines: Mapping[int, int] = field(default_factory=dict)
    tree: ProcessTree | None = None
    below: Mapping[int, int] = field(default_factory=dict)
    aside: frozenset[int] = frozenset()
    found: int = 0
    total: int = 0
    kernel_threads: int = 0


def arrange(
    records: Mapping[int, ProcessRecord],
    view: View,
    scene: Scene | None,
    last: Arrangement | None = None,
    touched: Collection[int] = (),
) -> Arrangement:
    """Arrange processes by a view. ``records`` by pid; the scene is what filters and sorting ask.

    ``last``: what was arranged before; all but the ``touched`` have the same record in it. Where nobody was born, has
    ended or has another parent, and the order is not of values, it is the same again.
    """
    if last is not None and view == last.view and _is_of_births_alone(view) and _same_family(last, records, touched):
        return _with_values_of(records, last, touched)
    candidates, hidden = _without_kernel_threads(records, view)
    matching = _matching(candidates, view, scene)
    made = Arrangement(found=len(matching), total=len(candidates), kernel_threads=hidden, of=records, view=view)
    if view.tree:
        shown = matching if len(matching) == len(candidates) else _with_ancestors(matching, candidates)
        made.aside = frozenset(shown.keys() - matching.keys())
        _tree(made, shown, records, view, scene)
    else:
        _flat(made, matching, view, scene)
    pids = [record.pid for record in made.records]
    if len(made.threads) == made.threads.count(0):
        made.lines = dict(zip(pids, range(len(pids)), strict=True))
    else:
        numbered = enumerate(zip(pids, made.threads, strict=True))
        made.lines = {pid: line for line, (pid, thread) in numbered if not thread}
    return made


def _is_of_births_alone(view: View) -> bool:
    """Tell whether lines depend on nothing of a process but its birth, its parent and whether it is the kernel's."""
    of_values = view.filter is not None or view.order is not None or view.threads or view.boundaries
    return not of_values and view.sort.column == "start"


def _same_family(last: Arrangement, records: Mapping[int, ProcessRecord], touched: Iterable[int]) -> bool:
    """Tell whether the same processes are there, below the same parents."""
    before = last.of
    for pid in touched:
        then, now = before.get(pid), records.get(pid)
        if then is None or now is None:
            return False
        if (then.start_time, then.ppid, then.is_kernel_thread) != (now.start_time, now.ppid, now.is_kernel_thread):
            return False
    return True


def _with_values_of(records: Mapping[int, ProcessRecord], last: Arrangement, touched: Iterable[int]) -> Arrangement:
    """Return what was arranged before, with newer records."""
    anew = last.records.copy()
    for pid in touched:
        if (line := last.lines.get(pid)) is not None:
            anew[line] = records[pid]
    return replace(last, of=records, records=anew)


def _without_kernel_threads(
    records: Mapping[int, ProcessRecord], view: View
) -> tuple[Mapping[int, ProcessRecord], int]:
    if view.kernel or (view.filter is not None and "kernel" in view.filter.columns):
        return records, 0
    users = {pid: record for pid, record in records.items() if not record.flags & PF_KTHREAD}
    return users, len(records) - len(users)


def _matching(candidates: Mapping[int, ProcessRecord], view: View, scene: Scene | None) -> Mapping[int, ProcessRecord]:
    wanted = view.filter
    if wanted is None or wanted.is_empty or scene is None:
        return candidates
    matches, followed = wanted.matches, view.follow
    return {
        pid: record
        for pid, record in candidates.items()
        if matches(ProcessRow(record, scene)) or record.identity == followed
    }


def _with_ancestors(
    matching: Mapping[int, ProcessRecord], candidates: Mapping[int, ProcessRecord]
) -> Mapping[int, ProcessRecord]:
    shown = dict(matching)
    for record in matching.values():
        above = true_parent(record, candidates)
        while above is not None and above.pid not in shown:
            shown[above.pid] = above
            above = true_parent(above, candidates)
    return shown


def _flat(made: Arrangement, matching: Mapping[int, ProcessRecord], view: View, scene: Scene | None) -> None:
    for record in in_order(matching.values(), view.sort, view.order, scene):
        made.records.append(record)
        made.threads.append(0)
        others = _other_threads(record, view, scene)
        made.records.extend([record] * len(others))
        made.threads.extend(others)


def _tree(
    made: Arrangement,
    shown: Mapping[int, ProcessRecord],
    records: Mapping[int, ProcessRecord],
    view: View,
    scene: Scene | None,
) -> None:
    made.tree = tree = ProcessTree(shown)
    if view.sort != BY_START or view.order is not None:
        place = {record.pid: n for n, record in enumerate(in_order(shown.values(), view.sort, view.order, scene))}
        for siblings in (tree.roots, *tree.children.values()):
            siblings.sort(key=place.__getitem__)
    folded = _folded(tree, view)
    order = tree.order(folded=folded)
    made.below = {pid: len(tree.order((pid,))) - 1 for pid in order if pid in folded} if folded else {}
    made.records = [shown[pid] for pid in order]
    made.threads = [0] * len(order)
    if view.boundaries or view.threads:
        _with_more_lines(made, records, view, scene)


def _with_more_lines(made: Arrangement, records: Mapping[int, ProcessRecord], view: View, scene: Scene | None) -> None:
    """Put the lines of boundaries above, and those of other threads below, the processes' own."""
    lines: list[tuple[ProcessRecord, int]] = []
    for record in made.records:
        if view.boundaries and changed_kinds(record, records):
            lines.append((record, BOUNDARY))
        lines.append((record, 0))
        if record.pid not in made.below:
            lines.extend((record, number) for number in _other_threads(record, view, scene))
    made.records = [record for record, _ in lines]
    made.threads = [thread for _, thread in lines]


def _other_threads(record: ProcessRecord, view: View, scene: Scene | None) -> range:
    """Number the threads of a living process beside its first, if they are wanted."""
    is_wanted = view.threads and scene is not None and scene.records.get(record.pid) is record
    return range(1, record.threads if is_wanted else 1)


def _folded(tree: ProcessTree, view: View) -> frozenset[int]:
    """Return the pids that are shut. A filter opens all: what is above a match is only the way to it."""
    if not (view.folded or view.folds_others) or (view.filter is not None and not view.filter.is_empty):
        return frozenset()
    records = tree.records
    shut = {pid for pid in tree.children if view.is_folded(records[pid].identity)}
    if view.follow is not None and (followed := records.get(view.follow[0])) and followed.identity == view.follow:
        shut.difference_update(tree.ancestors(followed.pid))
    return frozenset(shut)


def in_order(
    records: Iterable[ProcessRecord], sort: Sort, order: Mapping[Identity, int] | None, scene: Scene | None
) -> Sequence[ProcessRecord]:
    """Return the records by a sort; what is unknown stands last, what is equal by start. ``order`` goes first."""
    by_age = sorted(records, key=_age)
    if order is not None:
        new = len(order)
        return sorted(by_age, key=lambda record: order.get(record.identity, new))
    if sort.column == "start":
        return by_age[::-1] if sort.inverted else by_age
    if scene is None:
        return by_age
    column = TABLE_COLUMNS[sort.column]
    known: list[tuple[Any, ProcessRecord]] = []
    unknown: list[ProcessRecord] = []
    rank, value = column.kind.order, column.value
    for record in by_age:
        found = value(ProcessRow(record, scene))
        if found is None:
            unknown.append(record)
        else:
            known.append((found, record))
    known.sort(key=lambda pair: rank(pair[0]), reverse=sort.descending)
    return [*(record for _, record in known), *unknown]


_age = itemgetter(ProcessRecord._fields.index("start_time"), ProcessRecord._fields.index("pid"))


def changed_kinds(record: ProcessRecord, records: Mapping[int, ProcessRecord]) -> tuple[int, ...]:
    """Return which of a process's namespaces, by their place in ``mnpUuiCT``, are known not to be its parent's."""
    parent = true_parent(record, records)
    if parent is None or record.ns == parent.ns:
        return ()
    return tuple(_differing(record, parent))


def _differing(record: ProcessRecord, parent: ProcessRecord) -> Iterator[int]:
    for kind, (own, other) in enumerate(zip(record.ns, parent.ns, strict=True)):
        if own is not None and other is not None and own != other:
            yield kind
