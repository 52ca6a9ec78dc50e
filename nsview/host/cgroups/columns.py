"""The columns of control groups: where they are, who is in them, and every fact of the table of facts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from nsview.host.cgroups.facts import BY_NAME, FACTS, Fact
from nsview.host.cgroups.tree import Group
from nsview.host.cgroups.values import MAX, Pressure, Quota, Value
from nsview.host.columns.column import Column
from nsview.host.columns.kinds import BYTES, COUNT, DURATION, FLAG, PERCENT, RATE, TEXT, WORD, Kind
from nsview.host.containers import Container, container_of
from nsview.host.text import printable
from nsview.host.units import bytes_text


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group in a list; for rates also what was read ``seconds`` before, None where the group was not there."""

    group: Group
    before: Group | None = None
    seconds: float = 0.0

    @property
    def container(self) -> Container | None:
        """Whose it is, by its path."""
        return container_of((self.group.path,))


def _or_max(kind: Kind, takes: str) -> Kind:
    """The same kind, of limits: there may be none, which is more than any."""
    return replace(
        kind,
        takes=f"{takes}, or max",
        unit=f'{kind.unit}, or "max"',
        text=lambda value: MAX if value == math.inf else kind.text(value),
        read=lambda word: math.inf if word == MAX else kind.read(word),
        json=lambda value: MAX if value == math.inf else kind.json(value),
        searched=lambda value: MAX if value == math.inf else (kind.searched or kind.text)(value),
    )


BYTES_RATE = replace(BYTES, name="bytes a second", unit="bytes a second", json=lambda rate: round(rate, 3))
LIMIT_BYTES = _or_max(BYTES, BYTES.takes)
LIMIT_COUNT = _or_max(COUNT, COUNT.takes)
CPUS = _or_max(replace(RATE, name="cpus", unit="CPUs", text=lambda value: f"{value:g}"), "a number of CPUs, as 0.5")


def devices_text(devices: Mapping[str, Mapping[str, int | str]]) -> str:
    """Word limits or numbers by device: ``8:0 rbps=1.0M wbps=max``."""
    return ", ".join(
        " ".join(
            [
                device,
                *(
                    f"{word}={bytes_text(value) if isinstance(value, int) and word in _IN_BYTES else value}"
                    for word, value in numbers.items()
                ),
            ]
        )
        for device, numbers in devices.items()
    )


_IN_BYTES = ("rbps", "wbps", "rbytes", "wbytes", "dbytes")
_DEVICES = replace(TEXT, name="devices", text=devices_text, searched=devices_text, json=dict)

_KINDS: Mapping[str, tuple[Kind, Callable[[Any], Any]]] = {
    "bytes": (LIMIT_BYTES, lambda value: math.inf if value == MAX else value),
    "count": (LIMIT_COUNT, lambda value: math.inf if value == MAX else value),
    "devices": (_DEVICES, lambda value: value),
    "flag": (FLAG, lambda value: value),
    "ns": (DURATION, lambda value: value),
    "pressure": (PERCENT, lambda value: (value.some or value.full).avg10),
    "quota": (CPUS, lambda value: math.inf if value.cpus is None else value.cpus),
    "word": (WORD, printable),
}
"""By the unit of a fact: the kind of its column, and how a value becomes one of that kind."""

_TITLES = {
    "freezer": "STATE",
    "cpu_usage": "CPU TIME",
    "cpu_max": "CPUS",
    "memory_current": "MEMORY",
    "memory_max": "MEM MAX",
    "pids_current": "TASKS",
    "pids_max": "TASKS MAX",
    "cpu_pressure": "CPU PSI",
    "memory_pressure": "MEM PSI",
    "io_pressure": "IO PSI",
    "oom_kills": "OOM",
    "io_read": "READ",
    "io_write": "WRITTEN",
}


def _fact(fact: Fact) -> Column[GroupRow]:
    kind, value_of = _KINDS[fact.unit]

    def value(row: GroupRow) -> Any:
        found = row.group.values.get(fact.name)
        return None if found is None else value_of(found)

    said = f"{fact.meaning}: per cent of the last 10 seconds" if fact.unit == "pressure" else fact.meaning
    title = _TITLES.get(fact.name, fact.name.upper().replace("_", " "))
    return Column(fact.name, title, kind, value, said, aliases=(fact.name.replace("_", ".", 1),))


