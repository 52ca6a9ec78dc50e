"""The files of one group: read and write them, signal who is in it, wait for what the kernel says has come true."""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from collections.abc import Callable, Iterator

DEADLINE = 10.0
"""Seconds within which the kernel must have frozen or ended what it was told to."""

_PAUSE_MS = 1
_CHUNK = 8192
_GONE = (errno.ENOENT, errno.ENODEV)  # the latter where it was open when the group went


def read(directory: str, file: str) -> str | None:
    """A file's text; None where the group has no such file or is gone."""
    path = os.path.join(directory, file)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # half the cost of open(), on every launch
        try:
            parts = []
            while part := os.read(fd, _CHUNK):
                parts.append(part)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno in _GONE:
            return None
        error.filename = path
        raise
    return b"".join(parts).decode("ascii", "replace")


def write(directory: str, file: str, text: str) -> None:
    """Write a file with one write(2). OSError names the file."""
    path = os.path.join(directory, file)
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)


def has(directory: str, file: str) -> bool:
    """Whether a group has this file."""
    return os.path.exists(os.path.join(directory, file))


def number(text: str | None, key: str = "") -> int | None:
    """The number in a file's text: its only one, or that in the line which begins with ``key``; None for none."""
    for line in (text or "").splitlines():
        name, _, value = line.rpartition(" ")
        if name == key and value.isdecimal():
            return int(value)
    return None


def becomes(directory: str, file: str, holds: Callable[[str | None], bool], seconds: float = DEADLINE) -> bool:
    """Wait until what a file says ``holds``; False if it does not within ``seconds``.

    The kernel wakes who polls a cgroup.events; version 1 has no such thing, so there we look again and again.
    """
    end = time.monotonic() + seconds
    notified = has(directory, "cgroup.events")
    watched = os.open(os.path.join(directory, file), os.O_RDONLY | os.O_CLOEXEC) if notified else -1
    try:
        poller = select.poll()
        if notified:
            poller.register(watched, select.POLLPRI)
        while True:
            # A change after this read is not missed: poll compares with what this descriptor has read (kernfs).
            text = os.pread(watched, 4096, 0).decode() if notified else read(directory, file)
            if holds(text):
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            poller.poll(left * 1000 if notified else _PAUSE_MS)
    finally:
        if notified:
            os.close(watched)


def wait_until_empty(directory: str) -> None:
    """Wait until no process is left in a group, or it is gone; at most as long as anything may take."""
    try:
        if has(directory, "cgroup.events"):
            becomes(directory, "cgroup.events", lambda text: number(text, "populated") != 1)
        else:
            becomes(directory, "cgroup.procs", lambda text: not text)
            select.poll().poll(_PAUSE_MS)  # version 1 may list nobody and still count one who is just ending
    except OSError as error:
        if error.errno not in _GONE:
            raise


def below(directory: str) -> Iterator[str]:
    """A group and all groups below it."""
    for path, _directories, _files in os.walk(directory):
        yield path


def processes(directory: str) -> tuple[int, ...]:
    """The processes of a group and of those below, as our pid namespace numbers them; 0 for one it cannot see."""
    return tuple(int(pid) for path in below(directory) for pid in (read(path, "cgroup.procs") or "").split())


def end_all(directory: str) -> None:
    """Send SIGKILL to every process of a group, by a pidfd that is still one of its processes: so to no stranger."""
    for pid in filter(None, processes(directory)):
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:  # it has ended
            continue
        try:
            if pid in processes(directory):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        except ProcessLookupError:
            continue
        finally:
            os.close(pidfd)
