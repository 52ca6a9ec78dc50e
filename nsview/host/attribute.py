"""One attribute of a process, as a row of a table: its name, its words, its source and the reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Facts = TypeVar("Facts")
"""What was read of one process and the attribute is a part of."""


@dataclass(frozen=True, slots=True)
class Attribute(Generic[Facts]):
    """One attribute that is shown, and compared.

    ``text`` words it (None: unknown), ``source`` is where it is read, the two reasons are one line each,
    ``delta`` words what the second process has more and less.
    """

    name: str
    text: Callable[[Facts], str | None]
    source: str
    why_same: str
    why_different: str
    delta: Callable[[Facts, Facts], str | None] = lambda one, two: None
    value: Callable[[Facts], object] | None = None
    """What decides about "same", where the text does not."""


def equal(first: object, second: object) -> bool | None:
    """Say whether two values are the same; None where either is unknown."""
    return None if first is None or second is None else first == second
