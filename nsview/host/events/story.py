"""Events in plain words: what each process was called when it happened, how it ended, what it cost. Pure."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nsview.host.events.event import LOST, Event
from nsview.host.lives import Life, Lives
from nsview.host.text import printable
from nsview.host.users import user_name
from spawner.signals import signal_name


@dataclass(frozen=True, slots=True)
class Told:
    """An event with its time of day (ns since the Epoch), the names, and at an end how long the life lasted.

    Names are printable. None is unknown.
    """

    event: Event
    when_ns: int
    comm: str | None = None
    parent_comm: str | None = None
    lasted_ns: int | None = None

    @property
    def is_of_process(self) -> bool:
        """False for what concerns a thread alone, as a birth or an end that leaves the process going."""
        if self.event.what == "exit":
            return self.event.last if self.event.last is not None else not self.event.is_of_thread
        return not self.event.is_of_thread

    @property
    def status(self) -> int | None:
        """What the process returned, None where it did not: a signal ended it, or nobody knows."""
        code = self.event.exit_code
        return os.WEXITSTATUS(code) if code is not None and os.WIFEXITED(code) else None

    @property
    def signal(self) -> str | None:
        """The signal that ended it, as SIGKILL."""
        code = self.event.exit_code
        return signal_name(os.WTERMSIG(code)) if code is not None and os.WIFSIGNALED(code) else None

    @property
    def words(self) -> str:
        """What happened, in one line."""
        return WORDS[self.event.what](self)


class Narrator:
    """Tells events one by one, as it knows the lives."""

    def __init__(self, lives: Lives, clock_ns: int) -> None:
        """Take the lives, which it keeps up, and what CLOCK_REALTIME is ahead of CLOCK_MONOTONIC."""
        self._lives = lives
        self._clock_ns = clock_ns

    def tell(self, event: Event) -> Told:
        """Fold an event and return it with what is known of its process."""
        life = self._lives.going.get(event.pid)
        ended = self._lives.fold(event)
        if life is None or (event.what == "fork" and not event.is_of_thread):
            life = self._lives.going.get(event.pid) or _of(event.pid, ended)
        lasted = life.lasted_ns if life is not None and event.what == "exit" else None
        parent = None if event.parent is None else self._lives.going.get(event.parent)
        return Told(event, event.when_ns + self._clock_ns, _name(life), _name(parent), lasted)


def _of(pid: int, lives: list[Life]) -> Life | None:
    return next((life for life in lives if life.pid == pid), None)


def _name(life: Life | None) -> str | None:
    return None if life is None or life.comm is None else printable(life.comm)


def short_time(nanoseconds: int) -> str:
    """Return a short time in three digits: ``12 µs``, ``0.35 ms``, ``48 ms``, ``1.2 s``."""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000)):
        amount = nanoseconds / size
        if amount >= 0.1:
            return (
                f"{amount:.2f} {unit}"
                if amount < 9.995
                else f"{amount:.1f} {unit}"
                if amount < 99.95
                else (f"{amount:.0f} {unit}")
            )
    return f"{nanoseconds / 1000:.0f} µs"


def cpu_words(event: Event) -> str | None:
    """Word the CPU time that an end tells: the bounds, or one figure where they are about the same."""
    least, most = event.cpu_ns, event.cpu_most_ns
    if least is None:
        return None if most is None else f"at most {short_time(most)} of CPU"
    if most is None or most <= least * 1.1:
        return f"{short_time(least)} of CPU"
    return (
        f"{short_time(least)} to {short_time(most)} of CPU"
        if least * 20 > most
        else (f"at least {short_time(least)} of CPU")
    )


def _fork(told: Told) -> str:
    event = told.event
    if event.is_of_thread:
        return f"begins thread {event.tid}"
    if event.parent is None:
        return "is born"
    return f"is born to {event.parent}" + (f" ({told.parent_comm})" if told.parent_comm else "")


def _exec(told: Told) -> str:
    name = told.event.comm
    return "executes a program" if name is None else f"executes {printable(name)}"


def _comm(told: Told) -> str:
    name = printable(told.event.comm or "")
    return f"calls thread {told.event.tid} {name}" if told.event.is_of_thread else f"is called {name}"


def _exit(told: Told) -> str:
    event = told.event
    if not told.is_of_process:
        return f"ends thread {event.tid}"
    words = ["ends"]
    if told.signal is not None:
        words = ["is killed by " + told.signal]
        if os.WCOREDUMP(event.exit_code or 0):
            words.append("dumps core")
    elif told.status is not None:
        words = [f"exits with {told.status}"]
    if told.lasted_ns is not None:
        words[-1] += f" after {short_time(told.lasted_ns)}"
    cpu = cpu_words(event)
    return ", ".join(words if cpu is None else [*words, cpu])


def _uid(told: Told) -> str:
    real, effective = told.event.ruid, told.event.euid
    if real is None or real == effective:
        return "is of no known user" if effective is None else f"is of user {user_name(effective)}"
    return f"is of user {user_name(real)}" + ("" if effective is None else f", acts as {user_name(effective)}")


def _gid(told: Told) -> str:
    real, effective = told.event.rgid, told.event.egid
    return f"is of group {real}" + ("" if effective == real else f", acts as {effective}")


def _lost(told: Told) -> str:
    event = told.event
    number = "some" if event.count is None else str(event.count)
    if event.source == "accounts":
        return f"{number} accounts of ended processes were lost: their CPU time is unknown"
    return f"{number} events were lost"


WORDS: Mapping[str, Callable[[Told], str]] = {
    "fork": _fork,
    "exec": _exec,
    "exit": _exit,
    "comm": _comm,
    "uid": _uid,
    "gid": _gid,
    "sid": lambda told: "leads a new session",
    "ptrace": lambda told: f"is traced by {told.event.tracer}" if told.event.tracer else "is traced no more",
    "coredump": lambda told: "dumps core",
    LOST: _lost,
}
"""How each kind of event is told."""
