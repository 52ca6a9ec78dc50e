"""Throw-away parents of several sizes, and what the kernel says of them and of their children."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from nsview.host.memory import memory_of
from nsview.host.process import PinnedProcess

MIB = 1 << 20
_SPARE = 512 * MIB
"""Memory that is left alone."""


class Parent:
    """A process with ``size`` bytes of memory of its own (subject.py), in ``huge`` pages or in small ones."""

    def __init__(self, size: int, huge: bool = False) -> None:
        self.size = size
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "nsview.labs.mechanisms.subject", str(size), *(["huge"] if huge else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def ask(self, request: str, *arguments: object) -> dict[str, Any]:
        """Let it do something (a method of subject.Subject) and return its answer; BrokenPipeError when it is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([request, *arguments]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise BrokenPipeError(f"the parent of {self.size} bytes has ended; its message is above")
        found: dict[str, Any] = json.loads(answer)
        return found

    @property
    def pages(self) -> int:
        """How many small pages its memory has."""
        return self.size // mmap.PAGESIZE

    def close(self) -> None:
        """Let it end, with whoever it holds."""
        with suppress(BrokenPipeError):  # it is gone already
            self._process.communicate()

    @contextmanager
    def holding(self, way: str) -> Iterator[int | None]:
        """A child of it that waits before execve: its pid; None where that cannot be had."""
        answer = self.ask("hold", way)
        try:
            yield answer.get("pid")
        finally:
            self.ask("end")


@contextmanager
def parents(sizes: tuple[int, ...]) -> Iterator[tuple[Parent, ...]]:
    """Parents of these sizes, but for those that there is no memory for."""
    with ExitStack() as stack:
        made = []
        room = available() - _SPARE
        for size in sizes:
            if size > room:
                break
            room -= size
            parent = Parent(size)
            stack.callback(parent.close)
            made.append(parent)
        for parent in made:
            parent.ask("where")  # it is there, with all its memory
        yield tuple(made)


def available() -> int:
    """Bytes of memory to be had without swapping (proc_meminfo(5), MemAvailable)."""
    return int(Path("/proc/meminfo").read_text().partition("MemAvailable:")[2].split()[0]) * 1024


def page_tables(pid: int) -> int | None:
    """Bytes of a process's page tables (proc_pid_status(5), VmPTE); None: gone, or not told."""
    with PinnedProcess(pid) as process:
        memory = memory_of(process)
    return None if memory is None else memory.sizes.get("VmPTE")


def mapping_of(pid: int, address: int) -> dict[str, int]:
    """The sizes of the mapping at an address, in bytes, by the names of proc_pid_smaps(5)."""
    found: dict[str, int] = {}
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first = line.split(maxsplit=1)[0]
        if not first.endswith(":"):
            start, _, end = first.partition("-")
            inside = int(start, 16) <= address < int(end, 16)
        elif inside and line.endswith(" kB"):
            found[first[:-1]] = int(line.split()[1]) * 1024
    return found
