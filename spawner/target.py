"""A process whose namespaces are to be entered: named by PID, or by PID:INODE where it must be that very one."""

from __future__ import annotations

import os
from collections.abc import Iterable

from spawner.errors import Problem, SpecError
from spawner.namespaces import BY_NAME
from spawner.oci import Join

_MOST = 2**31 - 1


def joins_of(target: str, names: Iterable[str]) -> tuple[Join, ...]:
    """These namespaces (OCI names) of the process ``target``: PID, or PID:INODE with the inode of its pidfd.

    The inode tells a process from every other one since boot where pidfds have a file system of their own (pidfs,
    Linux 6.9). It goes into the Joins and is compared once more when they are opened, so a PID that is reused meanwhile
    is refused. Raises SpecError where there is no such process, or the inode cannot tell.
    """
    number, colon, inode = target.partition(":")
    if not _is_number(number) or not 0 < int(number) <= _MOST or (colon and not _is_number(inode)):
        raise _refusal(f"{target!r} is no process", "give a PID, or PID:INODE with the inode of its pidfd")
    pid = int(number)
    found, tells = _identity(pid)
    if colon and not tells:
        raise _refusal(
            f"this kernel's pidfds all have one inode, so {target} cannot be told from a later process {pid}",
            "give the PID alone, or use Linux 6.9",
        )
    if colon and int(inode) != found:
        raise _refusal(
            f"process {pid} is another one than was meant: its pidfd's inode is {found}, not {inode}", "name it anew"
        )
    return tuple(Join(name, f"/proc/{pid}/ns/{BY_NAME[name].proc}", found if tells else None) for name in names)


def _identity(pid: int) -> tuple[int, bool]:
    """The inode of a process's pidfd, and whether it tells anything. Raises SpecError where there is none."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        raise _refusal(f"process {pid}: {error.strerror}", "name a process that lives") from None
    try:
        ours = os.pidfd_open(os.getpid())
        try:
            found = os.fstat(pidfd).st_ino
            return found, pid == os.getpid() or found != os.fstat(ours).st_ino
        finally:
            os.close(ours)
    finally:
        os.close(pidfd)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 20


def _refusal(message: str, remedy: str) -> SpecError:
    return SpecError((Problem(message, remedy),))
