"""What is measured: rows, those who take part in them, and the figures to reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nsview.bench.stop import Stop

OURS = None
"""Of a contestant that is no program of its own: nothing has to be installed for it."""


class Figure(StrEnum):
    """What of many samples is held against an aim."""

    MEDIAN = "median"
    P95 = "p95"


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who takes part. ``program`` is its key in PEERS, ``against`` whose median its own is divided by.

    ``most`` bounds the samples of who takes long. ``root`` is what it needs root for, as the end of a sentence.
    """

    name: str
    does: str
    program: str | None = OURS
    against: str | None = None
    most: int | None = None
    root: str | None = None


@dataclass(frozen=True, slots=True)
class Aim:
    """A figure to reach: ``of`` divided by ``against``, or with None ``of`` alone in the row's unit.

    ``least``: the figure is the least that is wanted, else the most. ``asks`` are words for what the setting has to be
    (Contest.lacks) for the aim to be judged.
    """

    of: str
    against: str | None
    figure: float
    least: bool = False
    by: Figure = Figure.MEDIAN
    asks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. ``name`` is for good: the command line, JSON and pages say it.

    ``unit`` is of the raw values, as of an Axis of the labs. ``batch``: samples in one turn; ``samples`` and ``quick``:
    of each contestant in all. ``where`` is "module:function" in ``nsview.bench``: ``function(Setting, ExitStack)``
    returns a Contest and leaves to the stack what has to end.
    """

    name: str
    question: str
    measures: str
    unit: str
    contestants: tuple[Contestant, ...]
    aims: tuple[Aim, ...]
    where: str
    batch: int
    samples: int
    quick: int

    def contestant(self, name: str) -> Contestant:
        """Return who is called so; raises KeyError."""
        return {each.name: each for each in self.contestants}[name]


@dataclass(frozen=True, slots=True)
class Setting:
    """How to measure. ``samples``: of each contestant, None: as the row says; ``stop`` tells when to end early.

    ``quick``: with a smaller crowd and a smaller parent, of which the figures do not speak.
    """

    stop: Stop
    quick: bool = False
    samples: int | None = None

    @property
    def processes(self) -> int:
        """How many idle processes a crowd has."""
        return 1_000 if self.quick else 10_000

    @property
    def memory(self) -> int:
        """Bytes of a large parent."""
        return 256 << 20 if self.quick else 4 << 30

    def count(self, row: Row, contestant: Contestant) -> int:
        """How many samples a contestant gives."""
        wanted = self.samples or (row.quick if self.quick else row.samples)
        return min(wanted, contestant.most or wanted)


Take = Callable[[int], list[float]]
"""Lets a contestant do its thing so many times, and gives what each took, in the row's unit."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A contestant that has done its thing once. ``did``: of the things it was asked for, which it was seen to do."""

    take: Take
    did: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contest:
    """A row made ready. ``makers`` by contestant; ``lacks`` by a word that aims ask for: why they cannot be judged;
    it is read when all have been measured. ``note`` says what the numbers are of: sizes, in words.
    """

    makers: Mapping[str, Callable[[], Entry]]
    lacks: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


class UnavailableError(Exception):
    """A contestant, or a whole row, cannot be had here; the text says what it would need."""


class FailedError(Exception):
    """A contestant, or a row, did not do what it does everywhere else; the text is what it said."""
