"""What holds namespaces beside processes: threads, descriptors and sockets, of every process in one native pass."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from nsview.host.namespaces import _search
from nsview.host.snapshot import ProcessRecord
from spawner.namespaces import KINDS, NamespaceKind

_TARGET = struct.Struct("=iiQQ")
"""pid, tid, start time, the network namespace whose sockets are of no interest (0: none)."""
_ROW = struct.Struct("=iiiHHQ")
"""pid, tid, descriptor, how, kind, inode: the mirror of the struct in _search.c."""

if (_TARGET.size, _ROW.size) != (_search.TARGET_SIZE, _search.ROW_SIZE):
    raise ImportError("nsview.host.namespaces._search has another layout: build it anew")


class How(IntEnum):
    """How something holds a namespace, in the order of the enum in _search.c."""

    DESCRIPTOR = 0
    SOCKET = 1
    TASK = 2
    AWAITING_TASK = 3
    OWN_TABLE = 4
    """Not a namespace: the thread has a descriptor table of its own."""


class Holder(NamedTuple):
    """One thing that holds a namespace. ``fd`` is -1 for threads."""

    pid: int
    tid: int
    fd: int
    how: How
    kind: NamespaceKind
    inode: int


class Looked(NamedTuple):
    """How far a pass came: processes looked at and refused, sockets asked and refused, an unforeseen errno or 0."""

    processes: int
    refused: int
    sockets: int
    sockets_refused: int
    errno: int


def of_tasks(records: Iterable[ProcessRecord]) -> tuple[list[Holder], Looked]:
    """Find the threads that are elsewhere than their process's main thread (or all, where that one has ended)."""
    packed = b"".join(_TARGET.pack(record.pid, record.pid, record.start_time, 0) for record in records)
    return _unpacked(_search.tasks(packed))


def of_descriptors(
    records: Iterable[ProcessRecord], tables: Iterable[tuple[ProcessRecord, int]], sockets: bool
) -> tuple[list[Holder], Looked]:
    """Find open descriptors of namespaces, and with ``sockets`` those whose network namespace is not their process's.

    ``tables`` are threads (of a process, by tid) with a descriptor table of their own.
    """
    every = [(record, record.pid) for record in records]
    every += tables
    packed = b"".join(
        _TARGET.pack(record.pid, tid, record.start_time, record.namespace("network") or 0) for record, tid in every
    )
    return _unpacked(_search.descriptors(packed, sockets))


def _unpacked(answer: tuple[bytes, int, int, int, int, int]) -> tuple[list[Holder], Looked]:
    rows, *looked = answer
    holders = [
        Holder(pid, tid, fd, How(how), KINDS[kind], inode) for pid, tid, fd, how, kind, inode in _ROW.iter_unpack(rows)
    ]
    return holders, Looked(*looked)
