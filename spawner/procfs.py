"""The few facts about one process that the engine reads from /proc; None where there is no answer."""

from __future__ import annotations

import os
import re

PF_FORKNOEXEC = 0x00000040

_VANISHED = (FileNotFoundError, ProcessLookupError, PermissionError)


def flags_and_start(pid: int) -> tuple[int, int] | None:
    """(PF_* flags, start time in clock ticks since boot) of a process, also of a zombie (proc_pid_stat(5))."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)  # half the cost of open(), on every launch
        try:
            raw = os.read(fd, 1024)
        finally:
            os.close(fd)
    except _VANISHED:
        return None
    fields = raw[raw.rindex(b")") + 2 :].split()
    return int(fields[6]), int(fields[19])


def namespace(pid: int | str, link: str) -> int | None:
    """The inode of a /proc/PID/ns link."""
    try:
        return parse_link(os.readlink(f"/proc/{pid}/ns/{link}"))
    except _VANISHED:
        return None


def parse_link(text: str) -> int | None:
    """The inode in a namespace link such as ``uts:[4026531838]``; None for anything else."""
    match = re.fullmatch(r"\w+:\[(\d+)\]", text)
    return int(match[1]) if match else None
