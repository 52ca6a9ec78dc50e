"""Whose child it is, how it hears of its parent's end, its signals, and execve."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator

from spawner import _native, reaper_filter
from spawner import mechanism as ways
from spawner import reaper as reaper_file
from spawner.cause import Cause
from spawner.draft import AT_EMPTY_PATH, NULL, Draft
from spawner.errors import Problem
from spawner.flags import format_mask
from spawner.plan import At, Bearing, Named, Out, Packed, Preparation, Result, Slot, Strings
from spawner.program import NOT_HERE, vectors
from spawner.signals import signal_name
from spawner.spec import Spec, Stdio

_TIOCSCTTY = Named(0x540E, "TIOCSCTTY")
_PR_SET_PDEATHSIG = Named(1, "PR_SET_PDEATHSIG")
_POLLIN = 1
_FOREVER_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
_SIGSET_SIZE = 8
_PR_SET_CHILD_SUBREAPER = Named(36, "PR_SET_CHILD_SUBREAPER")
_PR_SET_NO_NEW_PRIVS = Named(38, "PR_SET_NO_NEW_PRIVS")
_SET_MODE_FILTER = Named(1, "SECCOMP_SET_MODE_FILTER")
_CAPABILITY_VERSION_3, _CAP_KILL = 0x20080522, 5
_SHARED_STILL = 0x200 | 0x40000 | 0x80000000
"""CLONE_FS, CLONE_SYSVSEM and CLONE_IO: what the program would share with us goes on being shared below the reaper."""


def session(draft: Draft) -> None:
    """Start a session, with its terminal."""
    if draft.spec.new_session or draft.spec.stdio is Stdio.PTY:
        draft.add("setsid", "setsid", phase="session")
    if draft.spec.stdio is Stdio.PTY:
        draft.add("controlling terminal", "ioctl", Slot("stdin"), _TIOCSCTTY, 0, phase="session")


def parent(draft: Draft) -> None:
    """Ask for a signal at the parent's death, and look whether it lives."""
    if draft.spec.pdeathsig is None:
        return
    draft.add("parent death signal", "prctl", _PR_SET_PDEATHSIG, draft.spec.pdeathsig, 0, 0, 0, phase="parent")
    draft.add(
        "parent alive",
        "ppoll",
        Packed("=ihh", (Slot("parent_pidfd"), _POLLIN, 0), "[{parent's pidfd, POLLIN}]"),
        1,
        Packed("=qq", (0, 0), "{0, 0}"),
        NULL,
        _SIGSET_SIZE,
        phase="parent",
        why="had it died before prctl, no signal would ever come; getppid() cannot tell across pid namespaces",
        bearing=Bearing.EXPECT_ZERO,
    )


def signals(draft: Draft) -> None:
    """Give signals their default action, then put the mask back."""
    if draft.entry:
        return  # as after os.fork: handlers stay, and the mask is put back once Python is in order (spawner.entry)
    if draft.flags & ways.SIGHAND:
        draft.notes.append("CLONE_SIGHAND: SIGPIPE and SIGXFSZ stay ignored as in Python, for the table is shared")
    else:
        handled = 0 if draft.flags & ways.CLEAR_SIGHAND else draft.facts.caught
        numbers = {number for number in range(1, 65) if handled >> (number - 1) & 1} | set(_FOREVER_IGNORED)
        for number in sorted(numbers):
            name = signal_name(number)
            draft.add(
                f"default {name}",
                "rt_sigaction",
                Named(number, name),
                Packed("=32x", (), "{SIG_DFL}"),
                NULL,
                _SIGSET_SIZE,
                phase="signals",
                why="Python ignores it and that would survive execve" if number in _FOREVER_IGNORED else "",
            )
    draft.add(
        "signal mask",
        "rt_sigprocmask",
        Named(2, "SIG_SETMASK"),
        Packed("=Q", (Slot("sigmask"),), "[the caller's]"),
        NULL,
        _SIGSET_SIZE,
        phase="signals",
        why="all signals were blocked since before the child was made",
    )


