"""The resource limits of a process: /proc/PID/limits, in setrlimit(2)'s names and units."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from nsview.host.attribute import Attribute
from nsview.host.process import PinnedProcess
from nsview.host.units import bytes_text, count_text, signed

Unlimited = Literal["unlimited"]
Amount = int | Unlimited


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: what holds now and how far it may be raised; ``unit`` is empty where the number is bare."""

    soft: Amount
    hard: Amount
    unit: str


Limits = Mapping[str, Limit]
"""By setrlimit(2)'s name in small letters, as ``nofile``."""

_ROW = re.compile(r"(Max .*?) {2,}(\S+) +(\S+)(?: +(\S+))?$")

_NAMES: Mapping[str, tuple[str, str]] = {
    "Max cpu time": ("cpu", "CPU time, then SIGXCPU and SIGKILL"),
    "Max file size": ("fsize", "the size of a file it writes, then SIGXFSZ"),
    "Max data size": ("data", "heap and private writable memory"),
    "Max stack size": ("stack", "the stack of its main thread"),
    "Max core file size": ("core", "a core dump"),
    "Max resident set": ("rss", "nothing: this kernel does not enforce it"),
    "Max processes": ("nproc", "tasks of its user, in its user namespace"),
    "Max open files": ("nofile", "one more than its highest descriptor"),
    "Max locked memory": ("memlock", "memory kept from swap by mlock(2)"),
    "Max address space": ("as", "its whole address space"),
    "Max file locks": ("locks", "nothing: this kernel does not enforce it"),
    "Max pending signals": ("sigpending", "signals queued for its user"),
    "Max msgqueue size": ("msgqueue", "POSIX message queues of its user"),
    "Max nice priority": ("nice", "nice may be lowered to 20 minus this"),
    "Max realtime priority": ("rtprio", "the highest real-time priority"),
    "Max realtime timeout": ("rttime", "real-time CPU time without a sleep"),
}
"""The kernel's titles (fs/proc/base.c: lnames): the name, and what is limited."""


def limits_of(process: PinnedProcess) -> Limits | None:
    """Read the limits; None when it is gone."""
    text = process.read("limits")
    # While it is reaped the file is empty (fs/proc/base.c: proc_pid_limits()).
    return parse(text.decode("ascii", "backslashreplace")) if text else None


def parse(text: str) -> Limits:
    """Read the content of /proc/PID/limits; a limit newer than our names goes by the kernel's title. Pure."""
    found: dict[str, Limit] = {}
    for line in text.splitlines():
        row = _ROW.match(line.rstrip())
        if row:
            title, soft, hard, unit = row.groups()
            name = _NAMES[title][0] if title in _NAMES else title.removeprefix("Max ")
            found[name] = Limit(_amount(soft), _amount(hard), unit or "")
    return found


def _amount(text: str) -> Amount:
    return "unlimited" if text == "unlimited" else int(text)


def words(limit: Limit) -> str:
    """Word a limit: ``1024``, or ``1024 of 20 000`` where it may be raised."""
    soft, hard = _words(limit.soft, limit.unit), _words(limit.hard, limit.unit)
    return soft if limit.soft == limit.hard else f"{soft} of {hard}"


def _words(amount: Amount, unit: str) -> str:
    if amount == "unlimited":
        return amount
    if unit == "bytes":
        return bytes_text(amount)
    return count_text(amount) + {"seconds": " s", "us": " µs"}.get(unit, "")


def _text(name: str) -> Callable[[Limits], str | None]:
    return lambda limits: words(limits[name]) if name in limits else None


def _delta(name: str) -> Callable[[Limits, Limits], str | None]:
    def delta(one: Limits, two: Limits) -> str | None:
        first, second = one[name], two[name]
        if first.soft == "unlimited" or second.soft == "unlimited":
            return "limited" if first.soft == "unlimited" else "unlimited"
        change = second.soft - first.soft
        return signed(_words(change, first.unit)) if change else "hard limit"

    return delta


def _attribute(name: str, what: str) -> Attribute[Limits]:
    return Attribute(
        name,
        _text(name),
        "/proc/PID/limits",
        f"inherited at birth, kept over execve; limits {what}",
        f"setrlimit(2) or prlimit(2) changed it; limits {what}",
        _delta(name),
        value=lambda limits: limits.get(name),
    )


ATTRIBUTES: tuple[Attribute[Limits], ...] = tuple(_attribute(name, what) for name, what in _NAMES.values())
