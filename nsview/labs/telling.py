"""A lab's events as lines of text, fitted to a width. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from nsview.host.text import printable
from nsview.labs.lab import Conclusion, Event, Finding, Measurement, Report, Scene, Stage, Verdict

SIGNS: dict[Verdict, str] = {Verdict.AS_EXPECTED: "✓", Verdict.OTHERWISE: "✗", Verdict.LEFT_OUT: "–"}
"""How a verdict is marked; the word stands beside it where it is not as expected."""
WIDTH = 100
"""Columns where there is no window to fit."""


def told(event: Event, width: int | None) -> Iterator[str]:
    """Yield the lines that tell one event."""
    room = width or WIDTH
    match event:
        case Stage():
            yield ""
            yield from _wrapped(f"── {event.title} ", room, "   ")
            if event.says:
                yield from _wrapped(f"   {event.says}", room, "   ")
        case Scene():
            yield from _wrapped(f"   ▸ {event.title} (parent {event.parent}, child {event.child})", room, "     ")
            if event.look:
                yield from _wrapped(f"     {event.look}", room, "     ")
        case Finding():
            yield from _finding(event, room)
        case Measurement():
            yield from _measurement(event, room)
        case Conclusion():
            yield from _wrapped(f" {SIGNS[event.verdict]} {event.says}", room, "   ")


def _finding(finding: Finding, room: int) -> Iterator[str]:
    yield from _wrapped(f" {SIGNS[finding.verdict]} {finding.done}", room, "   ")
    if finding.verdict is Verdict.LEFT_OUT:
        yield from _wrapped(f"   left out: {finding.why}", room, "     ")
        return
    if finding.verdict is Verdict.OTHERWISE or finding.expected != finding.answered:
        yield from _wrapped(f"   expected  {finding.expected}", room, "             ")
    yield from _wrapped(f"   kernel    {finding.answered}", room, "             ")
    if finding.verdict is Verdict.OTHERWISE:
        yield from _wrapped(f"   NOT AS EXPECTED{f': {finding.why}' if finding.why else ''}", room, "     ")


def _measurement(measurement: Measurement, room: int) -> Iterator[str]:
    from nsview.labs.chart.text import drawn  # not for labs that measure nothing

    yield ""
    yield from drawn(measurement, room)


def summed_up(report: Report, width: int | None) -> Iterator[str]:
    """Yield the last line: how many were as expected, otherwise and left out."""
    counts = {verdict: sum(event.verdict is verdict for event in report.judged) for verdict in Verdict}
    yield ""
    if report.error is not None:
        yield from _wrapped(f"{report.lab.name}: ended early: {report.error}", width or WIDTH, "  ")
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    yield from _wrapped(f"{report.lab.name}: {summary}", width or WIDTH, "  ")


def _wrapped(text: str, room: int, rest: str) -> list[str]:
    return textwrap.wrap(printable(text), room, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)
