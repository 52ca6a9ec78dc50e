"""What a recording costs: bytes of a sample, and writing and reading it beside taking it, in one run.

    python benchmarks/recording.py [PROCESSES] [SAMPLES]

Makes a crowd of PROCESSES (1,000) idle processes, of which one in fifty works between two of SAMPLES (20) samples.
Prints medians; the rounds of plain and compressed are interleaved, so that a busy machine weighs on both alike.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable
from statistics import median

from nsview.host.recording import Reader, Sample
from nsview.host.recording.recorder import Plan, Recorder, header
from nsview.host.recording.writer import Writer
from nsview.host.snapshot import Snapshot, take

WORKING = 50
"""One process in so many works between two samples."""


def milliseconds(action: Callable[[], object]) -> float:
    """Time one call."""
    before = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - before) / 1e6


def main(processes: int, samples: int) -> None:
    """Make the crowd, measure, print."""
    ready, started = os.pipe()
    pids = []
    for _ in range(processes):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGUSR1, lambda number, frame: None)
            os.write(started, b".")
            while True:
                signal.pause()
        pids.append(pid)
    try:
        seen = 0
        while seen < processes:
            seen += len(os.read(ready, processes))
        measure(pids, samples)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


def measure(pids: list[int], samples: int) -> None:
    """Record the crowd into memory and print what it took."""
    files = {"plain": io.BytesIO(), "gzip": io.BytesIO()}
    newest: list[Snapshot] = []
    recorders = {
        name: Recorder(Writer(file, header("benchmark"), name == "gzip"), Plan(), look=lambda: newest[-1])
        for name, file in files.items()
    }
    times: dict[str, list[float]] = {"take": [], "plain": [], "gzip": []}
    sizes: dict[str, list[int]] = {"plain": [], "gzip": []}
    take()
    for at in range(samples):
        for pid in pids[at % WORKING :: WORKING]:
            os.kill(pid, signal.SIGUSR1)
        times["take"].append(milliseconds(lambda: newest.append(take())))
        for name, recorder in recorders.items():
            before = files[name].tell()
            times[name].append(milliseconds(recorder.sample))
            sizes[name].append(files[name].tell() - before)
    count = len(newest[-1].records)
    print(f"{count} processes, {samples} samples by {newest[-1].producer}, one in {WORKING} works between two\n")
    print(
        f"{'':14} {'first, B':>10} {'later, B':>9} {'B/process':>10} {'first, ms':>10} {'later, ms':>10} {'× take':>7}"
    )
    for name in ("plain", "gzip"):
        first, later = sizes[name][0], median(sizes[name][1:])
        took = median(times[name][1:])
        ratio = took / median(times["take"])
        shown = f"{first:10} {later:10.0f} {first / count:10.0f} {times[name][0]:10.1f} {took:10.2f} {ratio:10.2f}"
        print(f"{name:14} {shown}")
    print(f"{'take':14} {'':10} {'':10} {'':10} {'':10} {median(times['take']):10.2f} {1:10.2f}")
    for name, file in files.items():
        file.seek(0)
        reading = milliseconds(lambda file=file: sum(isinstance(item, Sample) for item in Reader(file)))
        print(f"reading {name:6} {'':10} {'':10} {'':10} {'':10} {reading / samples:10.2f}   a sample")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    main(*given, *(1000, 20)[len(given) :])
