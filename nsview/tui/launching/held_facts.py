"""What a held child is like between two steps, read from the kernel; and what changed from one look to the next.

The comparison is the one that any two processes get, here of one process at two times.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nsview.host import kcmp, reasons, sections
from nsview.host.attribute import equal
from nsview.host.content.mounts import MountTable
from nsview.host.difference import DiffRow, rows, table
from nsview.host.facts import Facts, read_facts
from nsview.host.process import PinnedProcess, ProcessGoneError

_LEFT_OUT = frozenset({"memory", "threads", "environment"})
"""Sections a step of a plan does not change: it runs in borrowed memory, alone, and execve brings what is new."""

_READ = tuple(section for section in sections.MORE if section.name not in _LEFT_OUT)

_RESTLESS = frozenset({("scheduling", "last cpu")})
"""Attributes that change by themselves while a child only waits."""


@dataclass(frozen=True, slots=True)
class Look:
    """All that was read of one process at one time. ``sharing`` is kcmp's answer for it and us, by resource."""

    facts: Facts
    details: Mapping[str, Any]
    sharing: Mapping[str, bool | None]


@dataclass(frozen=True, slots=True)
class Changes:
    """What differed between two looks at a held child.

    ``unknown`` are the attributes that the kernel tells of neither time: whether they changed nobody knows.
    The steps ``first`` to ``last`` of the plan were done between the two; ``birth``: the call that made the child
    too, and the look before was at ourselves. ``acts`` are the labels of what we did for it meanwhile, as its parent.
    ``unread`` says why there are no ``rows``, if there was no second look.
    ``running``: the program runs by now, and what it did itself is among them.
    """

    first: int
    last: int
    birth: bool = False
    rows: tuple[DiffRow, ...] = ()
    unread: str = ""
    running: bool = False
    acts: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def covers(self, index: int | None) -> bool:
        """Tell whether a step of the plan (None: the call that made the child) was done between the two looks."""
        return self.birth if index is None else self.first <= index <= self.last


class UnreadError(Exception):
    """There was nothing to be read; the message says why."""


def look(pid: int, start_time: int | None = None) -> Look:
    """Read a process; raises UnreadError. ``start_time`` (ticks) guards against another in its number."""
    try:
        with PinnedProcess(pid, start_time) as process:
            facts = read_facts(process)
            details = {section.name: section.read(process) for section in _READ}
            ours = os.getpid()
            sharing = {} if pid == ours else kcmp.compare(ours, pid, None, process.start_time)
            state = process.stat_fields()
    except ProcessGoneError:
        raise UnreadError("it had ended before it could be read") from None
    except OSError as error:
        raise UnreadError(f"reading it failed: {error.strerror or error}") from error
    if state is None or state[0] in (b"Z", b"X"):
        raise UnreadError("it had ended before it could be read")
    return Look(facts, details, sharing)


def differences(before: Look, after: Look) -> tuple[tuple[DiffRow, ...], tuple[str, ...]]:
    """Return a row for each attribute that is another now, or became known or unknown; and those unknown. Pure.

    Whether something is shared with us is no more than a guess where kcmp says nothing, and is left out of the unknown.
    """
    compared = [*_compared(before, after)]
    changed = tuple(row for row in compared if row.same is not True and row.parent != row.child)
    return changed, tuple(
        row.attribute for row in compared if row.parent is None and row.child is None and row.section != "sharing"
    )


def _compared(before: Look, after: Look) -> Iterator[DiffRow]:
    mounts = [*_section("mounts", before, after)]
    for row in rows(before.facts, after.facts, {}):
        counted = row.section == "files" and row.attribute == "mounts" and _tells(mounts)
        if row.section != "usage" and not counted:
            yield row
    yield _root_mount(before.details["mounts"], after.details["mounts"])
    yield from _sharing(before.sharing, after.sharing)
    for name in (section.name for section in _READ):
        for row in mounts if name == "mounts" else _section(name, before, after):
            if not (_is_restless(row) or (name == "descriptors" and _is_as_open(row, before, after))):
                yield row


def _is_restless(row: DiffRow) -> bool:
    return (row.section, row.attribute) in _RESTLESS


def _is_as_open(row: DiffRow, before: Look, after: Look) -> bool:
    """Tell whether the same is open as before. What it got from us is one open file still, of which we too move the
    offset and set the flags, but for O_CLOEXEC (open(2), open file description). So is the number of descriptors of a
    kind, which are told one by one.
    """
    number = row.attribute.removeprefix("fd ")
    if not number.isdecimal():
        return True
    one, two = ((look.details["descriptors"] or {}).get(int(number)) for look in (before, after))
    if one is None or two is None:
        return one is two
    closes = ["O_CLOEXEC" in (descriptor.flags or ()) for descriptor in (one, two)]
    return one.target == two.target and closes[0] == closes[1]


def _tells(found: list[DiffRow]) -> bool:
    return any(row.same is False for row in found)


def _section(name: str, before: Look, after: Look) -> Iterator[DiffRow]:
    section = next(section for section in _READ if section.name == name)
    one, two = before.details[name], after.details[name]
    yield from table(name, section.attributes(one, two), one, two)


def _root_mount(before: MountTable | None, after: MountTable | None) -> DiffRow:
    """Compare which mount the root directory is in: pivot_root(2) to a clone of / leads to the same directory."""
    one, two = (None if table is None else table.root_id for table in (before, after))
    shown = [None if number is None else f"mount {number}" for number in (one, two)]
    same = equal(one, two)
    why = reasons.pick(same, "paths start in the same mount", "pivot_root(2), chroot(2), or its mounts are copies now")
    return DiffRow("files", "root mount", shown[0], shown[1], None, why, "/proc/PID/root and its mnt_id", same)


def _sharing(before: Mapping[str, bool | None], after: Mapping[str, bool | None]) -> Iterator[DiffRow]:
    """Compare what is shared with us; of ourselves, looked at before there was a child, all is our own."""
    words = {True: "shared with nsview", False: "its own", None: None}
    for name, now in after.items():
        then = words[before.get(name)] if before else "nsview's"
        same = None if now is None else then == words[now]
        why = "what a clone flag let the child share with its parent, until unshare(2) or execve(2) gives it its own"
        yield DiffRow("sharing", name, then, words[now], None, why, f"kcmp(PID, PID, KCMP_{name})", same)
