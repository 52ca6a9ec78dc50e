"""The name a program gave its process, read right after the exec: the kernel's event does not have it."""

from __future__ import annotations

import os

from nsview.host.events.clock import started_ns
from nsview.host.events.event import Event
from nsview.host.process import ORDINARY


def name_after(event: Event) -> str | None:
    """Return the name of the process of an exec; None when it is gone.

    One read of /proc/PID/stat has name and start time of one task. A successor in the number has started after the
    exec, so what started before it is no successor.
    """
    try:
        stat = _read(f"/proc/{event.pid}/stat")
    except OSError as error:
        if error.errno not in ORDINARY:
            raise
        return None
    name, _, rest = stat.partition(b"(")[2].rpartition(b") ")
    if started_ns(int(rest.split()[19])) > event.when_ns:
        return None
    return name.decode("utf-8", "surrogateescape")


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)
