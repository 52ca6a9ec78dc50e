"""The lines of the diff panel: rows below the headings of their sections, folded or not, and their widths. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from nsview.host.difference import ALL, MORE, DiffRow
from nsview.host.text import printable
from nsview.tui.cell_text import fitted
from nsview.tui.diff.trail import Trend
from nsview.tui.hues import Ordinals
from spawner.namespaces import KINDS

TREND = "trend"


@dataclass(frozen=True, slots=True)
class Heading:
    """A line that names the section below it: ``different`` of its ``total`` rows differ; None: it was not read."""

    section: str
    different: int | None
    total: int | None
    folded: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Stands below the heading of a section that is being read."""

    section: str


Line = Heading | DiffRow | Trend | Waiting

ORDER = ("namespaces", "system", "sharing", "ids", TREND, "usage", "files", "identity", *MORE)
"""The sections, what a launch is about first."""

FOLDED_AT_FIRST = frozenset(MORE)

ABOUT: Mapping[str, str] = {
    "namespaces": "which of the eight kinds both are in together, and which the child has of its own",
    "system": "host name, clocks, control group: what a program is told about the machine it is on",
    "sharing": "kernel objects that both use at once, as the flags of clone(2) with these names make it",
    "ids": "users, groups, their maps, capabilities, and what takes privilege away",
    TREND: "what both did from look to look, the newest at the right, both drawn on one scale",
    "usage": "what both have used since they were born: b sets a mark, s sums up their subtrees",
    "files": "where paths begin, and how many mounts are seen",
    "identity": "numbers, names and program",
    "delays": "what they waited for: block I/O, swap, reclaim",
    "capabilities": "what the effective set is worth in each of its own namespaces",
    "security": "labels of security modules, tracers, logins",
    "memory": "what its memory consists of",
    "scheduling": "who gets the CPU, where and how soon",
    "signals": "blocked, ignored, caught and pending",
    "limits": "setrlimit(2): what holds now of how much",
    "cgroups": "the limits of the control groups of both, and of those above",
    "network": "links, addresses, routes and ports of the network namespace",
    "mounts": "each mount that one has and the other has not",
    "threads": "how many are in which state, and which have left their process's namespaces",
    "descriptors": "every open file, and which are one open file",
    "environment": "every variable execve(2) was given",
}

assert {*ABOUT} == {*ORDER} == {*ALL, TREND}


def lines_of(
    rows: Sequence[DiffRow],
    only_differences: bool,
    folded: Collection[str] = (),
    trends: Sequence[Trend] = (),
    notes: Mapping[str, str] | None = None,
) -> tuple[Line, ...]:
    """Group rows by section, each below a heading; of a ``folded`` section only that stands.

    ``only_differences`` leaves out rows known to be the same, and sections of which nothing is left; not those
    that were not read. ``notes`` are said beside the headings.
    """
    sections: dict[str, list[DiffRow]] = {}
    for row in rows:
        sections.setdefault(row.section, []).append(row)
    lines: list[Line] = []
    for section in ORDER if rows else ():
        members, note, is_folded = sections.get(section, []), (notes or {}).get(section, ""), section in folded
        if section == TREND:
            if trends:
                lines += [Heading(section, None, len(trends), is_folded, note), *(() if is_folded else trends)]
            continue
        if not members and section in MORE:
            lines.append(Heading(section, None, None, is_folded, note))
            if not is_folded:
                lines.append(Waiting(section))
            continue
        shown = [row for row in members if not (only_differences and row.same is True)]
        if shown:
            different = sum(row.same is False for row in members)
            lines += [Heading(section, different, len(members), is_folded, note), *(() if is_folded else shown)]
    return tuple(lines)


def first_difference(lines: Sequence[Line]) -> int:
    """Return the first row that differs; the first row, or 0, where none does."""
    rows = [index for index, line in enumerate(lines) if isinstance(line, DiffRow)]
    differing = (index for index in rows if lines[index].same is False)  # type: ignore[union-attr]
    return next(differing, rows[0] if rows else 0)


