"""What a process could still do: each statement with yes, no or unknown, and why. Values in, values out.

The rules are the kernel's: which capability a system call asks for, and in which user namespace. A "no" holds for
what the process can do by itself as it is; a "yes" may still fail for reasons of another kind (a full disk).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from nsview.host.capabilities import NAMES
from nsview.host.capable import Capable, Lineage, Rule, capable
from nsview.host.standing import MACHINE, Standing, mount_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it can (None: that cannot be told), and the reason in one line."""

    can: bool | None
    why: str


@dataclass(frozen=True, slots=True)
class Ability:
    """One thing a process may be able to do.

    ``calls`` are the system calls that it takes, which a seccomp filter may refuse; none: it takes only those
    that no program can do without. ``landlock`` is what Landlock does to whom it holds: ``forbids`` it
    whatever its rules are, ``may refuse`` it by its rules, or nothing.
    """

    name: str
    calls: str
    judge: Callable[[Standing], Verdict]
    landlock: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """An ability and the verdict on it, all bounds of the process taken together."""

    ability: Ability
    verdict: Verdict


def findings(standing: Standing, landlock: bool | None = None) -> tuple[Finding, ...]:
    """Judge all abilities; ``landlock``: whether Landlock holds the process (None: the kernel does not tell)."""
    return tuple(Finding(ability, _bounded(ability, standing, landlock)) for ability in ABILITIES)


def _bounded(ability: Ability, standing: Standing, landlock: bool | None) -> Verdict:
    """Take together what its privilege allows and what else forbids."""
    verdict = ability.judge(standing)
    if verdict.can is False:
        return verdict
    if standing.seccomp == _STRICT:
        return Verdict(False, "seccomp is strict: read, write, exit and sigreturn are all that it may call")
    if landlock and ability.landlock == FORBIDS:
        return Verdict(False, "Landlock holds it, which forbids this to whom it holds")
    if verdict.can is None:
        return verdict
    if landlock and ability.landlock:
        return Verdict(None, f"{verdict.why}; but Landlock holds it, and may refuse by its rules")
    if standing.seccomp is None:
        return Verdict(None, f"{verdict.why}; whether seccomp filters it cannot be told")
    if standing.seccomp and ability.calls:
        return Verdict(
            None, f"{verdict.why}; but its seccomp filter may refuse {ability.calls}, the kernel does not tell"
        )
    if standing.label is None or standing.label.split(" ")[0] not in _UNCONFINED:
        who = "a security module" if standing.label is None else f"the profile {standing.label}"
        return Verdict(None, f"{verdict.why}; but {who} may refuse")
    return verdict


FORBIDS, MAY_REFUSE = "forbids", "may refuse"
_STRICT = 1
_UNCONFINED = ("", "unconfined", "kernel")


# ---- one capability, in one user namespace ----


def _holds(standing: Standing, name: str, owner: Lineage | None, what: str) -> Verdict:
    """Judge by a capability over ``what`` (as "its mount namespace"), which ``owner`` owns.

    What is permitted can be made effective (capset(2)). As uid 0 of its user namespace a process gets all of the
    bounding set with the next execve, unless no_new_privs or securebits are set; the latter nobody tells.
    """
    bit = 1 << NAMES.index(name)
    now = _asked(standing, standing.credentials.effective, owner)
    if now.mask is None:
        return Verdict(None, f"CAP_{name} over {what}: {now.rule.value}")
    if now.mask & bit:
        return Verdict(True, f"CAP_{name} over {what}{_how(now.rule)}")
    if now.rule is Rule.NOT_BELOW:
        effective = standing.credentials.effective
        if effective and effective & bit:
            return Verdict(False, f"its CAP_{name} counts in its own user namespace, which does not own {what}")
        return Verdict(False, f"{what[0].upper()}{what[1:]} is owned by a user namespace above its own")
    if (_asked(standing, standing.permitted, owner).mask or 0) & bit:
        return Verdict(True, f"CAP_{name} is permitted, though not effective: it can raise it itself")
    if standing.no_new_privs == 0 and standing.is_root_inside and (standing.bounding or 0) & bit:
        return Verdict(
            None, f"it lacks CAP_{name} now; as uid 0 it gets it with the next execve, if no securebit forbids that"
        )
    return Verdict(False, f"it lacks CAP_{name}")


