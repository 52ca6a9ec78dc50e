"""The benchmark of lists runs; its times are for people."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from leftovers import Census

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ps.py"


@pytest.mark.needs("cc", "ps")
def test_every_command_and_every_filter_is_measured(nothing_left: Census) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "20", "1"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert all(re.match(r" *\d+\.\d+ ms +\S", line) for line in lines)
    assert len([line for line in lines if "× ps" in line]) == 4
    assert len([line for line in lines if " match " in line]) == 10
