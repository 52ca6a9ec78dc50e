"""The ways to make a child: what each call can express, and which one `auto` takes and why."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum
from signal import SIGCHLD

from spawner import idmap
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
_NEWUSER = BY_NAME["CLONE_NEWUSER"].bit
CAP_SETGID = 6
CAP_SETUID = 7
NEWCGROUP = BY_NAME["CLONE_NEWCGROUP"].bit
INTO_CGROUP = BY_NAME["CLONE_INTO_CGROUP"].bit
_LEGACY = 0xFFFFFF00


class Stack(StrEnum):
    """What a child's first stack is to its parent."""

    OWN = "a stack of its own"
    COPY = "a copy of its parent's stack, at the same address"
    BORROWED = "its parent's stack itself, while that one waits"


@dataclass(frozen=True, slots=True)
class Way:
    """What one mechanism can do.

    ``flags``: the CLONE_* bits a caller may add to its call. ``namespaces``: whether they are made by the
    ``call`` itself, by ``unshare`` in the child, or not at all (empty). ``plans``: whether the child can run a
    plan. ``holds``: whether it can wait for the parent on the way. ``shares``: whether it is in the parent's memory
    until execve, where nothing of the Spec forbids that; else it gets a copy of the page tables. ``stack``: what the
    child runs on until execve, where it shares the memory if it can.
    """

    flags: int
    namespaces: str
    plans: bool
    holds: bool
    shares: bool
    cost: str
    stack: Stack


WAYS: dict[Mechanism, Way] = {
    Mechanism.CLONE3: Way(
        (1 << 64) - 1, "call", True, True, True, "shares the parent's memory until execve", Stack.OWN
    ),
    Mechanism.CLONE: Way(_LEGACY, "call", True, True, True, "shares the parent's memory until execve", Stack.OWN),
    Mechanism.FORK: Way(
        0, "", True, True, False, "copies the parent's page tables: cost grows with its memory", Stack.COPY
    ),
    Mechanism.VFORK: Way(
        0, "", True, False, True, "borrows the parent's memory and suspends it until execve", Stack.BORROWED
    ),
    Mechanism.FORK_UNSHARE: Way(
        0, "unshare", True, True, False, "copies the parent's page tables, then unshares", Stack.COPY
    ),
    Mechanism.POSIX_SPAWN: Way(0, "", False, False, True, "libc's own clone(CLONE_VM|CLONE_VFORK)", Stack.OWN),
}


OWN: dict[int, str] = {
    VM: "no page table is copied, so the call does not get dearer as the caller grows",
    VFORK: "nobody has to act before the program runs, so the caller is suspended until it does",
    PIDFD: "the child is waited for and signalled by a handle that never means another process",
    CLEAR_SIGHAND: "no handler of the caller's can run in the child, and none has to be reset by a call of its own",
    INTO_CGROUP: "the child is born in its control group, and never runs outside it",
    PARENT: "a callable's child is made from within a child of libc's fork, and is to be the caller's own",
}
"""Why the engine adds a bit that nobody asked for (call_flags() and spawner.entry say when)."""
LATER: dict[int, str] = {
    NEWTIME: "unshared by the child: made by the call, its clocks could not be set any more (time_namespaces(7))",
    NEWCGROUP: "unshared by the child once it is in its control group, which is then the root that it sees",
}
"""Why the child makes a namespace itself, where the call could."""


def wanted_flags(spec: Spec) -> tuple[int, int]:
    """(bits of new namespaces, other bits asked for); a namespace may be asked for either way."""
    spaces = flags_of(spec.namespaces) | (spec.clone_flags & ALL_FLAGS)
    return spaces, spec.clone_flags & ~ALL_FLAGS


def choose(spec: Spec, facts: Facts) -> tuple[Mechanism, str]:
    """The mechanism for a Spec and one sentence that says why."""
    if spec.via is not Mechanism.AUTO:
        return spec.via, f"asked for; {WAYS[spec.via].cost}"
    spaces, others = wanted_flags(spec)
    if spec.join:
        return (
            Mechanism.FORK_UNSHARE,
            "namespaces are entered by the child itself, in memory of its own, and before new ones are made",
        )
    if facts.clone3_errno == 0 and changes_ids(spec, facts):
        return Mechanism.CLONE3, "one call, with a copy of our memory: sharing it, a change of ids would be ours too"
    if facts.clone3_errno == 0 and enters_time_itself(spec, facts):
        return Mechanism.CLONE3, "one call, with a copy of our memory: this kernel's execve enters no time namespace"
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


def waits(spec: Spec, facts: Facts) -> bool:
    """Whether the child has to wait for its parent on the way, who must not be suspended then."""
    return not writes_own_maps(spec, facts) or bool(spec.keep or spec.veth or spec.init)


def writes_own_maps(spec: Spec, facts: Facts) -> bool:
    """Whether the child writes its id maps itself: of its own id alone, the group's with setgroups denied.

    More than that is a privilege in the parent namespace, which the child has left (new_idmap_permitted() in
    kernel/user_namespace.c).
    """
    for lines, own in ((spec.uid_mappings, facts.uid), (spec.gid_mappings, facts.gid)):
        if lines and not idmap.is_single(lines, own):
            return False
    keeps_groups = spec.user.additional_gids is not None and may(facts, CAP_SETGID) and spec.setgroups != "deny"
    return not spec.gid_mappings or not (spec.setgroups == "allow" or keeps_groups)


def may(facts: Facts, capability: int) -> bool:
    """Whether we have a capability in our own user namespace."""
    return bool(facts.capabilities >> capability & 1)


