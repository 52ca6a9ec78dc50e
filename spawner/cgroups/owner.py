"""Whose a group is: names that are nobody else's, and a record on the group itself, for the next start to read."""

from __future__ import annotations

import errno
import itertools
import os
import re
from dataclasses import dataclass

from spawner import procfs

_NAME = re.compile(r"nsview-(\d+)-(\d+)-\d+")
_RECORD = re.compile(rb"(\d+) (\d+) (\d+)")
# Version 2 has user attributes since Linux 5.7, version 1 too by now; an older kernel has root's in both.
_ATTRIBUTES = ("user.nsview.owner", "trusted.nsview.owner")
_NO_ATTRIBUTE = (errno.EOPNOTSUPP, errno.EPERM, errno.EACCES, errno.ENOSPC, errno.ENODATA)
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that made a group: ``pid`` and ``start_time`` as in /proc/PID/stat, and its pid namespace's inode.

    ``pid_namespace`` is 0 where that is not known.
    """

    pid: int
    start_time: int
    pid_namespace: int = 0

    @property
    def lives(self) -> bool:
        """Whether it still runs. One of another pid namespace cannot be looked for, so it counts as alive."""
        if self.pid_namespace not in (0, _pid_namespace()):
            return True
        seen = procfs.identity(self.pid)
        if seen is None:
            return procfs.identity() is None  # without a /proc nobody is known to have ended
        return seen[2] and seen[1] == self.start_time

    def __str__(self) -> str:
        return f"process {self.pid}, which {'still runs' if self.lives else 'has ended'}"


def _pid_namespace() -> int:
    return procfs.namespaces("self", ["pid"])["pid"] or 0


def ourselves() -> Owner:
    """Name this process; ProcessLookupError where /proc does not tell."""
    seen = procfs.identity()
    if seen is None:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), "/proc/self/stat")
    return Owner(seen[0], seen[1], _pid_namespace())


def unique_name(owner: Owner) -> str:
    """A name for a group that no other process, then or later, takes."""
    return f"nsview-{owner.pid}-{owner.start_time}-{next(_numbers)}"


def record(directory: str, owner: Owner) -> None:
    """Write on a group whose it is, as far as the kernel lets us: without it only its name tells."""
    text = f"{owner.pid} {owner.start_time} {owner.pid_namespace}".encode()
    for attribute in _ATTRIBUTES:
        try:
            os.setxattr(directory, attribute, text)
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTE:
                raise
        else:
            return


def owner_of(directory: str) -> Owner | None:
    """Who made a group; None where it is none of ours. FileNotFoundError if it is gone."""
    for attribute in _ATTRIBUTES:
        try:
            found = _RECORD.fullmatch(os.getxattr(directory, attribute))
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTE:
                raise
        else:
            return Owner(*map(int, found.groups())) if found else None
    named = _NAME.fullmatch(os.path.basename(directory))
    return Owner(int(named[1]), int(named[2])) if named else None
