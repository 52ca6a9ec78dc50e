"""A throw-away parent of a chosen size, which makes children as it is told and answers with what the kernel says.

``python -m nsview.labs.mechanisms.subject BYTES [huge]``: reads requests from standard input, an array on each line:
a method's name and its arguments. The answer is one line of JSON.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter_ns
from typing import Any

from spawner import Child, IDMapping, LaunchError, Mechanism, Spec, SpecError, Stdio, calls, launch

SUBPROCESS = "subprocess"
"""Python's own way, beside the engine's."""
PROGRAM = "/bin/true"
_WRITTEN = b"\1" * (1 << 20)


class Subject:
    """A parent with ``size`` bytes of private memory, all of them written to, in small pages or in huge ones."""

    def __init__(self, size: int, huge: bool) -> None:
        self._ballast = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._ballast.madvise(mmap.MADV_HUGEPAGE if huge else mmap.MADV_NOHUGEPAGE)
        for start in range(0, size, len(_WRITTEN)):
            self._ballast[start : start + len(_WRITTEN)] = _WRITTEN[: size - start]
        self._held: Child | calls.Run | None = None

    def where(self) -> dict[str, int]:
        """Where the memory is."""
        return {"pid": os.getpid(), "address": ctypes.addressof(ctypes.c_char.from_buffer(self._ballast))}

    def times(self, way: str, namespaces: list[str], count: int) -> dict[str, Any]:
        """Make ``count`` children that run a program, one after another: nanoseconds of the call, and of all of it.

        "call" is from its beginning until it has returned here; "whole" until the child has been waited for.
        """
        made = _by_subprocess if way == SUBPROCESS else _by_engine(way, namespaces)
        try:
            pairs = [made() for _ in range(count)]
        except (SpecError, LaunchError) as error:
            return {"refused": str(error)}
        return {"call": [call for call, _ in pairs], "whole": [whole for _, whole in pairs]}

    def plain(self, count: int) -> dict[str, Any]:
        """Make ``count`` children by clone3 with no flag but the pidfd's, which make one call and end."""
        times = []
        for _ in range(count):
            start = perf_counter_ns()
            with calls.run((calls.call("getpid"),)) as done:
                assert done.exit is not None
                times.append(perf_counter_ns() - start)
        return {"whole": times}

    def hold(self, way: str) -> dict[str, Any]:
        """Make a child that waits before execve; answers its pid."""
        try:
            if way == "plain":
                self._held = calls.start((calls.call("getpid"),), hold=0)
            else:
                self._held = launch(Spec(args=(PROGRAM,), stdio=Stdio.NULL, via=Mechanism(way)), hold="execve")
        except (SpecError, LaunchError) as error:
            return {"refused": str(error)}
        return {"pid": self._held.pid}

    def end(self) -> dict[str, Any]:
        """End the child that is held."""
        if self._held is not None:
            self._held.close()
            self._held = None
        return {}

    def write(self, first: int, count: int) -> dict[str, int]:
        """Write to ``count`` pages from page ``first`` on; answers the minor faults that this cost (getrusage(2))."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for page in range(first, first + count):
            self._ballast[page * mmap.PAGESIZE] = 2
        return {"faults": resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before}


def _by_engine(way: str, namespaces: list[str]) -> Callable[[], tuple[int, int]]:
    spec = Spec(args=(PROGRAM,), stdio=Stdio.NULL, via=Mechanism(way), namespaces=frozenset(namespaces))
    if "user" in namespaces:
        uids, gids = (IDMapping(0, os.geteuid()),), (IDMapping(0, os.getegid()),)
        spec = replace(spec, uid_mappings=uids, gid_mappings=gids)

    def made() -> tuple[int, int]:
        start = perf_counter_ns()
        with launch(spec) as child:
            child.wait()
            whole = perf_counter_ns() - start
            call = next(event for event in child.timeline if event.phase == "birth")
            return child.returned_ns - call.start_ns, whole

    return made


def _by_subprocess() -> tuple[int, int]:
    start = perf_counter_ns()
    with subprocess.Popen([PROGRAM], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as child:
        call = perf_counter_ns() - start
        child.wait()
    return call, perf_counter_ns() - start


def main() -> None:
    """Serve until standard input ends."""
    subject = Subject(int(sys.argv[1]), sys.argv[2:] == ["huge"])
    try:
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            print(json.dumps(getattr(subject, name)(*arguments)), flush=True)
    finally:
        subject.end()


if __name__ == "__main__":
    main()
