"""``nsview diff``: how two processes differ, one line per attribute with its reason.

JSON, version 1: {"version", "parent": {"pid", "start_time"}, "child": {…}, "rows": [{"section", "attribute",
"parent", "child", "delta", "same", "why", "source"}]}. null is unknown, or for the delta: none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

from nsview.commands.listing import Column, show, write
from nsview.host.difference import DiffRow, compare_processes
from nsview.host.process import ProcessGoneError
from nsview.host.snapshot import take

MARKS = {True: "=", False: "≠", None: "?"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "diff",
        help="how two processes differ: namespaces, sharing, usage",
        description="Compare two processes, such as a parent and its child.",
        epilog="≠ differs, = is the same, ? cannot be told.",
    )
    parser.add_argument("parent", type=_pid, metavar="PID", help="the parent, or any process")
    parser.add_argument("child", type=_pid, metavar="PID", help="the child, or any other")
    parser.add_argument("--differs", action="store_true", help="leave out what is the same")
    parser.add_argument("--sources", action="store_true", help="show the file or call read in place of the reason")
    parser.add_argument("--no-header", dest="header", action="store_false", help="leave out the line of titles")
    parser.add_argument("--json", action="store_true", help="print JSON, version 1")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the comparison; 2 when either process is not there."""
    started = {pid: record.start_time for pid, record in take((args.parent, args.child)).records.items()}
    try:
        for pid in (args.parent, args.child):
            if pid not in started:
                raise ProcessGoneError(pid)
        rows = compare_processes(args.parent, args.child, started[args.parent], started[args.child])
    except ProcessGoneError as error:
        print(f"nsview diff: {error}", file=sys.stderr)
        return 2
    shown = [row for row in rows if not (args.differs and row.same)]
    if args.json:
        parent, child = ({"pid": pid, "start_time": started[pid]} for pid in (args.parent, args.child))
        document = {"version": 1, "parent": parent, "child": child, "rows": [asdict(row) for row in shown]}
        json.dump(document, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return 0
    columns = (
        Column("SECTION"),
        Column("ATTRIBUTE"),
        Column(""),
        Column(str(args.parent), gives=True),
        Column(str(args.child), gives=True),
        Column("Δ", gives=True),
        Column("SOURCE" if args.sources else "WHY", gives=True),
    )
    write(columns, _lines(shown, args.sources), args.header)
    return 0


def _pid(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 1 << 31:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a pid")


def _lines(rows: list[DiffRow], sources: bool) -> Iterator[tuple[str, ...]]:
    for row in rows:
        yield (
            row.section,
            row.attribute,
            MARKS[row.same],
            show(row.parent),
            show(row.child),
            row.delta or "",
            row.source if sources else row.why,
        )
