"""The benchmark of snapshots runs, and its table has a row per reader; the times are for people."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from leftovers import Census

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "snapshot.py"


@pytest.mark.needs("root", "bpf", "cc", "lsns", "ps")
def test_its_table_has_every_reader_for_every_crowd(nothing_left: Census) -> None:
    command = [sys.executable, str(SCRIPT), "--rounds", "1", "10", "60"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    head, rule, *rows = [line.strip("|").split("|") for line in done.stdout.splitlines()]
    few, many = (int(re.sub("[^0-9]", "", cell)) for cell in head[1:])
    assert few >= 10
    assert many >= few + 10
    assert rule == ["---"] * 3
    names = [row[0].strip() for row in rows]
    assert len(set(names)) == len(names) == 10
    for word in ("BPF", "/proc", "plain C", "ps(1)", "psutil", "lsns(8)"):
        assert any(name.startswith(word) for name in names)
    for row in rows:
        assert all(re.fullmatch(r" \d+\.\d \(\d+\.\d\d\) ", cell) for cell in row[1:])
    assert next(row for row in rows if "plain C" in row[0])[1].endswith("(1.00) ")
