"""What fork+unshare and one clone3 cost, into each namespace and into several; then the calls alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence

from nsview.labs.chart.scale import value_text
from nsview.labs.isolation.room import Host, there_is
from nsview.labs.lab import Axis, Conclusion, Event, Measurement, Stage
from nsview.labs.mechanisms.measuring import TIME, Times, series
from spawner import Mechanism
from spawner.namespaces import KINDS

ROUNDS, MANY_ROUNDS = 5, 60
SEED = ("mount", "uts", "pid")
"""The three of the text that the program grew from: CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWNS."""
COMPARED = (Mechanism.CLONE3, Mechanism.FORK_UNSHARE)
_BARE = {"clone3 with the flags": False, "clone3, then unshare": True}
"""Both copy the page tables, so that the calls alone differ."""
_NOT_BARE = frozenset({"user", "pid", "time"})
"""What takes more than one call: a map, a second fork, an execve."""
_INTO = Axis("into new namespaces", "")

_Sets = Mapping[str, Sequence[str]]
_Medians = Mapping[tuple[str, int], float]


def measured(stand_in: Host, rounds: int) -> Generator[Event, None, None]:
    """Whole launches both ways, then children that execute nothing: in turns, ``rounds`` times each."""
    there = [kind.name for kind in KINDS if there_is(kind.proc)]
    three = [name for name in SEED if name in there]
    yield Stage(
        "What it costs",
        f"Both ways into each namespace, into {', '.join(three)}, and into all, in turns, {rounds} times each: until "
        "the child has been waited for. Then the same by children that copy the same memory and execute nothing, so "
        "that only the calls differ.",
    )
    sets = {"none": [], **{name: [name] for name in there}, "+".join(three): three, f"all {len(there)}": there}
    ways = {str(way): ("times", str(way)) for way in COMPARED}
    launches = _taken(stand_in, rounds, sets, ways)
    yield _measurement("launches", "a launch until the child has been waited for", launches, sets, ways)
    steps = _steps(stand_in, rounds, three)
    yield steps
    alone = [name for name in there if name not in _NOT_BARE]
    bare = {"none": [], **{name: [name] for name in alone}, "+".join(alone): alone}
    calls = {name: ("bare_times", unshare) for name, unshare in _BARE.items()}
    bare_times = _taken(stand_in, rounds, bare, calls)
    yield _measurement("calls", "the calls alone, without execve", bare_times, bare, calls)
    yield from _stepped(steps, three)
    yield from _launched(_medians(launches, ways), list(sets).index("+".join(three)), three)
    yield from _called(_medians(bare_times, calls), len(bare) - 1, alone)


def _taken(stand_in: Host, rounds: int, sets: _Sets, ways: Mapping[str, tuple[str, object]]) -> Times:
    times: Times = defaultdict(list)
    for turn in range(rounds):
        for x, kinds in enumerate(sets.values()):
            for name, (act, how) in sorted(ways.items(), reverse=bool(turn % 2)):  # who is first is not always the same
                told = stand_in.ask(act, how, kinds)
                if "refused" not in told:
                    times[name, x].append(told["ns"])
    return times


def _steps(stand_in: Host, rounds: int, kinds: Sequence[str]) -> Measurement:
    """Each call that makes a process or a namespace, as the timeline has it."""
    times: Times = defaultdict(list)
    labels: dict[float, str] = {}
    for turn in range(rounds):
        for way in COMPARED if turn % 2 == 0 else COMPARED[::-1]:
            told = stand_in.ask("times", str(way), kinds)
            for at, (name, ns) in enumerate(told.get("calls", ())):
                x = at + 1 if way is Mechanism.FORK_UNSHARE else 0
                labels[x] = "second fork" if at == 2 else name
                times[str(way), x].append(ns)
    title = f"the calls of a launch into {', '.join(kinds)}, step by step"
    labels = dict(sorted(labels.items()))
    return Measurement("steps", title, Axis("call", ""), TIME, series(times, map(str, COMPARED)), labels)


def _stepped(steps: Measurement, kinds: Sequence[str]) -> Iterator[Conclusion]:
    medians = {line.name: [(steps.labels[x], point.median) for x, point in line.points] for line in steps.series}
    one, two = (medians.get(str(way)) for way in COMPARED)
    if not one or not two:
        return
    each = ", ".join(f"{name} {value_text(ns, 'ns')}" for name, ns in two)
    yield Conclusion(
        "where-the-two-steps-take-their-time",
        f"Into {', '.join(kinds)}: {one[0][0]} {value_text(one[0][1], 'ns')}, until the child runs; by fork+unshare "
        f"{each}.",
        numbers={f"{name.replace(' ', '_')}_ns": ns for name, ns in (*one, *two)},
    )


def _measurement(key: str, title: str, times: Times, sets: _Sets, names: Mapping[str, object]) -> Measurement:
    labels = {float(x): label for x, label in enumerate(sets)}
    return Measurement(key, title, _INTO, TIME, series(times, names), labels)


def _medians(times: Times, names: Mapping[str, object]) -> _Medians:
    return {(line.name, int(x)): point.median for line in series(times, names) for x, point in line.points}


def _launched(medians: _Medians, at: int, kinds: Sequence[str]) -> Iterator[Conclusion]:
    one, two = (medians.get((str(way), at)) for way in COMPARED)
    none = [medians.get((str(way), 0)) for way in COMPARED]
    if one is None or two is None or none[0] is None or none[1] is None:
        return
    yield Conclusion(
        "one-clone-against-two-steps",
        f"Into {', '.join(kinds)} a launch by one clone3 took {value_text(one, 'ns')}, by fork+unshare "
        f"{value_text(two, 'ns')}, {two / one:.2f} times; into no namespace, where all the difference is the memory "
        f"that fork copies, {value_text(none[0], 'ns')} and {value_text(none[1], 'ns')}, {none[1] / none[0]:.2f} "
        "times.",
        numbers={"clone3_ns": one, "fork_unshare_ns": two, "clone3_none_ns": none[0], "fork_none_ns": none[1]},
    )


def _called(medians: _Medians, at: int, kinds: Sequence[str]) -> Iterator[Conclusion]:
    one, two = (medians.get((name, at)) for name in _BARE)
    if one is None or two is None:
        return
    yield Conclusion(
        "one-call-alone-against-two",
        f"With the same memory copied and nothing executed, into {', '.join(kinds)}, one clone3 took "
        f"{value_text(one, 'ns')}, clone3 followed by unshare {value_text(two, 'ns')}, {two / one:.2f} times: this is "
        "all the difference that one call or two makes.",
        numbers={"one_ns": one, "two_ns": two},
    )
