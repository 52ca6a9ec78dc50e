"""A lab's report as JSON, version 1, and read again.

{"version", "lab", "title", "question", "machine": {"kernel", "architecture", "cpus", "euid", "when"}, "failed",
"error", "findings": [{"key", "done", "expected", "answered", "verdict", "why", "flag"}],
"measurements": [{"key", "title", "x", "y": {"title", "unit", "logarithmic"},
"series": [{"name", "points": [{"x", "label", "median", "lower", "upper", "count"}]}]}],
"conclusions": [{"key", "says", "verdict", "numbers"}]}. "verdict" is "as expected", "otherwise" or "left out".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from nsview.labs.lab import Axis, Measurement, Report


def machine() -> dict[str, object]:
    """What the answers are true of: kernel, architecture, CPUs, who asked, when."""
    names = os.uname()
    return {
        "kernel": names.release,
        "architecture": names.machine,
        "cpus": len(os.sched_getaffinity(0)),
        "euid": os.geteuid(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def document(report: Report) -> dict[str, object]:
    """Return a report for JSON."""
    return {
        "version": 1,
        "lab": report.lab.name,
        "title": report.lab.title,
        "question": report.lab.question,
        "machine": machine(),
        "failed": report.failed,
        "error": report.error,
        "findings": [asdict(finding) for finding in report.findings],
        "measurements": [_measurement(measurement) for measurement in report.measurements],
        "conclusions": [asdict(conclusion) for conclusion in report.conclusions],
    }


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
