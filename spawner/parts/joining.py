"""Existing namespaces: opened by the parent, entered by the child with setns(2), and compared afterwards."""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from spawner import mechanism as ways
from spawner.cause import Cause
from spawner.draft import AT_FDCWD, NULL, O_PATH_DIR, Draft
from spawner.errors import LaunchError, Problem
from spawner.namespaces import BY_NAME, KINDS
from spawner.oci import Join
from spawner.parts import clock
from spawner.plan import Named, Plan, Preparation, Slot
from spawner.spec import Spec

OPENED = "open namespaces"
_CAP_SYS_ADMIN = 21
_NS_GET_NSTYPE = 0xB703  # linux/nsfs.h
_PR_SET_DUMPABLE = Named(4, "PR_SET_DUMPABLE")
_OF_PROCESS = re.compile(r"/proc/(\d+)/")


@dataclass(frozen=True, slots=True)
class Opened:
    """The namespaces to enter, each a descriptor of ours for the child; ``inodes`` tell which they are."""

    descriptors: dict[str, int]
    inodes: dict[str, int]

    @property
    def slots(self) -> dict[str, int | bytes]:
        """A descriptor for each kind."""
        return {_slot(name): fd for name, fd in self.descriptors.items()}

    def lend(self) -> list[int]:
        """All of them: the child has its own copies."""
        return list(self.descriptors.values())

    def undo(self) -> None:
        """Nothing is left to undo: the descriptors were lent."""

    def compare(self, found: dict[str, int | None], asked: frozenset[str]) -> None:
        """Raise LaunchError where the child is elsewhere, or still there though a new one was ``asked`` for."""
        for name, inode in self.inodes.items():
            inside, proc = found[name], BY_NAME[name].proc
            if inside is not None and (inside == inode) is (name in asked):
                how = "still in the one it entered" if name in asked else f"in another one ({inside}, not {inode})"
                raise LaunchError(
                    f"read back ns/{proc}", cause=f"the child is {how}, though the kernel reported no error"
                )


def _slot(name: str) -> str:
    return f"{name} namespace"


def open_all(joins: tuple[Join, ...]) -> Opened:
    """Open every namespace before any is entered: the paths are ours, and later there may be other mounts.

    Raises OSError, or LaunchError for what is no such namespace, or another process than was meant.
    """
    descriptors: dict[str, int] = {}
    try:
        for join in joins:
            descriptors[join.type] = fd = os.open(join.path, os.O_RDONLY | os.O_CLOEXEC)
            _check_kind(join, fd)
            _check_process(join)
        return Opened(descriptors, {name: os.fstat(fd).st_ino for name, fd in descriptors.items()})
    except BaseException:
        for fd in descriptors.values():
            os.close(fd)
        raise


def _check_kind(join: Join, fd: int) -> None:
    try:
        flag = fcntl.ioctl(fd, _NS_GET_NSTYPE)
    except OSError as error:
        if error.errno != errno.ENOTTY:
            raise
        flag = 0
    if flag != BY_NAME[join.type].flag:
        kinds = [kind.name for kind in KINDS if kind.flag == flag]
        what = f"a {kinds[0]} namespace" if kinds else "no namespace"
        raise LaunchError(
            OPENED,
            errno=errno.EINVAL,
            path=join.path,
            cause=f"it is {what}, not a {join.type} namespace",
            remedy=f"name a file such as /proc/PID/ns/{BY_NAME[join.type].proc}",
        )


def _check_process(join: Join) -> None:
    """Compare the process behind the path, once the file is open: it has lived since whoever named it looked."""
    if join.identity is None:
        return
    named = _OF_PROCESS.match(join.path)
    assert named is not None
    pidfd = os.pidfd_open(int(named[1]))
    try:
        inode = os.fstat(pidfd).st_ino
    finally:
        os.close(pidfd)
    if inode != join.identity:
        raise LaunchError(
            OPENED,
            errno=errno.ESRCH,
            path=join.path,
            cause=f"process {named[1]} is another one than was meant: its pidfd's inode is {inode}, not "
            f"{join.identity}",
            remedy="name it anew",
        )


