"""What may be wanted of a child: one table, each want as what it adds to a launch."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from spawner import IDMapping, Problem, Spec
from spawner.flags import bits
from spawner.namespaces import names_of
from spawner.oci import Cgroup, Resources, Rlimit

PROGRAM = "sh"
"""What stands for the program until there is one."""
HOST_NAME = "box"
MEMORY, TASKS, FILES = 256 << 20, 64, 256
"""Limits that stand for those that are to be set."""


class Runs(StrEnum):
    """What the child does once it is there."""

    PROGRAM = "program"
    """It executes a program: execve ends most of what it shared."""
    FUNCTION = "function"
    """It runs a function of ours, in memory of its own."""
    CALLS = "calls"
    """It makes system calls in what it shares, and never executes (spawner.calls)."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants it, as far as that matters: effective ids, CAP_SYS_ADMIN, what can be mapped, and limited.

    ``uid_lines`` and ``gid_lines`` are maps of many ids that this caller may write; ``no_lines`` says why there are
    none. ``cgroups``: whether a control group with limits can be made here.
    """

    uid: int = 0
    gid: int = 0
    privileged: bool = True
    uid_lines: tuple[IDMapping, ...] = ()
    gid_lines: tuple[IDMapping, ...] = ()
    no_lines: tuple[Problem, ...] = ()
    cgroups: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """All that is wanted, put together. ``shared`` are the bits of what is to be shared with the caller."""

    spec: Spec = field(default_factory=lambda: Spec(args=(PROGRAM,)))
    shared: int = 0
    hold: bool = False
    program: bool = False
    function: bool = False
    fast: bool = False
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Want:
    """One row. ``says`` finishes the sentence "the child shall …"; ``means`` says by what, where that is not plain.

    ``flags`` are the clone flags that it stands for. ``more`` adds what else it takes, which a plan sets up before
    execve; None where the flags are all of it. ``example``: fields of the Spec that stand for what the person will
    fill in, and that nothing depends on.
    """

    name: str
    says: str
    flags: int = 0
    means: str = ""
    more: Callable[[Request, Asker], Request] | None = None
    example: tuple[tuple[str, Any], ...] = ()


def _spec(request: Request, **changes: Any) -> Request:
    return replace(request, spec=replace(request.spec, **changes))


def _proc(request: Request, _: Asker) -> Request:
    return _spec(request, mount_proc="/proc")


def _root_inside(request: Request, asker: Asker) -> Request:
    if request.spec.uid_mappings:  # of many ids, root among them
        return request
    return _spec(
        request, uid_mappings=(IDMapping(0, asker.uid),), gid_mappings=(IDMapping(0, asker.gid),), setgroups=None
    )


def _maps(request: Request, asker: Asker) -> Request:
    if asker.no_lines:
        return replace(request, problems=(*request.problems, *asker.no_lines))
    return _spec(request, uid_mappings=asker.uid_lines, gid_mappings=asker.gid_lines)


def _init(request: Request, asker: Asker) -> Request:
    return _spec(_proc(request, asker), init=True)


def _limits(request: Request, asker: Asker) -> Request:
    if asker.cgroups:
        return _spec(request, cgroup=Cgroup(resources=Resources(memory=MEMORY, pids=TASKS)))
    limits = (("RLIMIT_DATA", MEMORY), ("RLIMIT_NOFILE", FILES))
    return _spec(request, rlimits=tuple(Rlimit(name, most, most) for name, most in limits))


def _no_new_privs(request: Request, _: Asker) -> Request:
    return _spec(request, no_new_privs=True)


def _dies(request: Request, _: Asker) -> Request:
    return _spec(request, pdeathsig=int(signal.SIGKILL))


def _hold(request: Request, _: Asker) -> Request:
    return replace(request, hold=True)


def _fast(request: Request, _: Asker) -> Request:
    return replace(request, fast=True)


def _program(request: Request, _: Asker) -> Request:
    return replace(request, program=True)


def _function(request: Request, _: Asker) -> Request:
    return replace(request, function=True)


WANTS: tuple[Want, ...] = (
    Want("own-hostname", "have a host name of its own", bits("NEWUTS"), example=(("hostname", HOST_NAME),)),
    Want(
        "own-pids",
        "be process 1 among processes of its own",
        bits("NEWPID", "NEWNS"),
        "a fresh procfs shows them, and its mount is to be the child's alone",
        _proc,
    ),
    Want("own-mounts", "mount and unmount for itself alone", bits("NEWNS")),
    Want("own-network", "have network devices, addresses and ports of its own", bits("NEWNET")),
    Want("own-ipc", "have System V IPC and POSIX message queues of its own", bits("NEWIPC")),
    Want("own-cgroups", "see its own control group as the root of the tree", bits("NEWCGROUP")),
    Want("own-clock", "have offsets of its own for the monotonic and boot-time clocks", bits("NEWTIME")),
    Want(
        "root-inside",
        "be root with every capability inside, and nobody else outside: no privilege is needed",
        bits("NEWUSER"),
        "id 0 inside is the caller's own outside",
        _root_inside,
    ),
    Want(
        "id-maps",
        "have many users and groups inside",
        bits("NEWUSER"),
        "the caller writes the maps from outside while the child waits",
        _maps,
    ),
    Want(
        "init",
        "run below a process 1 that reaps orphans and passes signals on",
        bits("NEWPID", "NEWNS"),
        "process 1 of the new pid namespace is ours, the program is process 2",
        _init,
    ),
    Want(
        "limits",
        "be limited in memory and number of tasks",
        0,
        "a control group is made for it; where that may not be, resource limits of each process have to do",
        _limits,
    ),
    Want(
        "no-new-privileges",
        "never gain privilege by a set-id program",
        0,
        "a step of the child's, prctl(2)",
        _no_new_privs,
    ),
    Want("dies-with-parent", "be killed when the caller dies", 0, "a step of the child's, prctl(2)", _dies),
    Want(
        "hold",
        "stop before execve, so that the caller can look at it or set it up",
        0,
        "the caller must not be suspended meanwhile",
        _hold,
    ),
    Want("fast", "start at a cost that does not grow with the caller's memory", 0, "", _fast),
    Want("program", "run another program", 0, "execve gives it memory of its own", _program),
    Want("function", "run a function of the caller's own program", 0, "it never executes", _function),
    Want("share-memory", "run in the caller's memory, as a thread does", bits("VM")),
    Want("share-files", "share the table of file descriptors", bits("FILES")),
    Want("share-directory", "share root, working directory and umask", bits("FS")),
    Want(
        "share-handlers",
        "share the table of signal handlers",
        bits("SIGHAND", "VM"),
        "handlers are addresses, so the memory has to be shared too",
    ),
    Want("share-semaphores", "share the undo list of System V semaphores", bits("SYSVSEM")),
    Want("share-io", "share the I/O context", bits("IO")),
    Want(
        "thread-like",
        "share all that a thread shares, and be a process still, with a pid and an end of its own",
        bits("VM", "FS", "FILES", "SIGHAND", "SYSVSEM"),
        "CLONE_THREAD is for pthread_create(3): libc has to know its threads",
    ),
)
"""In the order in which they are listed."""

BY_NAME = {want.name: want for want in WANTS}


class UnknownWant(ValueError):  # noqa: N818 - an error by its base, named for what is wrong
    """There is no want of this ``name``; ``matches`` are names it may have been meant to be, best first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.matches = tuple(difflib.get_close_matches(name, BY_NAME, n=3)) or tuple(
            known for known in BY_NAME if name and name in known
        )
        hint = f"; did you mean {' or '.join(self.matches)}?" if self.matches else ""
        super().__init__(f"there is no want {name!r}{hint}")


def find(name: str) -> Want:
    """Find a want by its name; raises UnknownWant."""
    if want := BY_NAME.get(name):
        return want
    raise UnknownWant(name)


def requested(wants: Iterable[Want], asker: Asker) -> Request:
    """Put wants together. What a caller without privilege may not have alone comes with root-inside."""
    request = Request()
    for want in wants:
        spaces = names_of(want.flags)
        if spaces:
            request = _spec(request, namespaces=request.spec.namespaces | spaces)
        else:
            request = replace(request, shared=request.shared | want.flags)
        if want.example:
            request = _spec(request, **dict(want.example))
        if want.more is not None:
            request = want.more(request, asker)
    return request
