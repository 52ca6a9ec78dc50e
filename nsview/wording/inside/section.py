"""A part of what is inside a namespace, as tables for a person and an object for a program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nsview.wording.table import Column, show

NOT_OPENED = "it has ended, or nothing that we may look at leads into it (root sees more)"


class Lead(NamedTuple):
    """Where a row leads: to a process (its pid), or to a namespace (its inode) and in there to what is ``named``."""

    to: Literal["process", "namespace"]
    number: int
    named: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A table under a title, with lines after it. ``leads`` has one for each row, or is empty: none leads anywhere."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    leads: Sequence[Lead | None] = ()


@dataclass(frozen=True, slots=True)
class Inside:
    """The sections, and the same as an object that json.dump() takes."""

    sections: Sequence[Section]
    document: dict[str, object]


def facts(title: str, rows: Iterable[tuple[str, object]], *unknown_because: str | None) -> Section:
    """Return a section of names and values; None is unknown, and why may be said."""
    shown = [(name, show(value)) for name, value in rows]
    return Section(title, (Column(""), Column("", gives=True)), shown, because(*unknown_because))


def because(*reasons: str | None) -> tuple[str, ...]:
    """Return the lines that say why something is unknown."""
    return tuple(f"?: {reason}" for reason in reasons if reason is not None)