def changes_ids(spec: Spec, facts: Facts) -> bool:
    """Whether the child becomes somebody else on the way.

    That makes its memory undumpable (commit_creds() in kernel/cred.c), and ours too as long as it is the same memory;
    and what could look into the child, as whom it is now, could look into us. So it gets a copy.
    """
    if spec.join:
        return True
    user = spec.user
    if "user" not in spec.namespaces and not spec.clone_flags & _NEWUSER:
        return user.uid not in (None, facts.uid) or user.gid not in (None, facts.gid)
    return any(
        lines and idmap.outside(lines, acting_id(lines, own) if wanted is None else wanted) not in (None, own)
        for lines, own, wanted in ((spec.uid_mappings, facts.uid, user.uid), (spec.gid_mappings, facts.gid, user.gid))
    )


def enters_time_itself(spec: Spec, facts: Facts) -> bool:
    """Whether the child must enter its time namespace by setns(2), for which its memory must be its own (setns(2))."""
    return bool(wanted_flags(spec)[0] & NEWTIME) and not facts.time_at_execve


def acting_id(lines: tuple[IDMapping, ...], own: int) -> int:
    """Who the child is inside once this map is there: itself, if it is mapped, else 0."""
    found = idmap.inside(lines, own)
    return 0 if found is None else found


def call_flags(spec: Spec, mechanism: Mechanism, hold: bool, facts: Facts) -> int:
    """Every bit given to the call: those asked for and the engine's own.

    A new time namespace is always made by unshare(2) in the child: made by the call itself it could not be
    given offsets any more (timens_offsets is frozen once a process is inside, time_namespaces(7)). So is a new
    cgroup namespace where the child gets a cgroup: its root is where the child is at that moment, and that is its own
    group in version 2 (CLONE_INTO_CGROUP), but not yet in version 1.
    """
    spaces, others = wanted_flags(spec)
    way = WAYS[mechanism]
    if not way.flags:
        return 0
    mask = others | (spaces & ~NEWTIME)
    if not changes_ids(spec, facts) and not enters_time_itself(spec, facts):
        mask |= VM
    # Where execve has to be confirmed, by a lock that others want too, nobody may be suspended with it.
    if not hold and not spaces & NEWTIME and not waits(spec, facts):
        mask |= VFORK
    if spec.oom_score_adj is not None and not mask & VFORK and not others & VM:
        mask &= ~VM  # of all who share a memory there is one score, but for a child of vfork (fs/proc/base.c)
    if spec.cgroup is not None:
        mask &= ~NEWCGROUP
        if mechanism is Mechanism.CLONE3 and facts.into_cgroup and any(each.unified for each in facts.cgroups):
            mask |= INTO_CGROUP
    if mechanism is Mechanism.CLONE3:
        mask |= PIDFD
        if not mask & SIGHAND:
            mask |= CLEAR_SIGHAND
    elif not mask & PARENT_SETTID:
        mask |= PIDFD
    return mask


def problems_of(spec: Spec, mechanism: Mechanism, hold: bool, facts: Facts) -> list[Problem]:
    """What the mechanism cannot express of a Spec."""
    way = WAYS[mechanism]
    spaces, others = wanted_flags(spec)
    found: list[Problem] = []
    if spaces and not way.namespaces:
        found.append(
            Problem(
                f"{mechanism} cannot make namespaces ({format_mask(spaces)})",
                "use clone3 (one call) or fork+unshare (two steps)",
                rule="way-makes-no-namespaces",
            )
        )
    beyond = others & ~way.flags
    if beyond:
        remedy = "use clone3, which takes every flag"
        found.append(Problem(f"{mechanism} cannot pass {format_mask(beyond)}", remedy, rule="way-passes-no-such-flag"))
    if not way.flags and spec.exit_signal != SIGCHLD:
        said = f"{mechanism} takes no exit signal: it is SIGCHLD"
        found.append(Problem(said, "use clone3 or clone", rule="way-takes-no-exit-signal"))
    if hold and not way.holds:
        found.append(
            Problem(
                f"{mechanism} suspends the caller until execve, so nobody could let a held child go on",
                "hold with clone3, clone, fork or fork+unshare",
                rule="way-cannot-hold",
            )
        )
    if waits(spec, facts) and not way.holds:
        found.append(
            Problem(
                f"{mechanism} suspends the caller until execve, who has to act meanwhile (maps, veth, kept namespaces) "
                "or to wait for the process below an init",
                "use clone3, clone or fork+unshare",
                rule="way-suspends-who-must-act",
            )
        )
    if (hold or waits(spec, facts)) and others & VFORK:
        found.append(
            Problem(
                "CLONE_VFORK suspends the caller until execve, so nobody could let a waiting child go on",
                "leave CLONE_VFORK out",
                rule="way-suspends-who-must-act",
            )
        )
    if spec.join and mechanism is not Mechanism.FORK_UNSHARE:
        found.append(
            Problem(
                f"{mechanism} has no place for setns(2), which the child calls before new namespaces are made",
                "use fork+unshare, or leave the choice to auto",
                rule="way-enters-nothing",
            )
        )
    elif (mechanism is Mechanism.VFORK or others & VM) and changes_ids(spec, facts):
        found.append(
            Problem(
                "a child that shares our memory cannot change its ids: this process would become undumpable with it",
                "use clone3 or fork" if mechanism is Mechanism.VFORK else "leave CLONE_VM out",
                rule="shared-memory-forbids-other-ids",
            )
        )
    return found
