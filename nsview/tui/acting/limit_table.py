"""All limits of a process as rows: what holds, how far it may be raised, how much is used; and what is typed."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nsview.host.limits import Amount, Limit, parse
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.tui.acting.settings import NewLimit

_TICKS = os.sysconf("SC_CLK_TCK")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_AMOUNT = re.compile(r"([0-9]+) *([KMGT]?)(?:iB|B)?", re.IGNORECASE)
_LARGEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One limit as it is; ``used`` is None where the kernel does not tell how much of it is."""

    name: str
    limit: Limit
    used: int | None


def limit_rows(identity: tuple[int, int]) -> tuple[LimitRow, ...]:
    """Read all limits of a process and what it uses of them; ProcessGoneError when it is gone."""
    with PinnedProcess(*identity) as process:
        text, status, stat = process.read("limits"), process.status(), process.stat_fields()
        descriptors = process.names("fd")
    if not text or status is None or stat is None:
        raise ProcessGoneError(*identity)
    used = {name: read(status) for name, read in _USED.items()}
    used["cpu"] = (int(stat[11]) + int(stat[12])) // _TICKS
    used["nofile"] = None if descriptors is None else 1 + max(map(int, descriptors), default=-1)
    limits = parse(text.decode("ascii", "backslashreplace"))
    return tuple(LimitRow(name, limit, used.get(name)) for name, limit in limits.items())


def _kib(key: str) -> Callable[[Mapping[str, str]], int | None]:
    def read(status: Mapping[str, str]) -> int | None:
        words = status.get(key, "").split()
        return int(words[0]) << 10 if words else None

    return read


def _queued(status: Mapping[str, str]) -> int | None:
    count = status.get("SigQ", "").partition("/")[0]
    return int(count) if count else None


_USED: Mapping[str, Callable[[Mapping[str, str]], int | None]] = {
    "as": _kib("VmSize"),
    "data": _kib("VmData"),
    "stack": _kib("VmStk"),
    "memlock": _kib("VmLck"),
    "rss": _kib("VmRSS"),
    "sigpending": _queued,
}
"""Where /proc/PID/status says what is used of a limit, or, of stack, is kept for it."""


def as_typed(limit: Limit) -> str:
    """Word a limit as it may be typed: ``1024:4096``. Pure."""
    return f"{limit.soft}:{limit.hard}"


def typed(name: str, text: str) -> NewLimit:
    """Read ``soft``, ``soft:hard`` or ``:hard``; amounts as 4096, 64K, 1G, unlimited. ValueError with words. Pure."""
    soft, colon, hard = text.partition(":")
    if not soft.strip() and not hard.strip():
        raise ValueError("type soft, soft:hard or :hard, as 1024:4096, 64K or unlimited")
    new = NewLimit(name, _read(soft), _read(hard) if colon else None)
    ceiling = _LARGEST if new.hard in (None, resource.RLIM_INFINITY) else new.hard
    if new.soft == resource.RLIM_INFINITY and new.hard not in (None, resource.RLIM_INFINITY):
        raise ValueError("the soft limit is above the hard one")
    if new.soft is not None and ceiling is not None and new.soft > ceiling:
        raise ValueError("the soft limit is above the hard one")
    return new


def _read(text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if text.lower() in ("unlimited", "infinity"):
        return resource.RLIM_INFINITY
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is no amount: type as 4096, 64K, 1G or unlimited")
    amount = int(match[1]) * _UNITS[match[2].upper()]
    if amount > _LARGEST:
        raise ValueError(f"{text} is more than there is: type unlimited")
    return amount


def amount_words(amount: Amount | None, unit: str) -> str:
    """Word an amount in at most ten cells; ``?`` when it is unknown. Pure."""
    if amount is None:
        return "?"
    if amount == "unlimited":
        return amount
    if unit == "bytes":
        for letter in "TGMK":
            size = _UNITS[letter]
            if amount >= size:
                return f"{amount // size}{letter}" if amount % size == 0 else f"{amount / size:.1f}{letter}"
    return str(amount) + {"seconds": "s", "us": "µs"}.get(unit, "")
