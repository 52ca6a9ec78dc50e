"""What a lab tells: values that a terminal, a screen, JSON and a page of documentation are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """How the kernel's answer and what was expected go together."""

    AS_EXPECTED = "as expected"
    OTHERWISE = "otherwise"
    """The expectation failed: the lab, or what is told of the kernel, is wrong here."""
    LEFT_OUT = "left out"
    """It could not be asked: no privilege, or no such thing in this kernel."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What follows belongs together under this ``title``; ``says`` is a sentence or two on what is about to be done."""

    title: str
    says: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """Two processes worth a look: both are there, and nothing goes on, until the next event is asked for.

    ``parent`` and ``child`` are pids as we see them, ``look`` says what to look at.
    """

    title: str
    parent: int
    child: int
    look: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One question to the kernel and its answer.

    ``key`` names it within its lab for good (tests, JSON and pages refer to it): lower case, words joined by ``-``,
    parts by ``.``, as ``files.exec``. ``done`` says what was done, ``expected`` what ought to come of it by the tables
    we tell people from, ``answered`` what the kernel said, read back. ``why`` is the reason or the rule, and for what
    was left out what it would have needed. ``flag`` is the clone flag it is about, by its kernel name.
    """

    key: str
    done: str
    expected: str
    answered: str
    verdict: Verdict
    why: str = ""
    flag: str | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension of a measurement. ``unit`` is of the raw values: ``ns``, ``bytes``, or none."""

    title: str
    unit: str
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """Many measurements of one thing, in the axis's unit: median, quartiles, how many there were."""

    median: float
    lower: float
    upper: float
    count: int


@dataclass(frozen=True, slots=True)
class Series:
    """What one contestant did: a Spread for each ``x``; missing where it could not be had."""

    name: str
    points: tuple[tuple[float, Spread], ...]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured, of several contestants in turn. ``labels`` name the values of ``x`` that are no numbers."""

    key: str
    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    labels: Mapping[float, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What follows from findings and measurements, as a sentence with their numbers.

    ``numbers`` are those in the sentence, by name and in raw units, for texts in other words and languages. Verdict
    OTHERWISE: what was expected to follow does not.
    """

    key: str
    says: str
    verdict: Verdict = Verdict.AS_EXPECTED
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)


Event = Stage | Scene | Finding | Measurement | Conclusion


@dataclass(frozen=True, slots=True)
class Setting:
    """How to run a lab. ``thorough``: measure as for a page; else as for somebody who waits (seconds, not minutes)."""

    thorough: bool = False


@dataclass(frozen=True, slots=True)
class Lab:
    """A row of LABS. ``where`` is "module:function": ``function(Setting) -> Iterator[Event]`` in ``nsview.labs``.

    ``question`` is what it answers, ``claims`` are the sections of the document that the program grew from.
    The function leaves nothing behind, whether it is run to its end, closed early or raises.
    """

    name: str
    title: str
    question: str
    claims: str
    where: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that a lab told. ``error``: why it ended early, if it did; ``setting`` is how it was run."""

    lab: Lab
    events: tuple[Event, ...]
    error: str | None = None
    setting: Setting = Setting()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The questions and answers."""
        return tuple(event for event in self.events if isinstance(event, Finding))

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What was measured."""
        return tuple(event for event in self.events if isinstance(event, Measurement))

    @property
    def conclusions(self) -> tuple[Conclusion, ...]:
        """What follows."""
        return tuple(event for event in self.events if isinstance(event, Conclusion))

    @property
    def judged(self) -> tuple[Finding | Conclusion, ...]:
        """Everything that has a verdict."""
        return (*self.findings, *self.conclusions)

    @property
    def failed(self) -> bool:
        """Whether an expectation failed, or the lab could not go to its end."""
        return self.error is not None or any(event.verdict is Verdict.OTHERWISE for event in self.judged)
