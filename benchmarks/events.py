"""What listening to the kernel's events costs: idle, at a steady rate of births, and per event; beside plain recv().

Usage: events.py [--rate N] [--seconds S]. Shares are of one core, of the listening process alone; the makers of the
processes are others. Rows with "a busy thread beside" have a second thread that computes all the time, as a UI may.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nsview.host.events import exit_accounts, proc_events
from nsview.host.events.connector import BUFFER, Connector
from nsview.host.lives import Lives
from nsview.host.snapshot import take

MAKER = """
import os, sys, time
rate, end = float(sys.argv[1]), time.monotonic() + float(sys.argv[2])
next_one = time.monotonic()
while (now := time.monotonic()) < end:
    if now < next_one:
        time.sleep(next_one - now)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    next_one += 1 / rate
"""

Row = tuple[str, float, int, int, int, int]
"""Name, CPU seconds, seconds * 1000 it took, wakings, events, lost."""


def used() -> float:
    return time.thread_time()


@contextmanager
def births(rate: float, seconds: float) -> Iterator[None]:
    if rate == 0:
        yield
        return
    words = [sys.executable, "-I", "-S", "-c", MAKER, str(rate), str(seconds)]
    with subprocess.Popen(words):
        yield


def listening(name: str, rate: float, seconds: float, fold: bool = False, gather: float = 0.0) -> Row:
    """Read with our source, and fold into lives if asked."""
    with Connector() as source:
        lives = Lives(take()) if fold else None
        with births(rate, seconds):
            began, cpu = time.monotonic(), used()
            wakings = events = 0
            while (left := began + seconds - time.monotonic()) > 0:
                batch = source.read(left, gather)
                wakings += bool(batch)
                events += len(batch)
                if lives is not None:
                    for event in batch:
                        lives.fold(event)
            return name, used() - cpu, round(seconds * 1000), wakings, events, source.lost


def plain(name: str, rate: float, seconds: float) -> Row:
    """One recv() and one decoding for each datagram, in Python, of the events alone."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 11) as events:
        exit_accounts.enlarge(events, BUFFER)
        events.bind((0, proc_events.CN_IDX_PROC))
        events.send(proc_events.request(proc_events.LISTEN, 1))
        with births(rate, seconds):
            began, cpu = time.monotonic(), used()
            number = lost = 0
            while (left := began + seconds - time.monotonic()) > 0:
                events.settimeout(left)
                try:
                    number += proc_events.message(events.recv(4096)) is not None
                except TimeoutError:
                    break
                except OSError:
                    lost += 1
            spent = used() - cpu
        events.send(proc_events.request(proc_events.IGNORE, 1))
        return name, spent, round(seconds * 1000), number, number, lost


@contextmanager
def busy_thread() -> Iterator[None]:
    done = threading.Event()

    def spin() -> None:
        while not done.is_set():
            sum(range(10_000))

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def row_of(row: Row) -> str:
    name, cpu, milliseconds, wakings, events, lost = row
    each = f"{cpu / events * 1e6:8.1f}" if events else f"{'-':>8}"
    a_second = 1000 / milliseconds
    share = cpu / milliseconds * 1e5
    return f"{name:<52} {share:7.2f} % {each} {wakings * a_second:9.0f} {events * a_second:9.0f} {lost:7}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=1000, help="births a second (default: 1000)")
    parser.add_argument("--seconds", type=float, default=5, help="for each row (default: 5)")
    asked = parser.parse_args()
    rate, seconds = asked.rate, asked.seconds
    at = f"{rate:.0f} births/s"
    rows: list[tuple[Callable[[], Row], bool]] = [
        (lambda: listening("nobody is born on purpose: read", 0, seconds), False),
        (lambda: plain(f"{at}: plain recv(), events without accounts", rate, seconds), False),
        (lambda: listening(f"{at}: read", rate, seconds), False),
        (lambda: listening(f"{at}: read, gathered for 50 ms", rate, seconds, gather=0.05), False),
        (lambda: listening(f"{at}: the same, folded into lives", rate, seconds, True, 0.05), False),
        (lambda: plain(f"{at}: plain recv(), a busy thread beside", rate, seconds), True),
        (lambda: listening(f"{at}: gathered and folded, a busy thread beside", rate, seconds, True, 0.05), True),
    ]
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    print(f"{'':<52} {'CPU':>9} {'µs/event':>8} {'wakings/s':>9} {'events/s':>9} {'lost':>7}")
    for measure, is_beside in rows:
        if is_beside:
            with busy_thread():
                row = measure()
        else:
            row = measure()
        print(row_of(row), flush=True)


if __name__ == "__main__":
    main()
