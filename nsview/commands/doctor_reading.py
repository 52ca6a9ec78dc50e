"""Reading the small text files of /proc and /sys that several probes need."""

from __future__ import annotations

import errno
from pathlib import Path

Mount = tuple[str, str, str, str]
"""Mount point, type, the mount's own options, the file system's options."""


def text(path: str) -> str | None:
    """Read a file, stripped; None where it cannot be read."""
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return None


def _lines(path: str) -> list[str]:
    """Only a newline ends one: names in them may hold all else that splitlines() takes for an end."""
    return Path(path).read_bytes().decode(errors="replace").removesuffix("\n").split("\n")


def status(field: str) -> str:
    """Read one field of /proc/self/status; OSError where the kernel does not have it."""
    for line in _lines("/proc/self/status"):
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    raise OSError(errno.ENODATA, f"/proc/self/status has no {field}")


_BINFMT = "/proc/sys/fs/binfmt_misc"
"""A mount over /proc that hides nothing: systemd's automount of it."""


def covered_in_proc() -> list[str]:
    """The files and directories of /proc that a mount hides or changes."""
    return sorted({point for point, _, _, _ in mounts() if point.startswith("/proc/") and point != _BINFMT})


def mounts() -> list[Mount]:
    """Read the mounts of our mount namespace."""
    found = []
    for line in _lines("/proc/self/mountinfo"):
        own, _, rest = line.partition(" - ")
        fields, (kind, _, options) = own.split(" "), rest.split(" ", 2)
        found.append((fields[4], kind, fields[5], options))
    return found
