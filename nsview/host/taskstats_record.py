"""The kernel's struct taskstats: where its fields are, and reading those that are wanted.

Source: include/uapi/linux/taskstats.h and Documentation/accounting/taskstats-struct.rst. The struct only grows at
its end, but for version 15, which put fields in the middle; version 16 took that back. Version 15 is not read.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ACCOUNT_OF_GROUP = 0x20
"""AGROUP in ``ac_flag`` (linux/acct.h, since version 12): the last task of its process."""


@dataclass(frozen=True, slots=True)
class Field:
    """Where a field is: struct's letter for its type, its offset in bytes, the version that brought it."""

    kind: str
    offset: int
    since: int = 1


def _delays(offset: int, since: int, name: str) -> dict[str, Field]:
    """How many times a task waited for a thing, and for how many nanoseconds in all."""
    return {f"{name}_count": Field("Q", offset, since), f"{name}_delay_total": Field("Q", offset + 8, since)}


FIELDS: Mapping[str, Field] = {
    "version": Field("H", 0),
    "ac_exitcode": Field("I", 4),
    "ac_flag": Field("B", 8),
    "ac_nice": Field("b", 9),
    **_delays(16, 1, "cpu"),
    **_delays(32, 1, "blkio"),
    **_delays(48, 1, "swapin"),
    "cpu_run_real_total": Field("Q", 64),
    "cpu_run_virtual_total": Field("Q", 72),
    "ac_comm": Field("32s", 80, 2),
    "ac_sched": Field("B", 112, 2),
    "ac_uid": Field("I", 120, 2),
    "ac_gid": Field("I", 124, 2),
    "ac_pid": Field("I", 128, 2),
    "ac_ppid": Field("I", 132, 2),
    "ac_btime": Field("I", 136, 2),
    "ac_etime": Field("Q", 144, 2),
    "ac_utime": Field("Q", 152, 2),
    "ac_stime": Field("Q", 160, 2),
    "ac_minflt": Field("Q", 168, 2),
    "ac_majflt": Field("Q", 176, 2),
    "coremem": Field("Q", 184, 3),
    "virtmem": Field("Q", 192, 3),
    "hiwater_rss": Field("Q", 200, 3),
    "hiwater_vm": Field("Q", 208, 3),
    "read_char": Field("Q", 216, 3),
    "write_char": Field("Q", 224, 3),
    "read_syscalls": Field("Q", 232, 3),
    "write_syscalls": Field("Q", 240, 3),
    "read_bytes": Field("Q", 248, 3),
    "write_bytes": Field("Q", 256, 3),
    "cancelled_write_bytes": Field("Q", 264, 3),
    "nvcsw": Field("Q", 272, 4),
    "nivcsw": Field("Q", 280, 4),
    **_delays(312, 7, "freepages"),
    **_delays(328, 9, "thrashing"),
    "ac_btime64": Field("Q", 344, 10),
    **_delays(352, 11, "compact"),
    "ac_tgid": Field("I", 368, 12),
    "ac_tgetime": Field("Q", 376, 12),
    "ac_exe_dev": Field("Q", 384, 12),
    "ac_exe_inode": Field("Q", 392, 12),
    **_delays(400, 13, "wpcopy"),
    **_delays(416, 14, "irq"),
}
"""In the order of the struct. Delays are nanoseconds, ``cpu_run_*`` too; ``ac_*time`` microseconds; sizes of memory
KiB."""

Reader = Callable[[bytes], tuple[Any, ...] | None]


def reader(*names: str) -> Reader:
    """Return a function from a packed struct to the fields ``names``, which stand in FIELDS' order.

    It returns None where the struct is of a version that lacks one of them, or is not read (15).
    """
    wanted = [FIELDS[name] for name in names]
    since = max(field.since for field in wanted)
    form, at = "=", 0
    for field in wanted:
        form += f"{field.offset - at}x{field.kind}"
        at = field.offset + struct.calcsize(f"={field.kind}")
    unpack, size = struct.Struct(form).unpack_from, at

    def read(packed: bytes) -> tuple[Any, ...] | None:
        if len(packed) < size or (version := version_of(packed)) < since or version == _UNREADABLE:
            return None
        return unpack(packed)

    return read


def version_of(packed: bytes) -> int:
    """Return the version of a packed struct."""
    return int.from_bytes(packed[:2], sys.byteorder)


_UNREADABLE = 15
