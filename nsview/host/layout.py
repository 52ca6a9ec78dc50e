"""The packed layout of a snapshot: the mirror of the structs in _record.h, compared at import."""

from __future__ import annotations

import struct

from nsview.host import _scan

VERSION = 1
MAGIC = b"nsvS"

HEADER = struct.Struct("<4sHHIIQQII" + "iI" * 8)
"""magic, version, record size, count, vanished, started, ended, ticks per second, page size, 8 × (errno,
count).
"""

RECORD = struct.Struct("<IiiiiiIIIiIc3xQQQQQQQQ10Q64s")
"""valid, pid, ppid, pgrp, session, tty, uid, flags, threads, inner pid, depth, state, start, utime, stime,
rss, minflt, majflt, voluntary, involuntary, ten namespace inodes, comm.
"""

VALID_STAT = 1 << 0
VALID_UID = 1 << 1
VALID_SWITCHES = 1 << 2
VALID_INNER = 1 << 3
LINK_SHIFT = 16
LINKS = 10
VALID_LINKS = ((1 << LINKS) - 1) << LINK_SHIFT
VALID_ALL = VALID_STAT | VALID_UID | VALID_SWITCHES | VALID_INNER | VALID_LINKS

_native = (_scan.LAYOUT_VERSION, _scan.HEADER_SIZE, _scan.RECORD_SIZE)
if _native != (VERSION, HEADER.size, RECORD.size):
    raise ImportError(
        f"nsview.host._scan has layout {_native}, not {(VERSION, HEADER.size, RECORD.size)}: build it anew"
    )
