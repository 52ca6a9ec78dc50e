"""What came of a row: the samples of each contestant, and how the figures to reach stand. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median, quantiles

from nsview.bench.row import Aim, Contestant, Figure, Row
from nsview.labs.lab import Spread


class State(StrEnum):
    """What became of a contestant."""

    MEASURED = "measured"
    ABSENT = "not installed"
    LEFT_OUT = "left out"
    """It cannot be had here: no privilege, no memory, no such thing in this kernel."""
    FAILED = "failed"


class Verdict(StrEnum):
    """How a figure and what was measured go together."""

    MET = "met"
    MISSED = "missed"
    UNTOLD = "not told"
    """One side is missing, or what was measured is not what the figure is about."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A contestant and what was seen of it. ``why`` it has no samples; ``did`` as in Entry."""

    contestant: Contestant
    state: State
    values: tuple[float, ...] = ()
    why: str = ""
    did: Mapping[str, bool] = field(default_factory=dict)
    version: str | None = None

    @property
    def spread(self) -> Spread | None:
        """Median and quartiles, None without samples."""
        return spread(self.values) if self.values else None


@dataclass(frozen=True, slots=True)
class Judgement:
    """An aim and what was measured: ``value`` is the ratio, or the figure itself; None when it cannot be told."""

    aim: Aim
    value: float | None
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """A row, who took part, and how the aims stand; ``why`` it was left out as a whole, ``error`` why it failed so."""

    row: Row
    standings: tuple[Standing, ...]
    judgements: tuple[Judgement, ...]
    note: str = ""
    why: str | None = None
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Whether the row or anybody in it failed; an aim that is missed is no failure, it is what was measured."""
        return self.error is not None or any(standing.state is State.FAILED for standing in self.standings)

    def ratio(self, standing: Standing) -> float | None:
        """Return a contestant's median by that of the one it is compared with."""
        against = standing.contestant.against
        return None if against is None else _divided(self.standings, standing.contestant.name, against, Figure.MEDIAN)


def spread(values: Sequence[float]) -> Spread:
    """Sum up samples; the quartiles of one are that one."""
    lower, upper = quantiles(values, n=4, method="inclusive")[::2] if len(values) > 1 else [values[0]] * 2
    return Spread(median(values), lower, upper, len(values))


def p95(values: Sequence[float]) -> float:
    """Return what 95 of 100 samples are at most; of few, by the nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]


def judge(aim: Aim, standings: Sequence[Standing], lacks: Mapping[str, str]) -> Judgement:
    """Hold what was seen against the figure."""
    value = _divided(standings, aim.of, aim.against, aim.by)
    if whys := [lacks[word] for word in aim.asks if word in lacks]:
        return Judgement(aim, value, Verdict.UNTOLD, "; ".join(whys))
    if value is None:
        missing = [each for each in standings if each.contestant.name in (aim.of, aim.against) and not each.values]
        sides = [f"{each.contestant.name}: {each.why or each.state}" for each in missing]
        return Judgement(aim, None, Verdict.UNTOLD, "; ".join(sides) or "it was not measured")
    met = value >= aim.figure if aim.least else value <= aim.figure
    return Judgement(aim, value, Verdict.MET if met else Verdict.MISSED)


def _divided(standings: Sequence[Standing], of: str, against: str | None, by: Figure) -> float | None:
    known = {each.contestant.name: each.values for each in standings if each.values}
    if of not in known or (against is not None and against not in known):
        return None
    figure = median if by is Figure.MEDIAN else p95
    if against is None:
        return figure(known[of])
    below = figure(known[against])
    return figure(known[of]) / below if below else None
