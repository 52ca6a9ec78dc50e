"""The few facts about one process that the engine reads from /proc; None where there is no answer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

PF_EXITING = 0x00000004
PF_FORKNOEXEC = 0x00000040

_LINK = re.compile(r"\w+:\[(\d+)\]")
_VANISHED = (FileNotFoundError, ProcessLookupError, PermissionError)


def number(pidfd: int) -> int:
    """The pid that /proc has for the process of a pidfd: it may show another pid namespace than ours.

    0, which names no process, where it is reaped already or not to be seen there (pidfd_open(2), fdinfo).
    """
    try:
        with open(f"/proc/self/fdinfo/{pidfd}", "rb", buffering=0) as file:
            found = re.search(rb"^Pid:\t(\d+)", file.read(4096), re.MULTILINE)
    except _VANISHED:
        return 0
    return int(found[1]) if found else 0


def monotonic_offset(text: bytes) -> int | None:
    """By how many nanoseconds CLOCK_MONOTONIC is ahead, from what /proc/PID/timens_offsets says."""
    found = re.search(rb"^monotonic\s+(-?\d+)\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) * 10**9 + int(found[2]) if found else None


def flags_and_start(pidfd: int) -> tuple[int, int] | None:
    """(PF_* flags, start time in clock ticks since boot) of a process, also of a zombie (proc_pid_stat(5))."""
    try:
        fd = os.open(
            f"/proc/{number(pidfd)}/stat", os.O_RDONLY | os.O_CLOEXEC
        )  # half the cost of open(), on every launch
        try:
            raw = os.read(fd, 1024)
        finally:
            os.close(fd)
    except _VANISHED:
        return None
    fields = raw[raw.rindex(b")") + 2 :].split()
    return int(fields[6]), int(fields[19])


def status(process: int | str, *names: str) -> tuple[str | None, ...]:
    """Fields of /proc/PID/status by name; None for one that is not there, or where the process is not."""
    try:
        with open(f"/proc/{process}/status", "rb", buffering=0) as file:
            text = file.read(8192).decode("utf-8", "replace")
    except _VANISHED:
        return (None,) * len(names)
    found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return tuple(found[name].strip() if name in found else None for name in names)


def identity(process: int | str = "self") -> tuple[int, int, bool] | None:
    """(pid, start time in clock ticks since boot, whether it has not ended) of a process, as this /proc numbers it."""
    try:
        with open(f"/proc/{process}/stat", "rb", buffering=0) as file:
            raw = file.read(1024)
    except _VANISHED:
        return None
    fields = raw[raw.rindex(b")") + 2 :].split()
    return int(raw.split(b" ", 1)[0]), int(fields[19]), fields[0] not in b"ZX"


def name(pidfd: int) -> str | None:
    """What a process is called (PR_SET_NAME), also a zombie."""
    try:
        with open(f"/proc/{number(pidfd)}/stat", "rb", buffering=0) as file:
            raw = file.read(1024)
    except _VANISHED:
        return None
    return raw[raw.index(b"(") + 1 : raw.rindex(b")")].decode(errors="replace")


def namespaces(process: int | str, links: Iterable[str]) -> dict[str, int | None]:
    """The inodes of links in /proc/PID/ns; ``process`` may also be ``thread-self``."""
    try:
        directory = os.open(f"/proc/{process}/ns", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except _VANISHED:
        return dict.fromkeys(links)
    try:
        return {link: _inode(directory, link) for link in links}
    finally:
        os.close(directory)


def _inode(directory: int, link: str) -> int | None:
    try:
        return parse_link(os.readlink(link, dir_fd=directory))
    except _VANISHED:
        return None


def parse_link(text: str) -> int | None:
    """The inode in a namespace link such as ``uts:[4026531838]``; None for anything else."""
    match = _LINK.fullmatch(text)
    return int(match[1]) if match else None
