"""The C compiler of this machine: what is written in C here is built where it is measured."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from nsview.bench.peer import PEERS
from nsview.bench.row import UnavailableError

YARDSTICKS = Path(__file__).parent / "yardsticks"
CHILD = Path(__file__).parents[2] / "spawner" / "_child.c"
"""The engine's own child, which the yardsticks share; they include its header by a path relative to theirs."""
_FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")


def build(program: Path, sources: Sequence[Path], *flags: str) -> Path:
    """Compile a program, unless it was done; raises UnavailableError without a compiler, or with what it says."""
    if program.exists():
        return program
    words = [PEERS["cc"].needed(), *_FLAGS, *flags, "-o", str(program), *map(str, sources)]
    done = run(words)
    if done.returncode != 0:
        raise UnavailableError(f"the C compiler does not build {sources[0].name}: {_first_line(done.stderr)}")
    return program


def preprocessed(text: str) -> str:
    """Return what the C preprocessor makes of a text; raises UnavailableError."""
    done = run([PEERS["cc"].needed(), "-E", "-P", "-"], text)
    if done.returncode != 0:
        raise UnavailableError(f"the C preprocessor fails: {_first_line(done.stderr)}")
    return done.stdout


def run(words: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run the compiler to its end: a ctrl+c is for us."""
    return subprocess.run(words, input=text, capture_output=True, text=True, check=False, process_group=0)


def _first_line(said: str) -> str:
    lines = [line for line in said.splitlines() if "error" in line or "cannot" in line] or said.splitlines() or ["?"]
    return lines[0]
