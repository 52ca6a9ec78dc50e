"""Where the time of a launch into a whole container goes: the median of each of its events, in their order.

    sudo python benchmarks/timeline.py [LAUNCHES]

The container is that of `nsview bench container`, which has the whole beside other launchers and plain C.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from nsview.bench.box import Place, our_spec, prepare
from spawner import launch


def timeline(place: Place, launches: int) -> list[tuple[str, float]]:
    """Tell the median microseconds of each event of so many launches."""
    taken: dict[str, list[int]] = defaultdict(list)
    for _ in range(launches):
        with launch(our_spec(place)) as child:
            child.wait()
            for number, event in enumerate(child.timeline):
                if event.end_ns is not None:
                    taken[f"{number:3} {event.label}"].append(event.end_ns - event.start_ns)
    return [(label, median(values) / 1000) for label, values in taken.items()]


def main(launches: int) -> None:
    """Print it."""
    if os.geteuid() != 0:
        raise SystemExit("timeline.py: needs root: run with sudo")
    with tempfile.TemporaryDirectory(prefix="nsview-timeline-") as scratch:
        for label, microseconds in timeline(prepare(Path(scratch)), launches):
            print(f"{microseconds:10.1f} µs  {label}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
