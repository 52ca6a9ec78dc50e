"""What the kernel refuses: combinations of clone flags, the errno, why, and what to do instead.

The table is in the order in which the kernel checks, so the first rule that applies gives the errno of the
call; the others show what would be refused next. Not in it: limits and quotas (EAGAIN, ENOSPC, ENOMEM),
security modules and seccomp filters, and what depends on an argument's own value (a descriptor for
CLONE_INTO_CGROUP, set_tid, the stack). ``spawner.dangers`` has what the kernel accepts and one regrets.

Sources: each rule names the kernel's file and function; clone(2), unshare(2). A test compares the table with
the running kernel.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from signal import SIGCHLD

from spawner.conditions import SIGNAL_BITS, Call, Caller, Condition, When
from spawner.dangers import DANGERS, Danger, dangers
from spawner.flags import CSIGNAL, FLAGS, bits, format_mask
from spawner.namespaces import ALL_FLAGS as NAMESPACES

__all__ = ["DANGERS", "RULES", "Caller", "Danger", "Refusal", "Rule", "When", "dangers", "exit_signal_for", "refusals"]

_CLONE3 = frozenset({"clone3"})
_CLONE = frozenset({"clone"})
_CLONES = frozenset({"clone3", "clone"})
_UNSHARE = frozenset({"unshare"})
_ALL = frozenset({"clone3", "clone", "unshare"})


@dataclass(frozen=True, slots=True)
class Rule(Condition):
    """The kernel answers ``errno`` to every call that meets the condition.

    ``since`` and ``until`` are mainline releases: the first with the rule and the first without it; None for
    as long as the flags have existed, and until now.
    """

    name: str
    why: str
    remedy: str
    source: str
    errno: int = errno.EINVAL
    since: str | None = None
    until: str | None = None

    def in_force(self, kernel: tuple[int, int] | None) -> bool:
        """Whether that kernel has the rule; None stands for one newer than every rule."""
        if kernel is None:
            return self.until is None
        return (self.since is None or _release(self.since) <= kernel) and (
            self.until is None or kernel < _release(self.until)
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule met by a mask; ``flags`` are the bits of the mask that met it."""

    rule: Rule
    flags: int

    @property
    def errno(self) -> int:
        """What the kernel answers if no rule before this one applies."""
        return self.rule.errno

    def __str__(self) -> str:
        flags = f" ({format_mask(self.flags)})" if self.flags else ""
        return f"{errno.errorcode[self.errno]}{flags}: {self.rule.why}; {self.rule.remedy}"


def _release(text: str) -> tuple[int, int]:
    major, minor, *_ = text.split(".")
    return int(major), int(minor)


_UNSHARES = sum(flag.bit for flag in FLAGS if "unshare" in flag.via)
_EVERYTHING = (1 << 64) - 1
_NO_EXIT_SIGNAL = "leave the exit signal at 0"