def _asked(standing: Standing, mask: int | None, owner: Lineage | None) -> Capable:
    return capable(replace(standing.credentials, effective=mask), owner, standing.last)


def _how(rule: Rule) -> str:
    return {
        Rule.ABOVE: ", which a user namespace below its own owns",
        Rule.OWNER: ", for its user made the user namespace that owns it",
    }.get(rule, "")


def _own(name: str, link: str, what: str) -> Callable[[Standing], Verdict]:
    """Ask for a capability over one of its own namespaces."""

    def judge(standing: Standing) -> Verdict:
        verdict = _holds(standing, name, standing.owners[link], f"its {what} namespace")
        if verdict.can and standing.initial[link] is False:
            return replace(verdict, why=f"{verdict.why}; its own, not the machine's")
        return verdict

    return judge


def _machine(name: str) -> Callable[[Standing], Verdict]:
    """Ask for a capability over the machine itself: what no namespace is made of."""

    def judge(standing: Standing) -> Verdict:
        return _holds(standing, name, MACHINE, "the machine")

    return judge


# ---- the abilities that take more than one capability ----


def _modules(standing: Standing) -> Verdict:
    if not standing.has_modules:
        return Verdict(False, "this kernel loads no modules: there is no /proc/modules")
    if standing.sysctl["kernel/modules_disabled"] == 1:
        return Verdict(False, "kernel.modules_disabled is 1, until the machine is booted again")
    return _machine("SYS_MODULE")(standing)


def _reboot(standing: Standing) -> Verdict:
    if standing.initial["pid"] is False:
        return Verdict(False, "in its own pid namespace reboot(2) only ends that namespace's first process")
    return _holds(standing, "SYS_BOOT", standing.owners["pid"], "its pid namespace")


def _see(standing: Standing) -> Verdict:
    match standing.shows_machine:
        case True:
            inside = "" if standing.initial["pid"] else ", though its own pid namespace numbers only those inside"
            return Verdict(True, f"its /proc shows the machine's processes{inside}")
        case False if standing.initial["pid"]:
            return Verdict(None, "it is in the machine's pid namespace, but has no /proc of it: it would have to guess")
        case False:
            return Verdict(False, "its pid namespace has only itself and what is below, and its /proc shows no more")
    return Verdict(None, "what its /proc shows cannot be told")


def _in_reach(standing: Standing) -> Verdict | None:
    """Say why it cannot name the machine's processes; None where it can."""
    match standing.initial["pid"]:
        case None:
            return Verdict(None, "which pid namespace it is in cannot be told")
        case False:
            return Verdict(False, "in its pid namespace the machine's processes have no number")
    return None


def _signal(standing: Standing) -> Verdict:
    out_of_reach = _in_reach(standing)
    if out_of_reach is not None:
        return out_of_reach
    verdict = _machine("KILL")(standing)
    return verdict if verdict.can else replace(verdict, why=f"{verdict.why}: only processes of its own user")


def _signal_own(standing: Standing) -> Verdict:
    return _in_reach(standing) or Verdict(True, "same user, same pid namespace: kill(2) asks for no capability")


def _debug(standing: Standing) -> Verdict:
    out_of_reach = _in_reach(standing)
    if out_of_reach is not None:
        return out_of_reach
    scope = standing.sysctl["kernel/yama/ptrace_scope"]
    if scope == 3:
        return Verdict(False, "kernel.yama.ptrace_scope is 3: nobody may")
    return _machine("SYS_PTRACE")(standing)


def _network(standing: Standing) -> Verdict:
    whose = "the machine's network" if standing.initial["net"] else "a network of its own"
    if standing.initial["net"] is None:
        whose = "a network"
    match standing.routes:
        case True:
            return Verdict(True, f"{whose}, with a route that is not the loopback's")
        case False:
            return Verdict(False, f"{whose} without a route: connect(2) answers ENETUNREACH")
    return Verdict(None, "its routes cannot be read")


def _limits(standing: Standing) -> Verdict:
    verdict = _machine("SYS_RESOURCE")(standing)
    return verdict if verdict.can else replace(verdict, why=f"{verdict.why}: hard limits can only go down")


