"""Id maps as values: which id is where, and what the kernel has against a map (user_namespaces(7))."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from itertools import pairwise

from spawner.errors import Problem
from spawner.oci import IDMapping

LAST_ID = 2**32 - 2
"""The one after it means "no id", setresuid(2)."""
MOST_LINES = 340
"""UID_GID_MAP_MAX_EXTENTS, include/linux/user_namespace.h."""

Lines = tuple[IDMapping, ...]


def text(lines: Lines) -> str:
    """The map as the kernel reads it, in one write(2)."""
    return "".join(f"{line.container_id} {line.host_id} {line.size}\n" for line in lines)


def parse(raw: str) -> Lines:
    """What /proc/PID/uid_map says; ValueError for anything else."""
    rows = [tuple(map(int, row.split())) for row in raw.splitlines()]
    return tuple(IDMapping(inside, outside, size) for inside, outside, size in rows)


def inside(lines: Lines, outside_id: int) -> int | None:
    """Which id this one of the parent's namespace is inside; None where it is not mapped."""
    for line in lines:
        if line.host_id <= outside_id < line.host_id + line.size:
            return line.container_id + outside_id - line.host_id
    return None


def outside(lines: Lines, inside_id: int) -> int | None:
    """Which id of the parent's namespace this one inside stands for; None where it is not mapped."""
    for line in lines:
        if line.container_id <= inside_id < line.container_id + line.size:
            return line.host_id + inside_id - line.container_id
    return None


def is_single(lines: Lines, own: int) -> bool:
    """Whether a map is of one id, ``own``: all that an unprivileged process may write (new_idmap_permitted)."""
    return len(lines) == 1 and lines[0].size == 1 and lines[0].host_id == own


def faults(kind: str, lines: Lines) -> Iterator[Problem]:
    """What map_write() in kernel/user_namespace.c refuses, or would take for another map; ``kind``: user or group."""
    where = f"in the {kind} id map"
    numbers = [number for line in lines for number in (line.container_id, line.host_id)]
    if any(not 0 <= number <= LAST_ID for number in numbers) or any(line.size < 1 for line in lines):
        # The kernel would cut a larger number off at 32 bits and map another id.
        what = "a negative id" if min(numbers) < 0 else "what is no id"
        yield Problem(f"{what} {where}", f"ids go from 0 to {LAST_ID}")
        return
    for line in lines:
        if max(line.container_id, line.host_id) + line.size - 1 > LAST_ID:
            yield Problem(
                f"a range of {line.size} ids from {max(line.container_id, line.host_id)} {where} ends beyond the last",
                f"ids go from 0 to {LAST_ID}",
            )
    for side, firsts in (
        ("inside", sorted((line.container_id, line.size) for line in lines)),
        ("outside", sorted((line.host_id, line.size) for line in lines)),
    ):
        for (first, size), (following, _) in pairwise(firsts):
            if first + size > following:
                yield Problem(f"id {following} {side} is mapped twice {where}", "let no two lines overlap")
    if len(lines) > MOST_LINES:
        yield Problem(f"{len(lines)} lines {where}", f"the kernel takes {MOST_LINES} at most")
    elif len(text(lines)) >= mmap.PAGESIZE:
        yield Problem(
            f"{len(text(lines))} bytes of text {where}",
            f"the kernel takes less than a page ({mmap.PAGESIZE}) in one write: use fewer lines",
        )
