"""How long each way takes: asked of all parents in turns, so that whatever else the machine does meets them alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median, quantiles

from nsview.labs.lab import Axis, Measurement, Series, Spread
from nsview.labs.mechanisms.parents import Parent
from nsview.labs.mechanisms.subject import SUBPROCESS
from spawner import Mechanism

WAYS = (*(str(way) for way in Mechanism if way is not Mechanism.AUTO), SUBPROCESS)
PLAIN = "clone3, no flags"
"""The raw call without CLONE_VM; the child makes one call and ends, it executes nothing."""
SIX = ("mount", "uts", "ipc", "pid", "user", "cgroup")
SIZE = Axis("the parent's memory", "bytes", logarithmic=True)
TIME = Axis("time", "ns", logarithmic=True)

Times = dict[tuple[str, float], list[int]]
"""Nanoseconds by who and x."""


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles, none of them beyond what was measured."""
    lower, _, upper = quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values[0],) * 3
    return Spread(median(values), lower, upper, len(values))


def by_size(parents: Sequence[Parent], rounds: int) -> tuple[Times, Times]:
    """Times of the call alone, and from before it until the child has been waited for."""
    call: Times = defaultdict(list)
    whole: Times = defaultdict(list)
    for _ in range(rounds):
        for parent in parents:
            for way in WAYS:
                told = parent.ask("times", way, [], 1)
                if "refused" not in told:
                    call[way, parent.size] += told["call"]
                    whole[way, parent.size] += told["whole"]
            whole[PLAIN, parent.size] += parent.ask("plain", 1)["whole"]
    return call, whole


def by_namespaces(parent: Parent, rounds: int) -> Times:
    """Times from before the call until the child has been waited for: x 0 into no namespace, 1 into SIX."""
    found: Times = defaultdict(list)
    for _ in range(rounds):
        for x, wanted in enumerate(((), SIX)):
            for way in (str(Mechanism.CLONE3), str(Mechanism.CLONE), str(Mechanism.FORK_UNSHARE)):
                told = parent.ask("times", way, wanted, 1)
                if "refused" not in told:
                    found[way, x] += told["whole"]
    return found


def series(times: Times, names: Iterable[str]) -> tuple[Series, ...]:
    """What was measured of each of ``names``."""
    found = []
    for name in names:
        points = tuple((x, spread(values)) for (who, x), values in sorted(times.items()) if who == name)
        if points:
            found.append(Series(name, points))
    return tuple(found)


def sizes(key: str, title: str, times: Times, names: Iterable[str]) -> Measurement:
    """A measurement over the parent's size."""
    return Measurement(key, title, SIZE, TIME, series(times, names))
