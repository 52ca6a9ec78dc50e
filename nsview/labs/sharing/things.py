"""What can be shared: for each clone flag a thing that the child changes and the parent looks at. One table.

What a flag does, and whether that stays after execve, is said by spawner.flags; here is only how to see it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spawner import _native as native
from spawner.calls import call
from spawner.flags import BY_NAME, Flag
from spawner.plan import Packed, Result, Step

_OTHER_FD = 200
_IOPRIO_WHO_PROCESS = 1
_BEST_EFFORT = 2 << 13
_SEM_UNDO = 0x1000
_IPC_RMID, _GETVAL = 0, 12


@dataclass(frozen=True, slots=True)
class Prepared:
    """A thing in a parent: ``change`` are the child's calls, ``look`` what the parent sees: changed, or as it was.

    ``drop`` gives back what outlives the process.
    """

    change: Sequence[Step]
    look: Callable[[], bool]
    drop: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Thing:
    """A row: ``name`` is the flag's without CLONE_, or our own word for what no flag is for.

    ``beside`` are flags that the kernel asks for besides. ``done`` says what the child does. ``ended``: the effect is
    seen when the child has ended.
    """

    name: str
    beside: tuple[str, ...]
    done: str
    prepare: Callable[[], Prepared]
    ended: bool = False

    @property
    def flag(self) -> Flag | None:
        """The flag, None for what needs none."""
        return BY_NAME.get(f"CLONE_{self.name}")


def _memory() -> Prepared:
    word = ctypes.c_uint64(5)
    return Prepared((call("store", ctypes.addressof(word), 9),), lambda: word.value == 9)


def _directory() -> Prepared:
    os.chdir("/")
    os.umask(0o022)

    def look() -> bool:
        umask = os.umask(0o022)
        return (os.getcwd(), umask) == ("/usr", 0o077)

    return Prepared((call("chdir", "/usr"), call("umask", 0o077)), look)


def _descriptor() -> Prepared:
    steps = (call("dup3", 0, _OTHER_FD, os.O_CLOEXEC),)
    return Prepared(steps, lambda: os.path.exists(f"/proc/self/fd/{_OTHER_FD}"))


def _handler() -> Prepared:
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    ignore = Packed("=Q24x", (int(signal.SIG_IGN),), "{SIG_IGN}")

    def look() -> bool:
        ignored = Path("/proc/self/status").read_text().partition("SigIgn:")[2].split()[0]
        return bool(int(ignored, 16) >> (signal.SIGUSR1 - 1) & 1)

    return Prepared((call("rt_sigaction", int(signal.SIGUSR1), ignore, 0, 8),), look)


def _undo() -> Prepared:
    number = native.call(native.SYSCALLS["semget"], 0, 1, 0o600)
    give = Packed("=Hhh", (0, 1, _SEM_UNDO), "{0, +1, SEM_UNDO}")
    # One adjustment of our own, so that there is a list to be shared; it gives nothing.
    none = bytearray((0).to_bytes(2, "little") + (0).to_bytes(2, "little") + _SEM_UNDO.to_bytes(2, "little"))
    try:
        native.call(native.SYSCALLS["semop"], number, none, 1)
    except OSError:
        native.call(native.SYSCALLS["semctl"], number, 0, _IPC_RMID, 0)
        raise
    return Prepared(
        (call("semop", number, give, 1),),
        lambda: native.call(native.SYSCALLS["semctl"], number, 0, _GETVAL, 0) == 1,
        lambda: native.call(native.SYSCALLS["semctl"], number, 0, _IPC_RMID, 0),
    )


def _io_context() -> Prepared:
    native.call(native.SYSCALLS["ioprio_set"], _IOPRIO_WHO_PROCESS, 0, _BEST_EFFORT | 3)
    return Prepared(
        (call("ioprio_set", _IOPRIO_WHO_PROCESS, 0, _BEST_EFFORT | 6),),
        lambda: native.call(native.SYSCALLS["ioprio_get"], _IOPRIO_WHO_PROCESS, 0) & 7 == 6,
    )


def _opened() -> tuple[int, Callable[[], object]]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this process
    file.write(b"0123456789")
    file.flush()
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return file.fileno(), file.close


def _offset() -> Prepared:
    fd, drop = _opened()
    return Prepared((call("lseek", fd, 7, os.SEEK_SET),), lambda: os.lseek(fd, 0, os.SEEK_CUR) == 7, drop)


def _offset_of_its_own() -> Prepared:
    fd, drop = _opened()
    again = call("openat", -100, f"/proc/self/fd/{fd}", os.O_RDONLY, 0)  # opens the file, not the descriptor
    return Prepared((again, call("lseek", Result(0), 7, os.SEEK_SET)), lambda: os.lseek(fd, 0, os.SEEK_CUR) == 7, drop)


THINGS: tuple[Thing, ...] = (
    Thing("VM", (), "the child writes to a word of memory", _memory),
    Thing("FS", (), "the child calls chdir(2) and umask(2)", _directory),
    Thing("FILES", (), "the child opens a descriptor by dup3(2)", _descriptor),
    Thing("SIGHAND", ("VM",), "the child has a signal ignored by rt_sigaction(2)", _handler),
    Thing("SYSVSEM", (), "the child gives to a semaphore with SEM_UNDO and ends", _undo, ended=True),
    Thing("IO", (), "the child sets its I/O priority by ioprio_set(2)", _io_context),
)
"""CLONE_THREAD is seen otherwise, by who the child says it is."""

OFFSET = Thing("offset", (), "the child moves the offset of an open file by lseek(2)", _offset)
"""Shared without any flag: one open file description under two tables of descriptors (open(2))."""

OFFSET_APART = Thing("offset.apart", (), "the child opens the same file anew and moves that offset", _offset_of_its_own)
"""The control: another open file description of one file."""

BY_THING = {thing.name: thing for thing in (*THINGS, OFFSET, OFFSET_APART)}