def _become_root(standing: Standing) -> Verdict:
    if standing.is_machine_root:
        return Verdict(True, "it is uid 0 of the machine already")
    if standing.is_machine_root is not None and 0 in (standing.uids or ()):
        return Verdict(True, "uid 0 of the machine is its real or saved uid: setresuid(2) takes it back")
    if standing.no_new_privs is None or standing.uid_map is None or not standing.seen_from_initial:
        return Verdict(None, "its bits or maps cannot be told")
    if standing.no_new_privs:
        return Verdict(False, "no_new_privs is set: execve(2) passes over the set-user-ID bit, for good")
    if not any(it.outside is not None and it.outside <= 0 < it.outside + it.count for it in standing.uid_map):
        return Verdict(False, "its user namespace has no number for the machine's uid 0: the bit does not count")
    match standing.setuid_program:
        case None:
            return Verdict(None, "its file system cannot be looked into")
        case "":
            return Verdict(None, "the bit counts, but none of the usual programs with it was found")
    return Verdict(True, f"the set-user-ID bit counts, and {standing.setuid_program} has it: that program decides")


def _make_user(standing: Standing) -> Verdict:
    if standing.chrooted:
        return Verdict(False, "its root directory is not its mount namespace's: unshare(2) answers EPERM")
    if standing.chrooted is None or standing.credentials.lineage is None:
        return Verdict(None, "its root directory or its user namespace cannot be told")
    if standing.sysctl["user/max_user_namespaces"] == 0:
        return Verdict(False, "user.max_user_namespaces is 0")
    if standing.uid_map == ():
        return Verdict(False, "its own ids are not mapped in its user namespace")
    if len(standing.credentials.lineage.chain) > _DEEPEST:
        return Verdict(False, "it is in the 32nd user namespace below one another: no more go below")
    privileged = _machine("SYS_ADMIN")(standing).can
    if standing.sysctl["kernel/unprivileged_userns_clone"] == 0 and not privileged:
        return Verdict(False, "kernel.unprivileged_userns_clone is 0, and it lacks CAP_SYS_ADMIN")
    if standing.sysctl["kernel/apparmor_restrict_unprivileged_userns"] and not privileged:
        return Verdict(None, "AppArmor may give it one without capabilities, or none")
    return Verdict(True, "it takes no privilege: inside it would have all capabilities over what is made there")


_DEEPEST = 32


def _sysctl(standing: Standing) -> Verdict:
    if standing.is_machine_root is None:
        return Verdict(None, "which uid it has on the machine cannot be told")
    if not standing.is_machine_root:
        return Verdict(False, "it is not uid 0 of the machine, to whom the files belong; capabilities do not help")
    if standing.mounts is None:
        return Verdict(None, "its mounts cannot be read")
    at = mount_of(standing.mounts, "/proc/sys")
    if at is None or at.fs_type != "proc":
        return Verdict(False, "it has no /proc/sys where it could")
    if at.read_only:
        return Verdict(False, f"{at.point} is mounted read-only")
    inside = "" if standing.in_initial_user else ", although it is in a user namespace of its own: its uid counts here"
    return Verdict(True, f"it is uid 0 of the machine, to whom the files belong{inside}")


def _files(standing: Standing) -> Verdict:
    verdict = _holds(standing, "DAC_OVERRIDE", standing.owners["user"], "its user namespace")
    if verdict.can is False:
        verdict = _holds(standing, "DAC_READ_SEARCH", standing.owners["user"], "its user namespace")
    if verdict.can is False:
        return replace(verdict, why="it lacks CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH")
    if verdict.can and standing.in_initial_user is False and not _maps_all(standing):
        return Verdict(False, "its capability counts for files of ids that its user namespace maps, and no others")
    return verdict


def _maps_all(standing: Standing) -> bool:
    return sum(extent.count for extent in standing.uid_map or ()) >= _EVERY_ID


_EVERY_ID = (1 << 32) - 1


