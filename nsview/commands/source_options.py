"""``--from FILE --at WHEN``: a recording in the place of the machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from nsview.host.source import At, Live, Source
from nsview.host.text import printable

if TYPE_CHECKING:
    from nsview.host.recording.form import Header

FORMS = "a number of a sample, +SECONDS from the beginning, HH:MM[:SS] or 'YYYY-MM-DD HH:MM[:SS]'"


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add the options; source_of() reads them."""
    parser.add_argument("--from", dest="recording", metavar="FILE", help="look at a recording of 'nsview snapshot -o'")
    parser.add_argument("--at", type=_at, metavar="WHEN", help=f"which sample of it (default: the last): {FORMS}")


def source_of(args: argparse.Namespace, command: str) -> Source:
    """Return what to look at. Ends the program (SystemExit 2) with one line where there is no such recording."""
    if args.recording is None:
        if args.at is not None:
            raise _refusal(command, "--at is of a recording: say which with --from FILE")
        return Live()
    from nsview.host.recorded import Recorded  # a look at the machine does without
    from nsview.host.recording import RecordingError

    name = printable(args.recording)
    try:
        with open(args.recording, "rb") as file:
            source = Recorded(file, args.at)
    except RecordingError as error:
        raise _refusal(command, f"{name}: {error}") from None
    except OSError as error:
        raise _refusal(command, f"{name}: {error.strerror}") from None
    if source.notice is not None:
        print(f"nsview {command}: {name}: {source.notice}", file=sys.stderr)
    return source


def _refusal(command: str, sentence: str) -> SystemExit:
    print(f"nsview {command}: {sentence}", file=sys.stderr)
    return SystemExit(2)


def _at(text: str) -> At:
    for read in (_by_number, _by_seconds, _by_clock):
        found = read(text)
        if found is not None:
            return found
    raise argparse.ArgumentTypeError(f"{text!r} is none of: {FORMS}")


def _by_number(text: str) -> At | None:
    if not (text.isascii() and text.isdecimal()) or len(text) > 18 or int(text) == 0:
        return None
    wanted = int(text)

    def of(header: Header) -> Callable[[int, int], bool]:
        return lambda number, when_ns: number <= wanted

    return At(of, wanted)


def _by_seconds(text: str) -> At | None:
    if not text.startswith("+"):
        return None
    try:
        seconds = float(text)
    except ValueError:
        return None
    if not 0 <= seconds <= 1e10:
        return None

    def of(header: Header) -> Callable[[int, int], bool]:
        until = header.monotonic_ns + round(seconds * 1e9)
        return lambda number, when_ns: when_ns <= until

    return At(of)


def _by_clock(text: str) -> At | None:
    """Read a moment in local time; one without a date is the first such after the beginning."""
    try:
        moment = datetime.fromisoformat(text if "-" in text else f"2000-01-01 {text}")
    except ValueError:
        return None
    if moment.year < 1971 or moment.tzinfo is not None:
        return None

    def of(header: Header) -> Callable[[int, int], bool]:
        then = moment
        if "-" not in text:
            begun = datetime.fromtimestamp(header.realtime_ns / 1e9)
            then = datetime.combine(begun.date(), moment.time())
            if then < begun.replace(microsecond=0):
                then += timedelta(days=1)
        until = round(then.timestamp() * 1e9)
        return lambda number, when_ns: header.realtime_at(when_ns) <= until

    return At(of)
