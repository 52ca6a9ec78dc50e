"""Conditions on one clone, clone3 or unshare call: which flags it has, by whom it is made, with which signal.

Rules and dangers are conditions with words to them. Nothing here looks at the machine: whoever asks fills in
a ``Caller`` as far as it knows, and what it leaves out is taken to be the ordinary case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from signal import SIGCHLD

from spawner import namespaces
from spawner.flags import ALL_BITS, CSIGNAL, bits

EMPTY_MNTNS = bits("EMPTY_MNTNS")
SIGNAL_BITS = CSIGNAL & ~ALL_BITS
"""Bits that in clone's flags belong to the exit signal and in no other call mean anything."""
LAST_SIGNAL = 64
"""The highest signal number (_NSIG of every architecture but MIPS)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The process that makes the call, as far as the rules ask about it.

    ``known_bits`` are the flag bits that the running kernel knows, found by asking it; None means not asked,
    and every flag of the table then counts as known. ``kernel`` (major, minor) decides only about rules that
    a mainline release brought or lifted; None means a kernel newer than all of them.
    """

    privileged: bool = True
    """Has CAP_SYS_ADMIN in its user namespace."""
    threaded: bool = False
    """Has more than one thread, or shares its memory or signal handlers with another process."""
    pid_namespace_init: bool = False
    """Is process 1 of its pid namespace."""
    pid_namespace_pending: bool = False
    """Its next child will be in another pid namespace, after unshare(CLONE_NEWPID) or setns."""
    time_namespace_pending: bool = False
    """Its next child will be in another time namespace, after unshare(CLONE_NEWTIME) or setns."""
    chrooted: bool = False
    """Its root directory is not the root of its mount namespace."""
    ids_mapped: bool = True
    """Its effective user and group id have a mapping in its user namespace."""
    autoreap: bool = False
    """Was itself made with CLONE_AUTOREAP."""
    known_bits: int | None = None
    kernel: tuple[int, int] | None = None


class When(StrEnum):
    """A condition of a rule on the caller or the exit signal; the value reads after “refused …”."""

    ALWAYS = "always"
    UNKNOWN_BIT = "when this kernel does not know the bit"
    UNKNOWN_NAMESPACE = "when this kernel has no such namespaces"
    NO_EMPTY_MOUNT_NAMESPACE = "when this kernel does not know CLONE_EMPTY_MNTNS"
    EMPTY_MOUNT_NAMESPACE = "when this kernel knows CLONE_EMPTY_MNTNS"
    EXIT_SIGNAL_SET = "when there is an exit signal"
    EXIT_SIGNAL_NONE = "when there is no exit signal"
    EXIT_SIGNAL_UNUSUAL = "when the exit signal is neither SIGCHLD nor none"
    EXIT_SIGNAL_INVALID = "when the exit signal is no signal number"
    UNPRIVILEGED = "when the caller lacks CAP_SYS_ADMIN"
    THREADED = "when the caller has more than one thread"
    PID_NAMESPACE_INIT = "when the caller is process 1 of its pid namespace"
    PID_NAMESPACE_PENDING = "when the caller's children already go to another pid namespace"
    TIME_NAMESPACE_PENDING = "when the caller's children already go to another time namespace"
    CHROOTED = "when the caller's root is not the root of its mount namespace"
    IDS_UNMAPPED = "when the caller's user or group id is not mapped in its user namespace"
    AUTOREAP = "when the caller was itself made with CLONE_AUTOREAP"


@dataclass(frozen=True, slots=True)
class Call:
    """One call that is asked about; ``exit_signal`` means nothing to unshare."""

    mask: int
    via: str
    exit_signal: int = SIGCHLD
    caller: Caller = Caller()

    def unknown_bits(self) -> int:
        """Bits of the mask, the low byte's signal bits apart, that the caller's kernel does not know."""
        known = ALL_BITS if self.caller.known_bits is None else self.caller.known_bits
        return self.mask & ~known & ~SIGNAL_BITS


def _knows_empty_mntns(call: Call) -> bool:
    return bool(call.caller.known_bits and call.caller.known_bits & EMPTY_MNTNS)


def _signal_is_valid(call: Call) -> bool:
    return 0 <= call.exit_signal <= LAST_SIGNAL


_HOLDS: dict[When, Callable[[Call], bool]] = {
    When.ALWAYS: lambda call: True,
    When.UNKNOWN_BIT: lambda call: bool(call.unknown_bits()),
    When.UNKNOWN_NAMESPACE: lambda call: bool(call.unknown_bits() & namespaces.ALL_FLAGS),
    When.NO_EMPTY_MOUNT_NAMESPACE: lambda call: not _knows_empty_mntns(call),
    When.EMPTY_MOUNT_NAMESPACE: _knows_empty_mntns,
    When.EXIT_SIGNAL_SET: lambda call: call.exit_signal != 0,
    When.EXIT_SIGNAL_NONE: lambda call: call.exit_signal == 0,
    When.EXIT_SIGNAL_UNUSUAL: lambda call: _signal_is_valid(call) and call.exit_signal not in (0, SIGCHLD),
    When.EXIT_SIGNAL_INVALID: lambda call: not _signal_is_valid(call),
    When.UNPRIVILEGED: lambda call: not call.caller.privileged,
    When.THREADED: lambda call: call.caller.threaded,
    When.PID_NAMESPACE_INIT: lambda call: call.caller.pid_namespace_init,
    When.PID_NAMESPACE_PENDING: lambda call: call.caller.pid_namespace_pending,
    When.TIME_NAMESPACE_PENDING: lambda call: call.caller.time_namespace_pending,
    When.CHROOTED: lambda call: call.caller.chrooted,
    When.IDS_UNMAPPED: lambda call: not call.caller.ids_mapped,
    When.AUTOREAP: lambda call: call.caller.autoreap,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Met by a call through one of ``via``, where ``when`` holds, whose mask has all of ``has``, one of
    ``any_of`` (unless that is 0) and none of ``lacks``.
    """

    has: int = 0
    any_of: int = 0
    lacks: int = 0
    when: When = When.ALWAYS
    via: frozenset[str] = frozenset({"clone3", "clone", "unshare"})

    @property
    def mentions(self) -> int:
        """Every bit that the condition speaks of; ``any_of`` may reach beyond the flags that exist."""
        return self.has | self.any_of | self.lacks

    def met_by(self, call: Call) -> bool:
        """Whether the call meets it."""
        return (
            call.via in self.via
            and call.mask & self.has == self.has
            and (not self.any_of or bool(call.mask & self.any_of))
            and not call.mask & self.lacks
            and _HOLDS[self.when](call)
        )

    def flags_of(self, call: Call) -> int:
        """The bits of a call that meet it: what a screen should point at."""
        if self.when in (When.UNKNOWN_BIT, When.UNKNOWN_NAMESPACE):
            return call.unknown_bits() & self.any_of
        return call.mask & (self.has | self.any_of)
