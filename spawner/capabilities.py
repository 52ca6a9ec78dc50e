"""Capabilities: the table of their names, sets as masks, and what execve(2) makes of them (capabilities(7))."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from spawner import _native

NAMES: tuple[str, ...] = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
    "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
"""By number (linux/capability.h)."""

NUMBERS: dict[str, int] = {name: number for number, name in enumerate(NAMES)}
SETPCAP, SYS_ADMIN = 1 << NUMBERS["CAP_SETPCAP"], 1 << NUMBERS["CAP_SYS_ADMIN"]
SETS = ("bounding", "permitted", "effective", "inheritable", "ambient")

_PR_CAPBSET_READ = 23
_PR_CAP_AMBIENT, _IS_SET = 47, 1


@dataclass(frozen=True, slots=True)
class Masks:
    """The five sets of a thread as masks, bit N for the capability of that number."""

    bounding: int
    permitted: int
    effective: int
    inheritable: int
    ambient: int


def parse(text: str) -> str:
    """The kernel's name of a capability, given in any case and with or without CAP_.

    Raises ValueError that names those meant most likely.
    """
    name = text.strip().upper()
    name = name if name.startswith("CAP_") else f"CAP_{name}"
    if name not in NUMBERS:
        near = difflib.get_close_matches(name, NAMES, n=3)
        raise ValueError(f"unknown capability {text!r}" + (f": is {' or '.join(near)} meant?" if near else ""))
    return name


def mask(names: Iterable[str]) -> int:
    """The mask of these capabilities. Raises ValueError as parse() does."""
    bits = 0
    for name in names:
        bits |= 1 << NUMBERS[parse(name)]
    return bits


def names(bits: int) -> str:
    """The capabilities in a mask, lowest first, for people; ``none`` where it is empty."""
    found = (number for number in range(bits.bit_length()) if bits >> number & 1)
    return " ".join(NAMES[number] if number < len(NAMES) else f"CAP_{number}" for number in found) or "none"


def numbers(bits: int) -> list[int]:
    """The numbers of the capabilities in a mask."""
    return [number for number in range(bits.bit_length()) if bits >> number & 1]


@lru_cache(maxsize=1)
def last() -> int:
    """The highest capability this kernel knows: prctl(2) answers EINVAL to the one after it."""
    number = 0
    while _in_bounding_set(number + 1) is not None:
        number += 1
    return number


def known() -> int:
    """All the capabilities of this kernel: what the creator of a user namespace has inside (user_namespaces(7))."""
    return (1 << last() + 1) - 1


def bounding() -> int:
    """The calling thread's bounding set."""
    return sum(1 << number for number in range(last() + 1) if _in_bounding_set(number))


def ambient() -> int:
    """The calling thread's ambient set."""
    prctl = _native.SYSCALLS["prctl"]
    return sum(1 << n for n in range(last() + 1) if _native.call(prctl, _PR_CAP_AMBIENT, _IS_SET, n, 0, 0))


def _in_bounding_set(number: int) -> bool | None:
    try:
        return bool(_native.call(_native.SYSCALLS["prctl"], _PR_CAPBSET_READ, number, 0, 0, 0))
    except OSError as error:
        if error.errno == errno.EINVAL:  # unknown to this kernel
            return None
        raise


def after_execve(before: Masks, *, root: bool) -> Masks:
    """The sets after execve(2) of a program file without capabilities or set-user-ID bit, no securebits set.

    ``root``: the effective user id is 0 of the user namespace; then the file counts as if it had every capability
    (capabilities(7), "Capabilities and execution of programs by root").
    """
    permitted = before.ambient | (before.bounding | before.inheritable if root else 0)
    return Masks(before.bounding, permitted, permitted, before.inheritable, before.ambient)
