"""What this kernel and this process bring to a launch: probed, never guessed from a version."""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass
from functools import lru_cache

from spawner import _native
from spawner.cgroups.hierarchies import Hierarchy

_CAPABILITY_VERSION_3 = 0x20080522
_OF_LIBC = 1 << 31 | 1 << 32
"""Signals 32 and 33, which glibc handles from the first thread on: that may come after a plan was made."""
_INTO_CGROUP = 1 << 33
_NO_DESCRIPTOR = 2**31 - 1  # above any fs.nr_open


@dataclass(frozen=True, slots=True)
class Facts:
    """What compile_spec must know of the caller beside the Spec.

    ``clone3_errno`` is 0 where clone3(2) can be called, else ENOSYS or a filter's errno; ``uid`` and ``gid`` are our
    effective ids; ``caught`` has bit N-1 set where this process handles signal N; ``program`` is where the search
    along PATH will end, if that could be looked up beforehand. ``capabilities`` are our effective ones as a mask,
    ``permitted`` and ``inheritable`` those sets. The others are looked at where the Spec makes them matter:
    ``mount_setattr`` whether that call exists, ``root_attached`` whether our root is mounted on something, as
    pivot_root(2) needs it (an initramfs is not), ``submounts`` what is mounted at and below each path whose flags are
    set, where mount_setattr lacks: (path, ((path below it, flags), …)), ``cgroups`` the hierarchies, ``into_cgroup``
    whether clone3 knows CLONE_INTO_CGROUP, ``hard_limits`` our own of the resources to be limited, where there are
    any, ``time_at_execve`` whether execve enters a new time namespace.
    """

    clone3_errno: int = 0
    uid: int = 0
    gid: int = 0
    caught: int = 0
    program: str | None = None
    capabilities: int = (1 << 64) - 1
    permitted: int = (1 << 64) - 1
    inheritable: int = 0
    mount_setattr: bool = True
    root_attached: bool = True
    submounts: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = ()
    cgroups: tuple[Hierarchy, ...] = ()
    into_cgroup: bool = True
    hard_limits: tuple[tuple[str, int], ...] = ()
    time_at_execve: bool = True


@lru_cache(maxsize=1)
def clone3_errno() -> int:
    """0 where clone3(2) exists and is let through; it answers EINVAL to nonsense then."""
    answer = _native.probe_clone3()
    return 0 if answer == errno.EINVAL else answer


@lru_cache(maxsize=1)
def into_cgroup() -> bool:
    """Whether clone3 knows CLONE_INTO_CGROUP: it answers EBADF then to a descriptor that nobody has (clone(2))."""
    arguments = struct.pack("=11Q", _INTO_CGROUP, *[0] * 9, _NO_DESCRIPTOR)
    try:
        _native.call(_native.SYSCALLS["clone3"], arguments, len(arguments))
    except OSError as error:
        return error.errno == errno.EBADF
    raise AssertionError("clone3 took a descriptor that is none")


def capability_sets() -> tuple[int, int, int]:
    """(effective, permitted, inheritable) capabilities of the calling thread as masks (capget(2))."""
    header, sets = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytearray(24)
    _native.call(_native.SYSCALLS["capget"], header, sets)
    low = struct.unpack_from("=3I", sets)
    high = struct.unpack_from("=3I", sets, 12)
    return low[0] | high[0] << 32, low[1] | high[1] << 32, low[2] | high[2] << 32


def effective_capabilities() -> int:
    """The effective capabilities of the calling thread as a mask."""
    return capability_sets()[0]


def facts(candidates: tuple[str, ...] = (), *, handlers: bool = True) -> Facts:
    """The facts of this process, now; ``candidates`` are the files where the program may be.

    ``handlers``: whether the signals we handle matter; asking for all of them takes 64 system calls.
    """
    caught = _native.dispositions()[0] | _OF_LIBC if handlers else 0
    program = next((path for path in candidates if os.path.isfile(path) and os.access(path, os.X_OK)), None)
    effective, permitted, inheritable = capability_sets()
    return Facts(
        clone3_errno=clone3_errno(),
        uid=os.geteuid(),
        gid=os.getegid(),
        caught=caught,
        program=program,
        capabilities=effective,
        permitted=permitted,
        inheritable=inheritable,
    )
