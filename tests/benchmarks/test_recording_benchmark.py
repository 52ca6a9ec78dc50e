"""A short run of the recording benchmark: it measures and prints what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "recording.py"


def test_the_recording_benchmark_measures_both_forms_beside_taking_the_sample():
    said = subprocess.check_output([sys.executable, str(BENCHMARK), "20", "3"], text=True).splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in said[2:] if line[0] != " "}
    assert {"plain", "gzip", "take", "reading"} <= rows.keys()
    plain, packed = int(rows["plain"][0]), int(rows["gzip"][0])
    assert plain > packed > 0
