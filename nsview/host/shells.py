"""Which shell a process's root directory has: looked for inside it, so that no link leads out to ours.

openat2(2) with RESOLVE_IN_ROOT takes absolute links, and ``..`` at the top, as the process itself would.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from nsview.host.process import ORDINARY, PinnedProcess

_OPENAT2 = 437
_RESOLVE_IN_ROOT = 0x10
_NOT_THERE = ORDINARY | {errno.ENOTDIR, errno.ELOOP, errno.EXDEV, errno.ENAMETOOLONG}

USUAL: tuple[tuple[str, ...], ...] = (
    ("/bin/bash",),
    ("/usr/bin/bash",),
    ("/bin/sh",),
    ("/usr/bin/sh",),
    ("/bin/ash",),
    ("/bin/busybox", "sh"),
    ("/run/current-system/sw/bin/sh",),
)
"""Where shells are, the best one first, with the arguments that make them one."""


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def shell_in(process: PinnedProcess, wished: str | None = None) -> tuple[str, ...] | None:
    """Return the words that start a shell within the process's root: ``wished`` if that is there, else a usual one.

    None where there is none, or the root is not ours to look into (proc_pid_root(5): PTRACE_MODE_READ).
    """
    root = process.open("root", os.O_PATH | os.O_DIRECTORY)
    if root is None:
        return None
    try:
        candidates = ((wished,), *USUAL) if wished is not None and wished.startswith("/") else USUAL
        return next((words for words in candidates if _is_program(root, words[0])), None)
    finally:
        os.close(root)


def _is_program(root: int, path: str) -> bool:
    """Whether there is a file with that path which somebody may execute; raises OSError for what is not ordinary."""
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    if fd < 0:
        number = ctypes.get_errno()
        if number in _NOT_THERE:
            return False
        raise OSError(number, os.strerror(number), path)
    try:
        mode = os.fstat(fd).st_mode
        return stat.S_ISREG(mode) and bool(mode & 0o111)
    finally:
        os.close(fd)
