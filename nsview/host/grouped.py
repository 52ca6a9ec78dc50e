"""The limits that hold for a process by its control groups: its own group's, and those of the groups above."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from nsview.host.attribute import Attribute
from nsview.host.cgroups.columns import value_text
from nsview.host.cgroups.directory import Directory
from nsview.host.cgroups.facts import FACTS, Fact, Source
from nsview.host.cgroups.hierarchies import UNIFIED, Hierarchy, hierarchies
from nsview.host.cgroups.paths import groups_of
from nsview.host.cgroups.values import MAX, Quota, Value
from nsview.host.process import PinnedProcess
from nsview.host.text import printable

_LIMITS = tuple(fact for fact in FACTS if fact.section == "limits")
_ADD_UP = frozenset(("cpu_max", "memory_max", "memory_high", "swap_max", "memory_swap_max", "pids_max"))
"""Limits of a group that hold for all below it: the lowest on the way up counts. The others are of the group alone."""


@dataclass(frozen=True, slots=True)
class Held:
    """One limit, and the path of the group that it is of, safe to print."""

    value: Value
    group: str


Grouped = Mapping[str, Held]
"""By the fact's name, as ``memory_max``; without those that no group has."""


def groups_limits_of(process: PinnedProcess) -> Grouped | None:
    """Read the limits; None when the process is gone."""
    text = process.read("cgroup")
    if not text:
        return None
    paths = groups_of(text)
    found: dict[str, Held] = {}
    for hierarchy in hierarchies():
        path = paths.get(hierarchy.key)
        if path is None:
            continue
        facts = [(fact, source) for fact in _LIMITS for source in fact.sources if _is_in(source, hierarchy)]
        for group in _upwards(path):
            directory = hierarchy.directory(group)
            if directory is None or not facts:
                break
            with Directory(directory) as looked:
                for fact, source in facts:
                    if group == path or fact.name in _ADD_UP:
                        _note(fact, source, looked, printable(group), found)
    return found


def _is_in(source: Source, hierarchy: Hierarchy) -> bool:
    if source.controller is None:
        return hierarchy.key == UNIFIED
    return source.controller in hierarchy.key.split(",")


def _upwards(path: str) -> Iterator[str]:
    yield path
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        yield path


def _note(fact: Fact, source: Source, looked: Directory, group: str, found: dict[str, Held]) -> None:
    texts = [looked.read(file) for file in source.files]
    value = None if None in texts else source.parse(*texts)
    if value is None:
        return
    before = found.get(fact.name)
    if before is None or (fact.name in _ADD_UP and _amount(value) < _amount(before.value)):
        found[fact.name] = Held(value, group)


def _amount(value: Value) -> float:
    """Return what can be compared; no limit is the most."""
    if isinstance(value, Quota):
        return float("inf") if value.cpus is None else value.cpus
    return float(value) if isinstance(value, (int, float)) else float("inf")


def _text(fact: Fact) -> Callable[[Grouped], str | None]:
    def text(grouped: Grouped) -> str | None:
        held = grouped.get(fact.name)
        if held is None:
            return "no such limit"
        shown = value_text(fact, held.value) or "none"
        return shown if held.value == MAX or shown == MAX else f"{shown} by {held.group}"

    return text


def attributes(one: Grouped | None, two: Grouped | None) -> Iterator[Attribute[Grouped]]:
    """Yield what the groups of either have."""
    names = {*(one or ()), *(two or ())}
    for fact in _LIMITS:
        if fact.name in names or (one is None and two is None):
            yield Attribute(
                fact.name.replace("_", " "),
                _text(fact),
                "the files of its control groups, and of those above",
                f"the same limit holds: {fact.meaning}",
                f"other groups, or set differently: {fact.meaning}",
                value=lambda grouped, name=fact.name: grouped[name].value if name in grouped else False,  # type: ignore[misc]
            )
