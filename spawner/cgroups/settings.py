"""A cgroup's limits as what is written to which file, and what the kernel must say then (cgroup-v1, cgroup-v2)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spawner.oci import IOMax, Resources

_PAGE = os.sysconf("SC_PAGE_SIZE")
PERIOD = 100_000
"""Microseconds over which the processors' time is dealt out: the kernel's own default."""


@dataclass(frozen=True, slots=True)
class Setting:
    """``text`` for a ``file`` of a group, which must read ``wanted`` then, as ``found`` words it.

    ``controller`` is what the file belongs to. ``optional``: a kernel built without it has no such file.
    """

    controller: str
    file: str
    text: str
    wanted: str
    found: Callable[[str], str] = str.strip
    optional: bool = False


def controllers(resources: Resources) -> tuple[str, ...]:
    """What must be limited, by version 2's names of the controllers."""
    wanted = (
        ("memory", resources.memory is not None),
        ("pids", resources.pids is not None),
        ("cpu", resources.cpus is not None),
        ("io", bool(resources.io_max)),
    )
    return tuple(name for name, needed in wanted if needed)


def quota(cpus: float) -> int:
    """Microseconds of processor time in each period."""
    return round(cpus * PERIOD)


def settings(resources: Resources, *, unified: bool) -> Iterator[Setting]:
    """Everything to write, in this order; the kernel rounds memory down to whole pages."""
    if resources.memory is not None:
        # Memory and swap together: else what does not fit would be swapped out, on and on. As runc has it where
        # "swap" is the same as "limit".
        asked, pages = str(resources.memory), str(resources.memory // _PAGE * _PAGE)
        if unified:
            yield Setting("memory", "memory.max", asked, pages)
            yield Setting("memory", "memory.swap.max", "0", "0", optional=True)
        else:
            yield Setting("memory", "memory.limit_in_bytes", asked, pages)
            yield Setting("memory", "memory.memsw.limit_in_bytes", asked, pages, optional=True)
    if resources.pids is not None:
        yield Setting("pids", "pids.max", str(resources.pids), str(resources.pids))
    if resources.cpus is not None:
        share = str(quota(resources.cpus))
        if unified:
            yield Setting("cpu", "cpu.max", f"{share} {PERIOD}", f"{share} {PERIOD}")
        else:
            yield Setting("cpu", "cpu.cfs_period_us", str(PERIOD), str(PERIOD))
            yield Setting("cpu", "cpu.cfs_quota_us", share, share)
    for device in resources.io_max:
        yield from _unified_io(device) if unified else _throttles(device)


def _unified_io(device: IOMax) -> Iterator[Setting]:
    values = (
        ("rbps", device.read_bps),
        ("wbps", device.write_bps),
        ("riops", device.read_iops),
        ("wiops", device.write_iops),
    )
    number = f"{device.major}:{device.minor}"
    text = " ".join([number, *(f"{key}={'max' if value is None else value}" for key, value in values)])
    yield Setting("io", "io.max", text, text, lambda seen: _line_of(number, seen))


def _throttles(device: IOMax) -> Iterator[Setting]:
    values = (
        ("read_bps", device.read_bps),
        ("write_bps", device.write_bps),
        ("read_iops", device.read_iops),
        ("write_iops", device.write_iops),
    )
    number = f"{device.major}:{device.minor}"
    for name, value in values:
        if value is not None:
            text = f"{number} {value}"
            yield Setting("io", f"blkio.throttle.{name}_device", text, text, lambda seen: _line_of(number, seen))


def _line_of(number: str, text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.startswith(f"{number} ")), "")
