"""What launching costs: three of the figures that the design sets, as ratios measured in one run.

1. launch and wait, from Python, against the same system calls in plain C (spawn_reference.c);
2. into six new namespaces at once, against subprocess.Popen into none;
3. the same from a parent of 4 GB, against a parent of 50 MB.

Each side is a process of its own that launches a static program a few times whenever it is told to; they are
told in turns (A B A B …), so that whatever else the machine does meets them alike. A time is from the call of
launch() until the child is reaped; the figure is the median of one side by the median of the other.

Run as root: ``.venv/bin/python benchmarks/spawn.py [--json] [--rounds N]``
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from spawner import IDMapping, Spec, compile_spec, launch

HERE = Path(__file__).parent
SIX = frozenset({"mount", "uts", "ipc", "pid", "user", "cgroup"})
SMALL, LARGE = 50, 4096
BATCH = 10

READ_BACK = ("readlinkat",) * 8
TO_EXEC = ("close_range", "rt_sigaction", "rt_sigaction", "rt_sigprocmask", "execve")
FILE = ("openat", "write", "close")
CALLS = {
    "none": ("openat", *READ_BACK, *TO_EXEC),
    "six": ("openat", *FILE, *FILE, *FILE, "mount", *READ_BACK, *TO_EXEC),
}
"""What spawn_reference.c does in the child; compared with the plan, so that the two stay alike."""


def spec(kind: str, program: str) -> Spec:
    """Build what both languages launch: ``program`` into no namespace or into six."""
    if kind == "none":
        return Spec(args=(program,))
    return Spec(
        args=(program,),
        namespaces=SIX,
        uid_mappings=(IDMapping(0, os.geteuid(), 1),),
        gid_mappings=(IDMapping(0, os.getegid(), 1),),
    )


# ---- the side that launches ----


def by_engine(kind: str, program: str) -> Callable[[], None]:
    """Make an action of launching by the engine, from a Spec, as a program would."""
    wanted = spec(kind, program)

    def action() -> None:
        with launch(wanted) as child:
            ended = child.wait()
            if ended is None or ended.code != 0:
                raise RuntimeError(f"{program} failed in the benchmark")

    return action


def by_popen(_: str, program: str) -> Callable[[], None]:
    """Make an action of launching by subprocess."""

    def action() -> None:
        with subprocess.Popen([program]) as child:
            if child.wait() != 0:
                raise RuntimeError(f"{program} failed in the benchmark")

    return action


def resident() -> int:
    """Tell our memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def grow(megabytes: int) -> mmap.mmap | None:
    """Grow this process to ``megabytes``, in small pages, all of them written to."""
    size = megabytes * 1024 * 1024 - resident()
    if size <= 0:
        return None
    ballast = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    ballast.madvise(mmap.MADV_NOHUGEPAGE)
    chunk = b"\1" * (1024 * 1024)
    while size - ballast.tell() >= len(chunk):
        ballast.write(chunk)
    return ballast


def serve(means: str, megabytes: int, program: str) -> None:
    """Answer each line "KIND COUNT" with COUNT times in nanoseconds."""
    ballast = grow(megabytes)
    make = {"engine": by_engine, "popen": by_popen}[means]
    clock = time.perf_counter_ns
    for line in sys.stdin:
        kind, count = line.split()
        action = make(kind, program)
        times = []
        for _ in range(int(count)):
            start = clock()
            action()
            times.append(clock() - start)
        print(*times, flush=True)
    del ballast


# ---- the side that compares ----