def name_of(line: Line | None) -> tuple[str, str] | None:
    """Name a line by what stays when its values change."""
    match line:
        case DiffRow():
            return line.section, line.attribute
        case Trend():
            return TREND, line.measure.name
        case Heading() | Waiting():
            return line.section, ""
    return None


def section_of(line: Line) -> str:
    """Return the section a line belongs to."""
    return TREND if isinstance(line, Trend) else line.section


@dataclass(frozen=True, slots=True)
class Widths:
    """Cells for each column, one blank between two of them; ``bare``: namespaces go by their number alone."""

    attribute: int
    value: int
    delta: int
    bare: bool


def widths(lines: Sequence[Line], width: int) -> Widths:
    """Divide ``width`` cells: attribute and Δ get what they need, the values share the rest."""
    rows = [line for line in lines if isinstance(line, DiffRow)]
    deltas = [row.delta or "" for row in rows] + [line.top_text(width) for line in lines if isinstance(line, Trend)]
    delta = min(max((cell_len(text) for text in deltas), default=1), max(8, width // 5))
    attribute = max((cell_len(row.attribute) for row in rows), default=0)
    # A namespace's number has ten digits: two of them come before the names of attributes.
    attribute = min(max(attribute, len("attribute")), width * 7 // 20, max(len("attribute"), width - 23 - delta))
    value = max(4, (width - MARK_WIDTH - attribute - delta - 3) // 2)
    return Widths(attribute, value, delta, value < len("#99 uts:[4026531838]"))


MARK_WIDTH = 2
NAMESPACE = re.compile(r"(\w+):\[(\d+)\]")
_KIND = {kind.proc: index for index, kind in enumerate(KINDS)}


def shown(value: str | None) -> str:
    """Return a value fit for the screen; ``?`` if it is unknown."""
    return "?" if value is None else printable(value)


def numbered(value: str | None, ordinals: Ordinals, bare: bool) -> str:
    """Return a value; a namespace with its number, as ``#2 uts:[4026532257]``, ``bare``: ``#2 4026532257``."""
    text = shown(value)
    namespace = NAMESPACE.fullmatch(text)
    if namespace is None or namespace[1] not in _KIND:
        return text
    number = ordinals.number(_KIND[namespace[1]], int(namespace[2]))
    return f"#{number} {namespace[2] if bare else text}"


def brief(text: str, width: int) -> str:
    """Fit a value into ``width`` cells: a path keeps its end, a namespace its number, then its inode's."""
    if cell_len(text) > width and text.startswith("/"):
        return fitted("…" + text[len(text) - width + 1 :], width)
    if cell_len(text) > width and _NUMBERED.fullmatch(text):
        return fitted(text.partition(" ")[0], width)
    return fitted(text, width)


_NUMBERED = re.compile(r"#\d+ \d+")

SHARING = {True: "one, used by both", False: "two, each has its own", None: "?"}
"""What kcmp told, in words about both at once: "its own" beside "its own" would look like no difference."""


def counted(line: Heading) -> str:
    """Word how many of a section's rows differ."""
    if line.total is None:
        return "not read: Enter reads it" if line.folded else "reading…"
    if line.different is None:
        return line.note
    return f"{line.different} of {line.total} differ" + (f" · {line.note}" if line.note else "")


def texts_of(lines: Iterable[Line]) -> str:
    """Return lines as plain text, tab between the columns, for the clipboard."""
    found = []
    for line in lines:
        match line:
            case Heading():
                found.append(line.section)
            case DiffRow():
                cells = (line.attribute, shown(line.parent), shown(line.child), printable(line.delta or ""))
                found.append("\t" + "\t".join(cells))
            case Trend():
                found.append("\t" + "\t".join((line.measure.name, *line.newest(), "")))
    return "\n".join(found)