def exec(draft: Draft) -> None:
    """Execute the program, tried at each place where it may be; or go on in Python."""
    if draft.entry:
        draft.add("entry", "entry", phase="entry", why="no execve: the callable runs in this process")
        return
    argv, envp = vectors(draft.spec)
    for number, path in enumerate(draft.paths):
        last = number == len(draft.paths) - 1
        draft.add(
            "execve",
            "execve",
            path,
            Strings(argv),
            Strings(envp, f"[{len(envp)} variables]"),
            phase="exec",
            path=path,
            tolerated=() if last else NOT_HERE,
        )


def init(draft: Draft) -> None:
    """Make the program's process; the one so far stands above it from here on."""
    if not draft.spec.init:
        return
    text = "make the reaper's file in sealed memory"
    draft.prepare(Preparation("make the reaper", text, reaper_file.open_file, phase="init"))
    draft.add(
        "default SIGCHLD",
        "rt_sigaction",
        Named(signal.SIGCHLD, "SIGCHLD"),
        Packed("=32x", (), "{SIG_DFL}"),
        NULL,
        _SIGSET_SIZE,
        phase="init",
        why="where it is ignored the kernel reaps, and the program's status is lost",
    )
    if "pid" not in draft.asked:
        draft.add("subreaper", "prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, phase="init", why="orphans come to it")
    shared = draft.spec.clone_flags & _SHARED_STILL
    names = "|".join(filter(None, (format_mask(ways.VM | shared), "SIGCHLD")))
    draft.add(
        "fork below init",
        "clone",
        Named(ways.VM | shared | signal.SIGCHLD, names),
        Out(_native.STACK_BELOW),
        0,
        0,
        0,
        phase="init",
        why="the new process waits until this one is the reaper and goes on behind that; it dies with this one",
        bearing=Bearing.INIT,
    )


def reaper(draft: Draft) -> None:
    """Let the process above the program become the reaper, which can do little else."""
    if not draft.spec.init:
        return
    program = Result(len(draft.steps) - 1)
    draft.add("init no_new_privs", "prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, phase="init")
    header = Packed("=Ii", (_CAPABILITY_VERSION_3, 0), "{_LINUX_CAPABILITY_VERSION_3, 0}")
    kept, none = Packed("=6I", (1 << _CAP_KILL, 1 << _CAP_KILL, *[0] * 4), "{CAP_KILL}"), Packed("=24x", (), "{}")
    few = draft.add(
        "init capabilities",
        "capset",
        header,
        kept,
        phase="init",
        why="to pass signals on to a program of another user; nothing else",
        tolerated=(errno.EPERM,),
    )
    draft.add("init capabilities", "capset", header, none, phase="init", unless=few)
    draft.add(
        "init seccomp",
        "seccomp",
        _SET_MODE_FILTER,
        0,
        Packed("=H6xQ", (reaper_filter.LENGTH, At(reaper_filter.PROGRAM)), f"{{{reaper_filter.LENGTH} instructions}}"),
        phase="init",
        why="process 1 is of no use to whoever gets hold of it",
        tolerated=(errno.ENOSYS, errno.EINVAL),  # a kernel without seccomp
    )
    argv = Packed(
        "=3Q",
        (At(os.fsencode(reaper_file.NAME) + b"\0"), At(Packed("=12s", (program,), "pid")), 0),
        f'["{reaper_file.NAME}", #{program.step}]',
    )
    draft.add(
        "execute init",
        "execveat",
        Slot(reaper_file.SLOT),
        "",
        argv,
        Strings(()),
        AT_EMPTY_PATH,
        phase="init",
        bearing=Bearing.LAST,
    )


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    if spec.init and spec.clone_flags & ways.SIGHAND:
        yield Problem(
            "with CLONE_SIGHAND what the process above the program does with SIGCHLD this process would do too",
            "leave out CLONE_SIGHAND or the init",
        )


CAUSES: tuple[Cause, ...] = (
    Cause(
        ("make the reaper",),
        errno.EACCES,
        "the system refuses files in memory that can be executed (vm.memfd_noexec is 2), and the init is one",
        "set vm.memfd_noexec to 1 or 0, or launch without an init",
    ),
    Cause(
        ("fork below init",),
        errno.EAGAIN,
        "a limit of processes is reached: RLIMIT_NPROC, the cgroup's pids.max; an init needs one process more",
        "raise the limit, or launch without an init",
    ),
    Cause(
        ("execute init",),
        errno.EACCES,
        "a security module refuses to execute a file in memory, which the init is",
        "launch without an init",
    ),
)
