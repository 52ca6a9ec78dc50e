"""What of a running process can be set: nice, CPUs, I/O priority, policy, OOM score, limits; set, then read back.

Each setting is one row: how it is set, how the kernel tells it, how the call is written. What is told afterwards is
what was read, never what was asked for.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from nsview.host.scheduling import POLICIES
from nsview.host.snapshot import ProcessRecord
from nsview.tui.acting.held import Held, OtherProcessError
from nsview.tui.acting.progress import Progress
from nsview.tui.acting.refusals import refusal

V = TypeVar("V")

IO_CLASSES = ("none", "realtime", "best-effort", "idle")
"""By number, ioprio_set(2)."""
_IOPRIO = {"x86_64": (251, 252), "aarch64": (30, 31), "riscv64": (30, 31), "ppc64le": (273, 274), "s390x": (282, 283)}
_WHO_PROCESS = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Setting(Generic[V]):
    """One thing that can be set. ``apply`` and ``read`` raise OSError; ``read`` gives the kernel's word.

    ``name`` is what it is called, ``call`` the system call or file, ``form`` writes the call with a value.
    """

    name: str
    call: str
    form: Callable[[V], str]
    apply: Callable[[Held, V], object]
    read: Callable[[Held], str]


def _agreed(values: Mapping[int, str]) -> str:
    """Word what the threads of one process have; all of them the same, mostly."""
    counted = Counter(values.values()).most_common()
    if len(counted) == 1:
        return counted[0][0]
    return ", ".join(f"{value} ({count} threads)" for value, count in counted)


def cpu_list(cpus: Iterable[int]) -> str:
    """Word CPUs as the kernel does: ``0-3,8``. Pure."""
    pieces: list[list[int]] = []
    for cpu in sorted(cpus):
        if pieces and pieces[-1][-1] == cpu - 1:
            pieces[-1][1:] = [cpu]
        else:
            pieces.append([cpu])
    return ",".join("-".join(map(str, piece)) for piece in pieces)


def minus(number: int) -> str:
    """Word a number with a proper minus."""
    return str(number).replace("-", "−")


NICE: Setting[int] = Setting(
    "nice",
    "setpriority",
    lambda value: f"setpriority(PRIO_PROCESS, tid, {value})",
    lambda held, value: held.by_thread(lambda tid: os.setpriority(os.PRIO_PROCESS, tid, value)),
    lambda held: _agreed(held.by_thread(lambda tid: minus(os.getpriority(os.PRIO_PROCESS, tid)))),
)

AFFINITY: Setting[frozenset[int]] = Setting(
    "CPUs",
    "sched_setaffinity",
    lambda value: f"sched_setaffinity(tid, {{{cpu_list(value)}}})",
    lambda held, value: held.by_thread(lambda tid: os.sched_setaffinity(tid, value)),
    lambda held: _agreed(held.by_thread(lambda tid: cpu_list(os.sched_getaffinity(tid)))),
)


@dataclass(frozen=True, slots=True)
class IoPriority:
    """Class and level of ioprio_set(2); 0 is the first of eight levels, which none and idle do not have."""

    name: str
    level: int = 0

    @property
    def value(self) -> int:
        """As the kernel has it."""
        return IO_CLASSES.index(self.name) << 13 | (self.level if self.name in ("realtime", "best-effort") else 0)

    def __str__(self) -> str:
        """As nsview shows it."""
        return self.name if self.name in ("none", "idle") else f"{self.name} {self.level}"


def _ioprio(which: int, *arguments: int) -> int:
    numbers = _IOPRIO.get(platform.machine())
    if numbers is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    answer: int = _libc.syscall(numbers[which], _WHO_PROCESS, *arguments)
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def _io_words(value: int) -> str:
    kind = value >> 13
    return str(IoPriority(IO_CLASSES[kind], value & 7)) if kind < len(IO_CLASSES) else str(kind)


IO_PRIORITY: Setting[IoPriority] = Setting(
    "I/O priority",
    "ioprio_set",
    lambda value: f"ioprio_set(IOPRIO_WHO_PROCESS, tid, {value})",
    lambda held, value: held.by_thread(lambda tid: _ioprio(0, tid, value.value)),
    lambda held: _agreed(held.by_thread(lambda tid: _io_words(_ioprio(1, tid)))),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of sched(7) by nsview's name of it, and the priority of fifo and rr."""

    name: str
    priority: int = 0

    @property
    def number(self) -> int:
        """As the kernel has it."""
        return next(number for number, name in POLICIES.items() if name == self.name)

    def __str__(self) -> str:
        """As nsview shows it."""
        return f"{self.name} {self.priority}" if self.priority else self.name


