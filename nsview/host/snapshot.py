"""A snapshot: the raw facts of every process at one instant, read natively with the GIL released.

Two producers fill the same records: the BPF task iterator, where it may be had, and /proc (producer.py chooses).
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
class Snapshot:
    """All processes seen in one pass.

    ``when_ns`` and ``ended_ns`` are CLOCK_MONOTONIC; ``records`` is keyed by pid in the kernel's order
    (ascending). ``vanished`` counts processes that ended while they were read; ``producer`` says who read.
    """

    when_ns: int
    ended_ns: int
    records: Mapping[int, ProcessRecord]
    vanished: int
    errors: tuple[ScanError, ...]
    producer: Producer = Producer.PROC

    @property
    def took_ns(self) -> int:
        """How long the reading took."""
        return self.ended_ns - self.when_ns


_POSITION = {kind.name: index for index, kind in enumerate(KINDS)}
_NS = slice(20, 28)


def take(pids: Iterable[int] | None = None, proc: str = "/proc", *, by: Producer | str | None = None) -> Snapshot:
    """Read every process (or only ``pids``; those that do not exist are left out) and return a Snapshot.

    ``by`` asks for one producer, as NSVIEW_SNAPSHOT in the environment does; else it is whichever can be had, and
    /proc where ``pids`` or ``proc`` is given. A record that is equal to one of the last snapshot is that object.

    Raises OSError when ``proc`` cannot be read, its kind RefusedError when BPF is asked for and cannot be had,
    ValueError when there is no such producer. A process that ends meanwhile, or that we may not look into, is no
    error: it is left out, or its unknown facts are None.
    """
    global _last
    if pids is not None or proc != "/proc":
        return decode(_scan.scan(proc, pids))
    who, packed = producer.read(producer.asked_for() if by is None else Producer(by))
    records: dict[bytes, ProcessRecord] = {}
    snapshot = decode(packed, by=who, known=_last, seen=records)
    _last = records
    return snapshot


_last: Mapping[bytes, ProcessRecord] = {}
"""The records of the last snapshot by their packed bytes. Replaced whole, so that threads need no lock."""


def decode(
    packed: bytes,
    *,
    by: Producer = Producer.PROC,
    known: Mapping[bytes, ProcessRecord] | None = None,
    seen: dict[bytes, ProcessRecord] | None = None,
) -> Snapshot:
    """Turn the packed bytes of any producer (layout.py) into a Snapshot; ValueError when they are none.

    Where ``known`` has the record of some bytes, that is used again: most processes do nothing from one snapshot to
    the next. ``seen`` collects the records of this one by their bytes.
    """
    if len(packed) < HEADER.size or packed[:4] != MAGIC:
        raise ValueError("not a packed snapshot")
    _, _, size, count, vanished, started, ended, _, _, *errors = HEADER.unpack_from(packed)
    body = memoryview(packed)[HEADER.size :]
    if size != RECORD.size or len(body) != count * size:
        raise ValueError(f"a packed snapshot of {count} records of {size} bytes does not fit its layout")
    known = {} if known is None else known
    seen = {} if seen is None else seen
    for (raw,) in _RAW.iter_unpack(body):
        seen[raw] = known.get(raw) or _record(RECORD.unpack(raw))
    records = {record.pid: record for record in seen.values()}
    found = tuple(ScanError(number, times) for number, times in zip(errors[::2], errors[1::2], strict=True) if number)
    return Snapshot(started, ended, records, vanished, found, by)


_RAW = struct.Struct(f"{RECORD.size}s")


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
