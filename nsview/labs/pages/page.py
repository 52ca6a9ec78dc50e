"""A lab's page: what was asked, what the kernel answered, and what follows. Pure.

Its anchors are for good, as the keys are: ``#KEY`` of a conclusion, ``#asked-KEY`` of a finding, ``#chart-KEY`` of a
measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from nsview.labs.chart import svg
from nsview.labs.chart.scale import value_text
from nsview.labs.document import measurement_of
from nsview.labs.lab import Measurement, Spread, Verdict
from nsview.labs.pages.markdown import anchor, anchored, picture, table, text
from nsview.labs.telling import SIGNS

Document = Mapping[str, Any]
_LONG = 40
"""Letters from which on an answer as expected is not written twice."""
_MOST_COLUMNS = 6


def pictures(document: Document) -> dict[str, str]:
    """Return the SVG documents that the page shows, by the names of their files."""
    return {_picture(document, each): svg.drawn(each) for each in map(measurement_of, document["measurements"])}


def command(document: Document) -> str:
    """Return the command that runs the lab as it was run."""
    return f"nsview lab {document['lab']}{' --thorough' * document['thorough']}"


def page(document: Document) -> str:
    """Return the page as Markdown; ``pictures`` and the document itself, NAME.json, are expected beside it."""
    blocks = [
        [f"<!-- Made from {document['lab']}.json by docs/labs/make.py. -->"],
        [f"# {text(document['title'])}"],
        [text(document["question"])],
        _about(document),
        *_conclusions(document),
    ]
    for index, stage in ((None, None), *enumerate(document["stages"])):
        blocks += _stage(document, index, stage)
    blocks += _left_out(document)
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def machine(document: Document) -> str:
    """Return in a few words what the answers are true of."""
    of = document["machine"]
    who = "root" if of["euid"] == 0 else f"uid {of['euid']}"
    return f"Linux {of['kernel']}, {of['architecture']}, {of['cpus']} CPU{'s' * (of['cpus'] != 1)}, as {who}"


def outcome(document: Document) -> str:
    """Return how many answers were as expected, otherwise and left out; and why it ended early, if it did."""
    judged = [each["verdict"] for each in (*document["findings"], *document["conclusions"])]
    counts = ", ".join(f"{judged.count(verdict)} {verdict}" for verdict in Verdict if verdict in judged)
    return counts if document["error"] is None else f"{counts}; it ended early: {document['error']}"


def _about(document: Document) -> list[str]:
    when = document["machine"]["when"].replace("T", " ").replace("+00:00", " UTC")
    return table(
        ("", ""),
        (
            ("made by", f"`{command(document)} --json` → [{document['lab']}.json]({document['lab']}.json)"),
            ("run on", text(machine(document))),
            ("when", f"{text(when)}, at a load of {document['machine']['load']}"),
            ("answers", text(outcome(document))),
        ),
    )


def _mark(verdict: str) -> str:
    sign = SIGNS[Verdict(verdict)]
    return sign if verdict == Verdict.AS_EXPECTED else f"{sign} **{verdict}**"


def _conclusions(document: Document) -> Iterator[list[str]]:
    if document["conclusions"]:
        yield ["## What follows"]
        yield [
            f"- {_mark(each['verdict'])} {anchored(each['key'], text(each['key']))}: {text(each['says'])}"
            for each in document["conclusions"]
        ]


# ---- what was done ----


def _stage(document: Document, index: int | None, stage: Mapping[str, Any] | None) -> Iterator[list[str]]:
    findings = [each for each in document["findings"] if each["stage"] == index and each["verdict"] != Verdict.LEFT_OUT]
    measured = [each for each in document["measurements"] if each["stage"] == index]
    if stage is not None:
        yield [f"## {text(stage['title'])}"]
        yield [text(stage["says"])] if stage["says"] else []
        yield _scenes(document, stage["scenes"])
    if findings:
        yield table(("", "what was done", "expected", "the kernel answered"), map(_finding, findings))
    for each in map(measurement_of, measured):
        yield from _measurement(document, each)


def _scenes(document: Document, scenes: Sequence[Mapping[str, str]]) -> list[str]:
    """Where ``--step`` waits; each is named once, however often the lab comes by."""
    titles = "; ".join(dict.fromkeys(text(scene["title"]) for scene in scenes))
    return [f"<sub>`nsview lab {document['lab']} --step` waits at: {titles}</sub>"] if titles else []


def _finding(finding: Mapping[str, Any]) -> tuple[str, ...]:
    done = text(finding["done"]) + (f"<br><sub>{text(finding['why'])}</sub>" if finding["why"] else "")
    same = finding["expected"] == finding["answered"] and len(finding["answered"]) > _LONG
    return (
        anchored(f"asked-{finding['key']}", _mark(finding["verdict"])),
        done,
        text(finding["expected"]),
        "the same" if same else text(finding["answered"]),
    )


def _left_out(document: Document) -> Iterator[list[str]]:
    left = [each for each in document["findings"] if each["verdict"] == Verdict.LEFT_OUT]
    if left:
        yield ["## Left out"]
        yield table(
            ("", "what would have been done", "expected", "why it was not"),
            (
                (
                    anchored(f"asked-{each['key']}", SIGNS[Verdict.LEFT_OUT]),
                    text(each["done"]),
                    text(each["expected"]),
                    text(each["why"]),
                )
                for each in left
            ),
        )


# ---- what was measured ----


def _picture(document: Document, measurement: Measurement) -> str:
    return f"{document['lab']}-{measurement.key}.svg"


def _measurement(document: Document, measurement: Measurement) -> Iterator[list[str]]:
    counts = sorted({spread.count for series in measurement.series for _, spread in series.points})
    yield [anchor(f"chart-{measurement.key}")]
    yield [picture(alternative(measurement), _picture(document, measurement))]
    if counts:
        yield _medians(measurement)
        of = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        yield [f"<sub>{text(measurement.y.title)}: medians, and quartiles below them, of {of} runs in turn</sub>"]


def alternative(measurement: Measurement) -> str:
    """Return in words what the chart shows: each contestant's first and last median."""
    told = []
    for series in measurement.series:
        ends = dict.fromkeys((*series.points[:1], *series.points[-1:]))
        medians = ", ".join(
            f"{value_text(spread.median, measurement.y.unit)} ({_place(measurement, x)})" for x, spread in ends
        )
        told.append(f"{series.name} {medians}" if medians else f"{series.name} not measured")
    return f"Chart: {measurement.title}. {'; '.join(told)}."


def _place(measurement: Measurement, x: float) -> str:
    return measurement.labels.get(x, value_text(x, measurement.x.unit))


def _medians(measurement: Measurement) -> list[str]:
    """Return a table, turned so that it has the fewer columns."""
    places = sorted({x for series in measurement.series for x, _ in series.points})
    points = {(series.name, x): spread for series in measurement.series for x, spread in series.points}
    names = [series.name for series in measurement.series]
    unit = measurement.y.unit
    if len(places) <= max(len(names), _MOST_COLUMNS):
        heads = [text(measurement.x.title), *(text(_place(measurement, x)) for x in places)]
        rows: Iterable[list[str]] = (
            [text(name), *(_spread(points.get((name, x)), unit) for x in places)] for name in names
        )
    else:
        heads = [text(measurement.x.title), *map(text, names)]
        rows = (
            [text(_place(measurement, x)), *(_spread(points.get((name, x)), unit) for name in names)] for x in places
        )
    return table(heads, rows, range(1, len(heads)))


def _spread(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return "?"
    median, lower, upper = (text(value_text(value, unit)) for value in (spread.median, spread.lower, spread.upper))
    return median if lower == upper == median else f"{median}<br><sub>{lower} – {upper}</sub>"
