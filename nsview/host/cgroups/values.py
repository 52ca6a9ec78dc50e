"""What the files of a group say, as values: one small parser for each way of writing. Pure.

Sources: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/*.rst, accounting/psi.rst. Each parser takes the texts of
its files and answers None where they do not say it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

MAX: Final = "max"
"""No limit: a value of its own, in both versions."""
Limit = int | Literal["max"]

_NO_LIMIT = (1 << 63) - (1 << 16)
"""Version 1 writes "no limit" as the most pages a long can count, in bytes: 2**63 less one page of up to 64 KiB."""
_NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class Quota(NamedTuple):
    """At most ``quota`` microseconds of CPU time in each ``period`` of as many."""

    quota: Limit
    period: int

    @property
    def cpus(self) -> float | None:
        """How many CPUs that is, None without a limit."""
        return None if self.quota == "max" else self.quota / self.period


class Stall(NamedTuple):
    """Per cent of the last 10, 60 and 300 seconds, and microseconds since the group was made."""

    avg10: float
    avg60: float
    avg300: float
    total: int


class Pressure(NamedTuple):
    """How long ``some`` task of a group waited for a resource, and how long all at once (``full``)."""

    some: Stall | None
    full: Stall | None


Devices = Mapping[str, Mapping[str, Limit]]
"""By ``major:minor``, then by the kernel's word: rbps, rbytes, …"""
Value = int | float | str | bool | Quota | Pressure | Devices
Parser = Callable[..., Value | None]


def number(text: str) -> int | None:
    """A lone number."""
    word = text.strip()
    return int(word) if word.lstrip("-").isdecimal() else None


def limit(text: str) -> Limit | None:
    """A lone number or ``max``; the huge number that version 1 writes for it as well."""
    if text.strip() == MAX:
        return MAX
    found = number(text)
    return MAX if found is not None and found >= _NO_LIMIT else found


def words(text: str) -> str:
    """The text itself, on one line."""
    return " ".join(text.split())


def flag(text: str) -> bool | None:
    """0 or 1."""
    return {"0": False, "1": True}.get(text.strip())


def keyed(key: str, times: int = 1) -> Parser:
    """The number after ``key`` in a file of lines "key number", times so many."""

    def read(text: str) -> int | None:
        for line in text.splitlines():
            name, _, rest = line.partition(" ")
            if name == key and rest.isdecimal():
                return int(rest) * times
        return None

    return read


def ticks(key: str) -> Parser:
    """The same of clock ticks, in nanoseconds."""
    return keyed(key, _NS_PER_TICK)


def keyed_flag(key: str) -> Parser:
    """The same of 0 or 1."""
    read = keyed(key)

    def read_flag(text: str) -> bool | None:
        found = read(text)
        return None if found is None else bool(found)

    return read_flag


def quota(text: str) -> Quota | None:
    """cpu.max: quota or ``max``, then the period."""
    fields = text.split()
    return Quota(MAX if fields[0] == MAX else int(fields[0]), int(fields[1])) if len(fields) == 2 else None


def quota_and_period(quota_us: str, period_us: str) -> Quota | None:
    """cpu.cfs_quota_us, which is -1 without a limit, and cpu.cfs_period_us."""
    quota, period = number(quota_us), number(period_us)
    if quota is None or period is None:
        return None
    return Quota(MAX if quota < 0 else quota, period)


def weight(text: str) -> int | None:
    """io.weight and its like: "default 100" and weights of single devices, or a lone number."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[0] == "default":
            return int(fields[1])
    return number(text)


def devices(text: str) -> Devices:
    """io.max and io.stat: "8:0 rbps=1024 wbps=max …" for each device."""
    found: dict[str, dict[str, Limit]] = {}
    for line in text.splitlines():
        device, *pairs = line.split()
        said = (pair.partition("=") for pair in pairs)
        numbers = {key: limit(value) for key, _, value in said}
        known = {key: value for key, value in numbers.items() if value is not None}
        if known:
            found[device] = known
    return found


def throttles(rbps: str, wbps: str, riops: str, wiops: str) -> Devices:
    """blkio.throttle.{read,write}_{bps,iops}_device: "8:0 1024" for each device that has a limit."""
    found: dict[str, dict[str, Limit]] = {}
    for word, text in (("rbps", rbps), ("wbps", wbps), ("riops", riops), ("wiops", wiops)):
        for line in text.splitlines():
            device, _, value = line.partition(" ")
            found.setdefault(device, {"rbps": MAX, "wbps": MAX, "riops": MAX, "wiops": MAX})[word] = int(value)
    return found


def io_serviced(in_bytes: str, in_requests: str) -> Devices:
    """blkio.throttle.io_service_bytes_recursive and …io_serviced_recursive: "8:0 Read 4096" for each device."""
    found: dict[str, dict[str, Limit]] = {}
    spelt = ((in_bytes, {"Read": "rbytes", "Write": "wbytes", "Discard": "dbytes"}),)
    for text, names in (*spelt, (in_requests, {"Read": "rios", "Write": "wios", "Discard": "dios"})):
        for line in text.splitlines():
            fields = line.split()
            if len(fields) == 3 and fields[1] in names:
                found.setdefault(fields[0], {})[names[fields[1]]] = int(fields[2])
    return {device: numbers for device, numbers in found.items() if any(numbers.values())}


def summed(word: str, per_device: Callable[..., Devices]) -> Parser:
    """One number of all devices together."""

    def read(*texts: str) -> int:
        rows = per_device(*texts).values()
        return sum(value for row in rows if isinstance(value := row.get(word, 0), int))

    return read


def pressure(text: str) -> Pressure | None:
    """cpu.pressure and its like (psi.rst)."""
    found: dict[str, Stall] = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        said = dict(pair.split("=", 1) for pair in pairs)
        found[kind] = Stall(float(said["avg10"]), float(said["avg60"]), float(said["avg300"]), int(said["total"]))
    return Pressure(found.get("some"), found.get("full")) if found else None


def frozen(freeze: str, events: str) -> str | None:
    """cgroup.freeze and cgroup.events, in the words of version 1's freezer.state."""
    asked, done = flag(freeze), keyed_flag("frozen")(events)
    if asked is None or done is None:
        return None
    return FROZEN if done else FREEZING if asked else THAWED


THAWED, FREEZING, FROZEN = "THAWED", "FREEZING", "FROZEN"
