"""All that is known of one process: what a comparison reads, for one alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nsview.host import sections, usage
from nsview.host.difference import ALL, DiffRow, rows, table, usage_rows
from nsview.host.facts import Facts, read_facts
from nsview.host.process import PinnedProcess
from nsview.host.taskstats import TaskStats


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute of a process; ``value`` is safe to print, None where unknown."""

    section: str
    attribute: str
    value: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Description:
    """One process: the facts, and what the sections asked for have read, by their names (None: unknown)."""

    facts: Facts
    details: Mapping[str, Any]
    wanted: tuple[str, ...]

    def rows(self) -> Iterator[Row]:
        """Word all of it: as one process beside itself, of which one side is kept. Pure."""
        for row in self._compared():
            if row.section in self.wanted:
                yield Row(row.section, row.attribute, row.parent, row.source)

    def _compared(self) -> Iterator[DiffRow]:
        yield from rows(self.facts, self.facts, {})
        yield from usage_rows("delays", self.facts, self.facts, usage.DELAYS)
        for section in sections.MORE:
            if section.name in self.details:
                found = self.details[section.name]
                yield from table(section.name, section.attributes(found, found), found, found)


def describe(process: PinnedProcess, wanted: Collection[str] = ALL) -> Description:
    """Read the sections ``wanted``, of difference.ALL; raises ProcessGoneError when the process is not there."""
    with TaskStats() as stats:
        facts = read_facts(process, stats)
    details = {section.name: section.read(process) for section in sections.MORE if section.name in wanted}
    return Description(facts, details, tuple(name for name in ALL if name in wanted))
