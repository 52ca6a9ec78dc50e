"""How values are written for people, and read from what people write in a filter. Pure, but for user names."""

from __future__ import annotations

import pwd
import re
import time
from collections.abc import Callable
from functools import cache

from nsview.host.capabilities import NAMES, words

NS_PER_SECOND = 1_000_000_000


def reader(units: dict[str, float], takes: str) -> Callable[[str], float]:
    """Read ``12``, ``1.5K`` or ``1h30m``: numbers, each with a unit; the last may be bare if "" is a unit."""
    names = "|".join(sorted(map(re.escape, units), key=len, reverse=True))
    part = re.compile(rf"(\d{{1,18}}(?:\.\d{{0,18}})?|\.\d{{1,18}})({names})", re.ASCII)

    def read(word: str) -> float:
        sign, rest = (-1, word[1:]) if word[:1] in ("-", "−") else (1, word)
        total: float = 0
        at = 0
        while at < len(rest) and (found := part.match(rest, at)):
            number, unit = found.groups()
            total += float(number) * units[unit] if "." in number else int(number) * units[unit]
            at = found.end()
        if not rest or at < len(rest):
            raise ValueError(f"it takes {takes}")
        return sign * total

    return read


def binary(*more: str) -> dict[str, float]:
    """Units of 1024 by every spelling: K, k, KB, KiB."""
    units: dict[str, float] = dict.fromkeys(more, 1)
    for power, letter in enumerate("KMGTPE", 1):
        units |= {spelt: 1024**power for name in (letter, letter.lower()) for spelt in (name, f"{name}B", f"{name}iB")}
    return units


COUNTS: dict[str, float] = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9}
_TIMES: dict[str, float] = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": NS_PER_SECOND,
    "": NS_PER_SECOND,
    "m": 60 * NS_PER_SECOND,
    "min": 60 * NS_PER_SECOND,
    "h": 3600 * NS_PER_SECOND,
    "d": 86400 * NS_PER_SECOND,
    "w": 7 * 86400 * NS_PER_SECOND,
}
_CLOCK = re.compile(r"(?:(?:(\d{1,6})-)?(\d{1,6}):)?(\d{1,6}):(\d{1,2})(\.\d{1,9})?", re.ASCII)


def duration_text(nanoseconds: int) -> str:
    """Return a time in at most seven characters: ``0.01s``, ``12.3s``, ``4m05s``, ``3h07m``, ``12d03h``."""
    sign, left = ("−", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    seconds = left / NS_PER_SECOND
    if seconds < 9.995:
        return f"{sign}{seconds:.2f}s"
    if seconds < 59.95:
        return f"{sign}{seconds:.1f}s"
    whole = left // NS_PER_SECOND
    if whole < 3600:
        return f"{sign}{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{sign}{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{sign}{whole // 86400}d{whole % 86400 // 3600:02d}h"


_read_times = reader(_TIMES, "a time, as 500ms, 2s, 1h30m or 01:30")


def read_duration(word: str) -> float:
    """Read ``1h30m`` or, as ps(1) shows it, ``[[DD-]HH:]MM:SS``."""
    clock = _CLOCK.fullmatch(word)
    if clock is None:
        return _read_times(word)
    days, hours, minutes, seconds = (int(part or 0) for part in clock.groups()[:4])
    fraction = round(float(clock[5] or 0) * NS_PER_SECOND)
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * NS_PER_SECOND + fraction


def moment_text(nanoseconds: int) -> str:
    """Return a moment (ns since the Epoch) in local time: the clock if it is of today, else the date too."""
    moment = time.localtime(nanoseconds // NS_PER_SECOND)
    today = time.localtime()
    same = (moment.tm_year, moment.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M:%S" if same else "%Y-%m-%d %H:%M:%S", moment)


_MOMENTS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
_CLOCKS = ("%H:%M:%S", "%H:%M")


def read_moment(word: str) -> int:
    """Read a clock time of today, or a date with or without one, in local time: ns since the Epoch."""
    today = time.strftime("%Y-%m-%d ")
    tries = [(word, form) for form in _MOMENTS] + [(today + word, f"%Y-%m-%d {form}") for form in _CLOCKS]
    for text, form in tries:
        try:
            return int(time.mktime(time.strptime(text, form))) * NS_PER_SECOND
        except (ValueError, OverflowError):
            continue
    raise ValueError("it takes a moment, as 14:30 or '2026-11-24 14:30'")


def read_user(word: str) -> int:
    """Read a user's name or number."""
    if word.isascii() and word.isdecimal():
        return int(word[:18])
    try:
        return pwd.getpwnam(word).pw_uid
    except (KeyError, ValueError):  # ValueError: a NUL in the name, or one that cannot be encoded
        raise ValueError("there is no user of this name") from None


STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "disk",
    "T": "stopped",
    "t": "traced",
    "Z": "zombie",
    "X": "dead",
    "I": "idle",
    "P": "parked",
}
"""The letters of proc_pid_stat(5) and a word for each."""


def read_state(word: str) -> str:
    """Read the letter of a state, or its word."""
    if word in STATES:
        return word
    letters = {name: letter for letter, name in STATES.items()}
    if word.lower() in letters:
        return letters[word.lower()]
    raise ValueError(f"it takes one of {', '.join(f'{letter} ({name})' for letter, name in STATES.items())}")


_ANSWERS = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}


def read_flag(word: str) -> bool:
    """Read yes or no."""
    if word.lower() in _ANSWERS:
        return _ANSWERS[word.lower()]
    raise ValueError("it takes yes or no")


def read_inode(word: str) -> int:
    """Read the inode of a namespace."""
    if word.isascii() and word.isdecimal() and len(word) < 19:
        return int(word)
    raise ValueError("it takes an inode, or whose: parent, init, self, a pid as 4711 or 4711.net")


def read_mask(word: str) -> int:
    """Read a bit mask."""
    try:
        return int(word[:40], 0)
    except ValueError:
        raise ValueError("it takes a bit mask, as 0x40") from None


def capabilities_text(mask: int) -> str:
    """Word a set of capabilities: ``all``, ``none``, ``all but …`` or names."""
    return words(mask, _last_capability()) or ""


@cache
def _last_capability() -> int:
    from nsview.host.capable import last_capability  # only for who asks for capabilities

    return last_capability()


def read_capabilities(word: str) -> int:
    """Read names with commas between, with or without CAP_; or all, or none."""
    if word.lower() == "none":
        return 0
    if word.lower() == "all":
        return (1 << _last_capability() + 1) - 1
    mask = 0
    for name in word.upper().split(","):
        bare = name.removeprefix("CAP_")
        if bare not in NAMES:
            raise ValueError(f"{name} is no capability; it takes names, as NET_ADMIN,SYS_CHROOT, or all or none")
        mask |= 1 << NAMES.index(bare)
    return mask


def read_count(word: str) -> int:
    """Read a whole number."""
    if word.isascii() and word.isdecimal() and len(word) < 19:
        return int(word)
    raise ValueError("it takes a whole number")
