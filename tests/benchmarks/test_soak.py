"""A short soak: launches of every sort one after another, then many at once, leave nothing and mix nothing up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.mark.needs("root", "cc", "memory_controller", "pids_controller")
def test_hundreds_of_launches_leave_nothing_and_are_never_mixed_up() -> None:
    command = [sys.executable, str(SCRIPT), "--json", "--launches", "300", "--at-once", "64", "--threads", "8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    document = json.loads(done.stdout)
    assert document["in_turn"]["left"] == []
    assert document["at_once"]["left"] == []
    assert document["at_once"]["mixed_up"] == []
    assert document["in_turn"]["launches"] == 300
    assert document["in_turn"]["before"] == document["in_turn"]["after"]
    assert (done.returncode, done.stderr) == (0, "")


def test_numbers_that_make_no_sense_are_refused() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--threads", "0"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "numbers go from 1" in done.stderr