class Side:
    """A process that launches when told to."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def times(self, kind: str, count: int = BATCH) -> list[int]:
        """Let it launch ``count`` times."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{kind} {count}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        if len(answer) != count:
            raise SystemExit("spawn.py: a side of the benchmark failed; its message is above")
        return [int(word) for word in answer]

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: two sides, each with what it launches into, and the ratio to reach (None: to know the floor)."""

    name: str
    side: str
    kind: str
    against: str
    against_kind: str
    figure: float | None


ROWS = (
    Row("launch+wait, Python : C, no namespace", "engine 50 MB", "none", "C", "none", 1.3),
    Row("launch+wait, Python : C, six namespaces", "engine 50 MB", "six", "C", "six", 1.3),
    Row("six namespaces : subprocess.Popen into none", "engine 50 MB", "six", "popen 50 MB", "none", 1.0),
    Row("the same in plain C, the floor of the row above", "C", "six", "popen 50 MB", "none", None),
    Row("parent of 4 GB : of 50 MB, no namespace", "engine 4 GB", "none", "engine 50 MB", "none", 1.2),
    Row("parent of 4 GB : of 50 MB, six namespaces", "engine 4 GB", "six", "engine 50 MB", "six", 1.2),
)


def build(scratch: Path) -> tuple[str, str]:
    """Compile the static program that is launched, and the reference."""
    program, reference, source = scratch / "static", scratch / "spawn_reference", scratch / "static.c"
    source.write_text("int main(void) { return 0; }\n")
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]
    sources = [str(HERE / "spawn_reference.c"), str(HERE.parent / "spawner" / "_child.c")]
    subprocess.run(["cc", *flags, "-static", "-o", str(program), str(source)], check=True)
    subprocess.run(["cc", *flags, "-o", str(reference), *sources], check=True)
    return str(program), str(reference)


def check_alike(program: str) -> None:
    """Refuse to compare the engine with a C program that does something else."""
    for kind, calls in CALLS.items():
        planned = tuple(step.syscall for step in compile_spec(spec(kind, program)).steps)
        if planned != calls:
            raise SystemExit(f"spawn.py: spawn_reference.c does {calls}, but the plan is {planned}")


def measure(rounds: int) -> Iterator[dict[str, object]]:
    """Run every row ``rounds`` times, in turns, and yield what was seen."""
    with ExitStack() as stack:
        program, reference = build(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        check_alike(program)

        def side(*command: str) -> Side:
            started = Side(list(command))
            stack.callback(started.close)
            return started

        def python(means: str, megabytes: int) -> Side:
            return side(sys.executable, __file__, "--serve", means, str(megabytes), program)

        sides = {
            "C": side(reference, program),
            "engine 50 MB": python("engine", SMALL),
            "popen 50 MB": python("popen", SMALL),
            "engine 4 GB": python("engine", LARGE),
        }
        for started in sides.values():  # warm up, and wait until each has grown
            started.times("none")
        for row in ROWS:
            ours: list[int] = []
            theirs: list[int] = []
            for _ in range(rounds):
                ours += sides[row.side].times(row.kind)
                theirs += sides[row.against].times(row.against_kind)
            yield {
                "name": row.name,
                "ours_us": round(median(ours) / 1000, 1),
                "theirs_us": round(median(theirs) / 1000, 1),
                "ours_quartiles_us": [round(at / 1000, 1) for at in quantiles(ours, n=4)[::2]],
                "theirs_quartiles_us": [round(at / 1000, 1) for at in quantiles(theirs, n=4)[::2]],
                "ratio": round(median(ours) / median(theirs), 3),
                "figure": row.figure,
                "launches": len(ours),
            }


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description="Measure what launching costs; see the head of this file.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=100, help=f"turns of {BATCH} launches a side (default 100)")
    parser.add_argument("--serve", nargs=3, metavar=("MEANS", "MB", "PROGRAM"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        means, megabytes, program = arguments.serve
        serve(means, int(megabytes), program)
        return
    if arguments.rounds < 1:
        parser.error("--rounds takes a number from 1")
    if arguments.json:
        print(json.dumps({"version": 1, "rows": list(measure(arguments.rounds))}, indent=2))
        return
    print(f"{'':<50}{'ours µs':>10}{'theirs µs':>11}{'ratio':>8}{'figure':>9}")
    for row in measure(arguments.rounds):
        figure = "" if row["figure"] is None else f"≤ {row['figure']}"
        times = f"{row['ours_us']:>10}{row['theirs_us']:>11}"
        print(f"{row['name']:<50}{times}{row['ratio']:>8.2f}{figure:>9}", flush=True)


if __name__ == "__main__":
    main()
