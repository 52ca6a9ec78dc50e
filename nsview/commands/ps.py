"""``nsview ps``: processes in the columns asked for, with the eight cells of where their namespaces differ."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from nsview.commands import column_choice
from nsview.commands.column_choice import ChoiceError, sorted_by
from nsview.commands.document import write_document
from nsview.commands.listing import heading, write
from nsview.commands.processes import LEGEND, Asked, add_process_options, asked_of, look, object_of, wanted
from nsview.commands.tree_drawing import drawn, order_siblings
from nsview.host.columns.process_row import ProcessRow
from nsview.host.columns.processes import PROCESS_COLUMNS
from nsview.host.tree import ProcessTree

USUAL = ("pid", "user", "state", "rss", "threads", "ns", "comm")

prepare = column_choice.prepare
WORDS = column_choice.WORDS


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("ps", help="processes and their namespaces", epilog=LEGEND)
    column_choice.add_options(parser, ",".join(USUAL))
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument(
        "--tree", action="store_true", default=None, help="children below their parents (the default without --sort)"
    )
    shape.add_argument("--flat", dest="tree", action="store_false", help="one after another, by pid")
    add_process_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the processes; 2 when a column, the filter, the reference or the namespace is not there."""
    if column_choice.asks_for_help(args.columns):
        column_choice.write_help(PROCESS_COLUMNS)
        return 0
    try:
        asked = asked_of(args, USUAL)
        scene = look(args, asked)
    except ChoiceError as error:
        return column_choice.refuse("ps", error)
    rows = sorted_by(wanted(scene, args, asked), asked.keys)
    if args.json:
        head = {"version": 1, "reference": args.reference}
        write_document(head, "processes", (object_of(row, asked) for row in rows))
        return 0
    as_tree = not asked.keys if args.tree is None else args.tree
    write(heading(asked.columns), _cells(rows, asked, as_tree), args.header)
    return 0


def _cells(rows: Sequence[ProcessRow], asked: Asked, as_tree: bool) -> Iterable[Sequence[str]]:
    if not as_tree:
        return [[column.text(row) for column in asked.columns] for row in rows]
    shown = {row.record.pid: row for row in rows}
    tree = ProcessTree({pid: row.record for pid, row in sorted(shown.items())})
    if asked.keys:
        order_siblings(tree, rows)
    return [drawn(asked.columns, shown[line.record.pid], line.branches) for line in tree.walk()]
