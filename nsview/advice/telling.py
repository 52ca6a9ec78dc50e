"""Advice as sentences: each time with the lab that measured it, and never one that nobody has measured. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nsview.advice.advice import Advice
from nsview.advice.costs import Cost, Costs
from nsview.labs.chart.scale import value_text
from nsview.labs.kept import Kept
from spawner import Mechanism


def costs_told(costs: Costs) -> Iterator[str]:
    """Yield a sentence for each way, then by whom, when and where it was measured; or how to measure it."""
    for way, cited in costs.by_way:
        by_size = [cost for cost in cited if cost.axis.unit == "bytes"]
        into = [cost for cost in cited if cost.axis.unit != "bytes"]
        said = [f"{time_of(cost)} from a caller of {value_text(cost.at, 'bytes')}" for cost in by_size]
        said += [f"{time_of(cost)} into {cost.label}" for cost in into]
        name = way if cited[0].series == way else f"{way}, as {cited[0].series}"
        yield f"{name}: {', '.join(said)}"
    yield from (f"{told[:1].upper()}{told[1:]}." for told in costs.differs)
    for kept in costs.measured:
        until = next(cost.until for _, cited in costs.by_way for cost in cited if cost.lab == kept.lab)
        yield f"Medians (and quartiles), {until.removeprefix('a launch ')}: {measured_by(kept)}."
    yield from costs.told
    if not costs.by_way:
        yield f"Not measured on this machine and kernel yet: {how_to_measure(costs)}."


def time_of(cost: Cost) -> str:
    """A median, and its quartiles."""
    median, lower, upper = (
        value_text(value, "ns") for value in (cost.spread.median, cost.spread.lower, cost.spread.upper)
    )
    return f"{median} ({lower} to {upper})"


def measured_by(kept: Kept) -> str:
    """Name the lab, and say when, on what and by whom it was run."""
    before = "" if kept.this_boot else ", before the machine was last started"
    quick = " --thorough" if kept.thorough else ""
    whose = "root" if kept.euid == 0 else f"user {kept.euid}"
    when = kept.when.replace("T", " ").replace("+00:00", " UTC")
    return f"nsview lab {kept.lab}{quick}, {when}, Linux {kept.on.kernel}, as {whose}{before}"


def how_to_measure(costs: Costs) -> str:
    """The commands that would measure what is missing."""
    return " and ".join(f"nsview lab {lab}" for lab in costs.missing) or "nsview lab mechanisms"


# ---- in brief, beside a plan ----

_BESIDE = (Mechanism.FORK_UNSHARE, Mechanism.FORK, Mechanism.CLONE3)
"""Whose cost is worth a look beside another's: the first that was measured and is not the same."""
_ASIDE = re.compile(r" \([^()]*\)")
"""What a rule's sentence says in parentheses: which flags, which the panel shows beside it."""


def in_brief(advice: Advice) -> Iterator[tuple[str, str]]:
    """Yield (title, text): ways that cannot be taken, ways that would do too, what it costs here."""
    for ways, why in _together(advice):
        yield "not", f"{', '.join(ways)}: {why}"
    if advice.possible:
        yield "also", ", ".join(each.way for each in advice.possible)
    if advice.costs.by_way:
        yield "costs here", _cost_in_brief(advice)
    else:
        yield "costs here", f"not measured yet: nsview lab {advice.costs.missing[0] if advice.costs.missing else ''}"
    for told in advice.costs.told:
        yield "costs here", told


def _together(advice: Advice) -> Iterator[tuple[list[str], str]]:
    """Ways that are ruled out for the same reason."""
    reasons: dict[str, list[str]] = {}
    for each in advice.rejected:
        why = _ASIDE.sub("", each.problems[0].message.removeprefix(f"{each.way} "))
        reasons.setdefault(why, []).append(each.way)
    yield from ((ways, why) for why, ways in reasons.items())


def _cost_in_brief(advice: Advice) -> str:
    chosen, *others = advice.costs.by_way
    ways = dict(others)
    beside = next((way for way in map(str, _BESIDE) if way in ways), None)
    said = []
    for way, cited in (chosen, *(((beside, ways[beside]),) if beside is not None else ())):
        ends = [cost for cost in cited if cost.axis.unit == "bytes"] or list(cited[:1])
        times = ", ".join(value_text(cost.spread.median, "ns") for cost in ends)
        said.append(f"{way if cited[0].series == way else f'{way}, as {cited[0].series},'} {times}")
    sizes = [value_text(cost.at, "bytes") for cost in chosen[1] if cost.axis.unit == "bytes"]
    callers = f" (caller of {', '.join(sizes)})" if sizes else ""
    by = "; ".join(f"nsview lab {kept.lab}, {kept.when[:10]}" for kept in advice.costs.measured)
    return f"{'; '.join(said)}{callers}; {by}"
