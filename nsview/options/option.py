"""One option of a command line: its names and what argparse is told of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from spawner import Problem, SpecError

VALUE = "\0"
"""Before a value that argparse would take for an option; no word of a command line can hold it."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its ``names`` and what argparse is told of it.

    ``attached``: its letter may have a value of its own too, tied to it, as nsenter(1)'s.
    """

    names: tuple[str, ...]
    help: str
    rest: dict[str, Any] = field(default_factory=dict)
    attached: bool = False

    @property
    def values(self) -> int:
        """How many words of the command line after it belong to it."""
        count = self.rest.get("nargs", 1 if self.rest.get("action") in (None, "append") else 0)
        return count if isinstance(count, int) else 0

    @property
    def told(self) -> dict[str, Any]:
        """What argparse is told of it; of a value alone the mark is taken off before it is read."""
        if self.rest.get("nargs", "?") != "?" or self.rest.get("action") not in (None, "append"):
            return self.rest
        read = self.rest.get("type", str)
        return {**self.rest, "type": lambda text: read(text.removeprefix(VALUE))}

    @property
    def long(self) -> str:
        """Its name in full."""
        return self.names[-1]


class InOrder(argparse.Action):
    """Note the option and its values in the list ``dest``, for what is applied in the order given."""

    def __call__(self, parser: object, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        """Add (option, value, …) to the list."""
        words = [values] if isinstance(values, str) else values or ()
        noted = (option_string, *(word.removeprefix(VALUE) for word in words))
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), noted])


def in_order(dest: str, *metavars: str) -> dict[str, Any]:
    """What argparse is told of an option with these values that is one of the ordered list ``dest``."""
    names = metavars if len(metavars) > 1 else "".join(metavars)
    return {"action": InOrder, "dest": dest, "default": [], "nargs": len(metavars), "metavar": names or None}


ON: dict[str, Any] = {"action": "store_true"}


def refuse(message: str, remedy: str = "") -> NoReturn:
    """Bad input that only more than one option together can tell. Raises SpecError."""
    raise SpecError((Problem(message, remedy),))


def close(word: str, names: Iterable[str]) -> str:
    """'; did you mean …?' where some of ``names`` are spelt alike, else nothing."""
    from difflib import get_close_matches  # only for people who mistyped

    found = get_close_matches(word, list(names), n=3)
    return f"; did you mean {' or '.join(found)}?" if found else ""
