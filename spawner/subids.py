"""Subordinate ids: what /etc/subuid and /etc/subgid give a user, and the maps that unshare(1) makes of them.

Only the two files are read, as shadow's newuidmap(1) does by default: where /etc/nsswitch.conf names another source of
subids (a libsubid plugin, getsubids(1)), its ranges are not known here and have to be given as numbers.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spawner import idmap
from spawner.errors import Problem, SpecError
from spawner.oci import IDMapping

FILES = {"user": "/etc/subuid", "group": "/etc/subgid"}
_OWN_MAPS = {"user": "/proc/self/uid_map", "group": "/proc/self/gid_map"}
_DIGITS = frozenset("0123456789")

Lines = tuple[IDMapping, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """``count`` ids from ``first`` on, subuid(5)."""

    first: int
    count: int


def ranges(kind: str, uid: int | None = None) -> tuple[Range, ...]:
    """The subordinate ``kind`` (user, group) ids of a user (None: the effective one), in the file's order.

    A line names the user, never a group, by name or by number: in /etc/subgid too. No file is no range. Raises OSError
    where the file cannot be read.
    """
    uid = os.geteuid() if uid is None else uid
    try:
        raw = Path(FILES[kind]).read_text(errors="surrogateescape")
    except FileNotFoundError:
        return ()
    return parse(raw, {str(uid)} | _names(uid))


def _names(uid: int) -> set[str]:
    try:
        return {pwd.getpwuid(uid).pw_name}
    except KeyError:
        return set()


def parse(raw: str, names: set[str]) -> tuple[Range, ...]:
    """The ranges of whoever has one of these names; lines that are none (subuid(5)) are passed over."""
    found = []
    for line in raw.splitlines():
        owner, *numbers = line.split(":")
        if owner in names and len(numbers) == 2 and all(word and set(word) <= _DIGITS for word in numbers):
            found.append(Range(*map(int, numbers)))
    return tuple(found)


def mapped_from_zero(kind: str) -> Lines:
    """``auto``: the user's first range, from 0 on inside. Raises SpecError where there is none."""
    first = _own_ranges(kind)[0]
    return (IDMapping(0, first.first, first.count),)


def mapped_as_they_are(kind: str) -> Lines:
    """``subids``: the user's first range under the same numbers. Raises SpecError where there is none."""
    first = _own_ranges(kind)[0]
    return (IDMapping(first.first, first.first, first.count),)


def every_id(kind: str) -> Lines:
    """``all``: whatever is mapped in our own namespace, under the same numbers inside."""
    lines = idmap.parse(Path(_OWN_MAPS[kind]).read_text())
    return tuple(IDMapping(line.container_id, line.container_id, line.size) for line in lines)


WORDS: dict[str, Callable[[str], Lines]] = {
    "auto": mapped_from_zero,
    "subids": mapped_as_they_are,
    "all": every_id,
}
"""The words unshare(1) has for --map-users and --map-groups."""


def _own_ranges(kind: str) -> tuple[Range, ...]:
    found = ranges(kind)
    if not found:
        name = min(_names(os.geteuid()), default=str(os.geteuid()))
        option = f"usermod --add-sub{'uids' if kind == 'user' else 'gids'} 100000-165535 {name}"
        raise SpecError((Problem(f"{name} has no subordinate {kind} ids in {FILES[kind]}", option),))
    return found


def around(single: IDMapping | None, lines: Lines) -> Lines:
    """A map of ``single`` and, around it, of ranges that give way where they meet it, as unshare(1) has it.

    The ids of a range stay in order, and each range loses at most one, its last: ``0 1000 1`` with ``0 100000 65536``
    is ``0 1000 1``, ``1 100000 65535``.
    """
    if single is None:
        return lines
    found = [single]
    for line in lines:
        size = line.size
        if _holds(line.host_id, size, single.host_id) or _holds(line.container_id, size, single.container_id):
            size -= 1
        inner, outer = line.container_id, line.host_id
        # Where the range jumps over the single id: on either side, by as many ids as lie before it.
        gaps = sorted(
            {
                min(max(single.container_id - inner, 0), size),
                min(max(single.host_id - outer, 0), size),
            }
        )
        for begin, end in zip((0, *gaps), (*gaps, size), strict=True):
            if begin == end:
                continue
            found.append(
                IDMapping(
                    inner + begin + (inner <= single.container_id <= inner + begin),
                    outer + begin + (outer <= single.host_id <= outer + begin),
                    end - begin,
                )
            )
    return tuple(found)


def _holds(first: int, count: int, number: int) -> bool:
    return first <= number < first + count
