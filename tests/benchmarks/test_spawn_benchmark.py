"""The launch benchmark runs and compares like with like; its figures are for people, not for a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from leftovers import Census

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "spawn.py"


@pytest.mark.needs("root", "cc")
def test_every_row_is_measured_against_the_same_system_calls(nothing_left: Census) -> None:
    command = [sys.executable, str(SCRIPT), "--rounds", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["version"] == 1
    assert len(document["rows"]) == 6
    for row in document["rows"]:
        assert row["ours_us"] > 0
        assert row["theirs_us"] > 0
        assert row["launches"] == 10


def test_a_number_of_rounds_that_makes_no_sense_is_refused() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--rounds", "0"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--rounds takes a number from 1" in done.stderr
