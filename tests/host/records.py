"""Made-up records for the pure models."""

from __future__ import annotations

from nsview.host.snapshot import ProcessRecord

INITIAL = (1, 2, 3, 4, 5, 6, 7, 8)


def record(pid: int, ppid: int, start_time: int, ns=INITIAL, comm: str = "x", flags: int = 0) -> ProcessRecord:
    """A sleeping process of one thread."""
    return ProcessRecord(
        pid,
        ppid,
        start_time,
        "S",
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        1,
        pid,
        pid,
        0,
        flags,
        pid,
        0,
        ns,
        ns[2],
        ns[7],
        comm,
    )


def by_pid(*records: ProcessRecord) -> dict[int, ProcessRecord]:
    """As Snapshot.records has them."""
    return {one.pid: one for one in records}
