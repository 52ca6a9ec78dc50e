"""``nsview diff --interval``: what two processes do now, beside each other, and what they did since the start.

JSON, a line for each interval: {"version": 1, "seconds", "since_start_seconds", "parent": {"pid", "start_time"},
"child": {…}, "rates": [{"measure", "name", "parent": {"change", "per_second", "since_start"}, "child": {…}}]}.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

from nsview.commands.listing import Column, show, write
from nsview.commands.process_argument import ProcessArgument
from nsview.commands.seconds import DAY, seconds
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.sampling import sample
from nsview.host.taskstats import TaskStats
from nsview.host.usage import Rate, Usage, change_text, rate_text, rates

_SHORTEST = 0.01


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that ask for it."""
    when = parser.add_mutually_exclusive_group()
    when.add_argument(
        "--interval",
        type=seconds(DAY, f"not a number of seconds from {_SHORTEST} to {DAY:.0f}", least=_SHORTEST),
        metavar="SECONDS",
        help="show what both use per second, again and again",
    )
    when.add_argument("--watch", dest="interval", action="store_const", const=1.0, help="the same as --interval 1")
    parser.add_argument("--count", type=_count, metavar="N", help="with --interval: end after so many")


def _count(text: str) -> int:
    if text.isdecimal() and text.isascii() and 0 < int(text) < 1 << 31:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")


def complaint(args: argparse.Namespace) -> str | None:
    """Say what of the options does not go together; None when all does."""
    if args.interval is None:
        return "--count goes with --interval SECONDS" if args.count is not None else None
    if args.all or args.section or args.sources:
        return "--interval shows usage alone: leave out --all, --section and --sources"
    return None


class Both(NamedTuple):
    """The samples of the two processes at one time."""

    parent: Usage
    child: Usage


def watch(parent: ProcessArgument, child: ProcessArgument, args: argparse.Namespace) -> int:
    """Print the rates of each interval until ``--count`` is reached, one of the two ends, or an interrupt."""
    with TaskStats() as stats, ExitStack() as opened:
        ends = select.poll()
        for process in (parent, child):
            fd = _pidfd(process)
            if fd is not None:
                opened.callback(os.close, fd)
                ends.register(fd, select.POLLIN)
        start = last = _look(parent, child, stats)
        shown = 0
        while args.count is None or shown < args.count:
            if ends.poll(args.interval * 1000):
                print("nsview diff: one of the two has ended", file=sys.stderr)
                return 0
            now = _look(parent, child, stats)
            _print(Intervals(start, last, now), args)
            sys.stdout.flush()
            last = now
            shown += 1
    return 0


def _pidfd(process: ProcessArgument) -> int | None:
    """Return a pidfd of this very process, None where /proc numbers processes otherwise than system calls do.

    Raises ProcessGoneError when it is gone.
    """
    with PinnedProcess(*process) as pinned:
        try:
            fd = os.pidfd_open(process.pid)
        except ProcessLookupError:
            if pinned.is_there():
                return None
            raise ProcessGoneError(*process) from None
        if pinned.was_asked():
            return fd
        os.close(fd)
        if pinned.is_there():
            return None
        raise ProcessGoneError(*process)


def _look(parent: ProcessArgument, child: ProcessArgument, stats: TaskStats) -> Both:
    found = []
    for process in (parent, child):
        usage = sample(*process, stats)
        if usage is None:
            raise ProcessGoneError(*process)
        found.append(usage)
    return Both(*found)


class Intervals(NamedTuple):
    """Three looks: at the start, at the last interval's end, now."""

    start: Both
    last: Both
    now: Both

    def measures(self, differs: bool) -> Iterator[tuple[tuple[Rate, ...], tuple[Rate, ...]]]:
        """Yield per measure the rates of the interval and those since the start, the parent's and the child's.

        What is unknown of both is left out; with ``differs`` also what both did not do at all. Pure.
        """
        recent = [rates(last, now) for last, now in zip(self.last, self.now, strict=True)]
        since = [rates(start, now) for start, now in zip(self.start, self.now, strict=True)]
        for pair, long in zip(zip(*recent, strict=True), zip(*since, strict=True), strict=True):
            if all(rate.change is None for rate in pair) or (differs and not any(rate.change for rate in pair)):
                continue
            yield pair, long


def _print(intervals: Intervals, args: argparse.Namespace) -> None:
    parent, child = intervals.now
    if args.json:
        json.dump(document(intervals, args.differs), sys.stdout)
        sys.stdout.write("\n")
        return
    seconds = (intervals.now.child.when_ns - intervals.start.child.when_ns) / 1e9
    columns = (
        Column("MEASURE"),
        Column(str(parent.pid), right=True),
        Column(str(child.pid), right=True),
        Column(f"{parent.pid} IN {seconds:.1f} s", right=True),
        Column(f"{child.pid} IN {seconds:.1f} s", right=True),
    )
    write(columns, _lines(intervals, args.differs), args.header)


def _lines(intervals: Intervals, differs: bool) -> Iterator[tuple[str, ...]]:
    for pair, since in intervals.measures(differs):
        changes = (show(change_text(rate)) for rate in since)
        yield (pair[0].measure.name, *(show(rate_text(rate)) for rate in pair), *changes)


def document(intervals: Intervals, differs: bool) -> dict[str, object]:
    """Return the JSON object of one interval. Pure."""
    start, last, now = (look.child.when_ns for look in intervals)
    return {
        "version": 1,
        "seconds": (now - last) / 1e9,
        "since_start_seconds": (now - start) / 1e9,
        **{
            name: {"pid": usage.pid, "start_time": usage.start_time}
            for name, usage in zip(Both._fields, intervals.now, strict=True)
        },
        "rates": [
            {
                "measure": pair[0].measure.field,
                "name": pair[0].measure.name,
                **{
                    name: {"change": rate.change, "per_second": rate.per_second, "since_start": long.change}
                    for name, rate, long in zip(Both._fields, pair, since, strict=True)
                },
            }
            for pair, since in intervals.measures(differs)
        ],
    }