RULES: tuple[Rule, ...] = (
    Rule(
        "exit-signal-number",
        "the exit signal must be a signal number from 1 to 64, or 0 for none",
        "use SIGCHLD",
        "kernel/fork.c copy_clone_args_from_user",
        when=When.EXIT_SIGNAL_INVALID,
        via=_CLONE3,
        since="5.3",
    ),
    Rule(
        "unknown-bit",
        "this kernel does not know the flag, and clone3 refuses what it does not know",
        "leave it out, or use a newer kernel",
        "kernel/fork.c clone3_args_valid",
        any_of=_EVERYTHING & ~SIGNAL_BITS,
        when=When.UNKNOWN_BIT,
        via=_CLONE3,
        since="5.3",
    ),
    Rule(
        "detached",
        "CLONE_DETACHED has had no meaning since Linux 2.6, and clone3 refuses it",
        "leave it out",
        "kernel/fork.c clone3_args_valid",
        has=bits("DETACHED"),
        via=_CLONE3,
        since="5.3",
    ),
    Rule(
        "signal-in-flags",
        "in clone3 the exit signal has a field of its own; the low byte of the flags is not for it",
        "give the signal as the exit signal",
        "kernel/fork.c clone3_args_valid",
        any_of=SIGNAL_BITS,
        via=_CLONE3,
        since="5.3",
    ),
    Rule(
        "sighand-or-cleared",
        "a child cannot share the table of signal handlers and have it cleared",
        "drop CLONE_SIGHAND or CLONE_CLEAR_SIGHAND",
        "kernel/fork.c clone3_args_valid",
        has=bits("SIGHAND", "CLEAR_SIGHAND"),
        via=_CLONE3,
        since="5.5",
    ),
    Rule(
        "thread-exit-signal",
        "a thread ends without telling a parent, so it has no exit signal",
        _NO_EXIT_SIGNAL,
        "kernel/fork.c clone3_args_valid",
        has=bits("THREAD"),
        when=When.EXIT_SIGNAL_SET,
        via=_CLONE3,
        since="5.3",
    ),
    Rule(
        "parent-exit-signal",
        "a sibling of the caller ends with the caller's own exit signal, so it cannot have another",
        _NO_EXIT_SIGNAL,
        "kernel/fork.c clone3_args_valid",
        has=bits("PARENT"),
        when=When.EXIT_SIGNAL_SET,
        via=_CLONE3,
        since="5.3",
    ),
    Rule(
        "pidfd-or-parent-tid",
        "clone writes the pidfd where CLONE_PARENT_SETTID would write the thread id",
        "drop one of them, or use clone3",
        "kernel/fork.c kernel_clone",
        has=bits("PIDFD", "PARENT_SETTID"),
        via=_CLONE,
        since="5.2",
    ),
    Rule(
        "fs-across-mounts",
        "one root and working directory cannot lie in two mount namespaces",
        "drop CLONE_FS or CLONE_NEWNS",
        "kernel/fork.c copy_process",
        has=bits("NEWNS", "FS"),
        via=_CLONES,
    ),
    Rule(
        "fs-across-empty-mounts",
        "CLONE_EMPTY_MNTNS makes a mount namespace, and one root directory cannot lie in two of them",
        "drop CLONE_FS or CLONE_EMPTY_MNTNS",
        "kernel/fork.c kernel_clone, copy_process",
        has=bits("EMPTY_MNTNS", "FS"),
        via=_CLONE3,
        since="7.1",
    ),
    Rule(
        "fs-across-users",
        "through a shared root directory a child with new capabilities could chroot the caller",
        "drop CLONE_FS or CLONE_NEWUSER",
        "kernel/fork.c copy_process",
        has=bits("NEWUSER", "FS"),
        via=_CLONES,
        since="3.9",
    ),
    Rule(
        "thread-needs-sighand",
        "the threads of a process share their signal handlers",
        "add CLONE_SIGHAND and CLONE_VM",
        "kernel/fork.c copy_process",
        has=bits("THREAD"),
        lacks=bits("SIGHAND"),
        via=_CLONES,
        since="2.5.35",
    ),
    Rule(
        "sighand-needs-vm",
        "shared signal handlers are addresses, which mean nothing in another memory",
        "add CLONE_VM",
        "kernel/fork.c copy_process",
        has=bits("SIGHAND"),
        lacks=bits("VM"),
        via=_CLONES,
        since="2.6.0",
    ),
    Rule(
        "init-has-no-sibling",
        "process 1 of a pid namespace can have no sibling: nobody would wait for it",
        "drop CLONE_PARENT",
        "kernel/fork.c copy_process",
        has=bits("PARENT"),
        when=When.PID_NAMESPACE_INIT,
        via=_CLONES,
        since="2.6.32",
    ),
    Rule(
        "thread-across-users",
        "all threads of a process are in one user namespace",
        "drop CLONE_THREAD or CLONE_NEWUSER",
        "kernel/fork.c copy_process",
        has=bits("THREAD", "NEWUSER"),
        via=_CLONES,
    ),
    Rule(
        "thread-across-pids",
        "all threads of a process are in one pid namespace",
        "drop CLONE_THREAD or CLONE_NEWPID",
        "kernel/fork.c copy_process",
        has=bits("THREAD", "NEWPID"),
        via=_CLONES,
    ),
    Rule(
        "thread-after-unshared-pids",
        "the caller's children already go to another pid namespace, and a thread may not",
        "make the thread before unshare(CLONE_NEWPID)",
        "kernel/fork.c copy_process",
        has=bits("THREAD"),
        when=When.PID_NAMESPACE_PENDING,
        via=_CLONES,
    ),
    Rule(
        "memory-after-unshared-time",
        "the caller's children already go to another time namespace, whose clock page is part of the memory",
        "drop CLONE_VM",
        "kernel/fork.c copy_process",
        has=bits("VM"),
        when=When.TIME_NAMESPACE_PENDING,
        via=_CLONES,
        since="5.6",
        until="6.2",
    ),
    Rule(
        "pidfd-detached",
        "next to CLONE_PIDFD the bit of CLONE_DETACHED is kept for later use",
        "drop CLONE_DETACHED; it does nothing",
        "kernel/fork.c copy_process",
        has=bits("PIDFD", "DETACHED"),
        via=_CLONES,
        since="5.2",
    ),
    Rule(
        "pidfd-of-thread",
        "a pidfd could stand for a whole process only, not for one of its threads",
        "drop CLONE_PIDFD",
        "kernel/fork.c copy_process",
        has=bits("PIDFD", "THREAD"),
        via=_CLONES,
        since="5.2",
        until="6.9",
    ),
    Rule(
        "autoreap-thread",
        "only a process is reaped; a thread never waits to be",
        "drop CLONE_AUTOREAP or CLONE_THREAD",
        "kernel/fork.c copy_process",
        has=bits("AUTOREAP", "THREAD"),
        via=_CLONE3,
        since="7.1",
    ),
    Rule(
        "autoreap-parent",
        "the caller may not take from its own parent the right to wait for a child",
        "drop CLONE_AUTOREAP or CLONE_PARENT",
        "kernel/fork.c copy_process",
        has=bits("AUTOREAP", "PARENT"),
        via=_CLONE3,
        since="7.1",
    ),
    Rule(
        "autoreap-exit-signal",
        "a child that reaps itself tells nobody that it ended, so it has no exit signal",
        _NO_EXIT_SIGNAL,
        "kernel/fork.c copy_process",
        has=bits("AUTOREAP"),
        when=When.EXIT_SIGNAL_SET,
        via=_CLONE3,
        since="7.1",
    ),
    Rule(
        "autoreap-sibling",
        "a process made with CLONE_AUTOREAP can have no sibling, who would be reaped unlike it",
        "drop CLONE_PARENT",
        "kernel/fork.c copy_process",
        has=bits("PARENT"),
        when=When.AUTOREAP,
        via=_CLONES,
        since="7.1",
    ),
    Rule(
        "nnp-thread",
        "the flag is for a new process: the threads of one share their credentials",
        "drop CLONE_NNP or CLONE_THREAD",
        "kernel/fork.c copy_process",
        has=bits("NNP", "THREAD"),
        via=_CLONE3,
        since="7.1",
    ),
    Rule(
        "autokill-needs-pidfd",
        "closing the pidfd is what kills, so there must be one",
        "add CLONE_PIDFD",
        "kernel/fork.c copy_process",
        has=bits("PIDFD_AUTOKILL"),
        lacks=bits("PIDFD"),
        via=_CLONE3,
        since="7.1",
    ),
    Rule(
        "autokill-needs-autoreap",
        "who closed the pidfd will not wait for the child, so it must reap itself",
        "add CLONE_AUTOREAP",
        "kernel/fork.c copy_process",
        has=bits("PIDFD_AUTOKILL"),
        lacks=bits("AUTOREAP"),
        via=_CLONE3,
        since="7.1",
    ),
    Rule(
        "autokill-thread",
        "a kill ends a whole process, never one thread",
        "drop CLONE_PIDFD_AUTOKILL or CLONE_THREAD",
        "kernel/fork.c copy_process",
        has=bits("PIDFD_AUTOKILL", "THREAD"),
        via=_CLONE3,
        since="7.1",
    ),
    Rule(
        "autokill-privilege",
        "without privilege the caller may not keep a kill on a child that could gain more privilege",
        "add CLONE_NNP, or have CAP_SYS_ADMIN",
        "kernel/fork.c copy_process",
        has=bits("PIDFD_AUTOKILL"),
        lacks=bits("NNP"),
        when=When.UNPRIVILEGED,
        via=_CLONE3,
        errno=errno.EPERM,
        since="7.1",
    ),
    Rule(
        "unshare-cannot",
        "unshare takes apart what the caller shares; the flag says how a child is made",
        "use clone3",
        "kernel/fork.c check_unshare_flags",
        any_of=_EVERYTHING & ~_UNSHARES & ~bits("PARENT_SETTID"),
        via=_UNSHARE,
    ),
    Rule(
        "unshare-parent-tid",
        "unshare makes no child whose thread id it could write",
        "use clone3",
        "kernel/fork.c check_unshare_flags",
        has=bits("PARENT_SETTID"),
        when=When.NO_EMPTY_MOUNT_NAMESPACE,
        via=_UNSHARE,
    ),
    Rule(
        "unshare-among-threads",
        "the threads of a process cannot stop sharing their memory, signal handlers or user namespace",
        "make a child first, with fork or clone3, and let it unshare",
        "kernel/fork.c check_unshare_flags",
        any_of=bits("THREAD", "SIGHAND", "VM", "NEWUSER"),
        when=When.THREADED,
        via=_UNSHARE,
    ),
    Rule(
        "user-in-chroot",
        "in a chroot a new user namespace would give the capability to leave it",
        "change the root with pivot_root instead of chroot, or make the user namespace first",
        "kernel/user_namespace.c create_user_ns",
        has=bits("NEWUSER"),
        when=When.CHROOTED,
        errno=errno.EPERM,
        since="3.9",
    ),
    Rule(
        "user-unmapped",
        "the new user namespace needs an owner, and the caller's id has no mapping in the present one",
        "map the caller's user and group id first",
        "kernel/user_namespace.c create_user_ns",
        has=bits("NEWUSER"),
        when=When.IDS_UNMAPPED,
        errno=errno.EPERM,
        since="3.8",
    ),
    Rule(
        "privilege",
        "a new namespace of this kind needs CAP_SYS_ADMIN, which the caller does not have",
        "add CLONE_NEWUSER, in which the child has it, or run as root",
        "kernel/nsproxy.c copy_namespaces, unshare_nsproxy_namespaces",
        any_of=(NAMESPACES & ~bits("NEWUSER")) | bits("EMPTY_MNTNS"),
        lacks=bits("NEWUSER"),
        when=When.UNPRIVILEGED,
        errno=errno.EPERM,
    ),
    Rule(
        "semaphores-across-ipc",
        "semaphore adjustments cannot be shared by processes that see different semaphores",
        "drop CLONE_SYSVSEM or CLONE_NEWIPC",
        "kernel/nsproxy.c copy_namespaces",
        has=bits("NEWIPC", "SYSVSEM"),
        via=_CLONES,
        since="2.6.25",
    ),
    Rule(
        "no-such-namespace",
        "this kernel was built without, or before, namespaces of this kind",
        "leave it out, or use another kernel",
        "kernel/nsproxy.c create_new_namespaces",
        any_of=NAMESPACES,
        when=When.UNKNOWN_NAMESPACE,
    ),
    Rule(
        "pid-after-unshared-pids",
        "the caller's children already go to another pid namespace; a further one cannot be made from here",
        "let a child, which is inside, make it",
        "kernel/pid_namespace.c copy_pid_ns",
        has=bits("NEWPID"),
        when=When.PID_NAMESPACE_PENDING,
    ),
)
"""In the kernel's order of checking."""


def exit_signal_for(mask: int) -> int:
    """The exit signal that goes with these flags in clone3: SIGCHLD, or 0 where they allow none."""
    return 0 if mask & bits("THREAD", "PARENT", "AUTOREAP") else int(SIGCHLD)


def refusals(
    mask: int, via: str = "clone3", exit_signal: int = SIGCHLD, caller: Caller | None = None
) -> tuple[Refusal, ...]:
    """Say what the kernel would answer: every rule that applies, first the one whose errno it would give.

    ``via`` is ``"clone3"``, ``"clone"`` or ``"unshare"`` (which has no exit signal); ValueError for another.
    Empty when the kernel accepts the flags. Nothing is run or looked up.
    """
    if via not in _ALL:
        raise ValueError(f"no rules for {via!r}: clone3, clone or unshare")
    # sys_clone passes on the low 32 bits and takes the low byte for the exit signal (kernel/fork.c).
    seen = mask & 0xFFFFFFFF & ~CSIGNAL if via == "clone" else mask
    call = Call(seen, via, exit_signal, caller or Caller())
    return tuple(
        Refusal(rule, rule.flags_of(call)) for rule in RULES if rule.met_by(call) and rule.in_force(call.caller.kernel)
    )
