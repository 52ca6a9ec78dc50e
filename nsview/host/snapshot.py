"""A snapshot: the raw facts of every process at one instant, read natively with the GIL released.

Two producers fill the same records: the BPF task iterator, where it may be had, and /proc (producer.py chooses).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from nsview.host import _scan, producer
from nsview.host.layout import (
    HEADER,
    LINK_SHIFT,
    LINKS,
    MAGIC,
    RECORD,
    VALID_ALL,
    VALID_INNER,
    VALID_SWITCHES,
    VALID_UID,
)
from nsview.host.producer import Producer
from nsview.host.text import printable
from spawner.namespaces import KINDS

PF_EXITING = 0x00000004
PF_KTHREAD = 0x00200000
"""include/linux/sched.h"""
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

Namespaces = tuple[int | None, int | None, int | None, int | None, int | None, int | None, int | None, int | None]


class ProcessRecord(NamedTuple):
    """One process. ``None`` is unknown (not allowed, or a zombie has none), never zero.

    Times are clock ticks (TICKS_PER_SECOND); ``start_time`` counts from boot. ``rss`` is bytes. Faults and
    CPU times are of the whole thread group, context switches of its main thread alone (proc_pid_status(5)).
    """

    pid: int
    ppid: int
    start_time: int
    state: str
    uid: int | None
    utime: int
    stime: int
    rss: int
    minflt: int
    majflt: int
    voluntary: int | None
    involuntary: int | None
    threads: int
    pgrp: int
    session: int
    tty: int
    flags: int
    inner_pid: int | None
    depth: int | None
    ns: Namespaces
    pid_for_children: int | None
    time_for_children: int | None
    comm: str

    @property
    def identity(self) -> tuple[int, int]:
        """The pid and start time: pids are used again, the pair is not."""
        return self.pid, self.start_time

    @property
    def is_kernel_thread(self) -> bool:
        """True for a thread of the kernel's own."""
        return bool(self.flags & PF_KTHREAD)

    @property
    def is_zombie(self) -> bool:
        """True once it has exited and only waits to be reaped."""
        return self.state in "ZX"

    @property
    def has_ended(self) -> bool:
        """True for a zombie, but not for the ended first thread of a process whose other threads live on."""
        return self.is_zombie and self.threads <= 1

    @property
    def is_exiting(self) -> bool:
        """True from the start of its exit: it gives back memory and namespaces, then becomes a zombie."""
        return bool(self.flags & PF_EXITING)

    def namespace(self, name: str) -> int | None:
        """Return the inode of its namespace of the kind with this OCI name, as ``network``."""
        return self.ns[_POSITION[name]]


@dataclass(frozen=True, slots=True)
class ScanError:
    """An answer of the kernel that is neither "gone" nor "not allowed", and how often it came."""

    errno: int
    count: int

    def __str__(self) -> str:
        """Word it for a person."""
        return f"{os.strerror(self.errno)} ({errno.errorcode.get(self.errno, self.errno)}), {self.count} times"


@dataclass(frozen=True, slots=True)
class Turnover:
    """Who is new, gone, or did anything, by pid, since the snapshot that was begun at ``since_ns``.

    A pid that is another process now is among both the born and the gone. All others' records are the same objects.
    """

    since_ns: int
    born: tuple[int, ...]
    gone: tuple[int, ...]
    changed: tuple[int, ...]

    @property
    def pids(self) -> set[int]:
        """All of them."""
        return {*self.born, *self.gone, *self.changed}


