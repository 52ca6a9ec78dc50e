"""The id maps of a user namespace, from a process in it (user_namespaces(7))."""

from __future__ import annotations

from dataclasses import dataclass

from nsview.host.process import PinnedProcess

_NO_ID = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Extent:
    """``count`` ids from ``inside`` on are those from ``outside`` on in our user namespace; None: it has none for
    them.
    """

    inside: int
    outside: int | None
    count: int


@dataclass(frozen=True, slots=True)
class UserContent:
    """The maps, empty before they are written, and whether setgroups(2) is allowed. None is unknown."""

    uid_map: tuple[Extent, ...] | None
    gid_map: tuple[Extent, ...] | None
    setgroups: bool | None


def read_user(process: PinnedProcess) -> UserContent:
    """Read the maps of the user namespace that ``process`` is in; they take no privilege."""
    word = process.read("setgroups")
    return UserContent(
        parse_map(process.read("uid_map")),
        parse_map(process.read("gid_map")),
        {b"allow": True, b"deny": False}.get(word.strip()) if word is not None else None,
    )


def parse_map(text: bytes | None) -> tuple[Extent, ...] | None:
    """Return the extents of a uid_map or gid_map as read from our user namespace. Pure."""
    if text is None:
        return None
    rows = (tuple(map(int, line.split())) for line in text.splitlines())
    return tuple(Extent(inside, None if outside == _NO_ID else outside, count) for inside, outside, count in rows)


def outside(extents: tuple[Extent, ...], number: int) -> int | None:
    """Return the id in our user namespace of one that was read inside; None when it has none that we know. Pure."""
    for extent in extents:
        if extent.outside is not None and extent.inside <= number < extent.inside + extent.count:
            return extent.outside + number - extent.inside
    return None
