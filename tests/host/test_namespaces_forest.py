"""Random forests of namespaces: what we find is what was made, what a slow reading finds, and what lsns knows.

NSVIEW_FORESTS=200 grows that many; NSVIEW_FOREST_SEED=N begins with that seed (a failure prints its own).
"""

from __future__ import annotations

import os

import pytest
from forest import grown
from forest_check import differences
from forest_plan import plan
from forest_reading import read_slowly
from lsns import listed

from nsview.host.namespaces import search

FIRST = int(os.environ.get("NSVIEW_FOREST_SEED", "1"))
FORESTS = int(os.environ.get("NSVIEW_FORESTS", "24"))

pytestmark = pytest.mark.needs("lsns", "root", *(f"{name}_namespace" for name in ("mount", "pid", "time", "user")))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + FORESTS))
def test_what_is_found_of_a_forest_is_what_was_made(seed):
    with grown(plan(seed)) as facts:
        different = differences(
            facts,
            search().namespaces,
            read_slowly(facts.pids),
            listed("NS", "TYPE", "NPROCS", "PNS", "ONS", pids=facts.pids),
        )
    assert not different, f"seed {seed}:\n" + "\n".join(different[:20])
