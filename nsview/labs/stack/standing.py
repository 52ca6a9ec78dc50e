"""Where a process stands: its stack pointer, the mapping that this lies in, and what is mapped right below that.

The kernel says both: /proc/PID/syscall has the stack pointer of a process that waits, /proc/PID/maps the mappings
(proc_pid_syscall(5), proc_pid_maps(5)).
"""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DEADLINE = 30.0
"""Seconds after which a process that never waits counts as not told."""
NOT_TOLD = "/proc/PID/syscall is not to be read here: it takes the rights of ptrace(2), so to be its user"
MAIN = "[stack]"
"""The mapping that execve makes for a program to begin on (fs/exec.c)."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """A line of /proc/PID/maps: from ``start`` up to ``end``, ``mode`` as ``rw-p``, ``name`` may be empty."""

    start: int
    end: int
    mode: str
    name: str

    @property
    def guards(self) -> bool:
        """Whether it is one page that may neither be read, nor written, nor run."""
        return self.mode == "---p" and self.end - self.start == mmap.PAGESIZE


@dataclass(frozen=True, slots=True)
class Standing:
    """``pointer`` lies in ``mapping``; ``below`` is the mapping next below it, touching it or not."""

    pointer: int
    mapping: Mapping
    below: Mapping | None

    @property
    def size(self) -> int:
        """Bytes from the lowest of the stack up to the end of the page that it stands on.

        Of a child that has called nothing yet that is all of it: it stands on the uppermost page.
        """
        return -(-self.pointer // mmap.PAGESIZE) * mmap.PAGESIZE - self.mapping.start

    @property
    def guarded(self) -> bool:
        """Whether a guard page lies right below."""
        return self.below is not None and self.below.guards and self.below.end == self.mapping.start

    @property
    def gap(self) -> int | None:
        """Bytes below it where nothing is mapped; None where nothing is at all."""
        return None if self.below is None else self.mapping.start - self.below.end


def standing(pid: int) -> Standing | None:
    """Where a process stands once it waits; None if that is not told, or it is gone."""
    end = time.monotonic() + DEADLINE
    never = threading.Event()
    while True:
        try:
            words = Path(f"/proc/{pid}/syscall").read_text().split()
            if len(words) > 2:  # else "running"
                return _in(mappings(pid), int(words[-2], 16))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None
        if time.monotonic() >= end:
            return None
        never.wait(0.002)


def mappings(pid: int) -> list[Mapping]:
    """Every mapping of a process, the lowest first; raises OSError."""
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines():
        words = line.split(maxsplit=5)
        start, _, end = words[0].partition("-")
        found.append(Mapping(int(start, 16), int(end, 16), words[1], words[5] if len(words) > 5 else ""))
    return found


def _in(known: Sequence[Mapping], pointer: int) -> Standing | None:
    for at, mapping in enumerate(known):
        if mapping.start <= pointer < mapping.end:
            return Standing(pointer, mapping, known[at - 1] if at else None)
    return None
