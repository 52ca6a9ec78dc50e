"""``nsview cgroups``: the tree of control groups with usage, limits, pressure, freezer state; or one of them in full.

On a hybrid machine the hierarchies are laid over one another by path. docs/json.md describes the JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nsview.commands import column_choice
from nsview.commands.column_choice import ChoiceError, columns_of, filter_of, sort_keys, sorted_by
from nsview.commands.listing import Column as Listed
from nsview.commands.listing import heading, show, write
from nsview.commands.seconds import DAY, seconds
from nsview.host.cgroups.columns import GROUP_COLUMNS, NEEDS_TWO_LOOKS, GroupRow, facts_for
from nsview.host.cgroups.facts import FACTS, Fact
from nsview.host.cgroups.hierarchies import Hierarchy, hierarchies
from nsview.host.cgroups.paths import outward
from nsview.host.cgroups.tree import Group, read_tree
from nsview.host.columns.column import Column
from nsview.host.filter import Filter
from nsview.host.snapshot import take
from nsview.host.text import printable
from nsview.host.users import user_name
from nsview.wording.groups import FACT_COLUMNS, USUAL, branches, cells, fact_rows, group_object

INTERVAL = 1.0

EPILOG = """PATH is a group as /proc/PID/cgroup shows it, or its directory; a word like /regex/ or /regex/i is a filter.
CPU TIME, MEMORY and TASKS count the groups below too. PSI is the share of the last 10 seconds in which some task
waited. - is what a group has no file for."""

HIERARCHY_COLUMNS = (
    Listed("HIERARCHY"),
    Listed("VERSION", right=True),
    Listed("CONTROLLERS", gives=True),
    Listed("MOUNTED AT", gives=True),
    Listed("ROOT", gives=True),
    Listed("OWN GROUP", gives=True),
)
MEMBER_COLUMNS = (Listed("PID", right=True), Listed("PPID", right=True), Listed("USER"), Listed("COMMAND", gives=True))


_A_REGEX = re.compile(r"/.+/i?", re.DOTALL)

WORDS = column_choice.WORDS


def prepare(words: Sequence[str]) -> list[str]:
    """Mark the first word that is a path: positional words are a filter else."""
    joined = column_choice.prepare(words)
    for at, word in enumerate(joined):
        if word == "--":
            break
        if word.startswith("/") and not _A_REGEX.fullmatch(word):
            return [*joined[:at], f"--path={word}", *joined[at + 1 :]]
    return joined


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "cgroups",
        usage="nsview cgroups [PATH] [FILTER …] [OPTIONS]",
        help="the tree of control groups: usage, limits, pressure, freezer",
        description="Show the control groups, or with PATH one of them in full and those below it.",
        epilog=EPILOG,
    )
    column_choice.add_options(parser, ",".join(USUAL))
    parser.add_argument("--path", metavar="PATH", help="the same as PATH, whatever it looks like")
    parser.add_argument("--hierarchy", metavar="NAME", help="of this one alone: v2, a controller, or name=NAME")
    parser.add_argument("--hierarchies", action="store_true", help="list the hierarchies, and where they are mounted")
    parser.add_argument("--processes", action="store_true", help="show the processes of each group below it")
    parser.add_argument(
        "--interval",
        type=seconds(DAY, "no time in seconds, as 0.5, of a day at most"),
        metavar="SECONDS",
        help=f"look twice, this long apart, for {', '.join(sorted(NEEDS_TWO_LOOKS))} (default: {INTERVAL:g})",
    )
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class _Asked:
    columns: Sequence[Column[GroupRow]]
    keys: Sequence[tuple[Column[GroupRow], bool]]
    filter: Filter[GroupRow]
    facts: tuple[Fact, ...]
    rates: bool


def run(args: argparse.Namespace) -> int:
    """Print the groups; 2 when a column, the filter, the hierarchy or the group is not there, 1 if none is mounted."""
    if column_choice.asks_for_help(args.columns):
        column_choice.write_help(GROUP_COLUMNS)
        return 0
    try:
        known = _chosen(hierarchies(), args.hierarchy)
        if args.hierarchies:
            return _write_hierarchies(known, args)
        asked = _asked(args)
        mounted = [each for each in known if each.mount is not None]
        if not mounted:
            print(f"nsview cgroups: {_none_mounted(known)}", file=sys.stderr)
            return 1
        tops, before, seconds = _look(mounted, args.path, asked, args.interval)
    except ChoiceError as error:
        return column_choice.refuse("cgroups", error)
    rows = {group.path: GroupRow(group, before.get(group.path), seconds) for top in tops for _, group in top.walk()}
    matching = frozenset(row.group.path for row in asked.filter.select(rows.values()))
    if args.json:
        _write_json(tops, rows, matching, known, asked if args.columns else None)
        return 0
    if asked.keys:
        listed = _flat(sorted_by((row for row in rows.values() if row.group.path in matching), asked.keys), asked)
    else:
        if args.path is not None and asked.filter.is_empty:
            _write_one(tops[0], args.header)
            if not tops[0].children:
                return 0
            sys.stdout.write("\n")
        listed = _tree(tops, rows, matching, asked, args.processes)
    write(heading(asked.columns), listed, args.header)
    return 0


def _asked(args: argparse.Namespace) -> _Asked:
    columns = columns_of(args.columns, USUAL, GROUP_COLUMNS)
    keys = sort_keys(args.sort, GROUP_COLUMNS)
    wanted = filter_of(args.filter, GROUP_COLUMNS)
    names = {column.name for column in columns} | {column.name for column, _ in keys} | wanted.columns
    everything = args.json or args.path is not None
    return _Asked(
        columns,
        keys,
        wanted,
        FACTS if everything else facts_for(frozenset(names)),
        not NEEDS_TWO_LOOKS.isdisjoint(names) or args.interval is not None,
    )


def _chosen(known: tuple[Hierarchy, ...], name: str | None) -> tuple[Hierarchy, ...]:
    if name is None:
        return known
    chosen = tuple(each for each in known if name == each.label or name in each.key.split(","))
    if not chosen:
        names = ", ".join(each.label for each in known) or "none"
        raise ChoiceError(f"there is no hierarchy {name!r}; there are: {names}")
    return chosen


def _none_mounted(known: Iterable[Hierarchy]) -> str:
    names = ", ".join(each.label for each in known)
    if not names:
        return "/proc does not tell of control groups here"
    return f"no hierarchy of control groups is mounted where we can reach it (the kernel has: {names}); mount one: " + (
        "mount -t cgroup2 none /sys/fs/cgroup"
    )


def _look(
    mounted: Sequence[Hierarchy], path: str | None, asked: _Asked, interval: float | None
) -> tuple[list[Group], dict[str, Group], float]:
    """Read the groups: in one tree, but for hierarchies that are mounted from different groups down.

    Also what they were ``seconds`` before, by path, where rates are asked for.
    """
    starts = _starts(mounted, path)

    def read() -> list[Group]:
        trees = (read_tree(each, start, asked.facts) for start, each in starts.items())
        return [tree for tree in trees if tree is not None]

    before: dict[str, Group] = {}
    began = time.monotonic()
    if asked.rates:
        before = {group.path: group for top in read() for _, group in top.walk()}
        time.sleep(INTERVAL if interval is None else interval)
    seconds = time.monotonic() - began
    tops = read()
    if not tops:
        raise ChoiceError(f"there is no group {path or '/'!r} in what is mounted; 'nsview cgroups' shows all")
    return tops, before, seconds


def _starts(mounted: Sequence[Hierarchy], path: str | None) -> dict[str, list[Hierarchy]]:
    """Return the hierarchies by the group to begin with, the outermost first; a directory may be named for a group."""
    starts: dict[str, list[Hierarchy]] = {}
    if path is None:
        for each in sorted(mounted, key=lambda each: outward(each.root)):
            starts.setdefault(each.root, []).append(each)
        return starts
    named = next((found for each in mounted if (found := each.path_of(path)) is not None), path)
    return {named: list(mounted)}


def _flat(rows: Iterable[GroupRow], asked: _Asked) -> Iterable[Sequence[str]]:
    """Rows of a sorted list: whole paths, for there is no tree to tell whose a name is."""
    for row in rows:
        texts = cells(asked.columns, row, "")
        for at, column in enumerate(asked.columns):
            if column.name == "group":
                texts[at] = printable(row.group.path)
        yield texts


def _tree(
    tops: Sequence[Group], rows: Mapping[str, GroupRow], matching: frozenset[str], asked: _Asked, processes: bool
) -> Iterable[Sequence[str]]:
    everybody = frozenset[int]().union(*(top.subtree for top in tops))
    names = {pid: record.comm for pid, record in take(everybody).records.items()} if processes else {}
    for top in tops:
        for lines, depth, group in branches(top, _leading(top, matching)):
            yield cells(asked.columns, rows[group.path], lines, group.path in matching)
            for pid in sorted(group.processes or ()) if processes and group.path in matching else ():
                said = f"{'   ' * (depth + 1)}{pid} {names.get(pid, show(None))}"
                yield [said if column.name == "group" else "" for column in asked.columns]


def _leading(top: Group, matching: frozenset[str]) -> frozenset[str]:
    """The paths of what matches and of all above it."""
    found: set[str] = set()
    way: list[str] = []
    for depth, group in top.walk():
        del way[depth:]
        way.append(group.path)
        if group.path in matching:
            found.update(way)
    return frozenset(found)


def _write_one(group: Group, header: bool) -> None:
    about = [("path", printable(group.path), "")]
    container = GroupRow(group).container
    if container is not None:
        about.append(("belongs to", printable(container.name), ""))
    about += [
        ("directory" if at == 0 else "", printable(path), key or "v2")
        for at, (key, path) in enumerate(group.directories.items())
    ]
    about.append(("processes", f"{show(group.subtree_count)} with the groups below", ""))
    if group.outside is None:
        about.append(("", "we are in a pid namespace, from which version 1 does not show others", ""))
    elif group.outside:
        about.append(("", f"{group.outside} right here have no pid that we know", ""))
    write(FACT_COLUMNS, [*about, *fact_rows(group)], header=False)
    records = take(group.processes or ()).records
    if records:
        sys.stdout.write("\n")
        rows = [
            (str(pid), str(one.ppid), show(None if one.uid is None else user_name(one.uid)), one.comm)
            for pid, one in sorted(records.items())
        ]
        write(MEMBER_COLUMNS, rows, header)


def _write_hierarchies(known: Iterable[Hierarchy], args: argparse.Namespace) -> int:
    if args.json:
        json.dump({"version": 1, "hierarchies": [_hierarchy_object(each) for each in known]}, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return 0
    rows = [
        (
            printable(each.label),
            str(each.version),
            show(None if each.controllers is None else " ".join(sorted(each.controllers)) or "-"),
            "not mounted" if each.mount is None else printable(each.mount),
            printable(each.root),
            printable(each.own),
        )
        for each in known
    ]
    write(HIERARCHY_COLUMNS, rows, args.header)
    return 0


def _hierarchy_object(hierarchy: Hierarchy) -> dict[str, object]:
    return {
        "key": printable(hierarchy.key),
        "version": hierarchy.version,
        "controllers": None if hierarchy.controllers is None else sorted(hierarchy.controllers),
        "mount": None if hierarchy.mount is None else printable(hierarchy.mount),
        "root": printable(hierarchy.root),
        "own": printable(hierarchy.own),
    }


def _write_json(
    tops: Iterable[Group],
    rows: Mapping[str, GroupRow],
    matching: frozenset[str],
    known: Iterable[Hierarchy],
    chosen: _Asked | None,
) -> None:
    groups = []
    for depth, group in (pair for top in tops for pair in top.walk()):
        if group.path in matching:
            found = group_object(depth, group)
            if chosen is not None:
                found["columns"] = {column.name: column.json(rows[group.path]) for column in chosen.columns}
            groups.append(found)
    document = {"version": 1, "hierarchies": [_hierarchy_object(each) for each in known], "groups": groups}
    json.dump(document, sys.stdout, indent=1)
    sys.stdout.write("\n")
