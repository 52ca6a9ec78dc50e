"""What one mount table has that another has not, matched by where a path leads and what is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nsview.host.content.mount_info import Mount


@dataclass(frozen=True, slots=True)
class Change:
    """A mount point that both tables have with another mount on it, or the same mount with other properties.

    ``what`` names the properties that differ, as of Mount.
    """

    before: Mount
    after: Mount
    what: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MountDifference:
    """From one table to another: mounts gone, come, and changed, each by path."""

    removed: tuple[Mount, ...]
    added: tuple[Mount, ...]
    changed: tuple[Change, ...]

    @property
    def is_empty(self) -> bool:
        """True when the tables say the same but for mount ids, which differ in a copy of a namespace anyway."""
        return not (self.removed or self.added or self.changed)


PROPERTIES = (
    "device",
    "root",
    "fs_type",
    "source",
    "options",
    "super_options",
    "shared",
    "master",
    "propagate_from",
    "unbindable",
)
"""What of a mount is compared: all but its ids, and the mount point that it is found by."""


def difference(one: Iterable[Mount], two: Iterable[Mount]) -> MountDifference:
    """Compare two tables' mounts in the kernel's order. Pure.

    Where several are stacked on one mount point the undermost are compared with the undermost.
    """
    first, second = _stacks(one), _stacks(two)
    removed: list[Mount] = []
    added: list[Mount] = []
    changed: list[Change] = []
    for point in sorted({*first, *second}):
        before, after = first.get(point, []), second.get(point, [])
        for old, new in zip(before, after, strict=False):
            if what := tuple(name for name in PROPERTIES if getattr(old, name) != getattr(new, name)):
                changed.append(Change(old, new, what))
        removed += before[len(after) :]
        added += after[len(before) :]
    return MountDifference(tuple(removed), tuple(added), tuple(changed))


def _stacks(mounts: Iterable[Mount]) -> dict[str, list[Mount]]:
    stacks: dict[str, list[Mount]] = {}
    for mount in mounts:
        stacks.setdefault(mount.point, []).append(mount)
    return stacks
