"""Places in the new root: directories on the way and mount points, made on the plan's own file systems only."""

from __future__ import annotations

import errno
import stat
from dataclasses import dataclass, field

from spawner.draft import AT_FDCWD, Draft
from spawner.plan import Argument, Named, Packed, Result
from spawner.tree import Place

_RESOLVE_NO_XDEV, _RESOLVE_NO_MAGICLINKS, _RESOLVE_BENEATH = 1, 2, 8
_O_PATH, _O_DIRECTORY, _O_CLOEXEC = 0o10000000, 0o200000, 0o2000000
_F_GETFD = Named(1, "F_GETFD")
_FILE_444 = Named(stat.S_IFREG | 0o444, "S_IFREG|0444")
_MOUNT_POINT = 0o755


def how(flags: int, shown: str, mode: int = 0) -> Packed:
    """The struct open_how of openat2(2) that stays on one file system: no link of it leads out, none to another."""
    resolve = _RESOLVE_NO_XDEV | _RESOLVE_NO_MAGICLINKS | _RESOLVE_BENEATH
    return Packed(
        "3Q",
        (flags | _O_CLOEXEC, mode, resolve),
        f"{{flags={shown}|O_CLOEXEC, resolve=RESOLVE_BENEATH|RESOLVE_NO_XDEV|RESOLVE_NO_MAGICLINKS}}",
    )


OPEN_HOW_SIZE = 24
_A_DIRECTORY = how(_O_PATH | _O_DIRECTORY, "O_PATH|O_DIRECTORY")


@dataclass(slots=True)
class Grounds:
    """Makes things in the new root, by descriptors where the plan cannot know what a path would lead to.

    ``opened`` are the plan's own file systems whose contents, or the way to which, it does not know for certain.
    """

    draft: Draft
    opened: dict[int | None, Result] = field(default_factory=dict)
    held: list[Result] = field(default_factory=list)

    def hold(self, fd: Result) -> Result:
        """Note a descriptor to close in the end: while it is open its mount cannot go."""
        self.held.append(fd)
        return fd

    def close(self) -> None:
        """Close what is held."""
        for fd in self.held:
            self.draft.add("close", "close", fd, phase="mounts", only_if=fd)
        self.held.clear()

    def name(self, place: Place, *, only_if: Result | None = None) -> tuple[Argument, str]:
        """A descriptor and a path from it that lead to ``place`` and, if it is to be made, to nowhere else."""
        if place.ground.exact or not place.ground.ours:
            return AT_FDCWD, place.path
        base, parts = self.opened[place.ground.operation], place.parts[len(place.ground.at) :]
        if len(parts) <= 1:
            return base, "".join(parts) or "."
        directory = self.draft.add(
            "open directory",
            "openat2",
            base,
            "/".join(parts[:-1]),
            _A_DIRECTORY,
            OPEN_HOW_SIZE,
            phase="mounts",
            why="a link of the host's may be on the way: what is made must not end up on the host",
            path=place.path,
            only_if=only_if,
        )
        return self.hold(directory), parts[-1]

    def way(self, place: Place, *, mode: int = _MOUNT_POINT, only_if: Result | None = None) -> tuple[Argument, str]:
        """Make the directories on the way to ``place`` and name it.

        Their mode is 755, without what nobody of the group, or nobody else, may do with what they lead to.
        """
        parents = 0o755 & ~(0 if mode & 0o070 else 0o050) & ~(0 if mode & 0o007 else 0o005)
        for parts in place.parents:
            parent = Place(parts, place.ground)
            self.mkdir(self.name(parent, only_if=only_if), parent, parents, only_if=only_if)
        return self.name(place, only_if=only_if)

    def mkdir(self, named: tuple[Argument, str], place: Place, mode: int, *, only_if: Result | None = None) -> None:
        """Make one directory; one that is there will do."""
        self.draft.add(
            "mkdir",
            "mkdirat",
            *named,
            Named(mode, f"0{mode:o}"),
            phase="mounts",
            path=place.path,
            tolerated=(errno.EEXIST,),
            only_if=only_if,
        )

    def directory(self, place: Place, mode: int = _MOUNT_POINT) -> None:
        """Make a directory at ``place`` if the plan has none there and may."""
        if place.missing:
            self.mkdir(self.way(place, mode=mode), place, mode)

    def file(self, place: Place) -> None:
        """Make an empty file to mount on at ``place`` if the plan has none there and may."""
        if place.missing:
            self._mknod(self.way(place), place)

    def _mknod(
        self,
        named: tuple[Argument, str],
        place: Place,
        *,
        only_if: Result | None = None,
        unless: Result | None = None,
    ) -> None:
        self.draft.add(
            "make file",
            "mknodat",
            *named,
            _FILE_444,
            0,
            phase="mounts",
            path=place.path,
            tolerated=() if place.ground.exact and place.node is None else (errno.EEXIST,),
            only_if=only_if,
            unless=unless,
        )

    def of_kind(self, place: Place, tree: Result, *, optional: bool) -> None:
        """Make a mount point for ``tree``, a directory or a file as that is; for one that is not there, none."""
        if not place.missing:
            return
        named = self.way(place, only_if=tree if optional else None)
        directory = self.draft.add(
            "look for a directory",
            "openat",
            tree,
            ".",
            Named(_O_PATH | _O_DIRECTORY | _O_CLOEXEC, "O_PATH|O_DIRECTORY|O_CLOEXEC"),
            0,
            phase="mounts",
            why="a directory is mounted on a directory, a file on a file",
            path=place.path,
            tolerated=(errno.ENOTDIR,),
            only_if=tree if optional else None,
        )
        self.mkdir(named, place, _MOUNT_POINT, only_if=self.hold(directory))
        if not optional:
            self._mknod(named, place, unless=directory)
            return
        file = self.draft.add(
            "look for a file",
            "fcntl",
            tree,
            _F_GETFD,
            0,
            phase="mounts",
            why="it is one if it is there at all",
            path=place.path,
            tolerated=(errno.EBADF,),
            unless=directory,
        )
        self._mknod(named, place, only_if=file)
