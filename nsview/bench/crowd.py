"""A crowd of idle processes, for readers of all processes to read; gone when it is left, and when we are killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nsview.bench.compiler import YARDSTICKS, build
from nsview.bench.row import UnavailableError
from nsview.bench.stop import Stop

READER = YARDSTICKS / "reader.c"


def reader(scratch: Path) -> str:
    """Build the program that is the crowd's parent and the plain C reader; return its path. Raises UnavailableError."""
    return str(build(scratch / "reader", [READER]))


@contextmanager
def crowd(program: str, processes: int, stop: Stop | None = None) -> Iterator[None]:
    """Keep so many idle processes while it is entered; raises UnavailableError where there may not be so many."""
    command = [program, "crowd", str(processes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        try:
            with (stop or Stop()).hurrying(parent.stdin.close):
                ready = parent.stdout.readline() == "ready\n"
            if stop is not None:
                stop.check()
            if not ready:
                raise UnavailableError(f"{processes} processes are more than may be here (ulimit -u, pids.max)")
            yield
        finally:
            with suppress(BrokenPipeError):  # it was killed
                parent.stdin.close()
