"""The benchmark of a snapshot's parts runs, and its table has a row for each; the times are for people."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from leftovers import Census

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "snapshot.py"


@pytest.mark.needs("root", "bpf", "cc")
def test_its_table_has_every_part_for_every_crowd(nothing_left: Census) -> None:
    command = [sys.executable, str(SCRIPT), "--rounds", "1", "10", "60"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    head, rule, *rows = [line.strip("|").split("|") for line in done.stdout.splitlines()]
    few, many = (int(re.sub("[^0-9]", "", cell)) for cell in head[1:])
    assert few >= 10
    assert many >= few + 10
    assert rule == ["---"] * 3
    names = [row[0].strip() for row in rows]
    assert len(set(names)) == len(names) == 6
    assert len([name for name in names if name.startswith(("BPF", "/proc"))]) == 4
    for row in rows:
        assert all(re.fullmatch(r" \d+\.\d ", cell) for cell in row[1:])
