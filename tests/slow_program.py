"""A program whose execve does not return until somebody lets it: whoever opens it must first break a lease."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from pathlib import Path
from types import TracebackType

from leftovers import until


class SlowProgram:
    """A copy of a program under a write lease (fcntl(2), F_SETLEASE); its execve blocks, killably, in open."""

    def __init__(self, directory: Path, original: str = "/bin/true") -> None:
        self.path = str(directory / "slow")
        shutil.copy(original, self.path)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.fcntl(self._fd, fcntl.F_SETSIG, signal.SIGURG)  # ignored by default; SIGIO would end us
        fcntl.fcntl(self._fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)

    def wait_for_somebody(self) -> None:
        """Return once a process hangs in the execve of it."""
        assert until(lambda: fcntl.fcntl(self._fd, fcntl.F_GETLEASE) != fcntl.F_WRLCK), "nobody executes it"

    def let_go(self) -> None:
        """Give the lease up: the execve goes on."""
        if fcntl.fcntl(self._fd, fcntl.F_GETLEASE) != fcntl.F_UNLCK:
            fcntl.fcntl(self._fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def __enter__(self) -> SlowProgram:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()
        os.close(self._fd)
