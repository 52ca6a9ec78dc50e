"""The baseline: what was read of two processes when a person set a mark, and what changed since. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from nsview.host.attribute import equal
from nsview.host.difference import DiffRow
from nsview.host.snapshot import Snapshot
from nsview.host.units import signed
from nsview.host.usage import CUMULATIVE, DELAYS, MEASURES, Rate, Usage, change_text, rate_text, rates

Usages = tuple[Usage | None, Usage | None]


@dataclass(frozen=True, slots=True)
class Mark:
    """When it was set (a clock's time, for people), what both had used, the values, and the machine then."""

    at: str
    usages: Usages
    values: Mapping[tuple[str, str], tuple[str | None, str | None]]
    machine: Snapshot | None

    @property
    def swapped(self) -> Mark:
        """The same mark for the pair the other way round."""
        values = {name: (two, one) for name, (one, two) in self.values.items()}
        return replace(self, usages=(self.usages[1], self.usages[0]), values=values)

    def changed(self, row: DiffRow) -> bool:
        """Tell whether a value is another than at the mark; of what was not read then, nothing is told."""
        return self.values.get((row.section, row.attribute), (row.parent, row.child)) != (row.parent, row.child)


def mark(at: str, usages: Usages, rows: Iterable[DiffRow], machine: Snapshot | None) -> Mark:
    """Set a mark on what was read."""
    return Mark(at, usages, {(row.section, row.attribute): (row.parent, row.child) for row in rows}, machine)


def since(then: Usages, now: Usages, sections: frozenset[str]) -> tuple[DiffRow, ...]:
    """Word what both did since the mark, as rows of ``usage``, and of ``delays`` where that is in ``sections``."""
    one, two = (_rates(before, after) for before, after in zip(then, now, strict=True))
    rows = []
    for measure in (*MEASURES, *(DELAYS if "delays" in sections else ())):
        first, second = one.get(measure.field), two.get(measure.field)
        texts = [None if rate is None else change_text(rate) for rate in (first, second)]
        changes = [None if rate is None else rate.change for rate in (first, second)]
        same = equal(*changes)
        delta = None
        if same is False and changes[0] is not None and changes[1] is not None:
            delta = signed(measure.text(changes[1] - changes[0]))
        why = f"since the mark: {measure.why}"
        if measure.field in CUMULATIVE:
            paces = [None if rate is None else rate_text(rate) for rate in (first, second)]
            why += f"; at a rate of {paces[0] or '?'} → {paces[1] or '?'}"
        section = "delays" if measure in DELAYS else "usage"
        rows.append(DiffRow(section, measure.name, texts[0], texts[1], delta, why, measure.source, same))
    return tuple(rows)


def _rates(then: Usage | None, now: Usage | None) -> dict[str, Rate]:
    if then is None or now is None or then.identity != now.identity or now.when_ns <= then.when_ns:
        return {}
    return {rate.measure.field: rate for rate in rates(then, now)}
