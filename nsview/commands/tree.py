"""``nsview tree``: who made whom, with ◆ where a process is in other namespaces than its parent."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nsview.commands import column_choice, listing
from nsview.commands.column_choice import ChoiceError, sorted_by
from nsview.commands.document import write_document
from nsview.commands.processes import LEGEND, Asked, add_process_options, asked_of, look, narrows, object_of, wanted
from nsview.commands.tree_drawing import NAMES, drawn, order_siblings
from nsview.host.columns.process_row import ProcessRow
from nsview.host.columns.processes import PROCESS_COLUMNS
from nsview.host.snapshot import ProcessRecord
from nsview.host.tree import ProcessTree, TreeRow
from spawner.namespaces import KINDS, NamespaceKind

USUAL = ("pid", "user", "ns", "comm")
BOUNDARY = "◆"
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"

prepare = column_choice.prepare
WORDS = column_choice.WORDS


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "tree",
        help="the process tree and its namespace boundaries",
        description=f"Show who made whom; {BOUNDARY} marks a process in other namespaces than its parent's. "
        "With a filter the ancestors of what matches stay: dim on a terminal, else in parentheses.",
        epilog=LEGEND,
    )
    column_choice.add_options(parser, ",".join(USUAL))
    parser.add_argument(
        "--namespaces", dest="boundaries", action="store_true", help="a line of its own for the namespaces entered"
    )
    add_process_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the tree; 2 when a column, the filter, the reference or the namespace is not there."""
    if column_choice.asks_for_help(args.columns):
        column_choice.write_help(PROCESS_COLUMNS)
        return 0
    try:
        asked = asked_of(args, USUAL)
        scene = look(args, asked)
    except ChoiceError as error:
        return column_choice.refuse("tree", error)
    whole = ProcessTree(scene.records)
    matching = {row.record.pid: row for row in wanted(scene, args, asked)}
    shown = dict(matching)
    if narrows(args, asked):
        for pid in matching:
            for above in whole.ancestors(pid):
                if above in shown:
                    break  # and so are all above it
                shown[above] = scene.row(scene.records[above])
    tree = ProcessTree({pid: shown[pid].record for pid in sorted(shown)})
    if asked.keys:
        order_siblings(tree, sorted_by(shown.values(), asked.keys))
    lines = [Line(row, shown[row.record.pid], row.record.pid in matching, entered(whole, row)) for row in tree.walk()]
    if args.json:
        _write_json(lines, tree, args.reference, asked)
    else:
        _write(lines, asked, args)
    return 0


@dataclass(frozen=True, slots=True)
class Line:
    """A process in the tree: whether it matches the filter, and the namespaces that are not its parent's."""

    drawn: TreeRow
    process: ProcessRow
    matches: bool
    entered: tuple[tuple[NamespaceKind, int], ...]


def entered(tree: ProcessTree, row: TreeRow) -> tuple[tuple[NamespaceKind, int], ...]:
    """Return the namespaces of a process that are known not to be its parent's, by kind and inode."""
    parent = tree.parent(row.record.pid)
    above: ProcessRecord | None = None if parent is None else tree.records[parent]
    if above is None or above.ns == row.record.ns:
        return ()
    pairs = zip(KINDS, row.record.ns, above.ns, strict=True)
    return tuple((kind, own) for kind, own, other in pairs if own is not None and other is not None and own != other)


def _write(lines: Sequence[Line], asked: Asked, args: argparse.Namespace) -> None:
    window = listing.window()
    dims = window is not None and not os.environ.get("NO_COLOR")
    rows, faint = [], [False] * args.header
    for line, branches in _with_boundaries(lines) if args.boundaries else _marked(lines):
        rows.append(_cells(asked, line, branches, dims))
        faint.append(line is not None and not line.matches)
    columns = listing.heading(asked.columns)
    for text, is_faint in zip(listing.lines(columns, rows, args.header, window), faint, strict=True):
        sys.stdout.write(f"{_DIM}{text}{_PLAIN}\n" if is_faint and dims else f"{text}\n")


def _marked(lines: Sequence[Line]) -> Iterator[tuple[Line | None, str]]:
    """Yield each process with the lines before its name, which end in ◆ at a boundary."""
    for line in lines:
        branches = line.drawn.branches
        yield line, f"{branches[:-2]}{BOUNDARY} " if line.entered and branches else branches


def _with_boundaries(lines: Sequence[Line]) -> Iterator[tuple[Line | None, str]]:
    """Yield the same, with a row for the namespaces entered (no process) between a process and its parent."""
    moved: dict[int, TreeRow] = {}
    for line in lines:
        row = line.drawn
        above = None if row.above is None else moved[row.above.record.pid]
        if line.entered:
            above = TreeRow(row.record, 0, row.is_last, above)
            names = " ".join(f"{kind.proc}:[{inode}]" for kind, inode in line.entered)
            yield None, f"{above.branches}{BOUNDARY} {names}"
            row = TreeRow(row.record, 0, True, above)
        else:
            row = TreeRow(row.record, 0, row.is_last, above)
        moved[row.record.pid] = row
        yield line, row.branches


def _cells(asked: Asked, line: Line | None, branches: str, dims: bool) -> list[str]:
    if line is None:
        return [branches if column.name in NAMES else "" for column in asked.columns]
    cells = drawn(asked.columns, line.process, branches)
    if not line.matches and not dims:
        for at, column in enumerate(asked.columns):
            if column.name in NAMES:
                cells[at] = f"{branches}({cells[at].removeprefix(branches)})"
    return cells


def _write_json(lines: Sequence[Line], tree: ProcessTree, reference: str, asked: Asked) -> None:
    processes = (
        {
            **object_of(line.process, asked),
            "parent": tree.parent(line.drawn.record.pid),
            "depth": line.drawn.depth,
            "matches": line.matches,
            "entered": [kind.name for kind, _ in line.entered],
        }
        for line in lines
    )
    write_document({"version": 1, "reference": reference}, "processes", processes)
