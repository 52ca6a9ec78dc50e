"""How fast `nsview ps` lists and filters a crowd, beside ps(1), in one run.

    python benchmarks/ps.py [PROCESSES] [ROUNDS]

Makes a crowd of PROCESSES (10,000) idle processes and prints medians of ROUNDS (3) with their ratios; the rounds of
all commands are interleaved. Whole commands are timed, from exec to exit, with output to a pipe. Below them: what one
filter costs over the rows of one snapshot, without any reading.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from nsview.bench.crowd import crowd, reader
from nsview.host.columns.process_row import Scene, refer
from nsview.host.columns.processes import PROCESS_COLUMNS
from nsview.host.filter import parse
from nsview.host.snapshot import take

NSVIEW = (sys.executable, "-m", "nsview")

PS_NS = ",".join(f"{kind}ns" for kind in ("mnt", "net", "pid", "user", "uts", "ipc", "cgroup", "time"))
OUR_NS = ",".join(f"ns.{kind}" for kind in ("mnt", "net", "pid", "user", "uts", "ipc", "cgroup", "time"))

COMMANDS = (
    ("ps: pid user s rss nlwp comm", ("ps", "-e", "-o", "pid,user,s,rss,nlwp,comm")),
    ("nsview: the same", (*NSVIEW, "ps", "--flat", "-o", "pid,user,state,rss,threads,comm")),
    ("ps: with namespaces", ("ps", "-e", "-o", f"pid,user,s,rss,nlwp,{PS_NS},comm")),
    ("nsview: with namespaces", (*NSVIEW, "ps", "--flat", "-o", f"pid,user,state,rss,threads,{OUR_NS},comm")),
    ("ps: arguments", ("ps", "-e", "-o", "pid,user,args")),
    ("nsview: arguments", (*NSVIEW, "ps", "--flat", "-o", "pid,user,command")),
    ("ps: tree (axf)", ("ps", "axf", "-o", "pid,user,comm")),
    ("nsview: tree", (*NSVIEW, "ps")),
    ("nsview: filter ns.net!=init", (*NSVIEW, "ps", "ns.net!=init")),
    ("nsview: filter /regex/", (*NSVIEW, "ps", "/no-such-[0-9]/")),
    ("nsview: --json", (*NSVIEW, "ps", "--json")),
)

FILTERS = (
    "uid=0",
    "rss>10M",
    "comm:sleep",
    "user=root state=S rss>1M",
    "ns.net!=init",
    "ns!=parent",
    "/crowd|[0-9]{3}/",
    "/a.*b.*c/",
    "cpu>5",
    "user=root cpu>5 ns.net!=init /crowd/",
)


def milliseconds(command: tuple[str, ...]) -> float:
    """Time one run of a command."""
    before = time.perf_counter_ns()
    subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return (time.perf_counter_ns() - before) / 1e6


def main(processes: int, rounds: int) -> None:
    """Make the crowd, measure, print."""
    with tempfile.TemporaryDirectory() as directory, crowd(reader(Path(directory)), processes):
        commands(rounds)
        filters(rounds)


def commands(rounds: int) -> None:
    """Print how long each command takes; one round is not counted."""
    times: dict[str, list[float]] = {name: [] for name, _ in COMMANDS}
    for number in range(rounds + 1):
        for name, command in COMMANDS:
            taken = milliseconds(command)
            if number:
                times[name].append(taken)
    before = 0.0
    for name, taken in times.items():
        middle = median(taken)
        ratio = f"{middle / before:6.2f} × ps" if name.startswith("nsview") and before else ""
        before = middle if name.startswith("ps") else before if "tree" not in name else 0.0
        print(f"{middle:9.1f} ms  {name:32}{ratio}")


def filters(rounds: int) -> None:
    """Print how long each filter takes over the rows of one snapshot; command lines are read before."""
    earlier = take()
    commands: dict[tuple[int, int], str | None] = {}
    rows = Scene(take(), earlier, commands=commands).rows()
    parse("command!=?", PROCESS_COLUMNS, refer).select(rows)
    for text in FILTERS:
        taken = []
        for _ in range(rounds):
            scene = Scene(take(), earlier, commands=commands)
            rows = scene.rows()
            chosen = parse(text, PROCESS_COLUMNS, refer)
            before = time.perf_counter_ns()
            found = len(chosen.select(rows))
            taken.append((time.perf_counter_ns() - before) / 1e6)
        print(f"{median(taken):9.2f} ms  {found:6} of {len(rows)} match {text}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
