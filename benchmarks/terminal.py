"""Whether a flood in the embedded terminal slows the rest: key to paint of the tree's cursor while programs write.

    sudo python benchmarks/terminal.py [--seconds S] [--json]

nsview runs in a pty of its own, 120 by 40, and launches shells that write as fast as they can, each for S (10)
seconds: `yes`, lines in 256 colours, a full-screen program that never stops drawing, five `yes` at once, and nothing
for comparison. Meanwhile the cursor in the process tree is moved, a key every 50 to 80 ms. What nsview writes is
emulated here: *key to paint* is the time from the writing of a key until the cursor's row is seen to be another one.

- *read, MB/s*: what the programs got rid of (wchar in /proc/PID/io), so what the terminal took from them.
- *share of a core*: nsview's CPU time.
"""

from __future__ import annotations

import argparse
import codecs
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median, quantiles

from bittty import Board

from nsview.bench.screen import COLUMNS, DEADLINE, LINES, Screen
from nsview.bench.stop import Stop

F5, LEAVE, HOME, DOWN, UP = b"\x1b[15~", b"\x1d", b"\x1b[H", b"\x1b[B", b"\x1b[A"

COLOURED = 'python3 -c \'print("".join(f"\\033[38;5;{i % 256}mword{i} " for i in range(40)))\''
FULL_SCREEN = 'python3 -c \'print("".join(f"\\033[{y};1H\\033[2K\\033[3{y % 8}mrow {y}" for y in range(1, 12)))\''

SCENES: dict[str, tuple[str, int]] = {
    "nothing": ("sleep 1000", 1),
    "yes": ("exec yes", 1),
    "lines in 256 colours": (f'exec yes "$({COLOURED})"', 1),
    "a screen drawn for ever": (f'exec yes "$({FULL_SCREEN})"', 1),
    "five times yes": ("exec yes", 5),
}
"""What is typed into a shell, and into how many."""


class Watched(Screen):
    """nsview in its pty, and what its screen shows."""

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        super().__init__(command, os.environ | env, Stop())
        self.board = Board(width=COLUMNS, height=LINES)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def watch(self, seconds: float) -> None:
        """Take in what it writes within so many seconds; returns after the first piece."""
        self.board.parser.feed(self._decoder.decode(self.heard(seconds)))

    def until(self, condition: Callable[[], object]) -> None:
        """Take in what it writes until the condition holds; raises TimeoutError."""
        end = time.perf_counter() + DEADLINE
        while not condition():
            if time.perf_counter() > end:
                raise TimeoutError(f"what was awaited did not come; the last screen:\n{self.board.capture_text()}")
            self.watch(0.1)

    def shows(self, text: str) -> bool:
        """Whether a text is on the screen."""
        return text in self.board.capture_text()

    @property
    def cursor(self) -> str:
        """The process under the tree's cursor: of the row whose background is another than that of most."""
        page = self.board.blitter.current_buffer
        backgrounds = {y: page.get_cell(2, y)[0].bg for y in range(3, 20)}
        usual = max(backgrounds.values(), key=[*backgrounds.values()].count)
        row = next((y for y, background in backgrounds.items() if background != usual), None)
        return "" if row is None else page.get_line_text(row)[2:12].strip()

    def move(self, key: bytes) -> float:
        """Seconds from a cursor key until the cursor is seen elsewhere."""
        before, began = self.cursor, time.perf_counter()
        self.write(key)
        self.until(lambda: self.cursor not in (before, ""))
        return time.perf_counter() - began


def written(pid: int) -> int:
    """Bytes that a process has written so far, and those it has waited for (proc_pid_io(5))."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def children(pid: int) -> list[int]:
    """The children of all its threads."""
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def measure(line: str, count: int, seconds: float) -> dict[str, float]:
    """Have so many shells run a line, and move the cursor meanwhile."""
    command = [sys.executable, "-m", "nsview"]
    with tempfile.TemporaryDirectory() as home:
        env = {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_STATE_HOME": home, "TERM": "xterm-256color"}
        env |= {"LANG": "C.UTF-8", "PS1": "ready "}
        with Watched(command, env) as screen:
            screen.until(lambda: screen.shows("F5 Launch"))
            for number in range(1, count + 1):
                screen.write(F5)
                screen.until(lambda number=number: screen.shows(f"{number}▸") and screen.shows("│ready"))
                screen.write(f"clear; {line}\r".encode())
                screen.until(lambda: not screen.shows("│ready"))
                screen.write(LEAVE)
                screen.until(lambda: screen.shows("F5 Launch"))
            screen.write(HOME)
            screen.until(lambda: screen.cursor == "1")
            programs = children(screen.pid)
            bytes_before, cpu_before = sum(map(written, programs)), screen.cpu()
            began, times, dice = time.perf_counter(), [], random.Random(7)
            while time.perf_counter() - began < seconds:
                times.append(1000 * screen.move(UP if len(times) % 2 else DOWN))
                pause = time.perf_counter() + 0.05 + 0.03 * dice.random()
                while (left := pause - time.perf_counter()) > 0:
                    screen.watch(left)
            took = time.perf_counter() - began
            return {
                "keys": len(times),
                "key to paint p50, ms": median(times),
                "key to paint p95, ms": quantiles(times, n=20)[-1],
                "longest, ms": max(times),
                "read, MB/s": (sum(map(written, programs)) - bytes_before) / took / 1e6,
                "share of a core, %": 100 * (screen.cpu() - cpu_before) / 1e9 / took,
            }


def table(results: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Lay it out in Markdown."""
    figures = [*next(iter(results.values()))]
    yield "| flood | " + " | ".join(figures) + " |"
    yield "|---" * (len(figures) + 1) + "|"
    for scene, values in results.items():
        yield f"| {scene} | " + " | ".join(f"{values[figure]:.3g}" for figure in figures) + " |"


def main() -> None:
    """Set the scenes, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only", choices=SCENES, help="one scene alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {
        scene: measure(line, count, options.seconds)
        for scene, (line, count) in SCENES.items()
        if options.only in (None, scene)
    }
    print(json.dumps(results, indent=1) if options.json else "\n".join(table(results)))


if __name__ == "__main__":
    main()
