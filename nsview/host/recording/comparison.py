"""Comparing two processes of a recorded sample: what it tells of them, and unknown for the rest."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from nsview.host import kcmp
from nsview.host.columns.process_row import command_line
from nsview.host.difference import SECTIONS, DiffRow, rows
from nsview.host.events.clock import TICK_NS
from nsview.host.facts import CAPABILITY_SETS, LINKS, Facts
from nsview.host.process import ProcessGoneError
from nsview.host.recording.reader import Found
from nsview.host.snapshot import ProcessRecord
from nsview.host.usage import Usage
from spawner.namespaces import KINDS

Identity = tuple[int, int]
NOT_RECORDED = "not recorded, or not known to who recorded"


def identity_in(found: Found, pid: int, start_time: int | None = None) -> Identity:
    """Return the process of the sample that has this pid; ProcessGoneError when there is none, or another."""
    record = found.snapshot.records.get(pid)
    if record is None or start_time not in (None, record.start_time):
        raise ProcessGoneError(pid, start_time)
    return record.identity


def compare(found: Found, parent: int, child: int, wanted: Collection[str] = SECTIONS) -> tuple[DiffRow, ...]:
    """Compare two processes of a sample by section; what was not recorded is unknown in both."""
    one, two = (facts_of(found.snapshot.records[pid], found) for pid in (parent, child))
    compared = rows(one, two, dict.fromkeys(kcmp.RESOURCES))
    return tuple(
        replace(row, why=NOT_RECORDED) if row.parent is None and row.child is None else row
        for row in compared
        if row.section in wanted
    )


def facts_of(record: ProcessRecord, found: Found) -> Facts:
    """Return the facts that a sample has of a process."""
    words = found.commands.get(record.identity)
    links = dict(zip((kind.proc for kind in KINDS), record.ns, strict=True))
    links |= {"pid_for_children": record.pid_for_children, "time_for_children": record.time_for_children}
    unknown = dict.fromkeys(Facts.__dataclass_fields__)
    known = {
        "pid": record.pid,
        "start_time": record.start_time,
        "comm": record.comm,
        "command": command_line(words, record) if words else None,
        "ppid": record.ppid,
        "inner_pids": _inner_pids(record),
        "session": record.session,
        "group": record.pgrp,
        "capabilities": dict.fromkeys(CAPABILITY_SETS),
        "namespaces": {name: links[name] for name in LINKS},
        "usage": _usage(record, found.snapshot.when_ns),
    }
    return Facts(**{**unknown, **known})  # type: ignore[arg-type]


def _inner_pids(record: ProcessRecord) -> tuple[int, ...] | None:
    """Return its pids from the reader's namespace down to its own, as long as none is between the two."""
    if record.depth is None or record.inner_pid is None or record.depth > 1:
        return None
    return (record.pid, record.inner_pid) if record.depth else (record.pid,)


def _usage(record: ProcessRecord, when_ns: int) -> Usage:
    alone = record.threads == 1  # a record has the context switches of the main thread, not of all
    return Usage(
        record.pid,
        record.start_time,
        when_ns,
        user_ns=record.utime * TICK_NS,
        system_ns=record.stime * TICK_NS,
        rss=record.rss,
        minflt=record.minflt,
        majflt=record.majflt,
        voluntary=record.voluntary if alone else None,
        involuntary=record.involuntary if alone else None,
        threads=record.threads,
    )
