"""What a process and all its descendants have used together, summed over the records of a snapshot. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from nsview.host.attribute import equal
from nsview.host.difference import DiffRow
from nsview.host.model import Identity
from nsview.host.snapshot import TICKS_PER_SECOND, ProcessRecord, Snapshot
from nsview.host.tree import true_parent
from nsview.host.units import bytes_text, count_text, microseconds_text, signed
from nsview.tui.diff.trail import Look


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over some processes: CPU time in nanoseconds, memory in bytes; None where a part is unknown."""

    processes: int
    threads: int
    cpu_ns: int
    rss: int
    minflt: int
    majflt: int
    voluntary: int | None
    involuntary: int | None


@dataclass(frozen=True, slots=True)
class Subtrees:
    """The totals of two processes with their descendants; a side is None when its root is not there.

    ``since`` is what was added since the mark (None without one), ``looks`` the rates since the last snapshot.
    """

    now: tuple[Totals | None, Totals | None]
    since: tuple[Totals | None, Totals | None] | None
    looks: tuple[Look | None, Look | None]


def subtrees(
    roots: tuple[Identity, Identity], newest: Snapshot, before: Snapshot | None, marked: Snapshot | None
) -> Subtrees:
    """Sum up both subtrees as they are in ``newest``, and what they did since the two other snapshots."""
    below = _children(newest.records)
    families = [_family(newest.records, below, root) for root in roots]
    now = [None if family is None else totals(family) for family in families]
    since = None
    if marked is not None:
        below = _children(marked.records)
        was = [_family(marked.records, below, root) for root in roots]
        since = [_grown(family, marked, first) for family, first in zip(families, was, strict=True)]
    looks = [_look(family, newest, before) for family in families]
    return Subtrees((now[0], now[1]), None if since is None else (since[0], since[1]), (looks[0], looks[1]))


def totals(family: Iterable[ProcessRecord]) -> Totals:
    """Add up what the processes have used in their lives."""
    members = tuple(family)
    return Totals(
        len(members),
        sum(member.threads for member in members),
        sum(member.utime + member.stime for member in members) * 1_000_000_000 // TICKS_PER_SECOND,
        sum(member.rss for member in members),
        sum(member.minflt for member in members),
        sum(member.majflt for member in members),
        _sum(member.voluntary for member in members),
        _sum(member.involuntary for member in members),
    )


def _children(records: Mapping[int, ProcessRecord]) -> dict[int, list[ProcessRecord]]:
    found: dict[int, list[ProcessRecord]] = {}
    for record in records.values():
        if true_parent(record, records) is not None:
            found.setdefault(record.ppid, []).append(record)
    return found


def _family(
    records: Mapping[int, ProcessRecord], below: Mapping[int, list[ProcessRecord]], root: Identity
) -> list[ProcessRecord] | None:
    """Return the process and all below it; one met twice (tree.py: circles) counts once."""
    first = records.get(root[0])
    if first is None or first.identity != root:
        return None
    found, met = [first], {first.pid}
    for member in found:
        fresh = [child for child in below.get(member.pid, ()) if child.pid not in met]
        met.update(child.pid for child in fresh)
        found += fresh
    return found


def _grown(family: list[ProcessRecord] | None, earlier: Snapshot, was: list[ProcessRecord] | None) -> Totals | None:
    """Return what was added: of each member what it did since, all of one born since, nothing of those ended.

    Memory, threads and processes can shrink: theirs is the change of the sums.
    """
    if family is None or was is None:
        return None
    then = [one for member in family if (one := earlier.records.get(member.pid)) and one.identity == member.identity]
    now, before, first = totals(family), totals(then), totals(was)
    return Totals(
        now.processes - first.processes,
        now.threads - first.threads,
        now.cpu_ns - before.cpu_ns,
        now.rss - first.rss,
        now.minflt - before.minflt,
        now.majflt - before.majflt,
        _less(now.voluntary, before.voluntary),
        _less(now.involuntary, before.involuntary),
    )


def _look(family: list[ProcessRecord] | None, newest: Snapshot, before: Snapshot | None) -> Look | None:
    if family is None:
        return None
    rss = float(sum(member.rss for member in family))
    seconds = 0.0 if before is None else (newest.when_ns - before.when_ns) / 1e9
    grown = None if before is None or seconds <= 0 else _grown(family, before, family)
    if grown is None:
        return Look(None, rss, None, None)
    switches = None if grown.voluntary is None or grown.involuntary is None else grown.voluntary + grown.involuntary
    return Look(
        _rate(grown.cpu_ns / 1e7, seconds),
        rss,
        _rate(grown.minflt + grown.majflt, seconds),
        None if switches is None else _rate(switches, seconds),
    )


def _rate(amount: float, seconds: float) -> float | None:
    """A count that went back, as execve by a thread makes context switches go, is no rate."""
    return None if amount < 0 else amount / seconds


def _sum(amounts: Iterable[int | None]) -> int | None:
    found = [*amounts]
    known = [amount for amount in found if amount is not None]
    return sum(known) if len(known) == len(found) else None


def _less(now: int | None, before: int | None) -> int | None:
    return None if now is None or before is None else now - before


@dataclass(frozen=True, slots=True)
class _Measure:
    name: str
    of: Callable[[Totals], int | None]
    text: Callable[[int], str]
    source: str
    why: str


_MEASURES = (
    _Measure("processes", lambda it: it.processes, count_text, "/proc/*/stat ppid", "itself and its descendants"),
    _Measure("threads", lambda it: it.threads, count_text, "/proc/PID/stat num_threads of each", "their tasks"),
    _Measure("cpu", lambda it: it.cpu_ns, microseconds_text, "/proc/PID/stat utime + stime of each", "in clock ticks"),
    _Measure("rss", lambda it: it.rss, bytes_text, "/proc/PID/stat rss of each", "a page they share counts for each"),
    _Measure("minor faults", lambda it: it.minflt, count_text, "/proc/PID/stat minflt of each", "no storage was read"),
    _Measure("major faults", lambda it: it.majflt, count_text, "/proc/PID/stat majflt of each", "storage was read"),
    _Measure(
        "switches voluntary",
        lambda it: it.voluntary,
        count_text,
        "/proc/PID/status voluntary_ctxt_switches of each",
        "of their main threads alone",
    ),
    _Measure(
        "switches involuntary",
        lambda it: it.involuntary,
        count_text,
        "/proc/PID/status nonvoluntary_ctxt_switches of each",
        "of their main threads alone",
    ),
)


def subtree_rows(summed: Subtrees) -> tuple[DiffRow, ...]:
    """Word the totals, or since a mark what was added, as rows of the section ``usage``."""
    sides = summed.now if summed.since is None else summed.since
    rows = []
    for measure in _MEASURES:
        one, two = (None if side is None else measure.of(side) for side in sides)
        texts = [None if amount is None else measure.text(amount) for amount in (one, two)]
        same = equal(one, two)
        delta = signed(measure.text(two - one)) if same is False and one is not None and two is not None else None
        how = "summed over each and its descendants alive now"
        if summed.since is not None:
            how += ", what was added since the mark (what ended since is not counted)"
        rows.append(
            DiffRow("usage", measure.name, texts[0], texts[1], delta, f"{how}: {measure.why}", measure.source, same)
        )
    return tuple(rows)
