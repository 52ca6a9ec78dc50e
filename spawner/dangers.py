"""What the kernel accepts and the caller regrets: lost flags, harm to itself, a child nobody can wait for.

A danger with ``stops`` set is one that a launcher must not run into: the call would not do what its flags
say, or would end the caller. The others are said before the launch, and the launcher copes.

Sources: each danger names the kernel's file and function; clone(2), vfork(2).
"""

from __future__ import annotations

from dataclasses import dataclass
from signal import SIGCHLD

from spawner.conditions import Call, Caller, Condition, When
from spawner.flags import CSIGNAL, bits, format_mask

_CLONE = frozenset({"clone"})
_CLONE3 = frozenset({"clone3"})
_CLONES = frozenset({"clone3", "clone"})
_UNSHARE = frozenset({"unshare"})
_ONLY_CLONE3 = 0xFFFFFFFF << 32


@dataclass(frozen=True, slots=True)
class Danger(Condition):
    """``harm`` says what happens to whom, ``remedy`` what avoids it, ``stops`` whether to refuse the call."""

    name: str
    harm: str
    remedy: str
    source: str
    stops: bool = False


@dataclass(frozen=True, slots=True)
class Hazard:
    """A danger met by a call; ``flags`` are the bits of the mask that met it."""

    danger: Danger
    flags: int

    def __str__(self) -> str:
        flags = f"{format_mask(self.flags)}: " if self.flags else ""
        return f"{flags}{self.danger.harm}; {self.danger.remedy}"


