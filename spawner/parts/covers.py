"""What is covered or made read-only in the end: masked paths, read-only paths, the root itself."""

from __future__ import annotations

import errno
import struct

from spawner.draft import AT_FDCWD, NULL, O_PATH_DIR, Draft
from spawner.filling import Filling
from spawner.mountinfo import MS_RDONLY, Mounts
from spawner.parts.known_mounts import mounts_at
from spawner.parts.sources import CLONE, CLONE_ALL, MOUNT_ATTR_SIZE, attach, attributes, clone, set_attributes
from spawner.plan import Named, Out, Result

_ABSENT = (errno.ENOENT, errno.ENOTDIR)
_O_PATH = Named(0o10000000 | 0o2000000, "O_PATH|O_CLOEXEC")
_MOVE_TO_FD = Named(4 | 0x40, "MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH")
_MASK = Named(1 | 2 | 4 | 8, "MS_RDONLY|MS_NOSUID|MS_NODEV|MS_NOEXEC")
_REMOUNT_BIND = 32 | 4096
_STATFS_SIZE, _STATFS_FLAGS = 120, 80
_NAMES = ((1, "MS_RDONLY"), (2, "MS_NOSUID"), (4, "MS_NODEV"), (8, "MS_NOEXEC"), (256, "MS_NOSYMFOLLOW"))


def masks(draft: Draft) -> list[Result]:
    """A /dev/null to lay over each masked path that is a file, taken while the host's can be reached."""
    return [clone(draft, "/dev/null", CLONE) for _ in draft.spec.masked_paths]


def cover(draft: Draft, nulls: list[Result]) -> None:
    """Hide masked paths: directories below an empty tmpfs, files below /dev/null; what is not there is passed over."""
    phase = "masks"
    for path, null in zip(draft.spec.masked_paths, nulls, strict=True):
        directory = draft.add(
            "look for a directory", "openat", AT_FDCWD, path, O_PATH_DIR, 0, phase=phase, path=path, tolerated=_ABSENT
        )
        draft.add(
            "mask directory",
            "mount",
            "tmpfs",
            path,
            "tmpfs",
            _MASK,
            "size=0k,nr_inodes=1",
            phase=phase,
            path=path,
            only_if=directory,
        )
        draft.add("close", "close", directory, phase=phase, only_if=directory)
        file = draft.add(
            "look for a file",
            "openat",
            AT_FDCWD,
            path,
            _O_PATH,
            0,
            phase=phase,
            path=path,
            tolerated=_ABSENT,
            unless=directory,
        )
        draft.add("mask file", "move_mount", null, "", file, "", _MOVE_TO_FD, phase=phase, path=path, only_if=file)
        draft.add("close", "close", file, phase=phase, only_if=file)
        draft.add("close", "close", null, phase=phase)


def read_only_paths(draft: Draft, filling: Filling | None) -> None:
    """Lay a read-only copy of each of these trees over itself; what is not there is passed over."""
    phase = "read-only"
    for path in draft.spec.readonly_paths:
        tree = draft.add("open tree", "open_tree", AT_FDCWD, path, CLONE_ALL, phase=phase, path=path, tolerated=_ABSENT)
        if draft.facts.mount_setattr:
            set_attributes(draft, tree, MS_RDONLY, path, only_if=tree)
        attach(draft, tree, path, only_if=tree)
        draft.add("close", "close", tree, phase=phase, only_if=tree)
        if not draft.facts.mount_setattr:
            remount(draft, path, mounts_at(draft, filling, path), MS_RDONLY, only_if=tree)
        expect_read_only(draft, path, only_if=tree)


def read_only_root(draft: Draft, filling: Filling | None) -> None:
    """Make the root's own mount read-only, not those below it."""
    if draft.spec.rootfs_readonly:
        read_only_mount(draft, "/", mounts_at(draft, filling, "/"))


def read_only_mount(draft: Draft, path: str, mounts: Mounts) -> None:
    """Make the mount at ``path`` read-only, and look whether it is."""
    if draft.facts.mount_setattr:
        draft.add(
            "set mount attributes",
            "mount_setattr",
            AT_FDCWD,
            path,
            0,
            attributes(MS_RDONLY),
            MOUNT_ATTR_SIZE,
            phase="read-only",
            path=path,
        )
    else:
        remount(draft, path, mounts[:1], MS_RDONLY)
    expect_read_only(draft, path)


def expect_read_only(draft: Draft, path: str, *, only_if: Result | None = None) -> None:
    """Read back that the mount at ``path`` is read-only (statfs(2))."""
    seen = draft.add(
        "read mount flags", "statfs", path, Out(_STATFS_SIZE), phase="read back", path=path, only_if=only_if
    )
    draft.expect(f"the mount at {path}", seen, "read-only", _worded)


def _worded(answer: int, written: bytes) -> str | None:
    if answer != 0:
        return None
    (flags,) = struct.unpack_from("=q", written, _STATFS_FLAGS)
    return "read-only" if flags & 1 else "writable"


def remount(draft: Draft, path: str, mounts: Mounts, mask: int, *, only_if: Result | None = None) -> None:
    """Set flags of the mount at ``path`` and those below it one by one, where mount_setattr(2) lacks.

    A remount sets all flags anew, and in a user namespace may clear none that is locked: so each is repeated.
    """
    for below, flags in mounts:
        bits = flags | mask
        names = "|".join(name for bit, name in _NAMES if bits & bit)
        target = f"{path.rstrip('/')}{below}" or "/"
        draft.add(
            "remount",
            "mount",
            NULL,
            target,
            NULL,
            Named(_REMOUNT_BIND | bits, f"MS_REMOUNT|MS_BIND|{names}"),
            NULL,
            phase="mounts",
            path=target,
            tolerated=() if not below else (errno.EACCES,),
            only_if=only_if,
        )
