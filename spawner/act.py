"""What the parent did for a launch, noted for the timeline."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Act:
    """Something the parent did for a launch, in CLOCK_MONOTONIC; ``result`` is 0 or -errno."""

    label: str
    phase: str
    text: str
    start_ns: int
    end_ns: int
    result: int