def turnover(earlier: Snapshot, later: Snapshot) -> Turnover:
    """Return what was noted of it when the later one was taken, if that was after the earlier one, or find it out."""
    noted = later.turnover
    if noted is not None and noted.since_ns == earlier.when_ns:
        return noted
    then, now = earlier.records, later.records
    born = tuple(pid for pid, one in now.items() if pid not in then or then[pid].start_time != one.start_time)
    gone = tuple(pid for pid, one in then.items() if pid not in now or now[pid].start_time != one.start_time)
    fresh = frozenset(born)
    changed = tuple(
        pid for pid, one in now.items() if then.get(pid) is not one and pid not in fresh and then[pid] != one
    )
    return Turnover(earlier.when_ns, born, gone, changed)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All processes seen in one pass.

    ``when_ns`` and ``ended_ns`` are CLOCK_MONOTONIC; ``records`` is keyed by pid in the kernel's order
    (ascending). ``vanished`` counts processes that ended while they were read; ``producer`` says who read.
    ``turnover``: what is other than in the snapshot before, where that was noted.
    """

    when_ns: int
    ended_ns: int
    records: Mapping[int, ProcessRecord]
    vanished: int
    errors: tuple[ScanError, ...]
    producer: Producer = Producer.PROC
    turnover: Turnover | None = field(default=None, compare=False, repr=False)

    @property
    def took_ns(self) -> int:
        """How long the reading took."""
        return self.ended_ns - self.when_ns


_POSITION = {kind.name: index for index, kind in enumerate(KINDS)}
_NS = slice(20, 28)


def take(pids: Iterable[int] | None = None, proc: str = "/proc", *, by: Producer | str | None = None) -> Snapshot:
    """Read every process (or only ``pids``; those that do not exist are left out) and return a Snapshot.

    ``by`` asks for one producer, as NSVIEW_SNAPSHOT in the environment does; else it is whichever can be had, and
    /proc where ``pids`` or ``proc`` is given. A process that did nothing since the last snapshot has the same record.

    Raises OSError when ``proc`` cannot be read, its kind RefusedError when BPF is asked for and cannot be had,
    ValueError when there is no such producer. A process that ends meanwhile, or that we may not look into, is no
    error: it is left out, or its unknown facts are None.
    """
    global _last
    if pids is not None or proc != "/proc":
        return decode(_scan.scan(proc, pids))
    who, packed = producer.read(producer.asked_for() if by is None else Producer(by))
    last = _last
    joined = _scan.join(last.packed, last.records, packed, _unpacked)
    if joined is None:  # some pid was read twice, its process having changed threads meanwhile
        return decode(packed, by=who)
    records, born, gone, changed = joined
    snapshot = _headed(packed, who, records, Turnover(last.when_ns, tuple(born), tuple(gone), tuple(changed)))
    _last = _Last(snapshot.when_ns, packed, records)
    return snapshot


class _Last(NamedTuple):
    """A snapshot as it was packed, and its records."""

    when_ns: int
    packed: bytes
    records: dict[int, ProcessRecord]


_last = _Last(0, b"", {})
"""The last snapshot. Replaced whole, so that threads need no lock."""


def decode(packed: bytes, *, by: Producer = Producer.PROC) -> Snapshot:
    """Turn the packed bytes of any producer (layout.py) into a Snapshot; ValueError when they are none."""
    if len(packed) < HEADER.size or packed[:4] != MAGIC:
        raise ValueError("not a packed snapshot")
    _, _, size, count, *_ = HEADER.unpack_from(packed)
    body = memoryview(packed)[HEADER.size :]
    if size != RECORD.size or len(body) != count * size:
        raise ValueError(f"a packed snapshot of {count} records of {size} bytes does not fit its layout")
    return _headed(packed, by, {record.pid: record for record in map(_record, RECORD.iter_unpack(body))})


def _headed(
    packed: bytes, by: Producer, records: Mapping[int, ProcessRecord], turnover: Turnover | None = None
) -> Snapshot:
    _, _, _, _, vanished, started, ended, _, _, *errors = HEADER.unpack_from(packed)
    found = tuple(ScanError(number, times) for number, times in zip(errors[::2], errors[1::2], strict=True) if number)
    return Snapshot(started, ended, records, vanished, found, by, turnover)


def _unpacked(raw: bytes) -> ProcessRecord:
    return _record(RECORD.unpack(raw))


def _record(f: tuple) -> ProcessRecord:  # type: ignore[type-arg]
    valid = f[0]
    if valid == VALID_ALL:
        return ProcessRecord(
            f[1], f[2], f[12], _STATES[f[11]], f[6], f[13], f[14], f[15], f[16], f[17], f[18], f[19],
            f[8], f[3], f[4], f[5], f[7], f[9], f[10], f[_NS], f[28], f[29], _name(f[30]),
        )  # fmt: skip
    links = [inode if valid >> (LINK_SHIFT + index) & 1 else None for index, inode in enumerate(f[20 : 20 + LINKS])]
    ns: Namespaces = tuple(links[:8])  # type: ignore[assignment]
    uid = f[6] if valid & VALID_UID else None
    voluntary, involuntary = (f[18], f[19]) if valid & VALID_SWITCHES else (None, None)
    inner_pid, depth = (f[9], f[10]) if valid & VALID_INNER else (None, None)
    return ProcessRecord(
        f[1], f[2], f[12], _STATES[f[11]], uid, f[13], f[14], f[15], f[16], f[17], voluntary, involuntary,
        f[8], f[3], f[4], f[5], f[7], inner_pid, depth, ns, links[8], links[9], _name(f[30]),
    )  # fmt: skip


@lru_cache(maxsize=16384)
def _name(raw: bytes) -> str:
    return printable(raw.rstrip(b"\0"))


_STATES = {bytes((code,)): printable(bytes((code,))) for code in range(256)}
