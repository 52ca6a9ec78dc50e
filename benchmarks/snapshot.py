"""What a snapshot of ours is made of: reading, decoding, the tree. `nsview bench snapshot` has it beside other readers.

    sudo python benchmarks/snapshot.py [--rounds N] [PROCESSES …]

Makes a crowd of idle processes of each size (100, 1,000, 10,000) beside what runs anyway, and prints a Markdown table
of milliseconds: medians of N (7) rounds, in which the parts take turns.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

from nsview.bench.crowd import crowd, reader
from nsview.host import _scan
from nsview.host.bpf.iterator import Iterator as TaskIterator
from nsview.host.bpf.iterator import RefusedError
from nsview.host.snapshot import decode, take
from nsview.host.tree import ProcessTree


def milliseconds(action: Callable[[], object]) -> float:
    """Time one call."""
    before = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - before) / 1e6


def parts(iterator: TaskIterator | None) -> dict[str, Callable[[], float]]:
    """What is asked in every round, in the order of the table: each takes its own time."""

    def decoded() -> float:
        packed = _scan.scan()
        return milliseconds(lambda: decode(packed))

    def tree() -> float:
        records = take(by="proc").records
        return milliseconds(lambda: ProcessTree(records))

    rows: dict[str, Callable[[], float]] = {}
    if iterator is not None:
        rows["BPF, packed records"] = lambda: milliseconds(iterator.read)
        rows["BPF, `take()`: records of Python, again"] = lambda: milliseconds(lambda: take(by="bpf"))
    rows["/proc, packed records"] = lambda: milliseconds(_scan.scan)
    rows["/proc, `take()`: records of Python, again"] = lambda: milliseconds(lambda: take(by="proc"))
    rows["records of Python from packed ones, all anew"] = decoded
    rows["the tree of processes"] = tree
    return rows


def measure(iterator: TaskIterator | None, rounds: int) -> dict[str, float]:
    """Return median milliseconds by part; one round is not counted, for it fills caches."""
    times: dict[str, list[float]] = {}
    for number in range(-1, rounds):
        for name, taken in parts(iterator).items():
            value = taken()
            if number >= 0:
                times.setdefault(name, []).append(value)
    return {name: median(values) for name, values in times.items()}


def table(results: Mapping[int, Mapping[str, float]]) -> Iterator[str]:
    """Lay out milliseconds."""
    yield "| ms | " + " | ".join(f"{size:,} processes" for size in results) + " |"
    yield "|---" * (len(results) + 1) + "|"
    for name in next(iter(results.values())):
        yield f"| {name} | " + " | ".join(f"{times[name]:.1f}" for times in results.values()) + " |"


def main() -> None:
    """Make the crowds, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("processes", type=int, nargs="*", default=[100, 1000, 10000])
    options = parser.parse_args()
    try:
        iterator = TaskIterator.load()
    except RefusedError as error:
        print(f"{error}\n", file=sys.stderr)
        iterator = None
    results: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        program = reader(Path(directory))
        for processes in options.processes:
            with crowd(program, processes):
                results[len(take().records)] = measure(iterator, options.rounds)
    print(*table(results), sep="\n")


if __name__ == "__main__":
    main()
