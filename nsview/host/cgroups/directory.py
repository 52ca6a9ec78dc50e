"""One group of one hierarchy: its directory, read through a descriptor that keeps to it."""

from __future__ import annotations

import errno
import os
from types import TracebackType

from nsview.host.process import ORDINARY

_UNKNOWN = (*ORDINARY, errno.ENODEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENAMETOOLONG, errno.ENOTDIR)
"""No group at all (ENOTDIR); gone while it was read (ENODEV); nested so deeply that no path leads there; or nothing
that this group has: a threaded one its processes, one with pressure accounting off its pressure (EOPNOTSUPP), one that
some controller of an old kernel does not serve (EINVAL).
"""


class Directory:
    """A group's directory. ``files`` are the names in it, ``groups`` those of the groups right below; both are empty
    when it is gone, or ``denied``: not for us to read. Use as a context manager.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.files: frozenset[str] = frozenset()
        self.groups: tuple[str, ...] = ()
        self.denied = False
        self._fd: int | None = None
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            with os.scandir(self._fd) as entries:
                kinds = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        except OSError as error:
            if error.errno not in _UNKNOWN:
                self.__exit__(None, None, None)
                raise
            self.denied = error.errno in (errno.EACCES, errno.EPERM)
            return
        self.files = frozenset(name for name, is_group in kinds.items() if not is_group)
        self.groups = tuple(sorted(name for name, is_group in kinds.items() if is_group))

    def __enter__(self) -> Directory:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the descriptor."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def read(self, name: str) -> str | None:
        """Return the text of a file; None when the group has no such file, or does not tell us."""
        if self._fd is None or name not in self.files:
            return None
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._fd)
        except OSError as error:
            if error.errno in _UNKNOWN:
                return None
            raise
        try:
            pieces = []
            while piece := os.read(fd, 1 << 16):
                pieces.append(piece)
        except OSError as error:
            if error.errno in _UNKNOWN:
                return None
            raise
        finally:
            os.close(fd)
        return b"".join(pieces).decode("utf-8", "backslashreplace")

    def pids(self) -> tuple[int, ...] | None:
        """Return the processes right in this group, 0 for each that has no number in our pid namespace."""
        text = self.read("cgroup.procs")
        return None if text is None else tuple(int(word) for word in text.split())
