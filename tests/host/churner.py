"""Makes process after process in the same hundred or so pids, until standard input ends; reports on standard output.

Usage: churner.py FIRST: numbers FIRST, FIRST + 2, …. Each process tells its number by its name, user, umask and
oom_score_adj, and ends with it when told. One of even number may be killed; one of odd number that is has been taken
for another. It is a program of its own, and small, for what is large is slow to fork.
"""

from __future__ import annotations

import os
import select
import sys
from typing import NoReturn

SIGKILL = 9
FIRST = 1000
"""The pids below are those of the others."""
WINDOW = 128
"""So many births of two churners later a pid is used again, at 1,000 a second some 13 clock ticks: start times tell
the two apart only if they are in different ones. So one churner alone, that of even numbers, begins anew."""
AT_ONCE = 12
USERS = 100_000
OOM = 1000


def churn(number: int) -> str:
    reading, writing = os.pipe()
    over = select.poll()
    over.register(0, select.POLLIN)
    going: dict[int, int] = {}
    made, wrong = 0, []
    while not over.poll(0):
        if number % WINDOW == 0:
            put("/proc/sys/kernel/ns_last_pid", FIRST)
        pid = os.fork()
        if pid == 0:
            be(number, reading)
        going[pid] = number
        made, number = made + 1, number + 2
        if len(going) > AT_ONCE:
            os.write(writing, b"x")
            wrong += reaped(going)
    os.write(writing, b"x" * len(going))
    while going:
        wrong += reaped(going)
    return str([made, *wrong]).replace("'", '"')


def reaped(going: dict[int, int]) -> list[str]:
    """Wait for an end; say what was wrong with it."""
    pid, status = os.wait()
    number = going.pop(pid)
    right = status == number % 256 << 8 or (number % 2 == 0 and status == SIGKILL)
    return [] if right else [f"number {number}, pid {pid}, ended with {status}"]


def be(number: int, reading: int) -> NoReturn:
    """Take on the facts of a number, its name last, and live until told."""
    os.umask(number % 0o1000)
    put("/proc/self/oom_score_adj", number % OOM)
    name = os.open("/proc/self/comm", os.O_WRONLY)
    os.setresuid(user_of(number), user_of(number), user_of(number))
    os.write(name, b"n%d" % number)
    os.read(reading, 1)
    os._exit(number % 256)


def put(path: str, value: int) -> None:
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, b"%d" % value)
    os.close(fd)


def user_of(number: int) -> int:
    return USERS + number % USERS


if __name__ == "__main__":
    print(churn(int(sys.argv[1])))
