"""Costs as sentences: each time with the lab that measured it, and never one that nobody has measured. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from nsview.advice.costs import Cost, Costs
from nsview.labs.chart.scale import value_text
from nsview.labs.kept import Kept


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
