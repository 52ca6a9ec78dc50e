"""Terminals by device number, as ps(1) names them: ``pts/3``, ``tty1``, ``ttyS0``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from nsview.host.text import printable

NONE = "-"
_PTS = range(136, 144)  # UNIX98_PTY_SLAVE_MAJOR: include/uapi/linux/major.h


@dataclass(frozen=True, slots=True)
class _Driver:
    """A line of /proc/tty/drivers: devices of one major number and a range of minor ones."""

    device: str
    major: int
    minors: range


@lru_cache(maxsize=1024)
def terminal_name(number: int) -> str:
    """Return the name of a controlling terminal (tty_nr of proc_pid_stat(5)); ``-`` where there is none."""
    if number == 0:
        return NONE
    # The kernel's encoding for user space: include/linux/kdev_t.h, new_encode_dev().
    major, minor = number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00
    if major in _PTS:
        return f"pts/{(major - _PTS.start) * 256 + minor}"
    for driver in _drivers():
        if driver.major == major and minor in driver.minors:
            name = driver.device.removeprefix("/dev/")
            return name if len(driver.minors) == 1 else f"{name}{_index(name, minor, driver.minors)}"
    return f"{major}:{minor}"


def _index(name: str, minor: int, minors: range) -> int:
    """Consoles are numbered from one, by their minor (drivers/tty/vt/vt.c: name_base); others from zero."""
    return minor if name == "tty" else minor - minors.start


@cache
def _drivers() -> tuple[_Driver, ...]:
    try:
        with open("/proc/tty/drivers", encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split() for line in file]
    except OSError:  # masked, or a kernel without terminals: numbers will do
        return ()
    found = []
    for words in lines:
        if len(words) >= 4 and words[-3].isdecimal():
            first, _, last = words[-2].partition("-")
            minors = range(int(first), int(last or first) + 1)
            found.append(_Driver(printable(words[-4]), int(words[-3]), minors))
    return tuple(found)