def _other_user(standing: Standing) -> Verdict:
    if standing.uids is not None and len({*standing.uids[:3]}) > 1:
        return Verdict(True, "its real, effective and saved uid are not one: it may change between them")
    verdict = _holds(standing, "SETUID", standing.owners["user"], "its user namespace")
    if verdict.can and standing.uid_map is not None and sum(extent.count for extent in standing.uid_map) <= 1:
        return Verdict(False, "its user namespace maps one uid, or none: there is no other to become")
    return verdict


def _nice(standing: Standing) -> Verdict:
    limit = None if standing.limits is None else standing.limits.get("nice")
    if limit is not None and (limit.soft == "unlimited" or limit.soft > _NICE_OF_ZERO):
        return Verdict(True, "its limit RLIMIT_NICE allows it")
    return _machine("SYS_NICE")(standing)


_NICE_OF_ZERO = 20

ABILITIES: tuple[Ability, ...] = (
    Ability("mount file systems", "mount(2)", _own("SYS_ADMIN", "mnt", "mount"), landlock=FORBIDS),
    Ability("load kernel modules", "finit_module(2)", _modules),
    Ability("reboot the machine", "reboot(2)", _reboot),
    Ability("see the machine's processes", "", _see),
    Ability("signal any process", "kill(2)", _signal),
    Ability("signal its user's processes", "kill(2)", _signal_own),
    Ability("debug any process", "ptrace(2)", _debug, landlock=FORBIDS),
    Ability("change the host name", "sethostname(2)", _own("SYS_ADMIN", "uts", "uts")),
    Ability("change the clock", "clock_settime(2)", _machine("SYS_TIME")),
    Ability("reach other machines", "socket(2)", _network),
    Ability("configure its network", "socket(2) and ioctl(2)", _own("NET_ADMIN", "net", "network")),
    Ability("open raw sockets", "socket(2)", _own("NET_RAW", "net", "network")),
    Ability("raise hard limits", "prlimit(2)", _limits),
    Ability("raise its priority", "setpriority(2)", _nice),
    Ability("become root by set-user-ID", "execve(2)", _become_root),
    Ability("become another user", "setresuid(2)", _other_user),
    Ability("create user namespaces", "unshare(2)", _make_user),
    Ability("write to /proc/sys", "", _sysctl, landlock=MAY_REFUSE),
    Ability("read any file", "", _files, landlock=MAY_REFUSE),
    Ability("make device files", "mknod(2)", _machine("MKNOD"), landlock=MAY_REFUSE),
)
"""In the order shown: what reaches farthest first."""


def summary(standing: Standing) -> str:
    """Say in one sentence what its capabilities are worth."""
    effective = standing.credentials.effective
    if standing.kernel_thread:
        return "A thread of the kernel's own: it runs no program, and is held by no rule for programs."
    if effective is None:
        return "What capabilities it has cannot be told."
    every = (1 << standing.last + 1) - 1
    how_many = "All" if effective & every == every else f"{effective.bit_count()} of {standing.last + 1}"
    if standing.in_initial_user is None:
        return f"{how_many} capabilities; over what cannot be told: its user namespace is out of sight."
    if not effective:
        more = " It is uid 0 all the same, to whom files and processes belong." if standing.is_machine_root else ""
        if standing.permitted:
            more = f" {standing.permitted.bit_count()} are permitted: it can raise them itself.{more}"
        return f"No effective capabilities.{more}"
    if standing.in_initial_user:
        return f"{how_many} capabilities, over the machine itself."
    owned = [link for link, owner in standing.owners.items() if link != "user" and _is_own(standing, owner)]
    over = f" ({', '.join(owned)})" if owned else ", none of its others"
    return (
        f"Not root of the machine: {how_many.lower()} capabilities only in its user namespace and what that owns{over}."
    )


def _is_own(standing: Standing, owner: Lineage | None) -> bool:
    lineage = standing.credentials.lineage
    return owner is not None and lineage is not None and owner.chain[0].inode == lineage.chain[0].inode


def lost_and_gained(process: Iterable[Finding], parent: Iterable[Finding]) -> dict[str, bool]:
    """Name what the process surely lost (False) or gained (True) beside its parent."""
    found = {}
    for own, other in zip(process, parent, strict=True):
        if None not in (own.verdict.can, other.verdict.can) and own.verdict.can != other.verdict.can:
            found[own.ability.name] = bool(own.verdict.can)
    return found
