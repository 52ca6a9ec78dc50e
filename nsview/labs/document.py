"""A lab's report as JSON, version 1, and read again.

{"version", "lab", "title", "question", "machine": {"kernel", "architecture", "cpus", "load", "euid", "when"},
"thorough", "failed", "error", "stages": [{"title", "says", "scenes": [{"title", "look"}]}],
"findings": [{"stage", "key", "done", "expected", "answered", "verdict", "why", "flag"}],
"measurements": [{"stage", "key", "title", "x", "y": {"title", "unit", "logarithmic"},
"series": [{"name", "points": [{"x", "label", "median", "lower", "upper", "count"}]}]}],
"conclusions": [{"stage", "key", "says", "verdict", "numbers"}]}. "verdict" is "as expected", "otherwise" or "left out",
"stage" the index of the stage it was told in, or null.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from nsview.labs.lab import Axis, Conclusion, Finding, Measurement, Report, Scene, Series, Spread, Stage


def machine() -> dict[str, object]:
    """What the answers are true of: kernel, architecture, CPUs and how many wanted them meanwhile, who asked, when."""
    names = os.uname()
    return {
        "kernel": names.release,
        "architecture": names.machine,
        "cpus": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "euid": os.geteuid(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def document(report: Report) -> dict[str, object]:
    """Return a report for JSON."""
    stages: list[dict[str, Any]] = []
    told: dict[type[object], list[dict[str, Any]]] = {Finding: [], Measurement: [], Conclusion: []}
    for event in report.events:
        stage = {"stage": len(stages) - 1 if stages else None}
        match event:
            case Stage():
                stages.append({**asdict(event), "scenes": []})
            case Scene() if stages:
                stages[-1]["scenes"].append({"title": event.title, "look": event.look})
            case Finding() | Conclusion():
                told[type(event)].append({**stage, **asdict(event)})
            case Measurement():
                told[Measurement].append({**stage, **_measurement(event)})
    return {
        "version": 1,
        "lab": report.lab.name,
        "title": report.lab.title,
        "question": report.lab.question,
        "machine": machine(),
        "thorough": report.setting.thorough,
        "failed": report.failed,
        "error": report.error,
        "stages": stages,
        "findings": told[Finding],
        "measurements": told[Measurement],
        "conclusions": told[Conclusion],
    }


def measurement_of(kept: Mapping[str, Any]) -> Measurement:
    """Return a measurement from what ``document`` made of it."""
    labels = {
        point["x"]: point["label"]
        for series in kept["series"]
        for point in series["points"]
        if point["label"] is not None
    }
    return Measurement(
        kept["key"],
        kept["title"],
        Axis(**kept["x"]),
        Axis(**kept["y"]),
        tuple(
            Series(
                series["name"],
                tuple(
                    (point["x"], Spread(point["median"], point["lower"], point["upper"], point["count"]))
                    for point in series["points"]
                ),
            )
            for series in kept["series"]
        ),
        labels,
    )


def _measurement(measurement: Measurement) -> dict[str, object]:
    def axis(value: Axis) -> Mapping[str, object]:
        return asdict(value)

    return {
        "key": measurement.key,
        "title": measurement.title,
        "x": axis(measurement.x),
        "y": axis(measurement.y),
        "series": [
            {
                "name": series.name,
                "points": [
                    {"x": x, "label": measurement.labels.get(x), **asdict(spread)} for x, spread in series.points
                ],
            }
            for series in measurement.series
        ],
    }
