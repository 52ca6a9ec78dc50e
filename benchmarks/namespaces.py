"""How fast all namespaces are found: our search, step by step, and the cheap look, beside lsns(8), in one run.

    sudo python benchmarks/namespaces.py [--rounds N] [--every M] [PROCESSES …]

Makes a crowd of idle processes of each size (1,000, 10,000), each with nine open files, one of them a socket; every
Mth (100) is in four namespaces of its own. Prints a Markdown table of milliseconds of CPU (a busy machine adds
waiting to all alike): medians of N (5) rounds, in which the readers take turns; lsns is asked once for crowds that
take it seconds. lsns 2.38 knows processes alone, not what is held by threads, descriptors, sockets or mounts.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

from nsview.host.namespaces import STEPS, namespaces_of, search
from nsview.host.namespaces.discovery import Search
from nsview.host.snapshot import take
from nsview.host.tree import ProcessTree

CROWD = Path(__file__).with_name("namespaces_crowd.c")
MANY = 5000
"""Of so many, lsns is asked once."""
YARDSTICK = "lsns"

T = TypeVar("T")


def milliseconds(action: Callable[[], object]) -> float:
    """Return what one call takes of CPUs, with its threads and the children that ended in it."""
    before = cpu_seconds()
    action()
    return 1000 * (cpu_seconds() - before)


def cpu_seconds() -> float:
    """What we and our ended children have taken of CPUs until now."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def lsns() -> None:
    """Run it for its time; it ends with 1 when a process vanishes under its hands."""
    subprocess.run(["lsns"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


class Clock:
    """Collects times by row."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    def time(self, name: str, action: Callable[[], T]) -> T:
        """Do it, note what it took, and return its result."""
        results: list[T] = []
        self.times.setdefault(name, []).append(milliseconds(lambda: results.append(action())))
        return results[0]


def measure(rounds: int, processes: int) -> tuple[dict[str, float], int]:
    """Return medians by row, and how many namespaces there are."""
    clock = Clock()
    known = namespaces_of(take())
    count = 0
    for number in range(rounds):
        snapshot = clock.time("the snapshot", take)
        tree = ProcessTree(snapshot.records)
        count = len(clock.time("the search, all of it", partial(search, snapshot, tree)).namespaces)
        hunt = Search(snapshot, tree)
        for step in STEPS:
            clock.time(f"— {step.name}", partial(hunt.do, step))
        clock.time("— relations and names joined", hunt.result)
        hunt.close()
        clock.time("the cheap look, first time", partial(namespaces_of, snapshot, tree))
        clock.time("the cheap look, again", partial(namespaces_of, snapshot, tree, known))
        if number == 0 or processes < MANY:
            clock.time(YARDSTICK, lsns)
    return {name: median(taken) for name, taken in clock.times.items()}, count


@contextmanager
def crowd(program: str, processes: int, every: int) -> Iterator[None]:
    """Have so many processes."""
    with subprocess.Popen(
        [program, str(processes), str(every)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            if process.stdout.readline() != "ready\n":
                sys.exit(f"{processes} processes are more than this machine and user allow (ulimit -u, pids.max)")
            yield
        finally:
            process.stdin.close()


def report(results: dict[int, tuple[dict[str, float], int]]) -> None:
    """Print the table."""
    sizes = list(results)
    titles = "".join(f" {size:,} processes, {results[size][1]:,} namespaces | {YARDSTICK} / it |" for size in sizes)
    print(f"| ms of CPU |{titles}\n|---|{'---|---|' * len(sizes)}")
    for name in results[sizes[0]][0]:
        cells = []
        for size in sizes:
            times = results[size][0]
            cells += [f"{times[name]:.1f}", f"{times[YARDSTICK] / times[name]:.1f}"]
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    """Make the crowds, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("processes", type=int, nargs="*", default=[1000, 10_000])
    args = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as directory:
        program = f"{directory}/crowd"
        subprocess.run(["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", program, CROWD], check=True)
        for processes in args.processes:
            with crowd(program, processes, args.every):
                results[processes] = measure(args.rounds, processes)
    report(results)


if __name__ == "__main__":
    main()
