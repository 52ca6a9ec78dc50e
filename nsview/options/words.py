"""What the words of options mean: numbers, sizes, ids, signals, lists. Each raises ArgumentTypeError, in one line."""

from __future__ import annotations

import argparse
import grp
import os
import pwd
import signal
from collections.abc import Callable, Iterable

from nsview.options.option import close
from spawner import IDMapping, Mechanism, TimeOffset
from spawner.flags import UnknownFlag, parse
from spawner.namespaces import BY_NAME as KIND_BY_NAME
from spawner.namespaces import BY_PROC, NamespaceKind

Refused = argparse.ArgumentTypeError

_SUFFIXES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LARGEST = (1 << 63) - 1


def digits(text: str, largest: int = _LARGEST) -> int | None:
    """A number of ASCII digits alone, 0 to ``largest``; None for anything else."""
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) > largest:
        return None
    return int(text)


def seconds(text: str) -> TimeOffset:
    """Whole seconds, which may be negative."""
    try:
        return TimeOffset(int(text))
    except ValueError:
        raise Refused(f"{text!r} is not a whole number of seconds") from None


def duration(text: str) -> float:
    """Seconds above 0, with fractions."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 < value < 1e9:
        raise Refused(f"{text!r} is not a number of seconds above 0")
    return value


def size(text: str) -> int:
    """Bytes, or with K, M, G or T that many times 1024."""
    number, suffix = text, ""
    if text[-1:].upper() in _SUFFIXES:
        number, suffix = text[:-1], text[-1:].upper()
    value = digits(number)
    if value is None or value * _SUFFIXES[suffix] > _LARGEST:
        raise Refused(f"{text!r} is no size: bytes, or a number with K, M, G or T")
    return value * _SUFFIXES[suffix]


def some_bytes(text: str) -> int:
    """A size above 0."""
    value = size(text)
    if not value:
        raise Refused("a size of 0 leaves no room")
    return value


def octal(text: str) -> int:
    """A mode in octal, at most 07777."""
    if not 0 < len(text) <= 6 or set(text) - set("01234567") or int(text, 8) > 0o7777:
        raise Refused(f"{text!r} is no mode: octal digits, at most 7777")
    return int(text, 8)


def number(least: int, most: int, what: str) -> Callable[[str], int]:
    """A whole number from ``least`` to ``most``."""

    def read(text: str) -> int:
        value = digits(text.removeprefix("-"))
        value = -value if value is not None and text.startswith("-") else value
        if value is None or not least <= value <= most:
            raise Refused(f"{text!r} is no {what}: a whole number from {least} to {most}")
        return value

    return read


descriptor = number(0, (1 << 31) - 1, "file descriptor")


def clone_flags(text: str) -> int:
    """Clone flags by their kernel names, as one mask."""
    try:
        return parse(text)
    except UnknownFlag as error:
        raise Refused(str(error)) from None


def signal_number(text: str) -> int:
    """A signal by number or by name, with or without SIG."""
    value = digits(text, 64)
    if value:
        return value
    try:
        return signal.Signals[f"SIG{text.upper().removeprefix('SIG')}"]
    except KeyError:
        hint = close(text.upper().removeprefix("SIG"), (known.name.removeprefix("SIG") for known in signal.Signals))
        raise Refused(f"{text!r} is no signal: a name such as TERM, or 1 to 64{hint}") from None


def mechanism(text: str) -> Mechanism:
    """The call that makes the child."""
    try:
        return Mechanism(text)
    except ValueError:
        raise Refused(f"there is no call {text!r}: use one of {', '.join(Mechanism)}") from None


def user(text: str) -> int:
    """A user by number or by name."""
    value = digits(text)
    try:
        return value if value is not None else pwd.getpwnam(text).pw_uid
    except (KeyError, UnicodeEncodeError):
        raise Refused(f"there is no user {text!r}") from None


def group(text: str) -> int:
    """A group by number or by name."""
    value = digits(text)
    try:
        return value if value is not None else grp.getgrnam(text).gr_gid
    except (KeyError, UnicodeEncodeError):
        raise Refused(f"there is no group {text!r}") from None


def groups(text: str) -> tuple[int, ...]:
    """Groups by number or by name, parted by commas; none at all where the text is empty."""
    return tuple(map(group, filter(None, text.split(","))))


def id_map(text: str) -> IDMapping | str:
    """INNER,OUTER,COUNT (or with colons, as unshare(1) has it since 2.39), or a word: auto, subids, all."""
    if text in ("auto", "subids", "all"):
        return text
    parts = [digits(part, (1 << 32) - 1) for part in text.replace(":", ",").split(",")]
    inner, outer, count = parts if len(parts) == 3 else (None, None, None)
    if inner is None or outer is None or not count:
        raise Refused(f"{text!r} is no map: INNER,OUTER,COUNT (three numbers), auto, subids or all")
    return IDMapping(inner, outer, count)


def kind(text: str) -> NamespaceKind:
    """A kind of namespace by its OCI name or its name in /proc/PID/ns."""
    found = KIND_BY_NAME.get(text) or BY_PROC.get(text)
    if found is None:
        names = list(KIND_BY_NAME)
        raise Refused(f"there is no {text!r} namespace: use one of {', '.join(names)}{close(text, names)}")
    return found


def processors(text: str) -> frozenset[int]:
    """A list as taskset(1) takes it: numbers and ranges such as 0-3,5."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low, high = digits(first, 8191), digits(last if dash else first, 8191)
        if low is None or high is None or high < low:
            raise Refused(f"{text!r} is no list of processors: numbers and ranges such as 0-3,5")
        found.update(range(low, high + 1))
    return frozenset(found)


def one_of(names: Iterable[str], what: str) -> Callable[[str], str]:
    """One of these words."""
    known = tuple(names)

    def read(text: str) -> str:
        if text not in known:
            raise Refused(f"there is no {what} {text!r}: use one of {', '.join(known)}{close(text, known)}")
        return text

    return read


def existing_file(text: str) -> str:
    """A path that leads to something here and now."""
    if not text or not os.path.exists(text):
        raise Refused(f"{text}: no such file or directory")
    return text
