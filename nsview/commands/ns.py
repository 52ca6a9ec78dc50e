"""``nsview ns``: every namespace with what keeps it alive, its parent and owner; or one of them with its inside."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nsview.commands import column_choice, listing
from nsview.commands.column_choice import ChoiceError, columns_of, filter_of, sort_keys, sorted_by
from nsview.commands.ns_one import write_inside, write_one
from nsview.commands.ns_words import object_of, step_object
from nsview.commands.source_options import add_source_options, source_of
from nsview.host.columns import Column
from nsview.host.columns.namespaces import NAMESPACE_COLUMNS, NamespaceRow, rows_of
from nsview.host.namespaces import WAYS, Namespace, StepReport, search
from nsview.host.namespaces.ancestry import RELATIONS, drawn
from nsview.host.snapshot import Snapshot
from nsview.wording.namespace import unread_text
from spawner.namespaces import BY_LETTER, BY_NAME, BY_PROC, NamespaceKind

USUAL = ("ns", "type", "nprocs", "pid", "user", "parent", "owner", "held", "name")

_WORDS = {**BY_LETTER, **BY_PROC, **BY_NAME}
_LINK = re.compile(r"([a-z]+)(?:_for_children)?:\[?(\d{1,18})\]?", re.ASCII)

prepare = column_choice.prepare
WORDS = column_choice.WORDS


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "ns",
        help="namespaces, what keeps them alive, and what is inside",
        usage="nsview ns [OPTIONS] [TYPE|INODE] [FILTER …]",
        description=f"List namespaces, of one TYPE ({', '.join(BY_PROC)}) or all that match FILTER; or show the one "
        "with this INODE, also as 'net:[4026531840]', with its members and what is inside.",
        epilog=f"HELD-BY: {'; '.join(f'{way.word}: {way.meaning}' for way in WAYS)}. PID is the leader: the topmost "
        "process inside, the oldest where there are several.",
    )
    column_choice.add_options(parser, ",".join(USUAL))
    parser.add_argument("--tree", choices=sorted(RELATIONS), help="those below their parents, or owned by them")
    add_source_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the namespaces; 2 when the one asked for, a column or the filter is not there."""
    if column_choice.asks_for_help(args.columns):
        column_choice.write_help(NAMESPACE_COLUMNS)
        return 0
    which, words = _which(args.filter)
    try:
        columns = columns_of(args.columns, USUAL, NAMESPACE_COLUMNS)
        keys = sort_keys(args.sort, NAMESPACE_COLUMNS)
        chosen = filter_of(words, NAMESPACE_COLUMNS)
        scene = _look(args)
        if isinstance(which, _Inode):
            if words:
                raise ChoiceError("one namespace is asked for by its inode, which leaves nothing to filter")
            return _show_one(which.of(scene.found), scene, args)
    except ChoiceError as error:
        return column_choice.refuse("ns", error)
    rows = [row for row in rows_of(scene.found.values(), scene.snapshot.records) if which in (None, row.namespace.kind)]
    rows = sorted_by(chosen.select(rows), keys)
    if args.json:
        _write_json([object_of(row, columns if args.columns else ()) for row in rows], scene)
        return 0
    listing.write(_heading(columns, args.tree), _cells(rows, columns, args.tree), args.header)
    if (unread := unread_text(scene.steps)) is not None:
        print(f"nsview ns: {unread}", file=sys.stderr)
    return 0


@dataclass(frozen=True, slots=True)
class _Scene:
    """What there is to show: a snapshot, the namespaces found from it, and how far the search came (None: recorded)."""

    snapshot: Snapshot
    found: Mapping[int, Namespace]
    steps: tuple[StepReport, ...] | None


def _look(args: argparse.Namespace) -> _Scene:
    source = source_of(args, "ns")
    snapshot = source.snapshot()
    if source.recorded:
        return _Scene(snapshot, source.namespaces(snapshot), None)
    discovery = search(snapshot)
    return _Scene(snapshot, discovery.namespaces, discovery.steps)


@dataclass(frozen=True, slots=True)
class _Inode:
    """One namespace asked for, and as which kind where a link was given."""

    number: int
    kind: NamespaceKind | None = None

    def of(self, found: Mapping[int, Namespace]) -> Namespace:
        """Return it; ChoiceError when it is not there."""
        namespace = found.get(self.number)
        if namespace is None:
            raise ChoiceError(f"there is no namespace {self.number} that can be seen; 'nsview ns' lists them all")
        if self.kind not in (None, namespace.kind):
            raise ChoiceError(f"namespace {self.number} is {namespace.kind.proc}:[{self.number}]")
        return namespace


def _which(words: Sequence[str]) -> tuple[NamespaceKind | _Inode | None, Sequence[str]]:
    """Take a type, an inode or a link like ``net:[4026531840]`` off the words of the filter."""
    first = words[0] if words else ""
    if first in _WORDS:
        return _WORDS[first], words[1:]
    if first.isascii() and first.isdecimal() and len(first) < 19:
        return _Inode(int(first)), words[1:]
    if (link := _LINK.fullmatch(first)) and link[1] in BY_PROC:
        return _Inode(int(link[2]), BY_PROC[link[1]]), words[1:]
    return None, words


def _heading(columns: Sequence[Column[NamespaceRow]], tree: str | None) -> list[listing.Column]:
    """The lines of a tree stand before the first column, which is at the left then."""
    heading = listing.heading(columns)
    if tree is not None:
        heading[0] = listing.Column(heading[0].title, gives=heading[0].gives)
    return heading


def _cells(rows: Sequence[NamespaceRow], columns: Sequence[Column[NamespaceRow]], tree: str | None) -> list[list[str]]:
    if tree is None:
        return [[column.text(row) for column in columns] for row in rows]
    by_inode = {row.namespace.inode: row for row in rows}
    lines = []
    for branches, namespace in drawn([row.namespace for row in rows], RELATIONS[tree]):
        first, *rest = (column.text(by_inode[namespace.inode]) for column in columns)
        lines.append([branches + first, *rest])
    return lines


def _show_one(namespace: Namespace, scene: _Scene, args: argparse.Namespace) -> int:
    from nsview.wording.inside.reading import inside  # a list does without what that imports

    content = None if scene.steps is None else inside(namespace, scene.snapshot, scene.found)
    (row,) = rows_of((namespace,), scene.snapshot.records)
    if args.json:
        document = object_of(row)
        if content is not None:
            document["inside"] = content.document
        _write_json([document], scene)
        return 0
    write_one(row, scene.snapshot.records, scene.steps, args.header)
    if content is not None:
        write_inside(content, args.header)
    return 0


def _write_json(namespaces: list[dict[str, object]], scene: _Scene) -> None:
    steps = None if scene.steps is None else [step_object(step) for step in scene.steps]
    json.dump({"version": 1, "namespaces": namespaces, "search": steps}, sys.stdout, indent=1)
    sys.stdout.write("\n")