def _policy_of(tid: int) -> str:
    name = POLICIES.get(os.sched_getscheduler(tid) & ~os.SCHED_RESET_ON_FORK, "?")
    priority = os.sched_getparam(tid).sched_priority
    return f"{name} {priority}" if priority else name


POLICY: Setting[Policy] = Setting(
    "policy",
    "sched_setscheduler",
    lambda value: f"sched_setscheduler(tid, SCHED_{value.name.upper()}, {{{value.priority}}})",
    lambda held, value: held.by_thread(
        lambda tid: os.sched_setscheduler(tid, value.number, os.sched_param(value.priority))
    ),
    lambda held: _agreed(held.by_thread(_policy_of)),
)

OOM_SCORE: Setting[int] = Setting(
    "OOM score adjustment",
    "oom_score_adj",
    lambda value: f"write(/proc/PID/oom_score_adj, {value})",
    lambda held, value: held.write("oom_score_adj", str(value)),
    lambda held: minus(int(held.read("oom_score_adj"))),
)


@dataclass(frozen=True, slots=True)
class NewLimit:
    """A limit to set: setrlimit(2)'s name in small letters; an amount of -1 is unlimited, None stays as it is."""

    name: str
    soft: int | None
    hard: int | None

    def __str__(self) -> str:
        """As it is written: soft:hard."""
        return ":".join("as it is" if each is None else limit_words(each) for each in (self.soft, self.hard))


def limit_words(amount: int) -> str:
    """Word an amount as it may be typed."""
    return "unlimited" if amount == resource.RLIM_INFINITY else str(amount)


def _resource(name: str) -> int:
    number: int = getattr(resource, f"RLIMIT_{name.upper()}", _OTHERS.get(name, -1))
    return number


_OTHERS = {"locks": 10}
"""asm-generic/resource.h; Python has no name for it."""


def _set_limit(held: Held, new: NewLimit) -> None:
    def call(pid: int) -> None:
        now = resource.prlimit(pid, _resource(new.name))
        wanted = tuple(old if value is None else value for old, value in zip(now, (new.soft, new.hard), strict=True))
        try:
            resource.prlimit(pid, _resource(new.name), (wanted[0], wanted[1]))
        except ValueError:  # what Python makes of EINVAL
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None

    held.by_pid(call)


def limit_setting(name: str) -> Setting[NewLimit]:
    """Return the setting for one of the limits."""
    return Setting(
        f"limit {name}",
        "prlimit",
        lambda value: f"prlimit(pid, RLIMIT_{name.upper()}, {{{value}}})",
        _set_limit,
        lambda held: ":".join(map(limit_words, held.by_pid(lambda pid: resource.prlimit(pid, _resource(name))))),
    )


@dataclass(slots=True)
class Outcome:
    """What became of an act on several: how many were acted on, what was read back, who was gone, who refused."""

    done: int = 0
    words: Counter[str] = field(default_factory=Counter)
    gone: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    cancelled: int = 0


def change(setting: Setting[Any], value: object, members: Iterable[ProcessRecord], progress: Progress) -> Outcome:
    """Set it for each of these processes, reading each back. Stops where ``progress`` is cancelled."""
    members = tuple(members)
    outcome = Outcome()
    for place, record in enumerate(members):
        if progress.cancelled:
            outcome.cancelled = len(members) - place
            break
        progress.say(f"{setting.name}: {record.pid} {record.comm}", place, len(members))
        try:
            with Held(record.identity) as held:
                setting.apply(held, value)
                outcome.words[setting.read(held)] += 1
                outcome.done += 1
        except OtherProcessError as error:
            outcome.refused[refusal(setting.call, error)] += 1
        except (ProcessLookupError, FileNotFoundError):
            outcome.gone += 1
        except OSError as error:
            outcome.refused[refusal(setting.call, error)] += 1
    return outcome
