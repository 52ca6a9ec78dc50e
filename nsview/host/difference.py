"""How a child differs from its parent, or any process from another: one row per attribute, each with its
reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nsview.host import capabilities, kcmp, reasons, usage
from nsview.host.attributes import FILES, IDENTITY, IDS, LIMITS_OF_PRIVILEGE, SYSTEM, Attribute
from nsview.host.facts import CAPABILITY_SETS, LINKS, Facts, read_facts
from nsview.host.process import PinnedProcess
from nsview.host.units import signed


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One attribute of two processes.

    ``parent`` and ``child`` are safe to print, None where unknown; ``delta`` says what the child has more
    and less; ``why`` is one line for a person; ``source`` the file or call the values come from (PID stands
    for either); ``same`` is None when it cannot be told.
    """

    section: str
    attribute: str
    parent: str | None
    child: str | None
    delta: str | None
    why: str
    source: str
    same: bool | None


SECTIONS = ("identity", "namespaces", "sharing", "ids", "files", "system", "usage")
"""In the order of the rows."""


def compare_processes(
    parent: int, child: int, parent_start: int | None = None, child_start: int | None = None
) -> tuple[DiffRow, ...]:
    """Compare two processes, by section; the first need not be the other's parent.

    Start times (clock ticks) guard against reused pids. Raises ProcessGoneError when either is not there.
    """
    with PinnedProcess(parent, parent_start) as first, PinnedProcess(child, child_start) as second:
        one, two = read_facts(first), read_facts(second)
        shared = kcmp.compare(parent, child, first.start_time, second.start_time)
    return rows(one, two, shared)


def rows(one: Facts, two: Facts, shared: dict[str, bool | None]) -> tuple[DiffRow, ...]:
    """Compare the facts of two processes; ``shared`` is kcmp's answer. Pure."""
    return (
        *_table("identity", IDENTITY, one, two),
        *_namespaces(one, two),
        *_sharing(shared),
        *_table("ids", IDS, one, two),
        *_capabilities(one, two),
        *_table("ids", LIMITS_OF_PRIVILEGE, one, two),
        *_table("files", FILES, one, two),
        *_table("system", SYSTEM, one, two),
        *_usage(one, two),
    )


def _table(section: str, attributes: tuple[Attribute, ...], one: Facts, two: Facts) -> Iterator[DiffRow]:
    for attribute in attributes:
        first, second = attribute.text(one), attribute.text(two)
        value = attribute.value or attribute.text
        same = _equal(value(one), value(two))
        why = reasons.pick(same, attribute.why_same, attribute.why_different)
        delta = attribute.delta(one, two) if same is False else None
        yield DiffRow(section, attribute.name, first, second, delta, why, attribute.source, same)


def _equal(first: object, second: object) -> bool | None:
    return None if first is None or second is None else first == second


def _namespaces(one: Facts, two: Facts) -> Iterator[DiffRow]:
    for name in LINKS:
        first, second = one.namespaces[name], two.namespaces[name]
        same = _equal(first, second)
        shown = [None if inode is None else f"{name.partition('_')[0]}:[{inode}]" for inode in (first, second)]
        delta = "own" if same is False else None
        why = reasons.pick(same, *reasons.NAMESPACES[name])
        yield DiffRow("namespaces", name, shown[0], shown[1], delta, why, f"/proc/PID/ns/{name}", same)


def _sharing(shared: dict[str, bool | None]) -> Iterator[DiffRow]:
    for name, same in shared.items():
        shown = {True: "shared", False: "its own", None: None}[same]
        why = reasons.pick(same, *reasons.SHARING[name], reasons.SHARING_UNKNOWN)
        yield DiffRow("sharing", name, shown, shown, None, why, f"kcmp(PID, PID, KCMP_{name})", same)


def _capabilities(one: Facts, two: Facts) -> Iterator[DiffRow]:
    for key, name in CAPABILITY_SETS.items():
        first, second = one.capabilities[key], two.capabilities[key]
        delta = capabilities.change(first, second) if first is not None and second is not None else None
        same = _equal(first, second)
        elsewhere = _equal(one.namespaces["user"], two.namespaces["user"]) is False
        why = reasons.CAPABILITIES_ELSEWHERE if elsewhere else reasons.pick(same, *reasons.CAPABILITIES[name])
        yield DiffRow(
            "ids",
            f"caps {name}",
            _mask(first),
            _mask(second),
            delta or None,
            why,
            f"/proc/PID/status {key}",
            same,
        )


def _mask(mask: int | None) -> str | None:
    return None if mask is None else f"{mask:016x} ({mask.bit_count()})"


def _usage(one: Facts, two: Facts) -> Iterator[DiffRow]:
    if one.usage is None or two.usage is None:
        return
    for difference in usage.differences(one.usage, two.usage):
        measure, delta = difference.measure, difference.delta
        first, second = (
            None if amount is None else measure.text(amount) for amount in (difference.first, difference.second)
        )
        same = _equal(difference.first, difference.second)
        change = signed(measure.text(delta)) if delta else None
        yield DiffRow("usage", measure.name, first, second, change, measure.why, measure.source, same)
