"""``nsview bench``: nsview beside its peers on this machine, in turns in one run; medians, quartiles, aims.

JSON: nsview/bench/document.py, docs/json.md. The exit status is 1 when a contestant failed; a missed aim is no failure,
and what could not be had is said and is none either.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from nsview.bench.contest import perform
from nsview.bench.document import results_document, rows_document
from nsview.bench.outcome import Result
from nsview.bench.row import Row, Setting
from nsview.bench.stop import Stop
from nsview.bench.table import ROWS, UnknownRow, find
from nsview.bench.telling import charted, listed, summed_up, told
from nsview.commands.listing import window
from nsview.labs.document import machine

FAILED = 1
BAD_INPUT = 2


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "bench",
        help="nsview measured beside its peers on this machine",
        description="Measure each figure of the design beside every peer that is installed: all in turns, in one run. "
        "Prints medians, quartiles, ratios, and whether the aim is met. Ends with 1 when a contestant failed.",
    )
    parser.add_argument(
        "rows", nargs="*", type=_row, metavar="ROW", help="what to measure; without it all rows are, in some minutes"
    )
    parser.add_argument("--list", action="store_true", help="list the rows, their aims, and who takes part")
    parser.add_argument(
        "--quick", action="store_true", help="fewer samples, a crowd of 1,000 and a parent of 256M: seconds"
    )
    parser.add_argument(
        "--samples", type=_count, metavar="N", help="samples of each contestant, or as many as it allows"
    )
    parser.add_argument(
        "--svg", type=Path, metavar="FILE|DIR", help="draw too: a row into FILE.svg, or each into DIR/ROW.svg"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, version 1")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List the rows, or measure."""
    rows: Sequence[Row] = list(dict.fromkeys(args.rows)) or ROWS
    if args.list:
        if args.json:
            _print_json(rows_document(rows))
        else:
            sys.stdout.writelines(f"{line}\n" for line in listed(rows, window()))
        return 0
    one = args.svg is not None and args.svg.suffix == ".svg"
    if one and len(rows) > 1:
        return _refuse(f"--svg {args.svg}: a file takes one row, and there are {len(rows)}; name a directory")
    if args.svg is not None:
        try:  # before minutes are spent
            if one:
                args.svg.touch()
            else:
                args.svg.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return _refuse(f"--svg {args.svg}: {error.strerror}")
    try:
        with Stop() as stop:
            results = _measure(rows, Setting(stop, args.quick, args.samples), args)
    except _NotDrawnError as error:
        return _refuse(str(error))
    return FAILED if any(result.failed for result in results) else 0


def _measure(rows: Sequence[Row], setting: Setting, args: argparse.Namespace) -> list[Result]:
    progress = _Progress()
    results = []
    for number, row in enumerate(rows):
        try:
            result = perform(row, setting, lambda who, done, of, row=row: progress.show(row, who, done, of))  # type: ignore[misc]
        finally:
            progress.clear()
        results.append(result)
        if not args.json:
            lines = [*([""] if number else []), *told(result, window())]
            sys.stdout.writelines(f"{line}\n" for line in lines)
            sys.stdout.flush()
        if args.svg is not None:
            _draw(result, args.svg if args.svg.suffix == ".svg" else args.svg / f"{row.name}.svg")
    if args.json:
        _print_json(results_document(results, setting))
    else:
        print(f"\n{summed_up(results, machine())}")
    return results


def _draw(result: Result, path: Path) -> None:
    from nsview.labs.chart.svg import drawn  # only for who asks

    try:
        path.write_text(drawn(charted(result)))
    except OSError as error:
        raise _NotDrawnError(f"--svg {path}: {error.strerror}") from None


class _NotDrawnError(Exception):
    """A picture could not be written; the text says which and why."""


class _Progress:
    """A line on stderr, where that is a terminal, that says who is at it; rewritten, and gone in the end."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._last = ""

    def show(self, row: Row, who: str, done: int, of: int) -> None:
        line = f"{row.name}: {100 * done // of:3}%  {who}"
        if self._shown and line != self._last:
            self._last = line
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._last:
            self._last = ""
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _row(name: str) -> Row:
    try:
        return find(name)
    except UnknownRow as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= 1_000_000:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of samples from 1 to 1000000")


def _refuse(sentence: str) -> int:
    print(f"nsview bench: {sentence}", file=sys.stderr)
    return BAD_INPUT


def _print_json(document: object) -> None:
    json.dump(document, sys.stdout, indent=1)
    sys.stdout.write("\n")
