"""``nsview diff``: how two processes differ, one line per attribute with its reason; or what each does now.

JSON (docs/json.md), version 1: {"version", "parent": {"pid", "start_time"}, "child": {…}, "rows": [{"section",
"attribute", "parent", "child", "delta", "same", "why", "source"}]}. null is unknown, or for the delta: none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Iterator
from dataclasses import asdict

from nsview.commands import diff_rates
from nsview.commands.listing import Column, show, write
from nsview.commands.process_argument import FORMS, ProcessArgument, process_argument, section_names
from nsview.commands.source_options import add_source_options, source_of
from nsview.host.difference import ALL, SECTIONS, DiffRow, compare_processes
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.source import Source

_SPILLS = 40
MARKS = {True: "=", False: "≠", None: "?"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "diff",
        help="how two processes differ: namespaces, sharing, usage",
        description="Compare two processes, such as a parent and its child; one alone with its parent.",
        epilog=f"≠ differs, = is the same, ? cannot be told. A process is {FORMS}. "
        f"Sections, the first {len(SECTIONS)} without being asked for: {', '.join(ALL)}.",
    )
    parser.add_argument("parent", type=process_argument, metavar="PID", help="the parent, or any process")
    parser.add_argument(
        "child", type=process_argument, metavar="PID", nargs="?", help="the child, or any other (default: compare"
        " the first with its parent)",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="compare all there is, open files and environment too")
    parser.add_argument(
        "--section",
        type=section_names(ALL),
        action="extend",
        default=[],
        metavar="NAME[,NAME…]",
        help="compare only these",
    )
    parser.add_argument("--differs", action="store_true", help="leave out what is the same")
    parser.add_argument("--sources", action="store_true", help="show the file or call read in place of the reason")
    diff_rates.add_options(parser)
    add_source_options(parser)
    parser.add_argument("--no-header", dest="header", action="store_false", help="leave out the line of titles")
    parser.add_argument("--json", action="store_true", help="print JSON, version 1")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the comparison; 2 when either process is not there."""
    if args.all and args.section:
        return _refuse("--all and --section: choose one")
    if complaint := diff_rates.complaint(args):
        return _refuse(complaint)
    wanted = ALL if args.all else args.section or SECTIONS
    source = source_of(args, "diff")
    try:
        if source.recorded:
            if args.interval is not None or not set(wanted) <= set(SECTIONS):
                return _refuse(f"a recording has one sample at a time, and no more than {', '.join(SECTIONS)}")
            parent, child, rows = _recorded(source, args, wanted)
        else:
            parent, child = _pinned(args.parent, args.child)
            if args.interval is not None:
                return diff_rates.watch(parent, child, args)
            rows = compare_processes(parent.pid, child.pid, parent.start_time, child.start_time, wanted)
    except ProcessGoneError as error:
        return _refuse(str(error))
    shown = [row for row in rows if not (args.differs and row.same)]
    if args.json:
        document = {"version": 1, "parent": parent._asdict(), "child": child._asdict()}
        json.dump({**document, "rows": [asdict(row) for row in shown]}, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return 0
    columns = (
        Column("SECTION"),
        Column("ATTRIBUTE"),
        Column(""),
        Column(str(parent.pid), gives=True, spills=_SPILLS),
        Column(str(child.pid), gives=True, spills=_SPILLS),
        Column("Δ", gives=True, spills=_SPILLS),
        Column("SOURCE" if args.sources else "WHY", gives=True),
    )
    write(columns, _lines(shown, args.sources), args.header)
    return 0


def _refuse(sentence: str) -> int:
    print(f"nsview diff: {sentence}", file=sys.stderr)
    return 2


def _pinned(one: ProcessArgument, other: ProcessArgument | None) -> tuple[ProcessArgument, ProcessArgument]:
    """Return the two with their start times; the first's parent and the first where there is no other."""
    with PinnedProcess(*one) as process:
        first = ProcessArgument(process.pid, process.start_time)
        stat = process.stat_fields()
    if other is None:
        above = int(stat[1]) if stat is not None else 0
        if not above:
            raise ProcessGoneError(0) if stat is None else _NoParentError(first.pid)
        other, first = first, ProcessArgument(above)
        with PinnedProcess(*first) as process:
            first = ProcessArgument(process.pid, process.start_time)
        return first, other
    with PinnedProcess(*other) as process:
        return first, ProcessArgument(process.pid, process.start_time)


def _recorded(
    source: Source, args: argparse.Namespace, wanted: Collection[str]
) -> tuple[ProcessArgument, ProcessArgument, tuple[DiffRow, ...]]:
    """Return the two of a recorded sample and how they differ."""
    from nsview.host.recorded import Recorded
    from nsview.host.recording import comparison

    assert isinstance(source, Recorded)
    found = source.found
    child = ProcessArgument(*comparison.identity_in(found, *(args.child or args.parent)))
    above = args.parent if args.child is not None else ProcessArgument(found.snapshot.records[child.pid].ppid)
    if not above.pid:
        raise _NoParentError(child.pid)
    parent = ProcessArgument(*comparison.identity_in(found, *above))
    return parent, child, comparison.compare(found, parent.pid, child.pid, wanted)


class _NoParentError(ProcessGoneError):
    """The process has no parent that can be seen."""

    def __str__(self) -> str:
        return f"process {self.pid} has no parent to be seen from here; name a second process"


def _lines(rows: Collection[DiffRow], sources: bool) -> Iterator[tuple[str, ...]]:
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
