"""What a recording holds, in a few lines."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from nsview.commands.listing import Column, write
from nsview.host.events.event import WHAT, Event
from nsview.host.model import Interval
from nsview.host.recording import End, Header, NamespacesSeen, Reader, RecordingError, Sample
from nsview.host.recording.form import MOST_EVENTS
from nsview.host.recording.reader import MOST_NAMESPACES
from nsview.host.snapshot import Snapshot
from nsview.host.text import printable


@dataclass(slots=True)
class Summary:
    """Counts over a whole recording. ``brief``: processes that events tell of and no sample has seen."""

    header: Header
    samples: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    processes: int = 0
    fewest: int = 0
    most: int = 0
    brief: int | None = None
    lost: int | None = None
    namespaces: int = 0
    is_cut: bool = False
    end: End | None = None
    events: Counter[str] = field(default_factory=Counter)

    def to_object(self) -> dict[str, object]:
        """Return a JSON object."""
        facts = self.header
        return {
            "recorded_by": facts.producer,
            "host": facts.host,
            "kernel": facts.kernel,
            "boot_id": facts.boot_id,
            "begun_realtime_ns": facts.realtime_ns,
            "interval_ns": facts.interval_ns,
            "samples": self.samples,
            "span_ns": None if self.first_ns is None or self.last_ns is None else self.last_ns - self.first_ns,
            "processes": {"distinct": self.processes, "fewest": self.fewest, "most": self.most, "brief": self.brief},
            "events": None if facts.events is None else dict(sorted(self.events.items())),
            "events_refused": facts.refused,
            "lost": self.lost,
            "namespaces": self.namespaces,
            "cut": self.is_cut,
            "end": None if self.end is None else self.end.reason,
        }

    def write(self) -> None:
        """Print it."""
        facts = self.header
        span = 0.0 if self.first_ns is None or self.last_ns is None else (self.last_ns - self.first_ns) / 1e9
        begun = datetime.fromtimestamp(facts.realtime_ns / 1e9).strftime("%Y-%m-%d %H:%M:%S")
        events = " ".join(f"{what} {count}" for what, count in sorted(self.events.items())) or "none"
        if facts.events is None:
            events = "not recorded" if facts.refused is None else f"not recorded: {printable(facts.refused)}"
        if self.end is not None:
            end = {"count": "all samples asked for", "duration": "its time was over", "signal": "a signal"}
            how = end.get(self.end.reason, self.end.reason)
        else:
            how = "none: cut short within its last line" if self.is_cut else "none: its recorder was killed"
        rows = [
            ("recorded by", f"{facts.producer} on {facts.host} ({facts.kernel}, {facts.machine})"),
            ("begun", begun),
            ("samples", str(self.samples)),
            ("time span", f"{span:.3f} s"),
            ("processes", f"{self.processes} in all, {self.fewest} to {self.most} in a sample"),
            ("shorter than a sample", "?" if self.brief is None else str(self.brief)),
            ("events", events),
            ("lost events", "?" if self.lost is None else str(self.lost)),
            ("namespaces", str(self.namespaces)),
            ("end", how),
        ]
        write((Column(""), Column("", gives=True)), rows, header=False)
        sys.stdout.flush()


def summary(file: BinaryIO) -> Summary:
    """Read a whole recording; RecordingError when it is none, or damaged."""
    reader = Reader(file)
    found = Summary(reader.header)
    listened = reader.header.events is not None
    before: Snapshot | None = None
    told: list[Event] = []
    unsettled: list[Event] = []
    inodes: set[int] = set()
    if listened:
        found.brief = found.lost = 0
    for item in reader:
        match item:
            case Event():
                found.events[item.what if item.what in WHAT else "other"] += 1
                if len(told) < MOST_EVENTS:
                    told.append(item)
            case Sample(number, snapshot):
                found.samples = number
                found.first_ns = snapshot.when_ns if found.first_ns is None else found.first_ns
                found.last_ns = snapshot.when_ns
                size = len(snapshot.records)
                found.fewest, found.most = min(found.fewest or size, size), max(found.most, size)
                if before is None:
                    found.processes = size
                else:
                    interval = Interval(before, snapshot, [*unsettled, *told] if listened else None)
                    found.processes += len(interval.births)
                    if interval.brief is not None and found.brief is not None:
                        found.brief += len(interval.brief)
                        found.lost = (found.lost or 0) + (interval.lost or 0)
                        unsettled = interval.unsettled
                before, told = snapshot, []
            case NamespacesSeen():
                inodes |= {namespace.inode for namespace in item.namespaces}
                if len(inodes) > MOST_NAMESPACES:
                    raise RecordingError(f"it tells of more than {MOST_NAMESPACES} namespaces")
            case End():
                found.end = item
    found.namespaces = len(inodes)
    found.is_cut = reader.is_cut
    return found
