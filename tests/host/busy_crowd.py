"""A crowd for the two producers to agree about: processes of every sort that a record can tell apart."""

from __future__ import annotations

import ctypes
import mmap
import os
import pty
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from agreement import QUIET
from children import NOBODY, call, rename

from spawner.namespaces import BY_NAME

SYS_EXIT = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
PTRACE_TRACEME = 0


def without(*fields: str) -> tuple[str, ...]:
    """All of QUIET but these."""
    return tuple(name for name in QUIET if name not in fields)


def sleep() -> None:
    while True:
        signal.pause()


def spin() -> None:
    while True:
        sum(range(10000))


def call_the_kernel() -> None:
    zero, null = os.open("/dev/zero", os.O_RDONLY), os.open("/dev/null", os.O_WRONLY)
    while True:
        os.write(null, os.read(zero, 1 << 20))


def fork_and_reap() -> None:
    while True:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)


def touch_memory() -> None:
    while True:
        with mmap.mmap(-1, 1 << 24) as memory:
            for at in range(0, len(memory), mmap.PAGESIZE):
                memory[at] = 1


def spin_in_threads() -> None:
    for _ in range(3):
        threading.Thread(target=spin, daemon=True).start()
    spin()


def start_and_end_threads() -> None:
    while True:
        threads = [threading.Thread(target=sum, args=(range(20000),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def end_the_leader() -> None:
    threading.Thread(target=spin).start()
    ctypes.CDLL(None).syscall(SYS_EXIT, 0)


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def be_traced() -> None:
    call("ptrace", PTRACE_TRACEME, 0, 0, 0)
    stop()


def be_odd() -> None:
    rename(b"a b) S 1 (c\n\xff")
    sleep()


def be_nobody() -> None:
    os.setresuid(NOBODY, NOBODY, 0)
    sleep()


def be_named_long() -> None:
    rename(b"fifteen bytes !")
    sleep()


def live_apart() -> None:
    call("unshare", sum(BY_NAME[name].flag for name in ("mount", "network", "uts", "ipc", "cgroup", "time")))
    sleep()


def live_deep() -> None:
    """In a pid namespace two levels down."""
    for _ in range(2):
        call("unshare", BY_NAME["pid"].flag)
        if pid := os.fork():
            os.waitpid(pid, 0)
            os._exit(0)
    call("prctl", 1, signal.SIGKILL, 0, 0, 0)
    sleep()


def have_no_first_process() -> None:
    call("unshare", BY_NAME["pid"].flag)
    sleep()


def leave_a_zombie() -> None:
    if os.fork() == 0:
        os._exit(3)
    sleep()


@dataclass(frozen=True, slots=True)
class Sort:
    """What a child does, and what of its record is right when /proc says it twice."""

    does: Callable[[], None]
    standing: tuple[str, ...] = field(default=QUIET)


BUSY = without("state", "rss", "flags")
"""A busy process is now running and now not."""

SORTS = (
    Sort(sleep),
    Sort(be_odd),
    Sort(be_named_long),
    Sort(stop),
    Sort(be_traced),
    Sort(leave_a_zombie),
    Sort(spin, BUSY),
    Sort(call_the_kernel, BUSY),
    Sort(fork_and_reap, BUSY),
    Sort(touch_memory, BUSY),
    Sort(spin_in_threads, BUSY),
    Sort(start_and_end_threads, (*without("state", "rss", "flags", "threads"),)),
    Sort(end_the_leader),
)
FOR_ROOT = (Sort(be_nobody), Sort(live_apart), Sort(live_deep), Sort(have_no_first_process))


@contextmanager
def crowd(sorts: tuple[Sort, ...]) -> Iterator[dict[int, Sort]]:
    """Run a child of each sort, and one on a terminal of its own; end them all."""
    children: dict[int, Sort] = {}
    terminal = -1
    try:
        for sort in sorts:
            pid = os.fork()
            if pid == 0:
                _become(sort)
            children[pid] = sort
        pid, terminal = pty.fork()
        if pid == 0:
            _become(Sort(sleep))
        children[pid] = Sort(sleep)
        yield children
    finally:
        for pid in children:
            for descendant in (*_descendants(pid), pid):
                with suppress(ProcessLookupError):
                    os.kill(descendant, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)
        if terminal >= 0:
            os.close(terminal)


def _become(sort: Sort) -> None:
    try:
        call("prctl", 1, signal.SIGKILL, 0, 0, 0)
        os.nice(10)
        sort.does()
    finally:
        sys.stderr.write(f"{sort.does.__name__} ended\n")
        os._exit(1)


def _descendants(pid: int) -> list[int]:
    """Found while their parents still live: the deepest first."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            below = [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [one for child in below for one in (*_descendants(child), child)]
