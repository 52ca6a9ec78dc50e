"""What `--info-fd` and `--json-status-fd` tell a program that watches, in bwrap(1)'s words."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from types import TracebackType
from typing import Any

from spawner import Child, Exit, LaunchError
from spawner.namespaces import KINDS


class StatusFiles:
    """The two descriptors: looked at before anything runs, closed at the end as their reader waits for it.

    ``info`` gets one object once the child runs its program; ``status`` the same on one line, and another with the
    exit status. Of a launch that failed neither hears anything, of a child whose end is not known no exit status.
    """

    def __init__(self, info: int | None, status: int | None) -> None:
        self._info = info
        self._status = status
        for option, fd in (("--info-fd", info), ("--json-status-fd", status)):
            if fd is not None:
                _must_be_writable(option, fd)

    def began(self, child: Child) -> None:
        """Say which process it is and which namespaces it has: those that are known."""
        about: dict[str, Any] = {"child-pid": child.pid}
        namespaces = child.namespaces
        for name in sorted(kind.proc for kind in KINDS):
            inode = next(namespaces.get(kind.name) for kind in KINDS if kind.proc == name)
            if inode is not None:
                about[f"{name}-namespace"] = inode
        if self._info is not None:
            _write("--info-fd", self._info, json.dumps(about, indent=4) + "\n")
            if self._info != self._status:
                _close(self._info)
                self._info = None
        if self._status is not None:
            _write("--json-status-fd", self._status, json.dumps(about) + "\n")

    def ended(self, ended: Exit) -> None:
        """Say how it ended, in a shell's words."""
        if self._status is not None and ended.executed and ended.status is not None:
            _write("--json-status-fd", self._status, json.dumps({"exit-code": ended.status}) + "\n")

    def __enter__(self) -> StatusFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for fd in {self._info, self._status}:
            _close(fd)


def _must_be_writable(option: str, fd: int) -> None:
    try:
        mode = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError as error:
        raise LaunchError(option, errno=error.errno, cause=f"{fd} is no open descriptor", remedy=_REMEDY) from error
    if mode == os.O_RDONLY:
        raise LaunchError(option, errno=errno.EBADF, cause=f"{fd} is open for reading only", remedy=_REMEDY)


_REMEDY = "open it for writing, as in 3>FILE"


def _write(option: str, fd: int, text: str) -> None:
    rest = text.encode()
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
    except OSError as error:
        raise LaunchError(option, errno=error.errno, cause=f"writing to {fd} failed") from error


def _close(fd: int | None) -> None:
    """Close it, but for the standard ones, which are the program's too."""
    if fd is not None and fd > 2:
        os.close(fd)
