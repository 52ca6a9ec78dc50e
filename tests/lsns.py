"""What lsns(8) says. It fails when a process vanishes at the wrong moment, so it is asked until it does not."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from leftovers import until

DEADLINE = 60.0


def listed(*columns: str) -> list[dict[str, Any]]:
    """The rows, with these columns (names of lsns in lower case are their keys)."""

    def ask() -> str:
        done = subprocess.run(["lsns", "--json", "--output", ",".join(columns)], stdout=subprocess.PIPE, text=True)
        return done.stdout if done.returncode == 0 else ""

    text = until(ask, DEADLINE)
    assert text, "lsns fails; its words are above"
    rows: list[dict[str, Any]] = json.loads(text)["namespaces"]
    return rows
