"""`nsview run` as a person or a script has it: a process of its own, with its output and status."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leftovers import until

RUN = (sys.executable, "-m", "nsview", "run")


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``nsview run ARGUMENTS`` to its end; without ``stdin`` or ``input`` it reads /dev/null."""
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    if "stdout" not in options:
        options.setdefault("capture_output", True)
    return subprocess.run([*RUN, *arguments], text=True, errors="replace", timeout=60, **options)


def said(*arguments: str, **options: Any) -> str:
    """What the program wrote to standard output; AssertionError unless all went well and silently."""
    done = run(*arguments, **options)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def complaint(done: subprocess.CompletedProcess[str], status: int = 125) -> str:
    """The one line of a refusal (argparse adds where to read more); nothing else may have been said."""
    assert done.returncode == status, done
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Try ")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("nsview run: ")
    return lines[0].removeprefix("nsview run: ")


def ended(pidfd: int) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def children_of(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


@contextmanager
def running(*arguments: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """`nsview run` in the background, ended with all its kin when the test is over."""
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    with subprocess.Popen([*RUN, *arguments], **streams) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            for pid in children_of(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.kill()


def child_of(process: subprocess.Popen[bytes]) -> int:
    """A pidfd of the only child, once it is there and one that only made it is gone."""

    def only() -> int | None:
        pids = children_of(process.pid)
        return pids[0] if len(pids) == 1 else None

    pid = until(only)
    assert pid is not None
    return os.pidfd_open(pid)


def words(text: str) -> Sequence[Sequence[str]]:
    """Lines of words, for output that differs in blanks alone."""
    return [line.split() for line in text.splitlines()]
