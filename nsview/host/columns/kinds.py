"""Kinds of values: how a value of a column is shown, searched, compared with what a filter says, put into JSON."""

from __future__ import annotations

import operator
import pwd
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nsview.host.units import bytes_text, count_text
from nsview.host.users import user_name

NS_PER_SECOND = 1_000_000_000


def itself(value: Any) -> Any:
    """Return the value: for kinds whose values are texts already."""
    return value


@dataclass(frozen=True, slots=True)
class Kind:
    """What the values of a column are.

    ``text`` is how one is shown (printable, one line), ``searched`` the text that ``~``, ``:`` and bare words
    look in where that is another, ``read`` turns a word of a filter into what values are compared with
    (ValueError with the reason when it cannot), ``takes`` says in a few words what it reads. ``equal`` may
    answer None: cannot be told. ``ordered``: there is a less and a more. ``refers``: the plain words parent,
    init, self and a pid mean that process's value. ``json`` is the value in a document, in ``unit``. ``right``
    and ``gives`` are for listings: numbers stand right, texts give way where a line is too long.
    """

    name: str
    takes: str
    unit: str
    text: Callable[[Any], str] = str
    read: Callable[[str], Any] = itself
    equal: Callable[[Any, Any], bool | None] = operator.eq
    json: Callable[[Any], object] = itself
    searched: Callable[[Any], str] | None = None
    ordered: bool = True
    refers: bool = False
    right: bool = False
    gives: bool = False


def _reader(units: dict[str, float], takes: str) -> Callable[[str], float]:
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


def _binary(*more: str) -> dict[str, float]:
    """Units of 1024 by every spelling: K, k, KB, KiB."""
    units: dict[str, float] = dict.fromkeys(more, 1)
    for power, letter in enumerate("KMGTPE", 1):
        units |= {spelt: 1024**power for name in (letter, letter.lower()) for spelt in (name, f"{name}B", f"{name}iB")}
    return units


_COUNTS: dict[str, float] = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9}
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


_read_times = _reader(_TIMES, "a time, as 500ms, 2s, 1h30m or 01:30")


def _read_duration(word: str) -> float:
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


def _read_moment(word: str) -> int:
    today = time.strftime("%Y-%m-%d ")
    tries = [(word, form) for form in _MOMENTS] + [(today + word, f"%Y-%m-%d {form}") for form in _CLOCKS]
    for text, form in tries:
        try:
            return int(time.mktime(time.strptime(text, form))) * NS_PER_SECOND
        except (ValueError, OverflowError):
            continue
    raise ValueError("it takes a moment, as 14:30 or '2026-11-24 14:30'")


def _read_user(word: str) -> int:
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


def _read_state(word: str) -> str:
    if word in STATES:
        return word
    letters = {name: letter for letter, name in STATES.items()}
    if word.lower() in letters:
        return letters[word.lower()]
    raise ValueError(f"it takes one of {', '.join(f'{letter} ({name})' for letter, name in STATES.items())}")


_ANSWERS = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}


def _read_flag(word: str) -> bool:
    if word.lower() in _ANSWERS:
        return _ANSWERS[word.lower()]
    raise ValueError("it takes yes or no")


def _read_inode(word: str) -> int:
    if word.isascii() and word.isdecimal() and len(word) < 19:
        return int(word)
    raise ValueError("it takes an inode, or whose: parent, init, self, a pid as 4711 or 4711.net")


def _read_mask(word: str) -> int:
    try:
        return int(word[:40], 0)
    except ValueError:
        raise ValueError("it takes a bit mask, as 0x40") from None


def _member(values: tuple[object, ...], wanted: object) -> bool:
    return values == wanted if isinstance(wanted, tuple) else wanted in values


def _set(values: tuple[str, ...], wanted: object) -> bool:
    return set(values) == set(wanted) if isinstance(wanted, tuple) else values == (wanted,)


def _read_set(word: str) -> tuple[str, ...]:
    return () if word in ("none", "-") else tuple(word.split(","))


def _read_count(word: str) -> int:
    if word.isascii() and word.isdecimal() and len(word) < 19:
        return int(word)
    raise ValueError("it takes a whole number")


NUMBER = Kind("number", "a whole number", "a number", str, _read_count, right=True)
COUNT = Kind(
    "count",
    "a count, as 12 or 3k",
    "a number",
    count_text,
    _reader(_COUNTS, "a count, as 12 or 3k"),
    searched=str,
    right=True,
)
BYTES = Kind(
    "bytes",
    "an amount, as 4096, 10M or 1.5G",
    "bytes",
    bytes_text,
    _reader(_binary("", "B", "b"), "an amount, as 4096, 10M or 1.5G"),
    right=True,
)
BYTES_PER_SECOND = Kind(
    "bytes a second",
    "an amount a second, as 10M",
    "bytes a second",
    lambda rate: bytes_text(round(rate)),
    _reader(_binary("", "B", "b", "/s", "B/s"), "an amount a second, as 10M"),
    right=True,
)
PERCENT = Kind(
    "percent",
    "a percentage, as 5 or 2.5%",
    "percent",
    lambda share: f"{share:.1f}",
    _reader({"": 1, "%": 1}, "a percentage, as 5 or 2.5%"),
    json=lambda share: round(share, 3),
    right=True,
)
DURATION = Kind(
    "duration",
    "a time, as 500ms, 2s, 1h30m or 01:30",
    "nanoseconds",
    duration_text,
    _read_duration,
    right=True,
)
MOMENT = Kind(
    "moment",
    "a moment, as 14:30 or '2026-11-24 14:30'",
    "nanoseconds since the Epoch",
    moment_text,
    _read_moment,
    right=True,
)
TEXT = Kind("text", "a text", "a text", itself, ordered=False, gives=True)
WORD = Kind("word", "a word", "a text", itself, ordered=False)
STATE = Kind("state", "a state, as R or sleeping", "a letter", itself, read=_read_state, ordered=False)
USER = Kind(
    "user",
    "a user's name or uid",
    "a uid",
    user_name,
    _read_user,
    ordered=False,
)
FLAG = Kind("flag", "yes or no", "true or false", lambda flag: "yes" if flag else "no", _read_flag, ordered=False)
MASK = Kind("mask", "a bit mask, as 0x40", "a number", hex, _read_mask, ordered=False, right=True)
NAMESPACE = Kind(
    "namespace",
    "an inode, or parent, init, self, a pid as 4711 or 4711.net",
    "an inode",
    read=_read_inode,
    ordered=False,
    refers=True,
    right=True,
)
PIDS = Kind(
    "pids",
    "one of the pids",
    "a list of numbers",
    lambda pids: "/".join(map(str, pids)),
    _read_count,
    _member,
    list,
    ordered=False,
    right=True,
)
WORDS = Kind(
    "words",
    "words with commas between",
    "a list of texts",
    lambda words: ",".join(words) or "-",
    _read_set,
    _set,
    list,
    ordered=False,
    gives=True,
)
