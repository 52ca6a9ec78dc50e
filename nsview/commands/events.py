"""``nsview events``: what happens to processes, as it happens, one line each."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from nsview.commands.column_choice import WORDS, ChoiceError, filter_of, refuse
from nsview.commands.listing import window
from nsview.commands.seconds import TEN_YEARS, seconds
from nsview.host.columns.events import EVENT_COLUMNS
from nsview.host.events.event import LOST, Event
from nsview.host.events.family import Family
from nsview.host.events.refusal import SourceRefusedError
from nsview.host.events.source import Source, open_events
from nsview.host.events.story import Narrator, Told
from nsview.host.lives import Lives
from nsview.host.snapshot import take
from nsview.host.text import cut, printable
from nsview.wording.events import cells

GATHERED = 0.05
"""Seconds in which events gather to be told at once: nobody reads faster, and each waking costs."""

_TITLES = f"{'TIME':<12} {'PID':>7} {'COMMAND':<15} WHAT HAPPENED"


_time = seconds(TEN_YEARS, "not a time in seconds, as 2.5")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "events",
        help="processes as they are born, execute, change and end",
        description="Tell live what happens to processes: births, programs, names, users, ends with status and CPU.",
        epilog="FILTER is in the language of docs/filter.md over what, pid, comm, parent, status, signal, lasted, cpu "
        "and others: 'what=exit status!=0', 'what=exec /python/', 'lasted<5ms'.",
    )
    parser.add_argument(WORDS, nargs="*", metavar="FILTER", help="only events that match, as 'what=exit status!=0'")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("-p", "--pid", type=_pids, metavar="PID,…", help="only of these processes")
    whose.add_argument("--follow", type=_pid, metavar="PID", help="only of this process and its descendants")
    parser.add_argument("--threads", action="store_true", help="tell of threads too, not of processes alone")
    parser.add_argument("--count", type=_positive, metavar="N", help="end after so many events")
    parser.add_argument("--duration", type=_time, metavar="SECONDS", help="end after this time")
    parser.add_argument(
        "--interval",
        type=_time,
        default=1.0,
        metavar="SECONDS",
        help="from look to look, where the kernel does not tell us (default: 1)",
    )
    parser.add_argument("--no-header", dest="header", action="store_false", help="leave out the line of titles")
    parser.add_argument("--json", action="store_true", help="print JSON lines, version 1 (docs/json.md)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Tell events until interrupted, or as many and as long as asked; 2 for a filter or process that is none."""
    try:
        wanted = filter_of(args.filter, EVENT_COLUMNS)
    except ChoiceError as error:
        return refuse("events", error)
    source, refused = open_events(args.interval)
    with closing(source):
        lives = Lives(take())
        if args.follow is not None and args.follow not in lives.going:
            print(f"nsview events: no process {args.follow} to follow", file=sys.stderr)
            return 2
        whose = _whose(args, lives)
        _begin(args, source, refused)
        told = _told(source, lives, args.duration)
        number = 0
        for one in told:
            # Whose it is must be asked of every event: a family grows by those that the filter hides.
            is_theirs = whose(one.event)
            if one.event.what != LOST:
                if not is_theirs or not (args.threads or one.is_of_process) or not wanted.matches(one):
                    continue
                number += 1
            _write(one, args.json)
            if number == args.count:
                break
    return 0


def _told(source: Source, lives: Lives, duration: float | None) -> Iterator[Told]:
    """Yield what happens, written out batch by batch, for so long."""
    narrator = Narrator(lives, time.time_ns() - time.monotonic_ns())
    end = None if duration is None else time.monotonic() + duration
    while end is None or time.monotonic() < end:
        left = None if end is None else max(0.0, end - time.monotonic())
        batch = source.read(left, GATHERED if left is None else min(GATHERED, left))
        for event in batch:
            yield narrator.tell(event)
        if any(event.what == LOST and event.source == "events" for event in batch):
            lives.rescan(take())
        sys.stdout.flush()


def _whose(args: argparse.Namespace, lives: Lives) -> Callable[[Event], bool]:
    """Return a function that tells of each event in turn whether it is of the processes asked for."""
    if args.pid is not None:
        return lambda event: event.pid in args.pid
    if args.follow is None:
        return lambda event: True
    return Family(args.follow, lives).holds


def _begin(args: argparse.Namespace, source: Source, refused: SourceRefusedError | None) -> None:
    """Say where the events come from, where that is not all that there could be."""
    if refused is not None:
        remedy = f" ({refused.remedy})" if refused.remedy else ""
        print(f"nsview events: the kernel's events: {refused}{remedy}; {source.describes_itself}", file=sys.stderr)
    elif source.without_accounts is not None:
        print(f"nsview events: no CPU times: {source.without_accounts}", file=sys.stderr)
    if args.json:
        kind = "kernel" if refused is None else "looking"
        head = {"version": 1, "source": kind, "why": None if refused is None else str(refused)}
        print(json.dumps({**head, "without_accounts": source.without_accounts}), flush=True)
    elif args.header:
        print(_TITLES, flush=True)


def _write(told: Told, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_object(told)))
        return
    room = window()
    when, pid, name, words = cells(told)
    line = f"{when} {pid:>7} {cut(name, 15):<15} {words}"
    print(line if room is None else cut(line, room))


def _object(told: Told) -> dict[str, object]:
    """Return the event's own fields, and what is known around it."""
    found: dict[str, object] = {"time_ns": told.when_ns, **told.event.to_object()}
    if told.event.comm is not None:
        found["comm"] = printable(told.event.comm)
    if told.event.what != LOST:
        found["command"] = told.comm
    if told.event.what == "fork":
        found["parent_command"] = told.parent_comm
    if told.event.what == "exit":
        found |= {"status": told.status, "signal": told.signal, "lasted_ns": told.lasted_ns}
    found["words"] = told.words
    return found


def _pid(text: str) -> int:
    if text.isdecimal() and text.isascii() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a pid")


def _pids(text: str) -> frozenset[int]:
    return frozenset(map(_pid, text.split(",")))


def _positive(text: str) -> int:
    if text.isdecimal() and text.isascii() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of events, as 10")
