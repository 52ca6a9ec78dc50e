"""A process whose namespaces are to be entered, named by PID or PID:INODE."""

from __future__ import annotations

import os
from collections.abc import Iterable

from nsview.commands.options.option import refuse
from nsview.commands.options.words import digits
from spawner.namespaces import BY_NAME
from spawner.oci import Join


def pid_of(text: str) -> int:
    """The process named by PID or PID:INODE; the inode is its pidfd's and tells it from a later one of that number.

    Raises SpecError where there is none such.
    """
    number, colon, inode = text.partition(":")
    pid, wanted = digits(number, (1 << 31) - 1), digits(inode, (1 << 64) - 1)
    if not pid or (colon and wanted is None):
        refuse(f"{text!r} is no process", "give a PID, or PID:INODE with the inode of its pidfd")
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        refuse(f"process {pid}: {error.strerror}", "name a process that lives")
    try:
        found = os.fstat(pidfd).st_ino
    finally:
        os.close(pidfd)
    if colon and wanted != found:
        refuse(f"process {pid} is not the one meant: its pidfd's inode is {found}, not {inode}", "name it anew")
    return pid


def joins_of(text: str, names: Iterable[str]) -> tuple[Join, ...]:
    """These namespaces (OCI names) of the process named by PID or PID:INODE. Raises SpecError."""
    pid = pid_of(text)
    return tuple(Join(name, f"/proc/{pid}/ns/{BY_NAME[name].proc}") for name in names)
