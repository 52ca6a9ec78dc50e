"""How fast a snapshot is: ours beside a plain C reader of the same files, psutil, ps and lsns, in one run.

    python benchmarks/snapshot.py [PROCESSES] [ROUNDS]

Makes a crowd of PROCESSES (10,000) idle processes and prints medians of ROUNDS (5) with their ratios. The
rounds of all readers are interleaved, so that a busy machine weighs on all alike; psutil, ps and lsns are
asked once.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import psutil

from nsview.host import _scan
from nsview.host.cells import cells, parent_reference
from nsview.host.snapshot import ProcessRecord, decode
from nsview.host.tree import ProcessTree

READER = Path(__file__).with_name("snapshot_reader.c")
PS = ["ps", "-e", "-o", "pid,ppid,mntns,netns,pidns,userns,utsns,ipcns,cgroupns,timens,comm"]


def milliseconds(action: Callable[[], object]) -> float:
    """Time one call."""
    before = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - before) / 1e6


def psutil_reads() -> list[dict[str, object]]:
    """What a program on psutil would ask for, without any namespace."""
    attributes = [
        "pid",
        "ppid",
        "name",
        "status",
        "uids",
        "cpu_times",
        "memory_info",
        "num_threads",
        "create_time",
    ]
    return [process.info for process in psutil.process_iter(attributes)]


def main(processes: int, rounds: int) -> None:
    """Make the crowd, measure, print."""
    with tempfile.TemporaryDirectory() as directory:
        reader = f"{directory}/reader"
        subprocess.run(["cc", "-std=gnu11", "-O2", "-o", reader, READER], check=True)
        with subprocess.Popen(
            [reader, "crowd", str(processes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as crowd:
            assert crowd.stdin
            assert crowd.stdout
            if crowd.stdout.readline() != "ready\n":
                sys.exit(f"{processes} processes are more than this machine allows (ulimit -u, pids.max)")
            try:
                report(measure(reader, rounds))
            finally:
                crowd.stdin.close()


def measure(reader: str, rounds: int) -> dict[str, list[float]]:
    """Return milliseconds by reader; one round is not counted, for it fills the kernel's caches."""
    times: dict[str, list[float]] = {}

    def note(name: str, taken: float) -> None:
        times.setdefault(name, []).append(taken)

    _scan.scan()
    for _ in range(rounds):
        note("plain C, same files", int(subprocess.check_output([reader, "read", "1"])) / 1e6)
        note("scan (native, no GIL)", milliseconds(_scan.scan))
        packed = _scan.scan()
        snapshot = decode(packed)
        tree = ProcessTree(snapshot.records)
        note("decode to records", milliseconds(lambda packed=packed: decode(packed)))
        note("tree", milliseconds(lambda records=snapshot.records: ProcessTree(records)))
        note("tree, walked", milliseconds(lambda tree=tree: list(tree.walk())))
        note("cells", milliseconds(lambda records=snapshot.records: all_cells(records)))
    note("ps with namespaces", milliseconds(lambda: subprocess.run(PS, stdout=subprocess.DEVNULL, check=True)))
    note("psutil, no namespaces", milliseconds(psutil_reads))
    note("lsns", milliseconds(lambda: subprocess.run(["lsns"], stdout=subprocess.DEVNULL, check=True)))
    return times


def all_cells(records: Mapping[int, ProcessRecord]) -> list[str]:
    """The namespace column of everybody."""
    return [cells(record, parent_reference(record, records)) for record in records.values()]


def report(times: dict[str, list[float]]) -> None:
    """Print the medians and how they relate to the plain C reader."""
    yardstick = median(times["plain C, same files"])
    print(f"{'':24} {'ms':>9} {'× plain C':>10}")
    for name, taken in times.items():
        print(f"{name:24} {median(taken):9.1f} {median(taken) / yardstick:10.2f}")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    main(*given, *(10_000, 5)[len(given) :])
