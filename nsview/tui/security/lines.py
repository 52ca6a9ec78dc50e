"""The lines of the security pane: what a process could still do, then what that comes from. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual.content import Content

from nsview.host.abilities import Finding
from nsview.host.difference import DiffRow
from nsview.host.text import printable
from nsview.tui.diff.lines import shown
from nsview.tui.security.reading import Picture

ABILITIES = "what it could still do"
TITLES: Mapping[str, str] = {
    "capabilities": "capabilities",
    "ids": "ids and bounds",
    "namespaces": "namespaces",
    "security": "labels and more",
    "limits": "limits",
}
MARKS = {True: "yes", False: "no", None: "?"}
LOST, GAINED = "▼", "▲"


@dataclass(frozen=True, slots=True)
class Title:
    """Names what is below it."""

    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Can:
    """A statement; ``changed``: it has lost (False) or gained (True) that beside its parent, None: neither."""

    finding: Finding
    changed: bool | None


Line = Title | Can | DiffRow


def lines_of(picture: Picture | None, only_changes: bool) -> tuple[Line, ...]:
    """Put a picture into lines; ``only_changes`` leaves out what is as its parent has it, or cannot be compared."""
    if picture is None or picture.found is None:
        return ()
    found = [Can(finding, picture.changes.get(finding.ability.name)) for finding in picture.found]
    lost = sum(it.changed is False for it in found)
    note = f"{lost} lost beside its parent" if lost else "nothing lost beside its parent"
    if picture.subject.parent is None:
        note = "no parent to be seen"
    lines: list[Line] = [Title(ABILITIES, note)]
    lines += [it for it in found if it.changed is not None or not only_changes]
    for section, title in TITLES.items():
        rows = [row for row in picture.rows if row.section == section]
        kept = [row for row in rows if row.same is False or not only_changes]
        if kept:
            others = sum(row.same is False for row in rows)
            lines += [Title(title, f"{others} of {len(rows)} other than its parent's"), *kept]
    return tuple(lines)


def name_of(line: Line | None) -> tuple[str, str] | None:
    """Name a line by what stays when its values change."""
    match line:
        case Title():
            return "", line.text
        case Can():
            return ABILITIES, line.finding.ability.name
        case DiffRow():
            return line.section, line.attribute
    return None


def explained(line: Line | None, landlock: bool | None) -> Content:
    """Say why a line is as it is."""
    match line:
        case Can():
            verdict = line.finding.verdict
            change = "" if line.changed is None else _GAINED if line.changed else _LOST
            unless = ""
            if verdict.can and line.finding.ability.landlock and landlock is None:
                unless = " Unless Landlock holds it, of which the kernel tells nobody."
            said = f"{printable(verdict.why)}.{unless}\n"
            return Content.assemble((f"{MARKS[verdict.can]}{change}: ", "bold"), said, (_asked(line.finding), "dim"))
        case DiffRow():
            beside = "" if line.same is not False else f", its parent {shown(line.parent)}"
            delta = f" ({printable(line.delta)})" if line.delta else ""
            value = f"{shown(line.child)}{beside}{delta}\n{printable(line.why)}\n"
            return Content.assemble((f"{line.attribute}: ", "bold"), value, (line.source, "dim"))
    return Content("")


_LOST, _GAINED = ", though its parent can", ", though its parent cannot"


def _asked(finding: Finding) -> str:
    calls = finding.ability.calls
    return f"It takes {calls}." if calls else "It takes no system call that a filter could do without."


def texts_of(lines: Sequence[Line]) -> str:
    """Return lines as plain text, tab between the columns, for the clipboard."""
    found = []
    for line in lines:
        match line:
            case Title():
                found.append(line.text)
            case Can():
                verdict = line.finding.verdict
                found.append(f"\t{MARKS[verdict.can]}\t{line.finding.ability.name}\t{printable(verdict.why)}")
            case DiffRow():
                found.append(f"\t{line.attribute}\t{shown(line.child)}\t{shown(line.parent)}")
    return "\n".join(found)
