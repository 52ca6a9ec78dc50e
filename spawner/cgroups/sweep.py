"""What earlier processes of ours left behind when they were killed: empty groups, removed at the next start."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator

from spawner.cgroups.hierarchies import Hierarchy
from spawner.cgroups.owner import owner_of

_STAYS = (errno.EBUSY, errno.ENOTEMPTY, errno.EACCES, errno.EPERM, errno.EROFS)


def sweep(hierarchies: Iterable[Hierarchy]) -> tuple[str, ...]:
    """Remove the empty groups whose makers have ended, where ours would be made; give their directories.

    A group in which something still runs stays, as does one that is not ours to remove.
    """
    removed = []
    for hierarchy in hierarchies:
        for parent in hierarchy.above():
            for directory in _abandoned(parent):
                if _removed(directory):
                    removed.append(directory)
    return tuple(removed)


def _abandoned(parent: str) -> Iterator[str]:
    try:
        with os.scandir(parent) as entries:
            directories = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, PermissionError):
        return
    for directory in directories:
        try:
            owner = owner_of(directory)
        except FileNotFoundError:  # its owner has removed it
            continue
        if owner is not None and not owner.lives:
            yield directory


def _removed(directory: str) -> bool:
    try:
        remove_tree(directory)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in _STAYS:
            return False
        raise
    return True


def remove_tree(directory: str) -> None:
    """Remove an empty group and the empty groups below it, the deepest first. OSError: EBUSY while one is not empty."""
    with os.scandir(directory) as entries:
        below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    for child in below:
        remove_tree(child)
    os.rmdir(directory)
