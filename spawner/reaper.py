"""The tiny program above another one, as a file: sealed memory that holds an ELF header and machine code.

As a program of its own process 1 has a memory of a few pages instead of a copy of ours, and /proc/1/exe, by which a
container could reach for the file of whoever launched it (CVE-2019-5736), is memory that nobody can write to.

Sources: elf(5), memfd_create(2), _reaper.c.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from dataclasses import dataclass
from functools import lru_cache

from spawner import _native
from spawner.opened import above_stdio

NAME = "nsview-init"
NEVER_EXECUTED = "nsview-noexec"
"""What it is called once the program has been killed before it began (_reaper.c)."""
SLOT = "reaper"

_MACHINES = {"x86_64": 62, "aarch64": 183}
_ET_DYN, _PT_LOAD, _PT_GNU_STACK, _R_X, _RW = 3, 1, 0x6474E551, 5, 6
_HEADER = struct.Struct("=16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("=IIQQQQQQ")
_PAGE = 0x10000  # the largest of either architecture
_MFD_EXEC = 0x10  # Linux 6.3; a system may demand it, or refuse files in memory that can be executed (vm.memfd_noexec)
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@lru_cache(maxsize=1)
def program() -> bytes:
    """The reaper as an ELF file: one segment, at any address, with the headers before the code."""
    code, entry = _native.reaper()
    start = _HEADER.size + 2 * _SEGMENT.size
    start += -start % 64
    size = start + len(code)
    ident = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header = _HEADER.pack(
        ident, _ET_DYN, _MACHINES[os.uname().machine], 1, start + entry, _HEADER.size, 0, 0, 64, 56, 2, 64, 0, 0
    )
    load = _SEGMENT.pack(_PT_LOAD, _R_X, 0, 0, 0, size, size, _PAGE)
    stack = _SEGMENT.pack(_PT_GNU_STACK, _RW, 0, 0, 0, 0, 0, 16)
    return (header + load + stack).ljust(start, b"\0") + code


@dataclass(frozen=True, slots=True)
class Opened:
    """The file, lent to a child (spawner.plan.Prepared)."""

    fd: int

    @property
    def slots(self) -> dict[str, int | bytes]:
        """Its descriptor."""
        return {SLOT: self.fd}

    def lend(self) -> list[int]:
        """The descriptor, closed once the child has its own."""
        return [self.fd]

    def undo(self) -> None:
        """Nothing: it went with the last descriptor of it."""


def open_file() -> Opened:
    """Make the file. Raises OSError: EACCES where the system refuses executable files in memory."""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        fd = os.memfd_create(NAME, flags | _MFD_EXEC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # an older kernel, where every such file is executable
            raise
        fd = os.memfd_create(NAME, flags)
    try:
        os.write(fd, program())
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return Opened(above_stdio(fd))
