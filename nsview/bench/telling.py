"""Results as lines of text that fit a terminal, and as charts. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from nsview.bench.outcome import Judgement, Result, Standing, State, Verdict
from nsview.bench.peer import PEERS
from nsview.bench.row import Aim, Contestant, Figure, Row
from nsview.host.text import cut, printable, width
from nsview.labs.chart.scale import value_text
from nsview.labs.lab import Axis, Measurement, Series

WIDTH = 80
_WIDE = 100
"""More columns than these are of no use to sentences."""
SIGNS = {Verdict.MET: "✓ met", Verdict.MISSED: "✗ MISSED", Verdict.UNTOLD: "– not told"}
_FAR = 20
"""From such a ratio on, between who took longest and who took least, a chart's scale is logarithmic."""


def told(result: Result, columns: int | None) -> Iterator[str]:
    """Yield the lines that tell a result: question, a line for each contestant, the aims."""
    room = max(columns or WIDTH, 60)
    yield from _head(result.row, room)
    for text, why in (("left out", result.why), ("FAILED", result.error)):
        if why is not None:
            yield from _wrapped(f"  {text}: {why}", room, "    ")
    if result.note:
        yield from _wrapped(f"  {result.note}", room, "  ")
    if result.standings:
        yield ""
        yield from _table(result, room)
        yield from _reasons(result, room)
        yield from _not_done(result, room)
    if result.judgements:
        yield ""
    for judgement in result.judgements:
        yield from _judgement(judgement, result.row.unit, room)


def listed(rows: Sequence[Row], columns: int | None) -> Iterator[str]:
    """Yield the lines that list the rows: what they ask, what is to be reached, who takes part and who is here."""
    room = max(columns or WIDTH, 60)
    for row in rows:
        yield from _head(row, room)
        for aim in row.aims:
            yield from _wrapped(f"  aim: {aim_text(aim, row.unit)}", room, "    ")
        yield from _wrapped("  " + ", ".join(_here(each) for each in row.contestants), room, "  ")
        if row is not rows[-1]:
            yield ""


def summed_up(results: Sequence[Result], machine: Mapping[str, object]) -> str:
    """Return the last line: how many aims were met, missed and not told, who failed; and how busy the machine was."""
    verdicts = [judgement.verdict for result in results for judgement in result.judgements]
    counts = [f"{verdicts.count(verdict)} {verdict}" for verdict in Verdict if verdict in verdicts]
    failed = sum(each.state is State.FAILED for result in results for each in result.standings)
    failed += sum(result.error is not None for result in results)
    said = f"aims: {', '.join(counts) or 'none'}" + (f"; {failed} FAILED" if failed else "")
    return f"{said}; on {machine['cpus']} CPUs, load {machine['load']}"


def aim_text(aim: Aim, unit: str) -> str:
    """Return an aim as a sentence: ``launch() ≤ 1.3 × plain C``."""
    by = "" if aim.by is Figure.MEDIAN else f" ({aim.by})"
    sign = "≥" if aim.least else "≤"
    figure = value_text(aim.figure, unit) if aim.against is None else f"{aim.figure:g} × {aim.against}"
    return f"{aim.of}{by} {sign} {figure}"


def charted(result: Result) -> Measurement:
    """Return a result as the labs' charts take it: a contestant with its quartiles a line."""
    spreads = {each.contestant.name: each.spread for each in result.standings if each.spread is not None}
    medians = [spread.median for spread in spreads.values() if spread.median > 0]
    far = bool(medians) and max(medians) > _FAR * min(medians)
    return Measurement(
        result.row.name,
        result.row.question,
        Axis("", ""),
        Axis("time" if result.row.unit == "ns" else "", result.row.unit, logarithmic=far),
        tuple(Series(name, ((0.0, spread),)) for name, spread in spreads.items()),
    )


def _head(row: Row, room: int) -> Iterator[str]:
    yield from _wrapped(f"{row.name}: {row.question}", room, "  ")
    yield from _wrapped(f"  {row.measures}", room, "  ")


def _here(each: Contestant) -> str:
    if each.program is None or PEERS[each.program].path is not None:
        return each.name
    return f"{each.name} (not installed: {PEERS[each.program].package})"


# ---- the contestants ----


def _table(result: Result, room: int) -> Iterator[str]:
    lines = [("", "median", "quartiles", "n", "× whose median")]
    lines += [_cells(result, each) for each in result.standings]
    widths = [max(width(line[at]) for line in lines) for at in range(5)]
    for name, median, quartiles, count, ratio in lines:
        text = f"  {name}{' ' * (widths[0] - width(name))}  {median:>{widths[1]}}"
        if quartiles or count:
            text += f"  {quartiles:>{widths[2]}}  {count:>{widths[3]}}  {ratio}"
        yield cut(text.rstrip(), room)


def _cells(result: Result, each: Standing) -> tuple[str, str, str, str, str]:
    name, spread, unit = each.contestant.name, each.spread, result.row.unit
    if spread is None:
        return (name, "FAILED" if each.state is State.FAILED else str(each.state), "", "", "")
    quartiles = f"{value_text(spread.lower, unit)}–{value_text(spread.upper, unit)}"
    ratio = result.ratio(each)
    against = "" if ratio is None else f"{ratio:.{2 if ratio >= 0.1 else 3}f} × {each.contestant.against}"
    return (name, value_text(spread.median, unit), quartiles, str(spread.count), against)


def _reasons(result: Result, room: int) -> Iterator[str]:
    for each in result.standings:
        if each.why:
            state = "FAILED" if each.state is State.FAILED else str(each.state)
            for number, line in enumerate(each.why.splitlines()):
                yield from _wrapped(
                    f"    {line}" if number else f"  {each.contestant.name}: {state}: {line}", room, "    "
                )


def _not_done(result: Result, room: int) -> Iterator[str]:
    """Say what a contestant did not do of what others did: it was asked, or it cannot be."""
    for each in result.standings:
        if lacking := [what for what, done in each.did.items() if not done]:
            yield from _wrapped(f"  {each.contestant.name} is without: {', '.join(lacking)}", room, "    ")


# ---- the aims ----


def _judgement(judgement: Judgement, unit: str, room: int) -> Iterator[str]:
    aim = judgement.aim
    text = f"  {SIGNS[judgement.verdict]}: {aim_text(aim, unit)}"
    if judgement.value is not None:
        text += f"; it is {value_text(judgement.value, unit) if aim.against is None else _ratio(judgement)}"
    yield from _wrapped(text + (f" ({judgement.why})" if judgement.why else ""), room, "    ")


def _ratio(judgement: Judgement) -> str:
    """Return what was measured with as many digits as tell it from the figure."""
    value, figure = judgement.value or 0.0, judgement.aim.figure
    near = round(value, 2) == round(figure, 2)
    return f"{value:.4f} ×" if near else f"{value:.2f} ×"


def _wrapped(text: str, room: int, rest: str) -> list[str]:
    indent = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(
        printable(text.strip()),
        min(room, _WIDE),
        initial_indent=indent,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
