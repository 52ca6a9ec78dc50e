"""The benchmark of events runs, and its table has a row per way of listening; the figures are for people."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from leftovers import Census

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "events.py"


@pytest.mark.needs("root", "proc_connector", "taskstats")
def test_its_table_has_every_way_of_listening(nothing_left: Census) -> None:
    command = [sys.executable, str(SCRIPT), "--seconds", "0.2", "--rate", "50"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    machine, heading, *rows = done.stdout.splitlines()
    assert "CPUs" in machine
    assert "µs/event" in heading
    assert len({row[:52] for row in rows}) == len(rows) == 7
    assert all(re.search(r" \d+\.\d\d % +(\d+\.\d|-) +\d+ +\d+ +\d+$", row) for row in rows)
