"""The mounts a process can reach, one by one, and which of them differ from another process's."""

from __future__ import annotations

from collections.abc import Iterator

from nsview.host.attribute import Attribute
from nsview.host.content.mounts import Mount, MountTable, difference
from nsview.host.text import printable

_SOURCE = "/proc/PID/mountinfo"
_SAME = "the same is mounted here, with the same options"


def words(mount: Mount) -> str:
    """Word one mount on a line: what is mounted, how, and what becomes of mounts below it."""
    origin = f"{mount.source}{mount.root if mount.root != '/' else ''}"
    options = ",".join(mount.options)
    return printable(f"{mount.fs_type} {origin} {options} {mount.propagation}")


def attributes(one: MountTable | None, two: MountTable | None) -> Iterator[Attribute[MountTable]]:
    """Yield each mount of one process alone; of two processes those that differ."""
    if one is None or two is None:
        yield Attribute("mounts", lambda table: str(len(table.mounts)), _SOURCE, _SAME, "another number of mounts")
        return
    if one is two:
        yield from _each(one)
        return
    found = difference(one.mounts.values(), two.mounts.values())
    changes: list[tuple[str, Mount | None, Mount | None, str]] = [
        *((mount.point, mount, None, "−") for mount in found.removed),
        *((mount.point, None, mount, "+") for mount in found.added),
        *((change.after.point, change.before, change.after, " ".join(change.what)) for change in found.changed),
    ]
    seen: dict[str, int] = {}
    for point, before, after, delta in sorted(changes, key=lambda change: change[0]):
        yield _changed(_unique(point, seen), one, before, after, delta)
    if not changes:
        yield Attribute("mounts", lambda table: str(len(table.mounts)), _SOURCE, _SAME, "", value=lambda table: True)


def _each(table: MountTable) -> Iterator[Attribute[MountTable]]:
    seen: dict[str, int] = {}
    for mount in table.mounts.values():
        yield _one(_unique(mount.point, seen), mount)


def _unique(point: str, seen: dict[str, int]) -> str:
    """Name a mount by its point; where several are stacked, the later ones with a number."""
    seen[point] = seen.get(point, 0) + 1
    return printable(point) + (f" ({seen[point]})" if seen[point] > 1 else "")


def _one(name: str, mount: Mount) -> Attribute[MountTable]:
    return Attribute(name, lambda table: words(mount), _SOURCE, _SAME, "")


def _changed(
    name: str, first: MountTable, before: Mount | None, after: Mount | None, delta: str
) -> Attribute[MountTable]:
    def shown(mount: Mount | None) -> str:
        return "not mounted" if mount is None else words(mount)

    return Attribute(
        name,
        lambda table: shown(before if table is first else after),
        _SOURCE,
        _SAME,
        "mounted, unmounted or remounted by one, or in a place the other's mounts do not reach",
        lambda one, two: delta,
        value=lambda table: table is first,
    )
