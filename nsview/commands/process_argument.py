"""A process as a word of the command line: PID, PID:START_TIME, or self."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import NamedTuple


class ProcessArgument(NamedTuple):
    """A process that is asked for; ``start_time`` (clock ticks) is None where any of that pid will do."""

    pid: int
    start_time: int | None = None


FORMS = "PID, PID:START_TIME (as JSON output has it), or self for nsview's own"


def process_argument(text: str) -> ProcessArgument:
    """Read the word; argparse.ArgumentTypeError when it is none."""
    if text == "self":
        return ProcessArgument(_self())
    pid, colon, started = text.partition(":")
    if pid.isdecimal() and pid.isascii() and 0 < int(pid) < 1 << 31:
        if not colon:
            return ProcessArgument(int(pid))
        if started.isdecimal() and started.isascii():
            return ProcessArgument(int(pid), int(started))
    raise argparse.ArgumentTypeError(f"{text!r} is not a pid; give {FORMS}")


def _self() -> int:
    """Return our own pid as /proc has it: that may be the /proc of a pid namespace above ours."""
    try:
        return int(os.readlink("/proc/self"))
    except FileNotFoundError:
        raise argparse.ArgumentTypeError("'self' cannot be found: /proc does not show our own process") from None


def section_names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Return a type for argparse: names of ``known`` sections, by commas."""

    def read(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no section {name!r}; they are {', '.join(known)}")
        return names

    return read
