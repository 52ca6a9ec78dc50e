"""What the files of a Spec need to be known of this kernel and this process; probed only where it matters."""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import replace
from functools import lru_cache

from spawner import _native, mountinfo
from spawner.filling import switches_root
from spawner.kernel import Facts
from spawner.oci import Bind
from spawner.spec import Spec

_AT_FDCWD = -100
_STATX_SIZE, _STATX_ATTRIBUTES, _ATTR_MOUNT_ROOT = 256, 8, 0x2000
_STATFS_SIZE = 120
_MAY_BE_ROOTFS = (0x858458F6, 0x01021994)  # RAMFS_MAGIC, TMPFS_MAGIC: what an initramfs is


def with_files(spec: Spec, facts: Facts) -> Facts:
    """The facts, with what this Spec makes worth knowing."""
    switches = switches_root(spec)
    sets_flags = spec.mounts or spec.readonly_paths or spec.rootfs_readonly
    if not switches and not sets_flags:
        return facts
    if switches:
        facts = replace(facts, root_attached=root_attached())
    if sets_flags and not has_mount_setattr():
        facts = replace(facts, mount_setattr=False, submounts=submounts(spec))
    return facts


@lru_cache(maxsize=1)
def has_mount_setattr() -> bool:
    """Whether mount_setattr(2) exists and is let through: it answers EINVAL to a struct of no size then."""
    try:
        _native.call(_native.SYSCALLS["mount_setattr"], -1, b"\0", 0, 0, 0)
    except OSError as error:
        return error.errno == errno.EINVAL
    return True


def root_attached() -> bool:
    """Whether our root is a mount that is mounted on another, as pivot_root(2) needs it."""
    seen = bytearray(_STATX_SIZE)
    _native.call(_native.SYSCALLS["statx"], _AT_FDCWD, b"/\0", 0, 0, seen)
    (attributes,) = struct.unpack_from("=Q", seen, _STATX_ATTRIBUTES)
    if not attributes & _ATTR_MOUNT_ROOT:
        return False
    seen = bytearray(_STATFS_SIZE)
    _native.call(_native.SYSCALLS["statfs"], b"/\0", seen)
    (kind,) = struct.unpack_from("=q", seen)
    return kind not in _MAY_BE_ROOTFS or root_has_parent(mountinfo.read())


def root_has_parent(text: str) -> bool:
    """Whether a mountinfo's root is mounted on another mount; one that is not is its own parent there."""
    roots = [fields for line in filter(None, text.split("\n")) if (fields := line.split(" "))[4] == "/"]
    return bool(roots) and roots[0][0] != roots[0][1]


def submounts(spec: Spec) -> tuple[tuple[str, mountinfo.Mounts], ...]:
    """What is mounted at and below each path whose flags this Spec sets."""
    paths = {operation.source for operation in spec.mounts if isinstance(operation, Bind)}
    paths |= set(spec.readonly_paths) if not switches_root(spec) else set()
    paths.add(spec.rootfs if spec.rootfs is not None else "/")
    text = mountinfo.read()
    return tuple((path, mountinfo.mounts_below(os.path.realpath(path), text)) for path in sorted(paths))