def join(draft: Draft) -> None:
    """Enter existing namespaces, and be root in a user namespace that was entered."""
    joins = draft.spec.join
    if not joins:
        return
    shown = ", ".join(f"{each.type} {each.path}" for each in joins)
    draft.prepare(Preparation(OPENED, f"open namespaces: {shown}", lambda: open_all(joins), "join"))
    names = {each.type for each in joins}
    draft.add(
        "undumpable",
        "prctl",
        _PR_SET_DUMPABLE,
        0,
        0,
        0,
        0,
        phase="join",
        why="until execve this is a copy of our memory, which the processes there must not look into",
    )
    if "mount" in names:
        draft.proc_directory = draft.add(
            "open /proc",
            "openat",
            AT_FDCWD,
            "/proc",
            O_PATH_DIR,
            0,
            phase="join",
            why="the /proc of the other mounts need not know the child",
            path="/proc",
        )
    privileged = ways.may(draft.facts, _CAP_SYS_ADMIN)
    user_first = "with the capabilities there, the only ones we will have"
    user_last = "our capabilities end there, and the other namespaces may belong to another"
    kinds = [kind for kind in KINDS if kind.name in names]
    for kind in sorted(kinds, key=lambda kind: (kind.name == "user") is privileged):
        entered = draft.add(
            f"join {kind.name}",
            "setns",
            Slot(_slot(kind.name)),
            Named(kind.flag, kind.flag_name),
            phase="join",
            why=(user_last if privileged else user_first) if kind.name == "user" else "",
            path=next(each.path for each in joins if each.type == kind.name),
            # Our own cannot be entered (userns_install()); that it was our own, the read-back tells.
            tolerated=(errno.EINVAL,) if kind.name == "user" else (),
        )
        if kind.name == "user":
            user = entered
        if kind.name == "time":
            clock.moved(draft, entered)
    if "user" in names:
        for label, call, args in (
            ("drop groups", "setgroups", (0, NULL)),
            ("group 0", "setresgid", (0, 0, 0)),
            ("user 0", "setresuid", (0, 0, 0)),
        ):
            draft.add(
                f"{label} inside",
                call,
                *args,
                phase="join",
                why="as nsenter(1) has it; whose map lacks 0, or who denies setgroups, keeps what there is",
                tolerated=(errno.EINVAL, errno.EPERM),
                only_if=user,
            )


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with the namespaces to enter."""
    types = [each.type for each in spec.join]
    for each in spec.join:
        if each.type not in BY_NAME:
            yield Problem(f"unknown namespace {each.type!r} to join", f"the kinds are {', '.join(BY_NAME)}")
        if not each.path or "\0" in each.path:
            yield Problem(f"{each.path!r} is no path of a namespace to join", "name a file such as /proc/1/ns/net")
        if each.identity is not None and not _OF_PROCESS.match(each.path):
            yield Problem(f"{each.path} names no process whose identity could be compared", "use /proc/PID/ns/…")
    for name in sorted(name for name in set(types) if types.count(name) > 1):
        yield Problem(f"two {name} namespaces to join", "a process is in one: choose")
    if "pid" in types and "pid" in asked:
        yield Problem(
            "a new pid namespace below a joined one needs a process inside to make it (copy_pid_ns() refuses others)",
            "join it, and launch from inside",
        )
    if "user" in types and spec.time_offsets:
        yield Problem(
            "offsets of a time namespace cannot be written by a child that has joined a user namespace: it is kept "
            "undumpable, so that nobody there looks into our memory",
            "leave out the offsets, or launch from inside",
        )


def _wants_user(plan: Plan, path: str | None) -> bool:
    return not any(step.label == "join user" for step in plan.steps)


CAUSES: tuple[Cause, ...] = (
    Cause((OPENED,), errno.ENOENT, "there is no such process, or no such file", "check the PID or the path"),
    Cause((OPENED,), errno.ESRCH, "the process has ended", "name one that lives"),
    Cause(
        (OPENED,),
        errno.EACCES,
        "the namespaces of another user's process, or of an undumpable one, are closed to us",
        "run as root (CAP_SYS_PTRACE)",
    ),
    Cause(
        tuple(f"join {kind.name}" for kind in KINDS if kind.name != "user"),
        errno.EPERM,
        "entering it needs CAP_SYS_ADMIN, here and in the user namespace it belongs to",
        "run as root, or join the user namespace it belongs to as well",
        _wants_user,
    ),
    Cause(
        tuple(f"join {kind.name}" for kind in KINDS),
        errno.EPERM,
        "entering it needs CAP_SYS_ADMIN in the user namespace it belongs to (a mount namespace CAP_SYS_CHROOT too)",
        "run as root, or as the user who made it",
    ),
    Cause(
        ("join pid",),
        errno.EINVAL,
        "it is no descendant of our pid namespace: from there nobody could be seen here (pidns_install())",
        "launch from an outer pid namespace",
    ),
    Cause(
        ("second fork",),
        errno.ENOMEM,
        "the pid namespace to be born into has lost its process 1",
        "join one that lives",
    ),
    Cause(
        ("join time",),
        errno.EUSERS,
        "only a process of one thread can enter a time namespace",
        "use fork+unshare",
    ),
    Cause(
        tuple(f"join {kind.name}" for kind in KINDS),
        errno.EINVAL,
        "the kernel does not let the child in",
        "see setns(2)",
    ),
)
