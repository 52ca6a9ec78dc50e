"""The signals a process blocks, ignores, catches, and has waiting, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nsview.host.attribute import Attribute
from nsview.host.process import PinnedProcess
from spawner.signals import signal_name

_BITS = 64


@dataclass(frozen=True, slots=True)
class Signals:
    """Masks as in proc_pid_status(5): bit N - 1 is signal N. None is unknown.

    ``pending`` and ``blocked`` are of the main thread, ``shared_pending`` of the whole process. ``queued`` and
    ``queue_limit`` count for the user, not for the process alone.
    """

    pending: int | None
    shared_pending: int | None
    blocked: int | None
    ignored: int | None
    caught: int | None
    queued: int | None
    queue_limit: int | None


def signals_of(process: PinnedProcess) -> Signals | None:
    """Read the masks; None when the process is gone."""
    status = process.status()
    if status is None:
        return None
    pending, shared, blocked, ignored, caught = (
        _mask(status.get(key)) for key in ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")
    )
    queued, _, limit = status.get("SigQ", "").partition("/")
    return Signals(
        pending, shared, blocked, ignored, caught, int(queued) if queued else None, int(limit) if limit else None
    )


def _mask(text: str | None) -> int | None:
    return None if text is None else int(text, 16)


def names_of(mask: int) -> tuple[str, ...]:
    """Name the signals in ``mask`` without SIG, the lowest first. Pure."""
    names = (signal_name(bit + 1) for bit in range(_BITS) if mask >> bit & 1)
    return tuple(name.removeprefix("SIG").removeprefix("signal ") for name in names)


def words(mask: int | None) -> str | None:
    """Word a mask: ``none``, ``all``, names, or ``all but`` names."""
    if mask is None:
        return None
    if not mask:
        return "none"
    missing = ~mask & (1 << _BITS) - 1
    if not missing:
        return "all"
    if missing.bit_count() < 8:
        return "all but " + " ".join(names_of(missing))
    return " ".join(names_of(mask))


def change(before: int | None, after: int | None) -> str | None:
    """Word what ``after`` has more and less, as ``+PIPE −INT``."""
    if before is None or after is None:
        return None
    gained, lost = names_of(after & ~before), names_of(before & ~after)
    if max(len(gained), len(lost)) > 12:
        return f"+{len(gained)} −{len(lost)}"
    return " ".join([f"+{name}" for name in gained] + [f"−{name}" for name in lost])


def _attribute(
    name: str, key: str, get: Callable[[Signals], int | None], why_same: str, why_different: str
) -> Attribute[Signals]:
    return Attribute(
        name,
        lambda it: words(get(it)),
        f"/proc/PID/status {key}",
        why_same,
        why_different,
        lambda one, two: change(get(one), get(two)),
        value=get,
    )


ATTRIBUTES: tuple[Attribute[Signals], ...] = (
    _attribute(
        "blocked",
        "SigBlk",
        lambda it: it.blocked,
        "inherited at birth, kept over execve",
        "sigprocmask(2): they wait until they are unblocked",
    ),
    _attribute(
        "ignored",
        "SigIgn",
        lambda it: it.ignored,
        "inherited at birth, kept over execve",
        "signal(2) with SIG_IGN: they are thrown away",
    ),
    _attribute(
        "caught",
        "SigCgt",
        lambda it: it.caught,
        "copied at birth; execve resets them to their default",
        "sigaction(2) since birth, or execve, which resets them to their default",
    ),
    _attribute(
        "pending",
        "SigPnd",
        lambda it: it.pending,
        "none is inherited",
        "sent to the main thread, which blocks them",
    ),
    _attribute(
        "pending for the process",
        "ShdPnd",
        lambda it: it.shared_pending,
        "none is inherited",
        "sent to the process, all of whose threads block them",
    ),
)
