"""What arranging the screen's process table costs, by view, over a made-up machine: no process is made or read.

    python benchmarks/table.py [PROCESSES] [ROUNDS]

Prints, for PROCESSES (10,000) records, the median of ROUNDS (9) of the arranging thread's CPU time per refresh, and of
the UI's thread per frame and per key, which must not grow with the number of processes but by a lookup or two.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from textual.app import App, ComposeResult

from nsview.host.history import History, advance
from nsview.host.snapshot import ProcessRecord, Snapshot
from nsview.tui.processes.filter_line import parsed
from nsview.tui.processes.pane import ProcessPane
from nsview.tui.processes.rows import Rows
from nsview.tui.processes.scene import CommandLines
from nsview.tui.processes.view import Sort, View

SECOND = 1_000_000_000
FIRST = 4_026_531_832
"""Inodes of the machine's own namespaces, about as they are."""

VIEWS = {
    "tree": View(),
    "tree, all folded": View().fold_all([(1, 1)]),
    "tree, siblings by cpu": View(tree_sort=Sort("cpu")),
    "tree, threads": View(threads=True),
    "tree, boundaries": View(boundaries=True),
    "tree, filter cpu>5": View(filter=parsed("cpu>5")),
    "tree, filter ns.net!=init rss>1M": View(filter=parsed("ns.net!=init rss>1M")),
    "tree, filter launched=yes": View(filter=parsed("launched=yes")),
    "list": View(tree=False),
    "list by cpu": View(tree=False, flat_sort=Sort("cpu")),
    "list by user": View(tree=False, flat_sort=Sort("user")),
    "list, filter /9.*7/ (arguments at hand)": View(tree=False, filter=parsed("/9.*7/")),
    "tree, threads, boundaries, by rss, filter": View(
        threads=True, boundaries=True, tree_sort=Sort("rss"), filter=parsed("rss>1K")
    ),
}


def record(pid: int, dice: random.Random) -> ProcessRecord:
    """Make up a process, a child of one of the two hundred before it or of pid 1; one in five is contained."""
    net = FIRST + 1 if dice.random() < 0.8 else FIRST + 1000 + pid % 50
    inodes = (FIRST, net, FIRST + 2, FIRST + 3, FIRST + 4, FIRST + 5, FIRST + 6, FIRST + 7)
    parent = 0 if pid == 1 else dice.choice((1, *range(max(1, pid - 200), pid)))
    used, rss, threads = dice.randrange(1000), dice.randrange(10**8), dice.choice((1, 1, 1, 4))
    return ProcessRecord(
        pid, parent, pid, "S", 0, used, 0, rss, 0, 0, 0, 0, threads, 1, 1, 0, 0, pid, 0,
        inodes, inodes[2], inodes[7], f"p{pid}",
    )  # fmt: skip


def machine(processes: int) -> Callable[[], History]:
    """Return a function that looks again a second later: three in ten have used some CPU time."""
    dice = random.Random(5)
    records = {pid: record(pid, dice) for pid in range(1, processes + 1)}
    past: History | None = None
    when = 0

    def look() -> History:
        nonlocal past, when
        when += SECOND
        for pid, one in records.items():
            if dice.random() < 0.3:
                records[pid] = one._replace(utime=one.utime + dice.randrange(50))
        past = advance(past, Snapshot(when, when, dict(records), 0, ()))
        return past

    return look


def milliseconds(work: Callable[[], Any], rounds: int) -> float:
    """Return the median of this thread's CPU time."""
    times = []
    for _ in range(rounds):
        began = time.thread_time_ns()
        work()
        times.append((time.thread_time_ns() - began) / 1e6)
    return median(times)


def arranging(look: Callable[[], History], rounds: int) -> None:
    """Print what each view costs."""
    look()
    past = look()
    commands = CommandLines()
    kept = commands.seen_from(past.newest.records)
    for one in past.newest.records.values():
        kept[one.identity] = f"/usr/bin/{one.comm} --number {one.pid}"
    for name, view in VIEWS.items():
        lines = len(Rows(past, view, commands=commands))
        cost = milliseconds(partial(Rows, past, view, commands=commands), rounds)
        print(f"{name:42} {lines:7,} lines {cost:8.1f} ms")
    last = Rows(past, View(), commands=commands)
    cost = milliseconds(lambda: Rows(past, View(), commands=commands, last=last), rounds)
    print(f"{'tree, nobody born, gone or adopted since':42} {len(last):7,} lines {cost:8.1f} ms")


class Screen(App[None]):
    """The pane alone."""

    def __init__(self) -> None:
        super().__init__()
        self.pane = ProcessPane(read=lambda: lambda wanted: {})

    def compose(self) -> ComposeResult:
        """Show the pane."""
        yield self.pane


async def showing(look: Callable[[], History], rounds: int) -> None:
    """Print what the UI's thread does with a frame, and with a key."""
    app = Screen()
    async with app.run_test(size=(120, 40)) as pilot:
        table = app.pane.table
        rows = Rows(look())
        table.show(rows)
        table.select(rows.identity_at(len(rows) // 2))
        frames, keys = [], []
        for _ in range(rounds):
            rows = Rows(look(), last=rows)
            frames.append(milliseconds(partial(table.show, rows), 1))
            keys.append(milliseconds(table.action_cursor_down, 1))
            await pilot.pause()
        print(f"{'UI thread: a frame':57} {median(frames):8.1f} ms")
        print(f"{'UI thread: a key (moving the cursor)':57} {median(keys):8.1f} ms")


def main() -> None:
    """Run both."""
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    arranging(machine(processes), rounds)
    asyncio.run(showing(machine(processes), rounds))


if __name__ == "__main__":
    main()
