"""`nsview run` as a person or a script has it: a process of its own, with its output and status."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

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


def words(text: str) -> Sequence[Sequence[str]]:
    """Lines of words, for output that differs in blanks alone."""
    return [line.split() for line in text.splitlines()]
