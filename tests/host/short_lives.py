"""Makes processes that live under some milliseconds and prints of each, as a JSON line, what its parent knows.

Usage: short_lives.py COUNT. Every third is a child of a child; they end with each status and by some signals.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import NoReturn

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1, signal.SIGPIPE)


def main(count: int) -> None:
    for signo in SIGNALS[1:]:
        signal.signal(signo, signal.SIG_DFL)
    lines = [grandchild(number) if number % 3 == 0 else child(number) for number in range(count)]
    print("\n".join(lines))


def child(number: int) -> str:
    before = time.monotonic_ns()
    pid = os.fork()
    if pid == 0:
        end(number)
    return line_of(pid, before)


def grandchild(number: int) -> str:
    """A child whose only deed is to have one and to pass on what became of it."""
    reading, writing = os.pipe()
    before = time.monotonic_ns()
    pid = os.fork()
    if pid == 0:
        os.write(writing, child(number).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        line = pipe.read()
    return f"{line}\n{line_of(pid, before)}"


def end(number: int) -> NoReturn:
    if number % 10 == 9:
        os.kill(os.getpid(), SIGNALS[number // 10 % len(SIGNALS)])
    os._exit(number % 256)


def line_of(pid: int, before: int) -> str:
    _, status, usage = os.wait4(pid, 0)
    spent = round((usage.ru_utime + usage.ru_stime) * 1e6)
    facts = {"pid": pid, "parent": os.getpid(), "exit_code": status, "cpu_us": spent}
    return json.dumps({**facts, "before_ns": before, "after_ns": time.monotonic_ns()})


if __name__ == "__main__":
    main(int(sys.argv[1]))
