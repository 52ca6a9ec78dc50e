"""An event: one thing that happened to one task, in the kernel's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields

LOST = "lost"
WHAT = ("fork", "exec", "exit", "comm", "uid", "gid", "sid", "ptrace", "coredump", LOST)
"""The events of linux/cn_proc.h without their prefix, and ``lost``: some were missed, look at everything again."""

Plain = int | str | bool | None


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. A field that does not apply, or is not known, is None.

    ``pid`` is the process (tgid) and ``tid`` the task; both are of the child in a fork and 0 in ``lost``, which is
    of no process. ``when_ns`` is CLOCK_MONOTONIC. Processes as threads fork and exit: a thread's events have another
    ``tid`` than ``pid``. An exit with ``tid == pid`` in a process of several threads is that of its first thread
    alone; ``last`` says whether the process ended with it (lives.py counts where it is None).

    ``parent``: process that is the parent at birth (fork), that the end is told to (exit, coredump).
    ``exit_code``: status as of wait(2). ``exit_signal``: what the parent gets; -1 for a thread.
    ``comm``: the new name, raw bytes decoded as by os.fsdecode(); pass it through printable() before showing it.
    ``count``: how many were lost; None where nobody could count. ``source`` of a loss: ``events`` or ``accounts``.
    ``cpu_ns``: time on CPUs, as the scheduler has it when the exit begins: at least this much, for what has run since
    the last tick or switch is not in it, nor what gives back memory after that; None in a life too short for a tick.
    ``cpu_most_ns``: at most this much up to then, the time that was not spent in waiting for a CPU; so in a life that
    never slept it is close. ``utime_us`` and ``stime_us``: parts as far as ticks can tell. All are the task's own,
    or with ``last`` the whole process's.
    """

    when_ns: int
    what: str
    pid: int
    tid: int
    parent: int | None = None
    parent_tid: int | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    last: bool | None = None
    comm: str | None = None
    ruid: int | None = None
    euid: int | None = None
    rgid: int | None = None
    egid: int | None = None
    tracer: int | None = None
    cpu_ns: int | None = None
    cpu_most_ns: int | None = None
    utime_us: int | None = None
    stime_us: int | None = None
    count: int | None = None
    source: str | None = None

    @property
    def is_of_thread(self) -> bool:
        """True for what happened to a task that is not the first of its process."""
        return self.tid != self.pid

    def to_object(self) -> dict[str, Plain]:
        """Return a JSON object: the fields that are not None, under their own names."""
        found = ((name, getattr(self, name)) for name in _NAMES)
        return {name: value for name, value in found if value is not None}

    @classmethod
    def from_object(cls, found: Mapping[str, object]) -> Event:
        """Return the event of a JSON object; fields of later versions are ignored. ValueError when it is none."""
        if missing := _NEEDED - found.keys():
            raise ValueError(f"an event without {', '.join(sorted(missing))}")
        known = {name: found[name] for name in _NAMES if name in found}
        for name, value in known.items():
            kind = _KINDS.get(name, int)
            if not (type(value) is kind or (value is None and name not in _NEEDED)):
                raise ValueError(f"an event's {name} is {value!r}")
        return cls(**known)  # type: ignore[arg-type]


_NAMES = tuple(field.name for field in fields(Event))
_NEEDED = frozenset(field.name for field in fields(Event) if field.default is MISSING)
_KINDS: Mapping[str, type] = {"what": str, "comm": str, "source": str, "last": bool}
