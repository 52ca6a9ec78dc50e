"""Paths of groups: as /proc/PID/cgroup shows them to a reader, and as directories below a mount (cgroups(7)).

A reader sees the root of its own cgroup namespace as ``/`` and what is outside of it as ``/../…``
(cgroup_namespaces(7)), so these are no paths to normalise: the names behind ``..`` are not known.
"""

from __future__ import annotations

import os

DELETED = " (deleted)"
"""What follows the path of a group that was removed while a zombie is still in it."""


def groups_of(text: bytes) -> dict[str, str]:
    """Return the group of a process in each hierarchy, by its controllers or ``name=…``, from /proc/PID/cgroup.

    The hierarchy of version 2 has the key ``""``. Paths are as os.fsdecode() gives them. Pure.
    """
    fields = (line.split(b":", 2) for line in text.split(b"\n"))
    return {os.fsdecode(words[1]): os.fsdecode(words[2]) for words in fields if len(words) == 3}


def below(path: str, root: str) -> str | None:
    """Return where ``path`` is below ``root``: ``""`` for the root itself, ``a/b``; None when it is not. Pure."""
    whole, above = _names(path), _names(root)
    rest = whole[len(above) :]
    return "/".join(rest) if whole[: len(above)] == above and ".." not in rest else None


def joined(root: str, rest: str) -> str:
    """Return the path of what is at ``rest`` below ``root``. Pure."""
    return root if not rest else f"{root.rstrip('/')}/{rest}"


def outward(path: str) -> tuple[int, int]:
    """Order paths from the outermost group to the innermost. Pure."""
    names = _names(path)
    up = names.count("..")
    return -up, len(names) - up


def is_above(path: str, other: str) -> bool:
    """True when the group at ``path`` is further up on the way to ``other``. Pure."""
    return path != other and below(other, path) is not None


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]
