"""Processes that live under some milliseconds are each seen once: parent, exit status, CPU. None is lost.

NSVIEW_SHORT_LIVES=20000 runs the full size (docs/development.md).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from listening import Listener, listening

from nsview.host.lives import Life

COUNT = int(os.environ.get("NSVIEW_SHORT_LIVES", "1000"))
PROGRAM = str(Path(__file__).with_name("short_lives.py"))
pytestmark = pytest.mark.needs("root", "proc_connector", "taskstats")


def made(count: int) -> list[Mapping[str, int]]:
    """What the kernel told the parents of ``count`` short lives and more."""
    done = subprocess.run([sys.executable, PROGRAM, str(count)], stdout=subprocess.PIPE, check=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_all_seen(listener: Listener, truth: list[Mapping[str, int]]) -> None:
    listener.end_of(truth[-1]["pid"])
    assert listener.source.lost == 0
    by_pid: dict[int, list[Life]] = {}
    for life in listener.ended:
        by_pid.setdefault(life.pid, []).append(life)
    for row in truth:
        # Others use the same pids before and after.
        lives = [life for life in by_pid.get(row["pid"], ()) if _born_between(life, row["before_ns"], row["after_ns"])]
        assert len(lives) == 1, row
        assert_is(lives[0], row)


def _born_between(life: Life, start: int, end: int) -> bool:
    return life.born_ns is not None and start <= life.born_ns <= end


def assert_is(life: Life, row: Mapping[str, int]) -> None:
    assert (life.parent, life.exit_code) == (row["parent"], row["exit_code"]), (life, row)
    assert life.died_ns is not None, row
    assert life.cpu_most_ns is not None, row
    # The parent's account has whole microseconds, and what giving back memory costs at the end.
    assert (life.cpu_ns or 0) / 1000 <= row["cpu_us"] + 1, (life, row)
    assert (life.cpu_ns or 0) <= life.cpu_most_ns + 1000, (life, row)


def test_each_is_seen_once_with_parent_status_and_cpu(nothing_left):
    with listening() as listener:
        truth = made(COUNT)
        assert len(truth) >= COUNT
        assert_all_seen(listener, truth)


@contextmanager
def load() -> Iterator[None]:
    """Twice as many spinning processes as CPUs, and a spinning thread that wants the GIL."""
    spin = "while True: pass"
    processes = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(2 * (os.cpu_count() or 1))]
    done = threading.Event()

    def spin_here() -> None:
        while not done.is_set():
            sum(range(10_000))

    thread = threading.Thread(target=spin_here)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        for process in processes:
            process.kill()
            process.wait()


def test_each_is_seen_once_while_the_machine_is_loaded(nothing_left):
    with listening() as listener, load():
        assert_all_seen(listener, made(COUNT // 4))
