"""The benchmark of floods in the terminal runs; its times are for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from leftovers import Census

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "terminal.py"


@pytest.mark.needs("root")
def test_keys_are_answered_while_programs_write(nothing_left: Census) -> None:
    words = [sys.executable, str(SCRIPT), "--seconds", "1", "--only", "yes", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")
    [(scene, figures)] = json.loads(done.stdout).items()
    assert scene == "yes"
    assert figures["keys"] >= 2
    assert figures["key to paint p50, ms"] <= figures["longest, ms"]
    assert figures["read, MB/s"] > 0
    assert figures["share of a core, %"] > 0
