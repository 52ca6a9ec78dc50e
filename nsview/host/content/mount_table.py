"""The mounts of one mount namespace as a viewer meets them: a tree, of which some branches lie under others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from nsview.host.content.mount_info import Mount


@dataclass(frozen=True)
class MountTable:
    """Mounts by id, in the kernel's order, as seen from ``root_id``, the mount that holds the viewer's root.

    That mount is in the table only if the viewer's root is its top: a chroot(2) hides it, not what is mounted
    below. None is unknown, then the viewer is one that enters the namespace now: its root is what lies on top.
    """

    mounts: Mapping[int, Mount]
    root_id: int | None = None
    _children: dict[int, dict[str, Mount]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Note who is mounted on whom, and where: on one directory of one mount there is one at most."""
        for mount in self.mounts.values():
            if mount.parent != mount.id:  # a namespace's first mount may be its own parent
                self._children.setdefault(mount.parent, {})[mount.point] = mount

    def children(self, number: int) -> tuple[Mount, ...]:
        """Return the mounts that stand directly on the mount with this id, by path."""
        on = self._children.get(number, {})
        return tuple(on[point] for point in sorted(on))

    @cached_property
    def tops(self) -> tuple[Mount, ...]:
        """The mounts whose parent is not in the table: one, the root, unless the viewer is in a chroot."""
        return tuple(
            mount for mount in self.mounts.values() if mount.parent == mount.id or mount.parent not in self.mounts
        )

    def walk(self) -> Iterator[tuple[int, Mount]]:
        """Yield (depth, mount), each before what stands on it."""
        pending = [(0, mount) for mount in sorted(self.tops, key=lambda mount: (mount.point, mount.id), reverse=True)]
        while pending:
            depth, mount = pending.pop()
            yield depth, mount
            pending += [(depth + 1, child) for child in reversed(self.children(mount.id))]

    @cached_property
    def covers(self) -> Mapping[int, int]:
        """The mounts that no path of the viewer leads to, and what lies over each: hidden id → covering id.

        Path lookup steps from a mount point onto the mount there, and again while that has one on its own root
        (path_resolution(7)). So a mount is hidden by one on its root; by one at a directory above its mount
        point in the same parent, whichever came first; and with its parent. The viewer's root is not looked up:
        what is mounted over it hides nothing from the viewer, but is itself out of reach.
        """
        found: dict[int, int] = {}
        unreached: dict[int, int] = {}
        for _, mount in self.walk():
            over = self._over_the_way(mount)
            if over is None and mount.parent != mount.id:
                over = unreached.get(mount.parent)
            if over is not None:
                found[mount.id] = unreached[mount.id] = over
            elif mount.id != self.root_id:
                on_root = self._children.get(mount.id, {}).get(mount.point)
                if on_root is not None:
                    found[mount.id] = on_root.id
        return found

    def _over_the_way(self, mount: Mount) -> int | None:
        """What is mounted between the parent's root and the mount point, hiding it."""
        from_viewers_root = mount.parent == self.root_id
        if from_viewers_root and mount.point == "/" and mount.id != mount.parent:
            return self.root_id
        on_parent = self._children.get(mount.parent, {})
        for path in _above(mount.point):
            over = on_parent.get(path)
            if over is not None and not (from_viewers_root and path == "/"):
                return over.id
        return None

    def is_visible(self, number: int) -> bool:
        """True when a path of the viewer leads to the mount with this id."""
        return number not in self.covers

    @cached_property
    def visible(self) -> tuple[Mount, ...]:
        """The mounts that paths lead to, by path."""
        return tuple(sorted((m for m in self.mounts.values() if self.is_visible(m.id)), key=lambda m: m.point))

    def holding(self, path: str) -> Mount | None:
        """Return the mount that an absolute path without links or ``..`` leads into; None where it is not shown."""
        reached = [mount for mount in self.visible if is_at_or_below(path, mount.point)]
        return max(reached, key=lambda mount: len(mount.point), default=None)


def is_at_or_below(path: str, above: str) -> bool:
    """True when an absolute path is another, or below it; by whole names."""
    return path == above or path.startswith(above if above.endswith("/") else f"{above}/")


def _above(path: str) -> Iterator[str]:
    """Yield the directories above an absolute path, from the root down."""
    if path != "/":
        yield "/"
    at = path.find("/", 1)
    while at != -1:
        yield path[:at]
        at = path.find("/", at + 1)


def table_of(mounts: Iterable[Mount], root_id: int | None = None) -> MountTable:
    """Make a table of mounts."""
    return MountTable({mount.id: mount for mount in mounts}, root_id)
