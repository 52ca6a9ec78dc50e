"""The lines of the labs pane: the labs there are, or what one of them has told, fitted to a width. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from textwrap import wrap

from textual.content import Content

from nsview.host.text import printable
from nsview.labs.lab import Conclusion, Event, Finding, Lab, Measurement, Report, Scene, Stage, Verdict
from nsview.labs.telling import SIGNS, WIDTH, summed_up, told
from nsview.tui.diff.whole_value import Part


class Look(StrEnum):
    """How a line is painted; each is a component class of the list, ``labs--NAME``."""

    NAME = "name"
    TEXT = "text"
    FAINT = "faint"
    STAGE = "stage"
    SCENE = "scene"
    WRONG = "wrong"
    LEFT_OUT = "left-out"
    RIGHT = "right"
    CHART = "chart"


SIGN_LOOKS: Mapping[Verdict, Look] = {
    Verdict.AS_EXPECTED: Look.RIGHT,
    Verdict.OTHERWISE: Look.WRONG,
    Verdict.LEFT_OUT: Look.LEFT_OUT,
}
SIGN_WIDTH = 2
"""Cells at the left of a line that has a sign, the sign being the last of them."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its text, how it looks, what it is about, and its verdict if it begins with the sign of one.

    ``about`` is the index of the event, or of the lab; None for what is about all of them.
    """

    text: str
    look: Look
    about: int | None = None
    sign: Verdict | None = None


# ---- the labs there are ----

NAME_WIDTH = 12
"""Cells at the left of a line with a lab's name."""


def lines_of_labs(labs: Sequence[Lab], outcomes: Mapping[str, str], width: int) -> tuple[Line, ...]:
    """Name the labs with their questions; ``outcomes`` says by name what came of those that were run."""
    return tuple(line for index, lab in enumerate(labs) for line in _of_lab(lab, index, outcomes.get(lab.name), width))


def _of_lab(lab: Lab, index: int, outcome: str | None, width: int) -> Iterator[Line]:
    room = max(10, width - NAME_WIDTH - 1)
    first, *rest = wrap(lab.question, room)
    yield Line(f"{lab.name:{NAME_WIDTH}}{first}", Look.NAME, index)
    yield from (Line(f"{'':{NAME_WIDTH}}{text}", Look.TEXT, index) for text in rest)
    if outcome is not None:
        yield from (Line(f"{'':{NAME_WIDTH}}{text}", Look.FAINT, index) for text in wrap(outcome, room))


# ---- what one has told ----


def arranged(told: Sequence[Told], report: Report | None, stopped: bool, width: int) -> tuple[Line, ...]:
    """Put lines as their events came; once there is a report, what follows comes last, and all of it summed up."""
    last = [one for one in told if report is not None and isinstance(one.event, Conclusion)]
    found = [line for one in told if one not in last for line in one.lines]
    if last:
        found += [Line("", Look.TEXT), Line("── What follows", Look.STAGE)]
        found += [line for one in last for line in one.lines]
    if report is not None:
        found += _summed(report, stopped, width)
    return tuple(found[1:] if found and not found[0].text else found)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """An event and its lines."""

    event: Event
    lines: tuple[Line, ...]


def lines_of_event(event: Event, index: int, width: int) -> Told:
    """Tell one event, ``index`` being its number."""
    return Told(event, tuple(_lines(event, index, width)))


def _lines(event: Event, index: int, width: int) -> Iterator[Line]:
    look, sign = _BEGINS[type(event)], event.verdict if isinstance(event, Finding | Conclusion) else None
    if sign is Verdict.OTHERWISE:
        look = Look.WRONG
    for text in told(event, width):
        if not text:
            yield Line("", Look.TEXT)
            continue
        look = next((later for start, later in _PARTS if text.startswith(start)), look)
        yield Line(text, look, index, sign)
        sign = None
        look = _GOES_ON.get(look, look)


_BEGINS: Mapping[type[Event], Look] = {
    Stage: Look.STAGE,
    Scene: Look.SCENE,
    Finding: Look.TEXT,
    Measurement: Look.CHART,
    Conclusion: Look.TEXT,
}
_PARTS = (
    ("   expected  ", Look.TEXT),
    ("   kernel    ", Look.TEXT),
    ("   left out: ", Look.LEFT_OUT),
    ("   NOT AS EXPECTED", Look.WRONG),
)
"""How the parts of a finding begin (nsview/labs/telling.py)."""
_GOES_ON = {Look.STAGE: Look.FAINT, Look.SCENE: Look.FAINT}


def _summed(report: Report, stopped: bool, width: int) -> Iterator[Line]:
    look = Look.WRONG if report.failed else Look.FAINT if stopped else Look.STAGE
    for text in summed_up(report, width):
        yield Line(text, look if text else Look.TEXT)
    if stopped:
        yield Line("It was ended before its end.", Look.FAINT)


def worded(counts: Mapping[Verdict, int]) -> str:
    """Word how many were as expected, otherwise and left out by their signs: ``12 ✓  1 ✗``."""
    return "  ".join(f"{count} {SIGNS[verdict]}" for verdict, count in counts.items() if count)


def counted(events: Sequence[Event]) -> dict[Verdict, int]:
    """Count verdicts."""
    judged = [event.verdict for event in events if isinstance(event, Finding | Conclusion)]
    return {verdict: judged.count(verdict) for verdict in Verdict}


def first_wrong(lines: Sequence[Line], after: int) -> int | None:
    """Return the index of the next line with an expectation that failed, from the start again behind the last."""
    wrong = [index for index, line in enumerate(lines) if line.sign is Verdict.OTHERWISE]
    return next((index for index in wrong if index > after), wrong[0] if wrong else None)


# ---- all of it ----


def whole(event: Event) -> Content:
    """Say all that is known of an event."""
    return Content.assemble(*_whole(event))


def _whole(event: Event) -> Iterator[Part]:
    match event:
        case Finding():
            yield f"{SIGNS[event.verdict]} {printable(event.done)}\n", "bold"
            yield f"{event.verdict}\n\n", ""
            yield from _row("expected", event.expected)
            yield from _row("kernel", event.answered)
            yield from _row("why", event.why)
            yield from _row("flag", event.flag or "")
            yield from _row("key", event.key)
        case Conclusion():
            yield f"{SIGNS[event.verdict]} {printable(event.says)}\n", "bold"
            yield f"{event.verdict}\n\n", ""
            for name, number in event.numbers.items():
                yield from _row(name, str(number))
            yield from _row("key", event.key)
        case Measurement():
            yield "\n".join(told(event, _CHART)), ""
        case Scene():
            yield f"{printable(event.title)}\n", "bold"
            yield f"parent {event.parent}, child {event.child}\n{printable(event.look)}", ""
        case Stage():
            yield f"{printable(event.title)}\n", "bold"
            yield printable(event.says), ""


_CHART = 70
"""Columns within the frame of the dialog."""


def _row(name: str, value: str) -> Iterator[Part]:
    if value:
        yield f"{name}: ", "dim"
        yield f"{printable(value)}\n", ""


def text_of(report: Report) -> str:
    """Return all that was told as text, as ``nsview lab`` prints it."""
    lines = [report.lab.title, report.lab.question]
    for event in report.events:
        lines += told(event, WIDTH)
    return "\n".join([*lines, *summed_up(report, WIDTH)]) + "\n"
