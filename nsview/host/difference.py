"""How a child differs from its parent, or any process from another: one row per attribute, each with its
reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from nsview.host import capabilities, descriptors, kcmp, reasons, sections, usage
from nsview.host.attribute import Attribute, equal
from nsview.host.attributes import FILES, IDENTITY, IDS, LIMITS_OF_PRIVILEGE, SYSTEM
from nsview.host.facts import CAPABILITY_SETS, LINKS, Facts, read_facts
from nsview.host.process import PinnedProcess
from nsview.host.sections import Section
from nsview.host.taskstats import TaskStats
from nsview.host.units import signed

T = TypeVar("T")


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
"""What is compared without being asked, cheap enough for every second, in the order of the rows."""

MORE = ("delays", *(section.name for section in sections.MORE))
"""What is compared when asked for, in the order of the rows."""

ALL = (*SECTIONS, *MORE)


@dataclass(frozen=True, slots=True)
class Compared:
    """How two processes differ, and what each has used: the first's usage, then the second's (None: unknown)."""

    rows: tuple[DiffRow, ...]
    usages: tuple[usage.Usage | None, usage.Usage | None]


def compare_processes(
    parent: int,
    child: int,
    parent_start: int | None = None,
    child_start: int | None = None,
    wanted: Collection[str] = SECTIONS,
) -> tuple[DiffRow, ...]:
    """Compare two processes, by section; the first need not be the other's parent.

    Start times (clock ticks) guard against reused pids. ``wanted`` are sections of ALL. Raises
    ProcessGoneError when either is not there.
    """
    return compare_with_usage(parent, child, parent_start, child_start, wanted).rows


def compare_with_usage(
    parent: int,
    child: int,
    parent_start: int | None = None,
    child_start: int | None = None,
    wanted: Collection[str] = SECTIONS,
) -> Compared:
    """Compare two processes as :func:`compare_processes` does, and keep the amounts that were read meanwhile."""
    with (
        PinnedProcess(parent, parent_start) as first,
        PinnedProcess(child, child_start) as second,
        TaskStats() as stats,
    ):
        one, two = read_facts(first, stats), read_facts(second, stats)
        shared = kcmp.compare(parent, child, first.start_time, second.start_time) if "sharing" in wanted else {}
        found = rows(one, two, shared)
        asked = [section for section in sections.MORE if section.name in wanted]
        more = tuple(row for section in asked for row in _more(section, first, second))
    delays = tuple(usage_rows("delays", one, two, usage.DELAYS)) if "delays" in wanted else ()
    return Compared((*(row for row in found if row.section in wanted), *delays, *more), (one.usage, two.usage))


def rows(one: Facts, two: Facts, shared: dict[str, bool | None]) -> tuple[DiffRow, ...]:
    """Compare the facts of two processes; ``shared`` is kcmp's answer. Pure."""
    return (
        *table("identity", IDENTITY, one, two),
        *_namespaces(one, two),
        *_sharing(shared),
        *table("ids", IDS, one, two),
        *_capabilities(one, two),
        *table("ids", LIMITS_OF_PRIVILEGE, one, two),
        *table("files", FILES, one, two),
        *table("system", SYSTEM, one, two),
        *usage_rows("usage", one, two, usage.MEASURES),
    )


def _more(section: Section[T], first: PinnedProcess, second: PinnedProcess) -> Iterator[DiffRow]:
    """Read a section of both and compare it."""
    one, two = section.read(first), section.read(second)
    yield from table(section.name, section.attributes(one, two), one, two)
    if section.name == "descriptors":
        yield _common_files(first, second, one, two)  # type: ignore[arg-type]


def table(section: str, attributes: Iterable[Attribute[T]], one: T | None, two: T | None) -> Iterator[DiffRow]:
    """Yield a row for each attribute; None for facts that could not be read."""
    for attribute in attributes:
        value = attribute.value or attribute.text
        first, second = (None if facts is None else attribute.text(facts) for facts in (one, two))
        same = equal(*(None if facts is None else value(facts) for facts in (one, two)))
        why = reasons.pick(same, attribute.why_same, attribute.why_different)
        delta = attribute.delta(one, two) if same is False and one is not None and two is not None else None
        yield DiffRow(section, attribute.name, first, second, delta or None, why, attribute.source, same)


def _common_files(
    first: PinnedProcess,
    second: PinnedProcess,
    one: descriptors.Descriptors | None,
    two: descriptors.Descriptors | None,
) -> DiffRow:
    """Compare the open files themselves, not their names."""
    pairs = None
    if one is not None and two is not None:
        targets = (descriptors.targets(one), descriptors.targets(two))
        pairs = kcmp.common_files(first, second, targets)
    shown = [None if pairs is None else " ".join(str(pair[side]) for pair in pairs) or "none" for side in (0, 1)]
    same = None if pairs is None else bool(pairs)
    why = reasons.pick(same, *reasons.COMMON_FILES)
    delta = None if pairs is None else f"{len(pairs)} common"
    return DiffRow("descriptors", "one open file", shown[0], shown[1], delta, why, "kcmp(PID, PID, KCMP_FILE)", same)


def _namespaces(one: Facts, two: Facts) -> Iterator[DiffRow]:
    for name in LINKS:
        first, second = one.namespaces[name], two.namespaces[name]
        same = equal(first, second)
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
        same = equal(first, second)
        elsewhere = equal(one.namespaces["user"], two.namespaces["user"]) is False
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


def usage_rows(section: str, one: Facts, two: Facts, measures: tuple[usage.Measure, ...]) -> Iterator[DiffRow]:
    """Yield a row for each measure; all unknown when the usage of either could not be read."""
    for measure in measures:
        first, second = measure.of(one.usage), measure.of(two.usage)
        texts = [None if amount is None else measure.text(amount) for amount in (first, second)]
        same = equal(first, second)
        delta = None if first is None or second is None or same else signed(measure.text(second - first))
        why = reasons.DELAYS_UNKNOWN if same is None and measure in usage.DELAYS else measure.why
        yield DiffRow(section, measure.name, texts[0], texts[1], delta, why, measure.source, same)
