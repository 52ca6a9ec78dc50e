"""Control groups in words: the lines of their tree, one group in full, and as JSON."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from nsview.host.cgroups.columns import GROUP_COLUMNS, RATES, GroupRow, value_json, value_text
from nsview.host.cgroups.facts import BY_NAME, FACTS, SECTIONS
from nsview.host.cgroups.tree import Group
from nsview.host.columns.column import Column, by_name
from nsview.host.text import printable
from nsview.wording.table import Column as Listed
from nsview.wording.table import heading

USUAL = (
    "processes",
    "cpu_usage",
    "cpu_max",
    "memory_current",
    "memory_max",
    "pids_current",
    "pids_max",
    "cpu_pressure",
    "memory_pressure",
    "io_pressure",
    "freezer",
    "group",
)
"""The columns of the tree where none are chosen."""

_TABLE = by_name(GROUP_COLUMNS)
USUAL_COLUMNS = tuple(_TABLE[name] for name in USUAL)
TREE_COLUMNS = tuple(
    replace(column, rank=0 if name == "group" else rank)
    for rank, (name, column) in enumerate(zip(USUAL, heading(USUAL_COLUMNS), strict=True))
)


def branches(top: Group, shown: Container[str] | None = None) -> Iterator[tuple[str, int, Group]]:
    """Yield the lines of the tree left of a group's name, its depth, and the group; only groups whose paths are shown.

    What leads to a group that is shown must be shown too.
    """
    pending: list[tuple[str, str, int, Group]] = [("", "", 0, top)] if shown is None or top.path in shown else []
    while pending:
        own, below, depth, group = pending.pop()
        yield own, depth, group
        children = [child for child in group.children if shown is None or child.path in shown]
        last = len(children) - 1
        pending += [
            (below + ("└─ " if at == last else "├─ "), below + ("   " if at == last else "│  "), depth + 1, child)
            for at, child in reversed(list(enumerate(children)))
        ]


def cells(columns: Sequence[Column[GroupRow]], row: GroupRow, lines: str, matches: bool = True) -> list[str]:
    """Return a group's cells, the lines of the tree before its name; in parentheses where it only leads to others."""
    texts = [_cell(column, row) for column in columns]
    for at, column in enumerate(columns):
        if column.name == "group":
            texts[at] = lines + (texts[at] if matches else f"({texts[at]})")
    return texts


def _cell(column: Column[GroupRow], row: GroupRow) -> str:
    """Return ``-`` for a fact that the group has no file for: a question mark would say there may be one."""
    fact = RATES.get(column.name, column.name)
    if fact in BY_NAME and fact not in row.group.values and fact not in row.group.unknown:
        return "-"
    if column.name == "container" and row.container is None:
        return "-"
    return column.text(row)


def tree_rows(top: Group, columns: Sequence[Column[GroupRow]] = USUAL_COLUMNS) -> list[list[str]]:
    """Return the rows of a whole tree."""
    return [cells(columns, GroupRow(group), lines) for lines, _, group in branches(top)]


FACT_COLUMNS = (Listed(""), Listed("", gives=True), Listed("", gives=True))


def fact_rows(group: Group) -> list[tuple[str, str, str]]:
    """Return all that is known of a group: name, value, and the files that tell it."""
    rows = []
    for section in SECTIONS:
        for fact in FACTS:
            if fact.section == section and fact.name in group.values:
                files = " ".join(path.rpartition("/")[2] for path in group.sources[fact.name])
                rows.append((fact.name, value_text(fact, group.values[fact.name]) or "-", printable(files)))
    return rows


def group_object(depth: int, group: Group) -> dict[str, object]:
    """A group as JSON has it (docs/json.md)."""
    container = GroupRow(group).container
    return {
        "path": printable(group.path),
        "name": printable(group.name),
        "depth": depth,
        "directories": {key: printable(path) for key, path in group.directories.items()},
        "container": None
        if container is None
        else {
            "engine": container.engine,
            "id": container.id,
            "name": printable(container.name),
            "pod": container.pod,
            "qos": container.qos,
            "unit": None if container.unit is None else printable(container.unit),
            "role": container.role,
        },
        "processes": None if group.processes is None else sorted(group.processes),
        "outside": group.outside,
        "subtree_processes": group.subtree_count,
        "values": {name: value_json(value) for name, value in group.values.items()},
        "sources": _sources(group.sources),
        "unknown": sorted(group.unknown),
    }


def _sources(sources: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    return {name: [printable(file) for file in files] for name, files in sources.items()}
