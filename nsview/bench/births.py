"""Processes born and gone at a steady rate, beside what is measured.

``python -P -m nsview.bench.births RATE`` has so many born a second until its stdin ends, and prints how many there
were.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_PAUSE = 0.002


@contextmanager
def births(rate: float, told: list[float]) -> Iterator[None]:
    """Have so many processes born and ended a second while it is entered; ``told`` gets how many there really were."""
    words = [sys.executable, "-P", "-m", "nsview.bench.births", str(rate)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0) as maker:
        try:
            yield
        finally:
            printed = maker.communicate()[0]
            told.append(float(printed or 0))


def main(rate: float) -> None:
    """Make them. Those behind the rate are made at once, so that pauses do not lower it."""
    began, made = time.monotonic(), 0
    while not select.select([sys.stdin], [], [], _PAUSE)[0]:
        while made < (time.monotonic() - began) * rate and not select.select([sys.stdin], [], [], 0)[0]:
            os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
            made += 1
    print(made / (time.monotonic() - began))


if __name__ == "__main__":
    main(float(sys.argv[1]))
