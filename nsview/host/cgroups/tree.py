"""The tree of control groups: of one hierarchy, or of all of them laid over one another by path.

On a hybrid machine the memory of a service is counted in one hierarchy, its processes kept together in another, its
pressure told by a third. A person means one group by all of them: the groups with the same path are one here, and each
fact comes from the first hierarchy that has it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from nsview.host.cgroups.directory import Directory
from nsview.host.cgroups.facts import FACTS, Fact
from nsview.host.cgroups.hierarchies import Hierarchy
from nsview.host.cgroups.paths import is_above, joined
from nsview.host.cgroups.pids import Sight, our_sight
from nsview.host.cgroups.values import FREEZING, FROZEN, THAWED, Value, flag


@dataclass(frozen=True, slots=True)
class Group:
    """One group, and those below it in ``children``, by name.

    ``path`` is its path in each hierarchy that has it, ``directories`` where it is, by the hierarchy's key.
    ``values`` are the facts known, by name; ``sources`` the files that told them; ``unknown`` the facts that the group
    has files for which do not tell us. It has no others. ``processes`` are the pids that are right here: one that
    different hierarchies put in different groups is in the innermost of them (in each, where none is below another);
    None is unknown. ``outside`` counts those that have no number in our pid namespace, None where that cannot be told.
    ``subtree`` are all processes here and below, ``subtree_outside`` as ``outside``.
    """

    path: str
    name: str
    directories: Mapping[str, str]
    values: Mapping[str, Value]
    sources: Mapping[str, tuple[str, ...]]
    unknown: frozenset[str]
    processes: frozenset[int] | None
    outside: int | None
    children: tuple[Group, ...]
    subtree: frozenset[int]
    subtree_outside: int | None

    @property
    def subtree_count(self) -> int | None:
        """How many processes there are here and below; None where some may be unseen."""
        return None if self.subtree_outside is None else len(self.subtree) + self.subtree_outside

    def walk(self) -> Iterator[tuple[int, Group]]:
        """Yield (depth, group), each before those below it."""
        pending = [(0, self)]
        while pending:
            depth, group = pending.pop()
            yield depth, group
            pending += [(depth + 1, child) for child in reversed(group.children)]


def read_tree(
    hierarchies: Iterable[Hierarchy],
    path: str = "/",
    facts: Iterable[Fact] = FACTS,
    roots: Mapping[str, str] | None = None,
    depth: int | None = None,
) -> Group | None:
    """Read the groups at and below ``path`` in all ``hierarchies``; None when none has it where we can look.

    ``roots`` makes a tree of different groups of each hierarchy, by key (one not named is left out): it is read from
    these down and called ``path``, as the root of a cgroup namespace is ``/`` to those inside, or as the groups of one
    process are its own. Groups more than ``depth`` below are left out, as if there were none.
    """
    starts: dict[str, str] = {}
    frozen_above: bool | None = False
    for hierarchy in hierarchies:
        start = path if roots is None else roots.get(hierarchy.key)
        directory = None if start is None else hierarchy.directory(start)
        if directory is not None:
            starts[hierarchy.key] = directory
            if hierarchy.version == 2:
                frozen_above = _frozen_above(hierarchy, directory)
    sight = our_sight()
    found = _read(starts, path, tuple(facts), frozen_above, sight, depth)
    return _assembled(found, sight) if found else None


@dataclass(slots=True)
class _Reading:
    """A group as it was read: pids by hierarchy."""

    path: str
    directories: dict[str, str]
    values: dict[str, Value]
    sources: dict[str, tuple[str, ...]]
    unknown: set[str]
    pids: dict[str, tuple[int, ...]]
    children: list[_Reading]


def _read(
    directories: Mapping[str, str],
    path: str,
    facts: tuple[Fact, ...],
    frozen_above: bool | None,
    sight: Sight,
    depth: int | None,
) -> list[_Reading]:
    """Read the groups, each before those below it. No recursion: anybody can nest groups without end."""
    found: list[_Reading] = []
    pending: list[tuple[Mapping[str, str], str, _Reading | None, int]] = [(directories, path, None, 0)]
    while pending:
        directories, path, parent, level = pending.pop()
        with ExitStack() as opened:
            here: dict[str, Directory] = {}
            for key, directory in directories.items():
                looked = opened.enter_context(Directory(directory))
                if looked.files or looked.denied:
                    here[key] = looked
            if not here:
                continue
            reading = _Reading(path, {key: each.path for key, each in here.items()}, {}, {}, set(), {}, [])
            _read_facts(reading, here, facts)
            below: dict[str, dict[str, str]] = {}
            for key, each in here.items():
                pids = each.pids()
                if pids is not None:
                    reading.pids[key] = sight.numbers(pids)
                for group in each.groups:
                    below.setdefault(group, {})[key] = joined(each.path, group)
        found.append(reading)
        if parent is not None:
            parent.children.append(reading)
        _inherit_freezer(reading, frozen_above if parent is None else _freezes_those_below(parent))
        if level != depth:
            pending += [
                (below[group], joined(path, group), reading, level + 1) for group in sorted(below, reverse=True)
            ]
    return found


def _inherit_freezer(group: _Reading, above: bool | None) -> None:
    """Version 2 has no file that says whether a group above is set to freeze: the cgroup.freeze of those above does."""
    if "freezer" not in group.values or "freezer_parent" in group.values:
        return
    if group.values["freezer"] == FROZEN and group.values.get("freezer_self") is False:
        above = True
    if above is None:
        group.unknown.add("freezer_parent")
        return
    group.values["freezer_parent"] = above
    group.sources["freezer_parent"] = ("cgroup.freeze of the groups above",)
    if above and group.values["freezer"] == THAWED:
        group.values["freezer"] = FREEZING


def _freezes_those_below(group: _Reading) -> bool | None:
    """Whether a group is set to freeze, or one above it; None is unknown."""
    if "freezer" not in group.values:
        return False  # the root of version 2, which has no such setting
    return group.values.get("freezer_self") is True or bool(group.values.get("freezer_parent"))


def _frozen_above(hierarchy: Hierarchy, directory: str) -> bool | None:
    """Whether a group above a directory of version 2 is set to freeze; None where those above are not mounted."""
    while directory != hierarchy.mount:
        directory = directory.rpartition("/")[0]
        with Directory(directory) as above:
            text = above.read("cgroup.freeze")
        if text is None:
            return False if directory == hierarchy.mount else None
        if flag(text):
            return True
    return None


def _read_facts(group: _Reading, here: Mapping[str, Directory], facts: tuple[Fact, ...]) -> None:
    texts: dict[tuple[str, str], str | None] = {}

    def text(key: str, file: str) -> str | None:
        if (key, file) not in texts:
            texts[key, file] = here[key].read(file)
        return texts[key, file]

    for fact in facts:
        for source in fact.sources:
            key = _hierarchy_of(source.controller, here)
            if key is None or not here[key].files.issuperset(source.files):
                if key is not None and here[key].denied:
                    group.unknown.add(fact.name)
                continue
            said = [text(key, file) for file in source.files]
            if any(each is None for each in said):
                group.unknown.add(fact.name)
                continue
            value = source.parse(*said)
            if value is not None:
                group.values[fact.name] = value
                group.sources[fact.name] = tuple(joined(here[key].path, file) for file in source.files)
                group.unknown.discard(fact.name)
                break


def _hierarchy_of(controller: str | None, keys: Iterable[str]) -> str | None:
    """The hierarchy with a controller of version 1, or that of version 2."""
    return next((key for key in keys if (not key if controller is None else controller in key.split(","))), None)


def _placed(found: Iterable[_Reading]) -> dict[str, set[int]]:
    """Put each process into the innermost groups that it is in, by path."""
    paths: dict[int, set[str]] = {}
    for group in found:
        for pids in group.pids.values():
            for pid in pids:
                paths.setdefault(pid, set()).add(group.path)
    paths.pop(0, None)
    placed: dict[str, set[int]] = {}
    for pid, each in paths.items():
        for path in each:
            if len(each) == 1 or not any(is_above(path, other) for other in each):
                placed.setdefault(path, set()).add(pid)
    return placed


def _assembled(found: list[_Reading], sight: Sight) -> Group:
    """Make the groups, each after those below it; the last is the topmost."""
    placed = _placed(found)
    made: dict[str, Group] = {}
    for group in reversed(found):
        children = tuple(made.pop(child.path) for child in group.children)
        own = frozenset(placed.get(group.path, ()))
        outside = _largest(sight.unseen(pids, 1 if key else 2) for key, pids in group.pids.items())
        made[group.path] = Group(
            path=group.path,
            name=group.path.rpartition("/")[2] or "/",
            directories=group.directories,
            values=group.values,
            sources=group.sources,
            unknown=frozenset(group.unknown),
            processes=own if group.pids else None,
            outside=outside,
            children=children,
            subtree=own.union(*(child.subtree for child in children)),
            subtree_outside=_total([outside, *(child.subtree_outside for child in children)]),
        )
    return made.popitem()[1]


def _largest(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else max((number for number in known if number is not None), default=0)


def _total(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else sum(number for number in known if number is not None)