def _rate(name: str, times: float) -> Callable[[GroupRow], float | None]:
    """How fast a counter rises a second, times so much."""

    def value(row: GroupRow) -> float | None:
        now = row.group.values.get(name)
        then = None if row.before is None else row.before.values.get(name)
        if not isinstance(now, int) or not isinstance(then, int) or row.seconds <= 0 or now < then:
            return None
        return (now - then) / row.seconds * times

    return value


def _own(row: GroupRow) -> int | None:
    group = row.group
    return None if group.processes is None or group.outside is None else len(group.processes) + group.outside


def _container(row: GroupRow) -> str | None:
    return None if row.container is None else printable(row.container.name)


GROUP_COLUMNS: tuple[Column[GroupRow], ...] = (
    Column("group", "GROUP", TEXT, lambda row: printable(row.group.name), "its own name", main=True),
    Column("path", "PATH", TEXT, lambda row: printable(row.group.path), "its path in its hierarchies", main=True),
    Column("container", "CONTAINER", TEXT, _container, "whose it is, by its path", main=True, aliases=("unit",)),
    Column(
        "processes", "PROCS", COUNT, attrgetter("group.subtree_count"), "processes in it and below", aliases=("procs",)
    ),
    Column(
        "own", "OWN", COUNT, _own,
        "processes right in it",
    ),
    Column(
        "hierarchies", "HIERARCHIES", TEXT,
        lambda row: printable(" ".join(key or "v2" for key in row.group.directories)), "the hierarchies that have it",
    ),
    Column("cpu", "CPU%", PERCENT, _rate("cpu_usage", 1e-7), "CPU time it uses, in per cent of one CPU"),
    Column("read_rate", "READ/s", BYTES_RATE, _rate("io_read", 1), "bytes read from devices a second"),
    Column("write_rate", "WRITE/s", BYTES_RATE, _rate("io_write", 1), "bytes written to devices a second"),
    *(_fact(fact) for fact in FACTS),
)  # fmt: skip
RATES = {"cpu": "cpu_usage", "read_rate": "io_read", "write_rate": "io_write"}
"""Columns that need a group as it was before, and the facts that they are the rates of."""
NEEDS_TWO_LOOKS = frozenset(RATES)


def facts_for(columns: frozenset[str]) -> tuple[Fact, ...]:
    """Return the facts that columns of these names show, to read no others."""
    names = {*columns & BY_NAME.keys(), *(fact for name, fact in RATES.items() if name in columns)}
    names |= {"freezer_self", "freezer_parent"} if "freezer" in names else set()
    return tuple(fact for fact in FACTS if fact.name in names)


def value_json(value: Value) -> object:
    """Return a value as JSON has it (docs/json.md)."""
    if isinstance(value, Quota):
        return {"quota_us": value.quota, "period_us": value.period}
    if isinstance(value, Pressure):
        return {
            kind: None
            if stall is None
            else {"avg10": stall.avg10, "avg60": stall.avg60, "avg300": stall.avg300, "total_us": stall.total}
            for kind, stall in (("some", value.some), ("full", value.full))
        }
    if isinstance(value, Mapping):
        return {printable(device): dict(numbers) for device, numbers in value.items()}
    return printable(value) if isinstance(value, str) else value


def value_text(fact: Fact, value: Value) -> str:
    """Word a value for a person."""
    if isinstance(value, Quota):
        return MAX if value.quota == MAX else f"{value.cpus:g} ({value.quota} of each {value.period} µs)"
    if isinstance(value, Pressure):
        stalls = (("some", value.some), ("full", value.full))
        return ", ".join(
            f"{kind} {stall.avg10:g}% {stall.avg60:g}% {stall.avg300:g}% ({stall.total} µs)"
            for kind, stall in stalls
            if stall is not None
        )
    kind, value_of = _KINDS[fact.unit]
    return kind.text(value_of(value))
