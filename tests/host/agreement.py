"""What two looks at /proc say of a look by BPF between them: where it says something that /proc never did.

As a program: compare so many rounds of all processes in the namespaces that it is run in, and print each disagreement.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator

from nsview.host.bpf.iterator import Iterator as TaskIterator
from nsview.host.snapshot import ProcessRecord, Snapshot, decode, take

GROWING = ("minflt", "majflt", "voluntary", "involuntary")
"""Counters: the look between lies between."""

STANDING = ("ppid", "pgrp", "session", "tty", "start_time", "inner_pid", "depth")
"""What no process changes and changes back."""

QUIET = tuple(field for field in ProcessRecord._fields if field not in (*GROWING, "utime", "stime"))
"""Of a process that does nothing: all the rest."""


def rounds(count: int) -> Iterator[tuple[Snapshot, Snapshot, Snapshot]]:
    """Look by /proc, by BPF, by /proc again; BPF each time as a reader who has not told anything before."""
    iterator = TaskIterator.load()
    try:
        for _ in range(count):
            looks = take(by="proc"), decode(TaskIterator(iterator.link).read()), take(by="proc")
            assert not any(look.errors for look in looks)
            yield looks
    finally:
        iterator.close()


def of_record(
    before: ProcessRecord, now: ProcessRecord, after: ProcessRecord, standing: Collection[str]
) -> Iterator[str]:
    """Say what is wrong with ``now``; ``standing`` fields are right when /proc said the same twice."""
    who = f"{now.pid} {now.comm}:"
    for field in GROWING:
        low, value, high = (getattr(record, field) for record in (before, now, after))
        if not low <= value <= high:
            yield f"{who} {field} {low} <= {value} <= {high}"
    # The kernel divides one exact sum by a proportion that it samples (cputime_adjust()), and never lets a part fall
    # below what was told before; in the look after, a part may be less than BPF said, which it does not know. The sum
    # may not, but for the rest of a tick that each of the two parts is rounded down by.
    parts = (before.utime, now.utime), (before.stime, now.stime)
    if any(low > value for low, value in parts) or now.utime + now.stime > after.utime + after.stime + 1:
        times = [(record.utime, record.stime) for record in (before, now, after)]
        yield f"{who} utime and stime {times}"
    for field in standing:
        first, value, second = (getattr(record, field) for record in (before, now, after))
        if first == second != value:
            yield f"{who} {field} is {first!r} in /proc, {value!r} by BPF"


def of_snapshots(
    before: Snapshot, now: Snapshot, after: Snapshot, known: Collection[int] = (), kind: Collection[str] = QUIET
) -> Iterator[str]:
    """Compare all processes by what no process changes back; ``known`` pids also by the fields of their ``kind``."""
    for pid, record in before.records.items():
        last = after.records.get(pid)
        if last is None or last.identity != record.identity:
            continue
        between = now.records.get(pid)
        if between is None or between.identity != record.identity:
            yield f"{pid} {record.comm}: in /proc before and after, and not seen by BPF"
            continue
        yield from of_record(record, between, last, kind if pid in known else STANDING)


if __name__ == "__main__":
    compared = 0
    for looks in rounds(int(sys.argv[1])):
        compared += len(looks[1].records)
        print(*of_snapshots(*looks), sep="\n", end="")
    print(f"compared {compared}")
