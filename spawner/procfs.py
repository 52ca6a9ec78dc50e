"""The few facts about one process that the engine reads from /proc; None where there is no answer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from spawner import _native

PF_EXITING = 0x00000004
PF_FORKNOEXEC = 0x00000040

_LINK = re.compile(r"\w+:\[(\d+)\]")
_VANISHED = (FileNotFoundError, ProcessLookupError, PermissionError)


def number(pidfd: int) -> int:
    """The pid that /proc has for the process of a pidfd: it may show another pid namespace than ours.

    0, which names no process, where it is reaped already or not to be seen there (pidfd_open(2), fdinfo).
    """
    text = _read(f"/proc/self/fdinfo/{pidfd}", 4096)
    found = re.search(rb"^Pid:\t(\d+)", text, re.MULTILINE) if text else None
    return int(found[1]) if found else 0


def monotonic_offset(text: bytes) -> int | None:
    """By how many nanoseconds CLOCK_MONOTONIC is ahead, from what /proc/PID/timens_offsets says."""
    found = re.search(rb"^monotonic\s+(-?\d+)\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) * 10**9 + int(found[2]) if found else None


def flags_and_start(pidfd: int) -> tuple[int, int] | None:
    """(PF_* flags, start time in clock ticks since boot) of a process, also of a zombie (proc_pid_stat(5))."""
    raw = _read(f"/proc/{number(pidfd)}/stat", 1024)
    if raw is None:
        return None
    fields = raw[raw.rindex(b")") + 2 :].split()
    return int(fields[6]), int(fields[19])


def status(process: int | str, *names: str) -> tuple[str | None, ...]:
    """Fields of /proc/PID/status by name; None for one that is not there, or where the process is not."""
    text = _read(f"/proc/{process}/status", 8192)
    if text is None:
        return (None,) * len(names)
    found = dict(line.split(":", 1) for line in text.decode("utf-8", "replace").split("\n") if ":" in line)
    return tuple(found[name].strip() if name in found else None for name in names)


def identity(process: int | str = "self") -> tuple[int, int, bool] | None:
    """(pid, start time in clock ticks since boot, whether it has not ended) of a process, as this /proc numbers it."""
    raw = _read(f"/proc/{process}/stat", 1024)
    if raw is None:
        return None
    fields = raw[raw.rindex(b")") + 2 :].split()
    return int(raw.split(b" ", 1)[0]), int(fields[19]), fields[0] not in b"ZX"


def name(pidfd: int) -> str | None:
    """What a process is called (PR_SET_NAME), also a zombie."""
    raw = _read(f"/proc/{number(pidfd)}/stat", 1024)
    if raw is None:
        return None
    return raw[raw.index(b"(") + 1 : raw.rindex(b")")].decode(errors="replace")


def namespaces(process: int | str, links: Iterable[str]) -> dict[str, int | None]:
    """The inodes of links in /proc/PID/ns; ``process`` may also be ``thread-self``."""
    return {link: _inode(f"/proc/{process}/ns/{link}") for link in links}


def _inode(path: str) -> int | None:
    try:
        return parse_link(os.readlink(path))
    except _VANISHED:
        return None


def parse_link(text: str) -> int | None:
    """The inode in a namespace link such as ``uts:[4026531838]``; None for anything else."""
    match = _LINK.fullmatch(text)
    return int(match[1]) if match else None


def _read(path: str, size: int) -> bytes | None:
    try:
        return _native.read_file(os.fsencode(path), size)
    except _VANISHED:
        return None
