"""What the screen costs, beside htop and btop in the same run: first paint, key to paint, share of a core.

    sudo python benchmarks/ui.py [--crowd N] [--births N] [--seconds S] [--keys N] [--interval S] [--json]

Each program runs in a pty of its own, 120 by 40, as a person would run it, one after another, on the same machine:
first as it is, then with a crowd of 10,000 idle processes, then with 1,000 processes born a second beside.

- *First paint*: from the start of the program until the name of a process is on the screen; median of 5 starts.
- *Key to paint*: from the writing of a cursor key, when the program has been silent for a while, until it has
  written its answer's first bytes.
- *Share of a core*: CPU time of the program (and what it started) over so many seconds, at one interval for all.
- *Work per refresh*: that share, times the interval.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median, quantiles

from snapshot import READER, crowd

ROWS, COLUMNS = 40, 120
TICK = os.sysconf("SC_CLK_TCK")
QUIET = 0.03
"""Seconds of silence before a key is pressed."""
DEADLINE = 60.0
DOWN, UP = b"\x1b[B", b"\x1b[A"
STARTS = 5


def programs(interval: float, home: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """The command and environment of each program that is here, all at one interval and in a home of their own."""
    (home / "btop").mkdir(exist_ok=True)
    (home / "btop" / "btop.conf").write_text(f"update_ms = {interval * 1000:.0f}\nproc_tree = True\n")
    env = {"XDG_CONFIG_HOME": str(home), "HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    nsview = str(Path(sys.executable).with_name("nsview"))
    commands = {
        "nsview": [nsview, "--interval", f"{interval:g}"],
        "htop": ["htop", "--tree", "-d", f"{interval * 10:.0f}"],
        "btop": ["btop"],
    }
    return {name: (command, env) for name, command in commands.items() if shutil.which(command[0])}


class Screen:
    """A program in a pty of its own; a context manager that ends it."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, **env}, start_new_session=True
        )
        os.close(slave)

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        # What it still writes as it ends must not fill the pty: it would wait for us.
        while self.process.poll() is None:
            self.read(0.05)
        os.close(self.master)

    def read(self, seconds: float) -> bytes:
        """What it writes next, within so many seconds; nothing when it is silent."""
        if not select.select([self.master], [], [], max(0.0, seconds))[0]:
            return b""
        try:
            return os.read(self.master, 65536)
        except OSError:  # EIO: it has closed its side
            return b""

    def first_paint(self, words: re.Pattern[bytes]) -> float:
        """Seconds from the start until one of the words was written."""
        seen = b""
        while not words.search(seen):
            if time.perf_counter() - self.started > DEADLINE:
                raise TimeoutError(f"{self.process.args!r} never showed a process: {seen[-500:]!r}")
            seen = seen[-4096:] + self.read(1.0)
        return time.perf_counter() - self.started

    def settle(self, seconds: float) -> None:
        """Read what it writes for so long."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.read(left)

    def key_to_paint(self, key: bytes) -> float:
        """Seconds from a key until the first bytes of the answer."""
        while self.read(QUIET):
            pass
        began = time.perf_counter()
        os.write(self.master, key)
        if not self.read(DEADLINE):
            raise TimeoutError(f"{self.process.args} did not answer a key")
        return time.perf_counter() - began

    def cpu(self) -> float:
        """CPU seconds used so far by the program and by what it waited for."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return sum(map(int, fields[11:15])) / TICK


MAKER = """
import os, select, sys, time
began, made, rate = time.monotonic(), 0, float(sys.argv[1])
while not select.select([0], [], [], 0.002)[0]:
    while made < (time.monotonic() - began) * rate:
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        made += 1
print(made / (time.monotonic() - began))
"""


@contextmanager
def births(rate: float, told: list[float]) -> Iterator[None]:
    """Have so many processes born, and ended, a second, until it is left; ``told`` gets how many there really were."""
    words = [sys.executable, "-I", "-S", "-c", MAKER, str(rate)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as maker:
        try:
            yield
        finally:
            told.append(float(maker.communicate("")[0]))


def measure(command: Sequence[str], env: Mapping[str, str], options: argparse.Namespace) -> dict[str, float]:
    """Start it several times, press keys, and let it run."""
    words = re.compile(rb"kthreadd|reader|" + re.escape(Path("/proc/1/comm").read_bytes().strip()))
    paints = []
    for _ in range(STARTS):
        with Screen(command, env) as screen:
            paints.append(screen.first_paint(words))
    with Screen(command, env) as screen:
        screen.first_paint(words)
        screen.settle(3 * options.interval)
        keys = [1000 * screen.key_to_paint(DOWN if number % 2 else UP) for number in range(options.keys)]
        before, began = screen.cpu(), time.perf_counter()
        screen.settle(options.seconds)
        share = (screen.cpu() - before) / (time.perf_counter() - began)
    return {
        "first paint, s": median(paints),
        "key to paint p50, ms": median(keys),
        "key to paint p95, ms": quantiles(keys, n=20)[-1],
        "share of a core, %": 100 * share,
        "work per refresh, ms": 1000 * share * options.interval,
    }


def table(results: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[str]:
    """Lay it out in Markdown: a row for each scene and program."""
    figures = [*next(iter(next(iter(results.values())).values()))]
    yield "| | program | " + " | ".join(figures) + " |"
    yield "|---" * (len(figures) + 2) + "|"
    for scene, programs_ in results.items():
        for name, values in programs_.items():
            cells = [
                f"{values[figure]:.2f}" if figure.endswith(" s") else f"{values[figure]:.1f}" for figure in figures
            ]
            yield f"| {scene} | {name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Set the scenes, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crowd", type=int, default=10000)
    parser.add_argument("--births", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--keys", type=int, default=60)
    parser.add_argument("--interval", type=float, default=2.0)
    parser.add_argument("--only", help="one program alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as directory:
        reader = f"{directory}/reader"
        subprocess.run(["cc", "-std=gnu11", "-O2", "-o", reader, READER], check=True)
        found = programs(options.interval, Path(directory))
        for scene, size, rate in (
            ("as it is", 0, 0.0),
            (f"{options.crowd:,} processes", options.crowd, 0.0),
            (f"and {options.births:,.0f} births a second", options.crowd, options.births),
        ):
            with crowd(reader, size) if size else nullcontext():
                for name, (command, env) in found.items():
                    if options.only in (None, name):
                        told: list[float] = []
                        with births(rate, told) if rate else nullcontext():
                            results.setdefault(scene, {})[name] = measure(command, env, options)
                        if told:
                            results[scene][name]["births a second"] = told[0]
                            print(f"{name}: {told[0]:.0f} births a second", file=sys.stderr)
    print(json.dumps(results, indent=1) if options.json else "\n".join(table(results)))


if __name__ == "__main__":
    main()
