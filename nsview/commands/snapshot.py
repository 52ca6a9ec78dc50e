"""``nsview snapshot``: the processes as they are now, or a recording of them over time for other commands to read."""

from __future__ import annotations

import argparse
import json
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import BinaryIO

import nsview
from nsview.commands.document import write_document
from nsview.commands.recording_summary import summary
from nsview.commands.seconds import TEN_YEARS, seconds
from nsview.host.events.connector import Connector
from nsview.host.events.refusal import SourceRefusedError
from nsview.host.namespaces import discover
from nsview.host.recording import RecordingError
from nsview.host.recording.namespace_object import to_object
from nsview.host.recording.recorder import Plan, Recorder, header
from nsview.host.recording.writer import Writer
from nsview.host.snapshot import ProcessRecord, take
from nsview.host.text import printable
from spawner.namespaces import KINDS

FAILED = 1
_time = seconds(TEN_YEARS, "no time in seconds, as 0.5", least=0.001)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "snapshot",
        help="record processes, events and namespaces over time, or print them as JSON",
        description="Print the processes as JSON; with -o record them for ps, tree, ns and diff --from FILE.",
        epilog="A recording holds command lines: only its owner may read the file. docs/snapshot-files.md",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="record to a new file; .gz compresses it, - is stdout")
    parser.add_argument("--interval", type=_time, metavar="SECONDS", help="from sample to sample (default: 1)")
    parser.add_argument("--count", type=_count, metavar="N", help="end after so many samples")
    parser.add_argument("--duration", type=_time, metavar="SECONDS", help="end after this time")
    parser.add_argument(
        "--events",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="record the kernel's events too (default: where they can be had)",
    )
    parser.add_argument("--namespaces", action="store_true", help="search for every namespace at each sample")
    parser.add_argument("--info", metavar="FILE", help="say what a recording holds")
    parser.add_argument("--json", action="store_true", help="print JSON, version 1 (without -o: always)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print, record or sum up; 2 for options that do not go together and files that are no recording."""
    timing = [name for name in ("interval", "count", "duration") if getattr(args, name) is not None]
    if args.info is not None:
        if args.output is not None or timing or args.namespaces or args.events is not None:
            return _refuse("--info only reads a file: leave out what would be recorded")
        return _sum_up(args.info, args.json)
    if args.output is None:
        if timing or args.events is not None:
            given = f"--{timing[0]}" if timing else "--events"
            return _refuse(f"{given} is of a recording: say where to with -o FILE (- for standard output)")
        return _print(args.namespaces)
    return _record(args, bool(timing))


def _print(everything: bool) -> int:
    snapshot = take()
    facts = header(_producer())
    document: dict[str, object] = {
        "version": 1,
        "host": facts.host,
        "kernel": facts.kernel,
        "boot_id": facts.boot_id,
        "realtime_ns": facts.realtime_at(snapshot.when_ns),
        "monotonic_ns": snapshot.when_ns,
        "took_ns": snapshot.took_ns,
        "ticks_per_second": facts.ticks_per_second,
        "producer": str(snapshot.producer),
        "vanished": snapshot.vanished,
        "errors": [{"errno": error.errno, "count": error.count} for error in snapshot.errors],
    }
    if everything:
        found = discover(snapshot).values()
        document["namespaces"] = [{**to_object(one), "members": one.members} for one in found]
    write_document(document, "processes", map(_object, snapshot.records.values()))
    return 0


def _object(record: ProcessRecord) -> dict[str, object]:
    values = record._asdict()
    del values["ns"]
    return {**values, "namespaces": {kind.name: inode for kind, inode in zip(KINDS, record.ns, strict=True)}}


def _record(args: argparse.Namespace, over_time: bool) -> int:
    interval = 1.0 if args.interval is None else args.interval
    plan = Plan(interval, args.count if over_time else 1, args.duration, args.namespaces)
    events: Connector | None = None
    refused = None
    if args.events is not False and over_time:
        try:
            events = Connector()
        except SourceRefusedError as error:
            refused = error
    if refused is not None and args.events:
        return _refuse(f"events cannot be recorded: {refused}", FAILED)
    if refused is not None:
        print(f"nsview snapshot: recording without events: {refused}", file=sys.stderr)
    with nullcontext() if events is None else events:
        name = "standard output" if args.output == "-" else printable(args.output)
        try:
            file = _opened(args.output)
        except FileExistsError:
            return _refuse(f"{name} is there already: remove it, or record to another file")
        except OSError as error:
            return _refuse(f"{name}: {error.strerror}")
        facts = header(
            _producer(),
            interval_ns=round(interval * 1e9) if over_time else None,
            events=None if events is None else events.describes_itself,
            refused=None if refused is None else str(refused),
        )
        try:
            with nullcontext() if args.output == "-" else file:
                recorder = Recorder(Writer(file, facts, compress=args.output.endswith(".gz")), plan, events)
                with _stopped_by_signals(recorder.stop):
                    recorder.run()
        except BrokenPipeError:
            raise  # our reader went away: cli.main() knows what to do
        except OSError as error:
            return _refuse(f"recording to {name} failed: {error.strerror}", FAILED)
    return 0


def _producer() -> str:
    return f"nsview {nsview.__version__}"


def _opened(path: str) -> BinaryIO:
    """Open a new file that only we may read, or what is no regular file, as a pipe; - is standard output."""
    if path == "-":
        return sys.stdout.buffer
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise
    return open(fd, "wb")


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """End in order at what ends a program, but for what we were told to ignore, as by nohup(1)."""

    def end(number: int, frame: FrameType | None) -> None:
        stop()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sum_up(path: str, as_json: bool) -> int:
    try:
        with open(path, "rb") as file:
            found = summary(file)
    except RecordingError as error:
        return _refuse(f"{printable(path)}: {error}")
    except OSError as error:
        return _refuse(f"{printable(path)}: {error.strerror}")
    if as_json:
        json.dump({"version": 1, **found.to_object()}, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        found.write()
    return 0


def _refuse(sentence: str, status: int = 2) -> int:
    print(f"nsview snapshot: {sentence}", file=sys.stderr)
    return status


def _count(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text[:19]) > 0:
        return int(text[:19])
    raise argparse.ArgumentTypeError(f"{text!r} is no number of samples")
