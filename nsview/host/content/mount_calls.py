"""listmount(2) and statmount(2): every mount of a namespace, without entering it and past any chroot.

Since Linux 6.8 for our own namespace, for another's since 6.11, with the sources of mounts since 6.15 or so; what a
kernel answers is looked at, not its number. Layouts: include/uapi/linux/mount.h.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

from nsview.host.content.mount_info import Mount, options_of

_STATMOUNT, _LISTMOUNT = 457, 458
_LSMT_ROOT = (1 << 64) - 1
_REQUEST = struct.Struct("=IIQQQ")  # struct mnt_id_req: size, 0, mount, mask or last seen, namespace
_NS_MNT_GET_INFO = 0x8010B70A
_INFO = struct.Struct("=IIQ")  # struct mnt_ns_info: size, mounts, id of the namespace

SB_BASIC, MNT_BASIC, PROPAGATE_FROM, MNT_ROOT, MNT_POINT, FS_TYPE = (1 << bit for bit in range(6))
MNT_OPTS, FS_SUBTYPE, SB_SOURCE = 1 << 7, 1 << 8, 1 << 9
_NEEDED = SB_BASIC | MNT_BASIC | PROPAGATE_FROM | MNT_ROOT | FS_TYPE
_ASKED = _NEEDED | MNT_POINT | MNT_OPTS | FS_SUBTYPE | SB_SOURCE
"""The kernel answers with the bits of what it knows, but of no text that is empty: neither of an empty source nor of
the mount point of what our root hides (statmount_string(), fs/namespace.c).
"""

_FIXED = struct.Struct("=IIQ IIQII QQIIQQQQQII QII")
_STRINGS = 512
"""Where the strings begin: struct statmount is as long as this since the first."""
_FIRST_ROOM, _MOST_ROOM = 1 << 13, 1 << 24
_AT_ONCE = 1024

MS_SHARED, MS_SLAVE, MS_UNBINDABLE = 1 << 20, 1 << 19, 1 << 17
_ATTRIBUTES = (
    (0x000002, 0x000002, "nosuid"),
    (0x000004, 0x000004, "nodev"),
    (0x000008, 0x000008, "noexec"),
    (0x000070, 0x000010, "noatime"),
    (0x000080, 0x000080, "nodiratime"),
    (0x000070, 0x000000, "relatime"),
    (0x200000, 0x200000, "nosymfollow"),
    (0x100000, 0x100000, "idmapped"),
)
"""(mask, bits, word): MOUNT_ATTR_* in the order of mountinfo (show_mnt_opts(), fs/proc_namespace.c)."""
_SB_FLAGS = ((1 << 4, "sync"), (1 << 7, "dirsync"), (1 << 6, "mand"), (1 << 25, "lazytime"))
"""show_sb_opts(), fs/proc_namespace.c."""
_RDONLY = 1

_NOT_THERE = (errno.ENOSYS, errno.EPERM, errno.EACCES, errno.ENOENT, errno.EINVAL, errno.ENOTTY)
"""No such call, or not with another namespace (EINVAL), or not for us (ENOENT hides it)."""

_libc = ctypes.CDLL(None, use_errno=True)


class NotListedError(Exception):
    """The kernel does not tell the mounts of that namespace this way: ``errno`` says why."""

    def __init__(self, number: int) -> None:
        """Keep the answer."""
        self.errno = number
        super().__init__(os.strerror(number))


def mounts_by_call(namespace: int) -> tuple[Mount, ...]:
    """Return all mounts of the mount namespace of a descriptor; mount points are as from its root.

    Raises NotListedError where the kernel is too old, or we are not privileged over the namespace.
    """
    identity = _namespace_id(namespace)
    mounts, knows_sources = [], False
    for number in _listed(identity):
        try:
            answer = _asked(identity, number)
        except FileNotFoundError:  # unmounted meanwhile
            continue
        mount = _decoded(answer)
        knows_sources |= bool(_mask(answer) & SB_SOURCE)
        if mount is not None:
            mounts.append(mount)
    if not knows_sources:
        raise NotListedError(errno.EOPNOTSUPP)
    return tuple(mounts)


def _namespace_id(namespace: int) -> int:
    info = bytearray(_INFO.pack(_INFO.size, 0, 0))
    try:
        fcntl.ioctl(namespace, _NS_MNT_GET_INFO, info)
    except OSError as error:
        raise _not_listed(error) from error
    identity: int = _INFO.unpack(info)[2]
    return identity


def _listed(identity: int) -> list[int]:
    found: list[int] = []
    room = (ctypes.c_uint64 * _AT_ONCE)()
    while True:
        request = _REQUEST.pack(_REQUEST.size, 0, _LSMT_ROOT, found[-1] if found else 0, identity)
        try:
            count = _call(_LISTMOUNT, request, room, _AT_ONCE)
        except OSError as error:
            raise _not_listed(error) from error
        found += room[:count]
        if count < _AT_ONCE:
            return found


def _asked(identity: int, number: int) -> bytes:
    request = _REQUEST.pack(_REQUEST.size, 0, number, _ASKED, identity)
    size = _FIRST_ROOM
    while True:
        room = ctypes.create_string_buffer(size)
        try:
            _call(_STATMOUNT, request, room, size)
        except OSError as error:
            if error.errno == errno.EOVERFLOW and size < _MOST_ROOM:
                size *= 4
                continue
            if error.errno == errno.ENOENT:
                raise
            raise _not_listed(error) from error
        return room.raw


def _mask(answer: bytes) -> int:
    mask: int = _FIXED.unpack_from(answer)[2]
    return mask


def _decoded(answer: bytes) -> Mount | None:
    """Turn a struct statmount into what mountinfo would say, None for what it would leave out. Pure.

    Raises NotListedError where it says too little.
    """
    (
        _size, mnt_opts, mask, major, minor, _magic, sb_flags, fs_type,
        unique, _parent, old, old_parent, attributes, propagation, group, master, from_, root, point,
        _namespace, fs_subtype, sb_source,
    ) = _FIXED.unpack_from(answer)  # fmt: skip
    if mask & _NEEDED != _NEEDED:
        raise NotListedError(errno.EOPNOTSUPP)
    if not mask & MNT_POINT:
        return None

    def text(offset: int, bit: int = 0) -> bytes:
        if bit and not mask & bit:
            return b""
        return answer[_STRINGS + offset : answer.index(b"\0", _STRINGS + offset)]

    subtype = text(fs_subtype, FS_SUBTYPE)
    kind = text(fs_type) + (b"." + subtype if subtype else b"")
    return Mount(
        id=old,
        parent=old_parent,
        device=(major, minor),
        root=os.fsdecode(text(root)),
        point=os.fsdecode(text(point)),
        options=("ro" if attributes & _RDONLY else "rw", *(w for m, bits, w in _ATTRIBUTES if attributes & m == bits)),
        shared=group if propagation & MS_SHARED else None,
        master=master if propagation & MS_SLAVE else None,
        propagate_from=from_ or None if from_ != master else None,
        unbindable=bool(propagation & MS_UNBINDABLE),
        fs_type=os.fsdecode(kind),
        source=os.fsdecode(text(sb_source, SB_SOURCE)),
        super_options=_super_options(sb_flags, text(mnt_opts, MNT_OPTS)),
        unique_id=unique,
    )


def _super_options(sb_flags: int, own: bytes) -> tuple[str, ...]:
    said = ["ro" if sb_flags & _RDONLY else "rw", *(word for bit, word in _SB_FLAGS if sb_flags & bit)]
    return (*said, *options_of(own))


def _call(number: int, request: bytes, room: object, size: int) -> int:
    result: int = _libc.syscall(
        ctypes.c_long(number), ctypes.c_char_p(request), room, ctypes.c_size_t(size), ctypes.c_uint(0)
    )
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def _not_listed(error: OSError) -> Exception:
    return NotListedError(error.errno) if error.errno in _NOT_THERE and error.errno else error
