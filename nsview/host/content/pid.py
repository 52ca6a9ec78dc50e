"""Who is in a pid namespace, by every number a process has (pid_namespaces(7))."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import ProcessRecord, Snapshot


@dataclass(frozen=True, slots=True)
class PidContent:
    """The processes of one pid namespace by our number for them. ``numbers`` are those in every pid namespace from
    ours down to theirs, None where unknown; ``init`` is the one that is 1 there, None when it is not to be seen.
    """

    init: int | None
    numbers: Mapping[int, tuple[int, ...] | None]


def read_pid(namespace: int, members: Iterable[int], snapshot: Snapshot) -> PidContent:
    """Return what the snapshot has of the members of a namespace (inode).

    The kernel is asked only of those that are two levels below us, or deeper.
    """
    numbers = {pid: _numbers(snapshot.records[pid]) for pid in members}
    init = next((pid for pid in numbers if snapshot.records[pid].inner_pid == 1), None)
    if init is None and namespace == os.stat("/proc/self/ns/pid").st_ino and 1 in snapshot.records:
        init = 1  # of our own namespace, and does not let itself be asked
    return PidContent(init, numbers)


def _numbers(record: ProcessRecord) -> tuple[int, ...] | None:
    if record.inner_pid is None or record.depth is None:
        return None
    if record.depth == 0:
        return (record.pid,)
    if record.depth == 1:
        return record.pid, record.inner_pid
    try:
        with PinnedProcess(record.pid, record.start_time) as process:
            status = process.status()
    except ProcessGoneError:
        return None
    words = None if status is None else status.get("NSpid")
    return None if words is None else tuple(map(int, words.split()))
