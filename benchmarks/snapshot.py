"""How fast a snapshot is: BPF and our scan beside a plain C reader of the same files, psutil, ps and lsns, in one run.

    sudo python benchmarks/snapshot.py [--rounds N] [PROCESSES …]

Makes a crowd of idle processes of each size (100, 1,000, 10,000) beside what runs anyway, and prints a Markdown table
of milliseconds: medians of N (7) rounds. The readers of a round take turns, so that a busy machine weighs on all alike;
those that take seconds are asked once for the largest crowd.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from nsview.host import _scan
from nsview.host.bpf.iterator import Iterator as TaskIterator
from nsview.host.bpf.iterator import RefusedError
from nsview.host.snapshot import decode, take
from nsview.host.tree import ProcessTree

READER = Path(__file__).with_name("snapshot_reader.c")
PS = ["ps", "-e", "-o", "pid,ppid,mntns,netns,pidns,userns,utsns,ipcns,cgroupns,timens,comm"]
YARDSTICK = "plain C over the same files"
MANY = 5000
"""Of so many, the slow readers are asked once."""


def milliseconds(action: Callable[[], object]) -> float:
    """Time one call."""
    before = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - before) / 1e6


def psutil_reads() -> list[dict[str, object]]:
    """What a program on psutil would ask for, without any namespace."""
    attributes = ["pid", "ppid", "name", "status", "uids", "cpu_times", "memory_info", "num_threads", "create_time"]
    return [process.info for process in psutil.process_iter(attributes)]


def quietly(command: Sequence[str]) -> None:
    """Run a program for its time; lsns(8) ends with 1 when a process vanishes under its hands."""
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def fast(reader: str, iterator: TaskIterator | None) -> dict[str, Callable[[], float]]:
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
    rows[YARDSTICK] = lambda: int(subprocess.check_output([reader, "read", "1"])) / 1e6
    rows["/proc, packed records"] = lambda: milliseconds(_scan.scan)
    rows["/proc, `take()`: records of Python, again"] = lambda: milliseconds(lambda: take(by="proc"))
    rows["records of Python from packed ones, all anew"] = decoded
    rows["the tree of processes"] = tree
    return rows


SLOW: Mapping[str, Callable[[], object]] = {
    "ps(1) with namespaces": lambda: quietly(PS),
    "psutil, without namespaces": psutil_reads,
    "lsns(8)": lambda: quietly(["lsns"]),
}


def measure(reader: str, iterator: TaskIterator | None, rounds: int, processes: int) -> dict[str, float]:
    """Return median milliseconds by reader; one round is not counted, for it fills caches."""
    times: dict[str, list[float]] = {}
    for number in range(-1, rounds):
        for name, taken in fast(reader, iterator).items():
            value = taken()
            if number >= 0:
                times.setdefault(name, []).append(value)
    for name, action in SLOW.items():
        times[name] = [milliseconds(action) for _ in range(rounds if processes < MANY else 1)]
    return {name: median(values) for name, values in times.items()}


@contextmanager
def crowd(reader: str, processes: int) -> Iterator[None]:
    """Keep so many idle processes while it is entered."""
    command = [reader, "crowd", str(processes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin
        assert parent.stdout
        try:
            if parent.stdout.readline() != "ready\n":
                sys.exit(f"{processes} processes are more than this machine allows (ulimit -u, pids.max)")
            yield
        finally:
            parent.stdin.close()


def table(results: Mapping[int, Mapping[str, float]]) -> Iterator[str]:
    """Lay out milliseconds, and in brackets how they relate to the plain C reader."""
    yield "| ms (against plain C) | " + " | ".join(f"{size:,} processes" for size in results) + " |"
    yield "|---" * (len(results) + 1) + "|"
    for name in next(iter(results.values())):
        cells = [f"{times[name]:.1f} ({times[name] / times[YARDSTICK]:.2f})" for times in results.values()]
        yield f"| {name} | " + " | ".join(cells) + " |"


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
        reader = f"{directory}/reader"
        subprocess.run(["cc", "-std=gnu11", "-O2", "-o", reader, READER], check=True)
        for processes in options.processes:
            with crowd(reader, processes):
                results[len(take().records)] = measure(reader, iterator, options.rounds, processes)
    print(*table(results), sep="\n")


if __name__ == "__main__":
    main()
