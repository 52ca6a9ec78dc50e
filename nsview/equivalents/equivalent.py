"""What every writer takes and gives: who launches, and the text with what it does not say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from nsview.equivalents.account import Account


@dataclass(frozen=True, slots=True)
class Caller:
    """Who will run the text: effective ids, and the environment from which that of the program may differ."""

    uid: int = 0
    gid: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def here(cls) -> Caller:
        """Return the caller that we are ourselves."""
        return cls(os.geteuid(), os.getegid(), dict(os.environ))


@dataclass(frozen=True, slots=True)
class Equivalent:
    """A launch in another language.

    ``left_out``: a sentence for each thing asked for that the text does not say. ``notes``: how what it says differs,
    and what it needs to work.
    """

    text: str
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def commented(self, mark: str) -> str:
        """The text below its shortcomings, in lines that begin with ``mark``, a comment of the language."""
        lines = [f"{mark} Not said here: {sentence}" for sentence in self.left_out]
        lines += [f"{mark} {sentence}" for sentence in self.notes]
        return "".join(f"{line}\n" for line in lines) + self.text


def equivalent(text: str, account: Account) -> Equivalent:
    """Close the account of a text."""
    return Equivalent(text, account.left_out(), tuple(account.notes))