DANGERS: tuple[Danger, ...] = (
    Danger(
        "clone-loses-flags",
        "clone takes 32 bits, of which the low byte is the exit signal: the flag is dropped without a word",
        "use clone3",
        "kernel/fork.c sys_clone",
        any_of=_ONLY_CLONE3 | CSIGNAL,
        via=_CLONE,
        stops=True,
    ),
    Danger(
        "clone-any-exit-signal",
        "clone does not check the exit signal: only its low byte is used, and it may be no signal",
        "use SIGCHLD, or clone3",
        "kernel/fork.c sys_clone",
        when=When.EXIT_SIGNAL_INVALID,
        via=_CLONE,
        stops=True,
    ),
    Danger(
        "thread-execs",
        "execve in a thread ends all other threads of its process: the program would replace the caller",
        "drop CLONE_THREAD",
        "fs/exec.c de_thread",
        has=bits("THREAD"),
        via=_CLONES,
        stops=True,
    ),
    Danger(
        "unshare-empties-mounts",
        "in unshare this bit means UNSHARE_EMPTY_MNTNS: the caller is put into an empty mount namespace",
        "drop CLONE_PARENT_SETTID",
        "kernel/nsproxy.c unshare_nsproxy_namespaces",
        has=bits("PARENT_SETTID"),
        when=When.EMPTY_MOUNT_NAMESPACE,
        via=_UNSHARE,
        stops=True,
    ),
    Danger(
        "vm-at-once",
        "caller and child run in one memory at once until execve: the child needs a stack of its own",
        "add CLONE_VFORK, or drop CLONE_VM",
        "clone(2)",
        has=bits("VM"),
        lacks=bits("VFORK"),
        via=_CLONES,
    ),
    Danger(
        "caller-suspended",
        "the caller stands still until execve: it cannot write the child's id maps, step it or give it up",
        "drop CLONE_VFORK where the child has to wait for the caller",
        "kernel/fork.c wait_for_vfork_done, vfork(2)",
        has=bits("VFORK"),
        via=_CLONES,
    ),
    Danger(
        "suspended-on-frozen-cgroup",
        "in a frozen cgroup the child never gets to execve, and the caller stands still with it",
        "drop CLONE_VFORK, or thaw the cgroup first",
        "kernel/cgroup/cgroup.c cgroup_post_fork",
        has=bits("VFORK", "INTO_CGROUP"),
        via=_CLONE3,
    ),
    Danger(
        "sighand-before-exec",
        "until execve every change the child makes to a signal handler is made in the caller too",
        "drop CLONE_SIGHAND",
        "kernel/signal.c do_sigaction",
        has=bits("SIGHAND"),
        via=_CLONES,
    ),
    Danger(
        "files-before-exec",
        "until execve the child opens, closes and moves descriptors in the caller's own table",
        "drop CLONE_FILES, or let the child unshare it before it touches a descriptor",
        "fs/exec.c begin_new_exec",
        has=bits("FILES"),
        via=_CLONES,
    ),
    Danger(
        "fs-for-good",
        "the program goes on sharing the caller's root, working directory and umask: its cd moves both",
        "drop CLONE_FS",
        "fs/exec.c, which unshares memory, files and handlers, not this",
        has=bits("FS"),
        via=_CLONES,
    ),
    Danger(
        "semaphores-for-good",
        "what the program did with SEM_UNDO is undone only when the last process sharing the list ends",
        "drop CLONE_SYSVSEM",
        "ipc/sem.c copy_semundo",
        has=bits("SYSVSEM"),
        via=_CLONES,
    ),
    Danger(
        "io-for-good",
        "the program goes on sharing the caller's I/O context: ionice on one changes both",
        "drop CLONE_IO",
        "block/blk-ioc.c __copy_io",
        has=bits("IO"),
        via=_CLONES,
    ),
    Danger(
        "parent-unwaitable",
        "the child is the caller's sibling: wait answers ECHILD; the caller's parent learns how it ended",
        "drop CLONE_PARENT, or watch it through CLONE_PIDFD",
        "kernel/fork.c copy_process",
        has=bits("PARENT"),
        via=_CLONES,
    ),
    Danger(
        "autoreap-unwaitable",
        "the kernel reaps the child: wait answers ECHILD, and only its pidfd could tell how it ended",
        "add CLONE_PIDFD, or drop CLONE_AUTOREAP",
        "kernel/signal.c do_notify_parent",
        has=bits("AUTOREAP"),
        lacks=bits("PIDFD"),
        via=_CLONE3,
    ),
    Danger(
        "autokill-on-close",
        "whoever closes the last copy of the pidfd kills the child, on purpose or not",
        "keep the pidfd open as long as the child is to live",
        "fs/pidfs.c",
        has=bits("PIDFD_AUTOKILL"),
        via=_CLONE3,
    ),
    Danger(
        "exit-signal-none",
        "without an exit signal wait finds the child only with __WALL, and no SIGCHLD tells of its end",
        "use SIGCHLD",
        "kernel/exit.c eligible_child",
        lacks=bits("THREAD", "PARENT", "AUTOREAP"),
        when=When.EXIT_SIGNAL_NONE,
        via=_CLONES,
    ),
    Danger(
        "exit-signal-unusual",
        "when the child ends the caller gets this signal, and dies if its default action is to terminate",
        "use SIGCHLD",
        "kernel/signal.c do_notify_parent",
        when=When.EXIT_SIGNAL_UNUSUAL,
        via=_CLONES,
    ),
    Danger(
        "settls-before-exec",
        "until execve the child has another thread-local storage: errno and most of libc are out of reach",
        "drop CLONE_SETTLS",
        "clone(2)",
        has=bits("SETTLS"),
        via=_CLONES,
    ),
    Danger(
        "ids-into-shared-memory",
        "the memory is shared, so the thread id is written into the caller's own",
        "give an address that is meant for it, or drop the flag",
        "kernel/fork.c mm_release, kernel/sched/core.c schedule_tail",
        has=bits("VM"),
        any_of=bits("CHILD_SETTID", "CHILD_CLEARTID"),
        via=_CLONES,
    ),
    Danger(
        "no-program-in-empty-mounts",
        "in an empty mount namespace no path leads to a program",
        "mount something first, or execute an open descriptor",
        "fs/namespace.c copy_mnt_ns",
        has=bits("EMPTY_MNTNS"),
        via=_CLONE3,
    ),
)


def dangers(
    mask: int, via: str = "clone3", exit_signal: int = SIGCHLD, caller: Caller | None = None
) -> tuple[Hazard, ...]:
    """Say what harm these flags would do if the kernel takes them; what stops a launch comes first."""
    call = Call(mask, via, exit_signal, caller or Caller())
    return tuple(Hazard(danger, danger.flags_of(call)) for danger in DANGERS if danger.met_by(call))
