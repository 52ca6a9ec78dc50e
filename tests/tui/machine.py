"""A made-up machine: process records, snapshots and histories with just the facts a test is about."""

from __future__ import annotations

from typing import Any

from nsview.host.history import History, advance
from nsview.host.snapshot import ProcessRecord, Snapshot

SECOND = 1_000_000_000

HOST = (11, 12, 13, 14, 15, 16, 17, 18)
"""The machine's own namespaces, in the order of ``mnpUuiCT``."""

PLAIN = ProcessRecord(
    pid=1,
    ppid=0,
    start_time=1,
    state="S",
    uid=0,
    utime=0,
    stime=0,
    rss=4096,
    minflt=0,
    majflt=0,
    voluntary=0,
    involuntary=0,
    threads=1,
    pgrp=1,
    session=1,
    tty=0,
    flags=0,
    inner_pid=None,
    depth=1,
    ns=HOST,
    pid_for_children=HOST[2],
    time_for_children=HOST[7],
    comm="init",
)


def record(pid: int, ppid: int = 1, comm: str = "", **facts: Any) -> ProcessRecord:
    """A process that started at tick ``pid``, in the machine's own namespaces, but for ``facts``."""
    return PLAIN._replace(
        **{"pid": pid, "ppid": ppid, "comm": comm or f"p{pid}", "start_time": pid, "inner_pid": pid, **facts}
    )


def in_namespaces(**inodes: int) -> tuple[int, ...]:
    """The machine's own namespaces but for those given by their letters, as ``in_namespaces(n=99)``."""
    return tuple(inodes.get(letter, own) for letter, own in zip("mnpUuiCT", HOST, strict=True))


def snapshot(*records: ProcessRecord, at: float = 0.0) -> Snapshot:
    """These processes and pid 1, seen ``at`` so many seconds."""
    when = int(at * SECOND)
    return Snapshot(when, when, {one.pid: one for one in (PLAIN, *records)}, 0, ())


def history(*snapshots: Snapshot) -> History:
    """What these snapshots, the first one first, amount to."""
    folded = None
    for one in snapshots:
        folded = advance(folded, one)
    assert folded is not None
    return folded
