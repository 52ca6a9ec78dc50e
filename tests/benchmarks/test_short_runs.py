"""The benchmarks that have no test of their own run, and print the rows they promise; their times are for people."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from leftovers import Census

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NEEDS = pytest.mark.needs

RUNS = [
    pytest.param("table.py 50 2", r"\d+\.\d ms$", ("tree ", "list ", "UI thread: a frame"), id="table"),
    pytest.param(
        "timeline.py 3", r"^ *\d+\.\d µs ", ("clone3", "lo up", "mount proc"), id="timeline", marks=NEEDS("root")
    ),
    pytest.param(
        "namespaces.py --rounds 1 --every 1 50",
        r"^\| .*\d+\.\d \|$",
        ("the snapshot", "descriptors", "lsns"),
        id="namespaces",
        marks=NEEDS("root", "cc", "lsns"),
    ),
]


@pytest.mark.parametrize(("command", "row", "promised"), RUNS)
def test_a_short_run_prints_its_rows(command: str, row: str, promised: tuple[str, ...], nothing_left: Census) -> None:
    script, *arguments = command.split()
    words = [sys.executable, str(BENCHMARKS / script), *arguments]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line for line in done.stdout.splitlines() if re.search(row, line)]
    assert [text for text in promised if not any(text in line for line in rows)] == []
