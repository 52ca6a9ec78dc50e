"""Whose child it is, how it hears of its parent's end, its signals, and execve."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from spawner import mechanism as ways
from spawner.cause import Cause
from spawner.draft import NULL, Draft
from spawner.errors import Problem
from spawner.plan import Bearing, Named, Packed, Slot, Strings
from spawner.program import NOT_HERE, vectors
from spawner.spec import Spec, Stdio

_TIOCSCTTY = Named(0x540E, "TIOCSCTTY")
_PR_SET_PDEATHSIG = Named(1, "PR_SET_PDEATHSIG")
_POLLIN = 1
_FOREVER_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
_SIGSET_SIZE = 8


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
    if draft.flags & ways.SIGHAND:
        draft.notes.append("CLONE_SIGHAND: SIGPIPE and SIGXFSZ stay ignored as in Python, for the table is shared")
    else:
        handled = 0 if draft.flags & ways.CLEAR_SIGHAND else draft.facts.caught
        numbers = {number for number in range(1, 65) if handled >> (number - 1) & 1} | set(_FOREVER_IGNORED)
        for number in sorted(numbers):
            name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
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
    """Execute the program, tried at each place where it may be."""
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
    """Fork once more: the program goes on below a reaper."""


def reaper(draft: Draft) -> None:
    """What the process above the program does: become the reaper."""


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    yield from ()


CAUSES: tuple[Cause, ...] = ()
