"""The row about reading every process: by BPF and by /proc, beside plain C and whoever else reads them all."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import psutil

from nsview.bench.crowd import crowd, reader
from nsview.bench.peer import PEERS, Program
from nsview.bench.row import Contest, Entry, FailedError, Setting, UnavailableError
from nsview.host.bpf.iterator import RefusedError
from nsview.host.snapshot import take

T = TypeVar("T")

_PERSISTENCE = 20
"""Times that a reader may give up before it has failed."""
_PS = ("-e", "-o", "pid,ppid,mntns,netns,pidns,userns,utsns,ipcns,cgroupns,timens,comm")
_ATTRIBUTES = ("pid", "ppid", "name", "status", "uids", "cpu_times", "memory_info", "num_threads", "create_time")
"""What a program on psutil would ask for, without any namespace."""


def measure(setting: Setting, stack: ExitStack) -> Contest:
    """Read a crowd beside what runs anyway."""
    program = reader(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nsview-bench-"))))
    stack.enter_context(crowd(program, setting.processes, setting.stop))
    fast, slow = Program(setting.stop), Program(setting.stop, slow=True)
    for each in (fast, slow):
        stack.callback(each.close)

    def seen(count: int) -> dict[str, bool]:
        if count < setting.processes:
            raise FailedError(f"it saw {count} processes, and there are {setting.processes} and more")
        return {f"{setting.processes} processes": True}

    def ours(by: str) -> Entry:
        try:
            found = take(by=by)
        except RefusedError as error:
            raise UnavailableError(str(error.strerror)) from None
        return Entry(_timed(lambda: take(by=by)), seen(len(found.records)))

    def plain_c() -> Entry:
        def once(count: int) -> list[tuple[float, int]]:
            lines = fast.output([program, "read", str(count)]).splitlines()
            return [(float(taken), int(processes)) for taken, _, processes in (line.partition(" ") for line in lines)]

        return Entry(lambda count: [taken for taken, _ in once(count)], seen(once(1)[0][1]))

    def ps() -> Entry:
        words = [PEERS["ps"].needed(), *_PS]
        return Entry(lambda count: [slow.run(words) for _ in range(count)], seen(slow.output(words).count("\n") - 1))

    def lsns() -> Entry:
        words = [PEERS["lsns"].needed()]
        did = seen(_listed(_persisting(lambda: slow.output(words))))
        return Entry(lambda count: [_persisting(lambda: slow.run(words)) for _ in range(count)], did)

    def by_psutil() -> Entry:
        def read() -> int:
            return sum(1 for _ in psutil.process_iter(list(_ATTRIBUTES)))

        return Entry(_timed(read), seen(read()))

    short = f"the figure is of 10,000 processes; this was of {setting.processes:,}"
    return Contest(
        {
            "BPF": lambda: ours("bpf"),
            "/proc": lambda: ours("proc"),
            "plain C": plain_c,
            "psutil": by_psutil,
            "ps(1)": ps,
            "lsns(8)": lsns,
        },
        {"processes": short} if setting.processes < 10_000 else {},
        f"{setting.processes:,} idle processes beside what runs anyway",
    )


def _persisting(action: Callable[[], T]) -> T:
    """Do it again when it fails: lsns(8) may give up when a process vanishes under its hands, and lists nothing."""
    for _ in range(_PERSISTENCE):
        try:
            return action()
        except FailedError:
            continue
    return action()


def _timed(action: Callable[[], object]) -> Callable[[int], list[float]]:
    def times(count: int) -> list[float]:
        taken: list[float] = []
        for _ in range(count):
            start = time.perf_counter_ns()
            action()
            taken.append(time.perf_counter_ns() - start)
        return taken

    return times


def _listed(printed: str) -> int:
    """Add up the processes of all pid namespaces in what lsns(8) prints: NS TYPE NPROCS PID USER COMMAND."""
    rows = [line.split() for line in printed.splitlines()]
    return sum(int(row[2]) for row in rows if len(row) > 2 and row[1] == "pid" and row[2].isdecimal())
