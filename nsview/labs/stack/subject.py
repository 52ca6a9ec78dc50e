"""The throw-away parent of the lab on stacks: each request makes one child, and says how it fared."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import signal
import struct
from typing import Any

from nsview.labs.parent import serve
from nsview.labs.stack.standing import standing
from spawner import Child, LaunchError, Mechanism, Spec, SpecError, Stdio, calls, launch
from spawner import _native as native
from spawner.calls import Run, call
from spawner.exit import Exit
from spawner.flags import bits
from spawner.signals import signal_name

_PROT_READ_WRITE = 3
_CLONE_ARGS = struct.Struct("=8Q")  # flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls


class Subject:
    """One child at a time."""

    def __init__(self) -> None:
        self._child: Run | Child | None = None
        self._raw: tuple[int, int] | None = None

    def hold(self, size: int, flags: list[str]) -> dict[str, Any]:
        """Make a child with a stack of this size that waits before its first call."""
        try:
            self._child = calls.start((call("getpid"),), flags=bits(*flags), stack_size=size, hold=0)
        except (SpecError, LaunchError) as error:
            return {"refused": str(error)}
        return {"pid": self._child.pid}

    def way(self, via: str) -> dict[str, Any]:
        """Launch a program this way that waits before its first step."""
        spec = Spec(args=("sleep", "infinity"), via=Mechanism(via), stdio=Stdio.NULL, pdeathsig=signal.SIGKILL)
        try:
            self._child = launch(spec, hold=0)
        except (SpecError, LaunchError) as error:
            return {"refused": str(error)}
        return {"pid": self._child.pid}

    def execute(self) -> dict[str, Any]:
        """Let it go on to its program."""
        assert isinstance(self._child, Child)
        try:
            self._child.resume()
        except LaunchError as error:
            return {"refused": str(error)}
        return {"pid": self._child.pid}

    def end(self) -> dict[str, Any]:
        """End the child."""
        if self._child is not None:
            self._child.close()
            self._child = None
        return {}

    def dig(self, size: int, depth: int, flags: list[str], unguarded: bool = False) -> dict[str, Any]:
        """Have a child use ``depth`` bytes of a stack of ``size``; how it ended, and another one after it.

        ``unguarded``: give the page below to it first.
        """
        steps = (call("dig", depth), call("getpid"))
        try:
            with calls.start(steps, flags=bits(*flags), stack_size=size, hold=0) as child:
                if unguarded and (refused := _unguard(child.pid)):
                    return {"refused": refused}
                child.resume()
            with calls.run((call("getpid"),), flags=bits(*flags)) as another:
                pass
        except (SpecError, LaunchError) as error:
            return {"refused": str(error)}
        return {"returned": child.answers[0].result, "ended": _ended(child.exit), "another": _ended(another.exit)}

    def store(self, flags: list[str]) -> dict[str, Any]:
        """Have a child write to a word of memory; whether it is written here."""
        word = ctypes.c_uint64(5)
        try:
            with calls.run((call("store", ctypes.addressof(word), 9),), flags=bits(*flags)) as child:
                return {"ended": _ended(child.exit), "seen": word.value == 9}
        except (SpecError, LaunchError) as error:
            return {"refused": str(error)}

    def clone(self) -> dict[str, Any]:
        """The system call itself with no stack, as in the document's 4.1: what it returns, here and in the child."""
        told, telling = os.pipe()
        reading, writing = os.pipe()
        returned = native.call(native.SYSCALLS["clone"], signal.SIGCHLD, 0, 0, 0, 0)
        if returned == 0:
            os.close(writing)
            os.write(telling, b"0")
            os.read(reading, 1)
            os._exit(0)
        os.close(telling)
        os.close(reading)
        self._raw = returned, writing
        with os.fdopen(told) as pipe:
            return {"pid": returned, "child": int(pipe.read(1) or -1)}

    def clone3(self, stack: int, size: int) -> dict[str, Any]:
        """What clone3(2) answers to a stack of this address and size, of which one is 0."""
        arguments = bytearray(_CLONE_ARGS.pack(0, 0, 0, 0, signal.SIGCHLD, stack, size, 0))
        try:
            pid = native.call(native.SYSCALLS["clone3"], arguments, len(arguments))
        except OSError as error:
            return {"answer": errno.errorcode.get(error.errno or 0, str(error.errno))}
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return {"answer": "a child"}

    def entry(self, status: int) -> dict[str, Any]:
        """Have a child run a function of ours that returns ``status``."""
        try:
            with launch(Spec(args=(), stdio=Stdio.NULL), entry=lambda: status) as child:
                return {"ended": _ended(child.wait())}
        except (SpecError, LaunchError) as error:
            return {"refused": str(error)}

    def enter(self) -> dict[str, Any]:
        """Have a child run a function of ours that waits."""
        spec = Spec(args=(), stdio=Stdio.NULL, pdeathsig=signal.SIGKILL)
        try:
            self._child = launch(spec, entry=signal.pause)
        except (SpecError, LaunchError) as error:
            return {"refused": str(error)}
        return {"pid": self._child.pid}

    def close(self) -> None:
        """End the children there are."""
        self.end()
        if self._raw is not None:
            pid, writing = self._raw
            os.close(writing)
            os.waitpid(pid, 0)


def _unguard(pid: int) -> str:
    """Make the guard page of a child in our memory ordinary; why not, where that cannot be."""
    place = standing(pid)
    if place is None or not place.guarded:
        return "its guard page could not be found"
    start = place.mapping.start - mmap.PAGESIZE
    native.call(native.SYSCALLS["mprotect"], start, mmap.PAGESIZE, _PROT_READ_WRITE)
    return ""


def _ended(found: Exit | None) -> str:
    if found is None:
        return "not ended"
    return f"ended by {signal_name(found.signal)}" if found.signal else f"ended with status {found.code}"


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most != 0:
        resource.setrlimit(resource.RLIMIT_CORE, (1, most))  # 1: not even for a program that core_pattern names
    serve(Subject())
