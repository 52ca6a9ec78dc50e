"""The ways to make a child: what each call can express, and which one `auto` takes and why."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from signal import SIGCHLD

from spawner.errors import Problem
from spawner.flags import BY_NAME, format_mask
from spawner.kernel import Facts
from spawner.namespaces import ALL_FLAGS, flags_of
from spawner.oci import IDMapping
from spawner.spec import Mechanism, Spec

VM = BY_NAME["CLONE_VM"].bit
VFORK = BY_NAME["CLONE_VFORK"].bit
PIDFD = BY_NAME["CLONE_PIDFD"].bit
PARENT = BY_NAME["CLONE_PARENT"].bit
PARENT_SETTID = BY_NAME["CLONE_PARENT_SETTID"].bit
SIGHAND = BY_NAME["CLONE_SIGHAND"].bit
CLEAR_SIGHAND = BY_NAME["CLONE_CLEAR_SIGHAND"].bit
NEWTIME = BY_NAME["CLONE_NEWTIME"].bit
NEWPID = BY_NAME["CLONE_NEWPID"].bit
_LEGACY = 0xFFFFFF00


@dataclass(frozen=True, slots=True)
class Way:
    """What one mechanism can do.

    ``flags``: the CLONE_* bits a caller may add to its call. ``namespaces``: whether they are made by the
    ``call`` itself, by ``unshare`` in the child, or not at all (empty). ``plans``: whether the child can run a
    plan. ``holds``: whether it can wait for the parent on the way.
    """

    flags: int
    namespaces: str
    plans: bool
    holds: bool
    cost: str


WAYS: dict[Mechanism, Way] = {
    Mechanism.CLONE3: Way((1 << 64) - 1, "call", True, True, "shares the parent's memory until execve"),
    Mechanism.CLONE: Way(_LEGACY, "call", True, True, "shares the parent's memory until execve"),
    Mechanism.FORK: Way(0, "", True, True, "copies the parent's page tables: cost grows with its memory"),
    Mechanism.VFORK: Way(0, "", True, False, "borrows the parent's memory and suspends it until execve"),
    Mechanism.FORK_UNSHARE: Way(0, "unshare", True, True, "copies the parent's page tables, then unshares"),
    Mechanism.POSIX_SPAWN: Way(0, "", False, False, "libc's own clone(CLONE_VM|CLONE_VFORK)"),
}


def wanted_flags(spec: Spec) -> tuple[int, int]:
    """(bits of new namespaces, other bits asked for); a namespace may be asked for either way."""
    spaces = flags_of(spec.namespaces) | (spec.clone_flags & ALL_FLAGS)
    return spaces, spec.clone_flags & ~ALL_FLAGS


def choose(spec: Spec, facts: Facts) -> tuple[Mechanism, str]:
    """The mechanism for a Spec and one sentence that says why."""
    if spec.via is not Mechanism.AUTO:
        return spec.via, f"asked for; {WAYS[spec.via].cost}"
    spaces, others = wanted_flags(spec)
    if facts.clone3_errno == 0:
        made = "makes the child inside its new namespaces" if spaces else "makes the child"
        return Mechanism.CLONE3, f"one call {made} at a cost that does not grow with the parent's memory"
    refused = errno.errorcode.get(facts.clone3_errno, str(facts.clone3_errno))
    if not others & ~_LEGACY:
        return (
            Mechanism.CLONE,
            f"clone3 answers {refused} here (an old kernel or a seccomp filter), clone can say the same",
        )
    return (
        Mechanism.CLONE3,
        f"only clone3 knows {format_mask(others & ~_LEGACY)}, though it answers {refused} here",
    )


def waits(spec: Spec) -> bool:
    """Whether the child has to wait for its parent on the way, who must not be suspended then."""
    return any(lines and not _is_own(lines) for lines in (spec.uid_mappings, spec.gid_mappings)) or bool(
        spec.keep or spec.veth
    )


def _is_own(lines: tuple[IDMapping, ...]) -> bool:
    """Whether a process may write this map itself: it maps one id, which the kernel demands to be its own."""
    return len(lines) == 1 and lines[0].size == 1


def call_flags(spec: Spec, mechanism: Mechanism, hold: bool) -> int:
    """Every bit given to the call: those asked for and the engine's own.

    A new time namespace is always made by unshare(2) in the child: made by the call itself it could not be
    given offsets any more (timens_offsets is frozen once a process is inside, time_namespaces(7)).
    """
    spaces, others = wanted_flags(spec)
    way = WAYS[mechanism]
    if not way.flags:
        return 0
    mask = others | (spaces & ~NEWTIME) | VM
    # Where execve has to be confirmed, by a lock that others want too, nobody may be suspended with it.
    if not hold and not spaces & NEWTIME and not waits(spec):
        mask |= VFORK
    if mechanism is Mechanism.CLONE3:
        mask |= PIDFD
        if not mask & SIGHAND:
            mask |= CLEAR_SIGHAND
    elif not mask & PARENT_SETTID:
        mask |= PIDFD
    return mask


def problems_of(spec: Spec, mechanism: Mechanism, hold: bool) -> list[Problem]:
    """What the mechanism cannot express of a Spec."""
    way = WAYS[mechanism]
    spaces, others = wanted_flags(spec)
    found: list[Problem] = []
    if spaces and not way.namespaces:
        found.append(
            Problem(
                f"{mechanism} cannot make namespaces ({format_mask(spaces)})",
                "use clone3 (one call) or fork+unshare (two steps)",
            )
        )
    beyond = others & ~way.flags
    if beyond:
        found.append(Problem(f"{mechanism} cannot pass {format_mask(beyond)}", "use clone3, which takes every flag"))
    if not way.flags and spec.exit_signal != SIGCHLD:
        found.append(Problem(f"{mechanism} takes no exit signal: it is SIGCHLD", "use clone3 or clone"))
    if hold and not way.holds:
        found.append(
            Problem(
                f"{mechanism} suspends the caller until execve, so nobody could let a held child go on",
                "hold with clone3, clone, fork or fork+unshare",
            )
        )
    if waits(spec) and not way.holds:
        found.append(
            Problem(
                f"{mechanism} suspends the caller until execve, who has to act meanwhile (maps, veth, kept namespaces)",
                "use clone3, clone or fork+unshare",
            )
        )
    if (hold or waits(spec)) and others & VFORK:
        found.append(
            Problem(
                "CLONE_VFORK suspends the caller until execve, so nobody could let a waiting child go on",
                "leave CLONE_VFORK out",
            )
        )
    return found
