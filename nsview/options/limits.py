"""Options for what the program may use: resource limits, a control group, processors, priorities."""

from __future__ import annotations

import argparse
import os
import stat
from dataclasses import replace
from typing import Any

from nsview.options import words
from nsview.options.option import Option, close
from spawner import Spec
from spawner.oci import Cgroup, IOMax, Resources, Rlimit

TITLE = "limits"

RLIMITS = (
    "AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE", "NPROC", "RSS", "RTPRIO",
    "RTTIME", "SIGPENDING", "STACK",
)  # fmt: skip
"""getrlimit(2), without RLIMIT_."""

_IO = {"rbps": "read_bps", "wbps": "write_bps", "riops": "read_iops", "wiops": "write_iops"}


def _limit(text: str) -> int | None:
    return None if text.lower() in ("unlimited", "infinity") else words.size(text)


def _rlimit(text: str) -> Rlimit:
    name, equals, value = text.partition("=")
    known = name.upper().removeprefix("RLIMIT_")
    if known not in RLIMITS:
        raise words.Refused(f"there is no limit {name!r}{close(known, RLIMITS) or ': see getrlimit(2)'}")
    soft, colon, hard = value.partition(":")
    if not equals or not soft or (colon and not hard):
        raise words.Refused(f"{text!r} is no NAME=SOFT or NAME=SOFT:HARD")
    low = _limit(soft)
    high = _limit(hard) if colon else low
    if high is not None and (low is None or low > high):
        raise words.Refused(f"{text!r}: the soft limit is above the hard one")
    return Rlimit(f"RLIMIT_{known}", low, high)


def _processors(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 < value < 1e6:
        raise words.Refused(f"{text!r} is no number of processors above 0, such as 1.5")
    return value


def _device(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(":")
    numbers = words.digits(major, (1 << 12) - 1), words.digits(minor, (1 << 20) - 1)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0], numbers[1]
    try:
        status = os.stat(text)
    except (OSError, ValueError) as error:
        raise words.Refused(f"{text!r} is no MAJOR:MINOR and no block device ({error})") from None
    if not stat.S_ISBLK(status.st_mode):
        raise words.Refused(f"{text!r} is no block device")
    return os.major(status.st_rdev), os.minor(status.st_rdev)


def _io_max(text: str) -> IOMax:
    device, *settings = text.split(",")
    limits: dict[str, int | None] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in _IO:
            raise words.Refused(f"{setting!r} is none of {', '.join(f'{name}=…' for name in _IO)}{close(key, _IO)}")
        limits[_IO[key]] = None if value == "max" else words.some_bytes(value)
    if not limits:
        raise words.Refused(f"{text!r} names no limit: {', '.join(f'{name}=…' for name in _IO)}")
    major, minor = _device(device)
    return IOMax(major=major, minor=minor, **limits)


OPTIONS: tuple[Option, ...] = (
    Option(
        ("--rlimit",),
        "a resource limit, as NOFILE=1024:4096 or CORE=0 for both; numbers with K, M, G, or unlimited; repeatable",
        {"type": _rlimit, "action": "append", "default": [], "metavar": "NAME=SOFT[:HARD]"},
    ),
    Option(("--cgroup-name",), "run in a control group made with this name below our own", {"metavar": "NAME"}),
    Option(("--memory",), "memory of its control group, as 64M", {"metavar": "BYTES", "type": words.some_bytes}),
    Option(
        ("--pids",),
        "tasks in its control group",
        {"metavar": "COUNT", "type": words.number(1, 1 << 22, "number of tasks")},
    ),
    Option(("--cpus",), "processor time of its control group, as 1.5", {"metavar": "CPUS", "type": _processors}),
    Option(
        ("--io-max",),
        "limits of a device (rbps=, wbps=: bytes a second; riops=, wiops=) for its control group; repeatable",
        {"type": _io_max, "action": "append", "default": [], "metavar": "DEVICE,KEY=VALUE[,…]"},
    ),
    Option(("--nice",), "nice value, 19 is the nicest", {"metavar": "N", "type": words.number(-20, 19, "nice value")}),
    Option(("--cpu-affinity",), "run on these processors, as 0-3,5", {"metavar": "LIST", "type": words.processors}),
    Option(
        ("--oom-score-adj",),
        "how soon it is killed when memory runs out, 1000 is first",
        {"metavar": "N", "type": words.number(-1000, 1000, "oom_score_adj")},
    ),
)


def fields(asked: argparse.Namespace, base: Spec) -> dict[str, Any]:
    """What these options make of a Spec."""
    rlimits = {limit.type: limit for limit in (*base.rlimits, *asked.rlimit)}
    plain = {"nice": asked.nice, "cpu_affinity": asked.cpu_affinity, "oom_score_adj": asked.oom_score_adj}
    return {
        "rlimits": tuple(rlimits.values()),
        "cgroup": _cgroup(asked, base.cgroup),
        **{name: value for name, value in plain.items() if value is not None},
    }


def _cgroup(asked: argparse.Namespace, base: Cgroup | None) -> Cgroup | None:
    resources = Resources() if base is None else base.resources
    plain = {"memory": asked.memory, "pids": asked.pids, "cpus": asked.cpus}
    changes: dict[str, Any] = {name: value for name, value in plain.items() if value is not None}
    if asked.io_max:
        changes["io_max"] = (*resources.io_max, *asked.io_max)
    if not changes and asked.cgroup_name is None:
        return base
    name = asked.cgroup_name if asked.cgroup_name is not None or base is None else base.name
    return Cgroup(name=name, resources=replace(resources, **changes))
