"""Kinds of values: how a value of a column is shown, searched, compared with what a filter says, put into JSON."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nsview.host.capabilities import names_of
from nsview.host.columns.wording import (
    COUNTS,
    binary,
    capabilities_text,
    duration_text,
    moment_text,
    read_capabilities,
    read_count,
    read_duration,
    read_flag,
    read_inode,
    read_mask,
    read_moment,
    read_state,
    read_user,
    reader,
)
from nsview.host.units import bytes_text
from nsview.host.users import user_name


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
    init, self and a pid mean that process's value. ``cased``: capitals count in every search. ``json``
    is the value in a document, in ``unit``, ``order`` what lists are sorted by. ``right`` and ``gives`` are for
    listings: numbers stand right, texts give way where a line is too long.
    """

    name: str
    takes: str
    unit: str
    text: Callable[[Any], str] = str
    read: Callable[[str], Any] = itself
    equal: Callable[[Any, Any], bool | None] = operator.eq
    json: Callable[[Any], object] = itself
    searched: Callable[[Any], str] | None = None
    order: Callable[[Any], Any] = itself
    ordered: bool = True
    refers: bool = False
    cased: bool = False
    right: bool = False
    gives: bool = False


def _member(values: tuple[object, ...], wanted: object) -> bool:
    return values == wanted if isinstance(wanted, tuple) else wanted in values


NUMBER = Kind("number", "a whole number", "a number", str, read_count, right=True)
COUNT = Kind(
    "count",
    "a count, as 12 or 3k",
    "a number",
    read=reader(COUNTS, "a count, as 12 or 3k"),
    right=True,
)
BYTES = Kind(
    "bytes",
    "an amount, as 4096, 10M or 1.5G",
    "bytes",
    bytes_text,
    reader(binary("", "B", "b"), "an amount, as 4096, 10M or 1.5G"),
    right=True,
)
RATE = Kind(
    "rate",
    "a number a second, as 12 or 3k",
    "a number a second",
    lambda rate: f"{rate:.0f}",
    reader(COUNTS, "a number a second, as 12 or 3k"),
    json=lambda rate: round(rate, 3),
    right=True,
)
PERCENT = Kind(
    "percent",
    "a percentage, as 5 or 2.5%",
    "percent",
    lambda share: f"{share:.1f}",
    reader({"": 1, "%": 1}, "a percentage, as 5 or 2.5%"),
    json=lambda share: round(share, 3),
    right=True,
)
DURATION = Kind(
    "duration",
    "a time, as 500ms, 2s, 1h30m or 01:30",
    "nanoseconds",
    duration_text,
    read_duration,
    right=True,
)
MOMENT = Kind(
    "moment",
    "a moment, as 14:30 or '2026-11-24 14:30'",
    "nanoseconds since the Epoch",
    moment_text,
    read_moment,
    right=True,
)
TEXT = Kind("text", "a text", "a text", itself, ordered=False, gives=True)
WORD = Kind("word", "a word", "a text", itself, ordered=False)
STATE = Kind("state", "a state, as R or sleeping", "a letter", itself, read=read_state, ordered=False)
USER = Kind(
    "user",
    "a user's name or uid",
    "a uid",
    user_name,
    read_user,
    order=user_name,
    ordered=False,
)
FLAG = Kind("flag", "yes or no", "true or false", lambda flag: "yes" if flag else "no", read_flag, ordered=False)
MASK = Kind("mask", "a bit mask, as 0x40", "a number", hex, read_mask, ordered=False, right=True)
NAMESPACE = Kind(
    "namespace",
    "an inode, or parent, init, self, a pid as 4711 or 4711.net",
    "an inode",
    read=read_inode,
    ordered=False,
    refers=True,
    right=True,
)
PIDS = Kind(
    "pids",
    "one of the pids",
    "a list of numbers",
    lambda pids: "/".join(map(str, pids)),
    read_count,
    _member,
    list,
    ordered=False,
    right=True,
)
CAPABILITIES = Kind(
    "capabilities",
    "names, as NET_ADMIN,SYS_CHROOT, or all or none; ':' finds one",
    "a list of texts",
    capabilities_text,
    read_capabilities,
    json=lambda mask: list(names_of(mask)),
    searched=lambda mask: ",".join(f"CAP_{name}" for name in names_of(mask)) or "none",
    order=int.bit_count,
    ordered=False,
    gives=True,
)
