"""Namespaces: new ones where the call made none, and which the child is in, read from the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from signal import SIGCHLD

from spawner import mechanism as ways
from spawner.cause import Cause
from spawner.draft import AT_FDCWD, O_PATH_DIR, Draft
from spawner.errors import Problem
from spawner.flags import format_mask
from spawner.namespaces import KINDS
from spawner.plan import Bearing, Named, Out
from spawner.spec import Spec

_LINK_SIZE = 64


def namespaces_by_unshare(draft: Draft) -> None:
    """Make in the child what the call that made it could not."""
    spaces, _others = ways.wanted_flags(draft.spec)
    spaces &= ~ways.NEWTIME
    if draft.flags or not spaces:
        return
    draft.add(
        "unshare",
        "unshare",
        Named(spaces, format_mask(spaces)),
        phase="namespaces",
        why="fork cannot make them",
    )
    if spaces & ways.NEWPID:
        mask = ways.PARENT | SIGCHLD
        draft.add(
            "second fork",
            "clone",
            Named(mask, "CLONE_PARENT|SIGCHLD"),
            0,
            0,
            0,
            0,
            phase="namespaces",
            why="unshare(CLONE_NEWPID) does not move the caller: only its next child is pid 1 inside",
            bearing=Bearing.FORKS,
        )


def open_namespace_links(draft: Draft) -> None:
    """Open the directory from which the namespaces are read later."""
    draft.ns_directory = draft.add(
        "open /proc/self/ns",
        "openat",
        AT_FDCWD,
        "/proc/self/ns",
        O_PATH_DIR,
        0,
        phase="read back",
        why="opened before mounts can hide it; where there is no /proc the namespaces stay unknown",
        path="/proc/self/ns",
        bearing=Bearing.TOLERATE_ALL,
    )


def read_back(draft: Draft) -> None:
    """Read which namespaces the child is in."""
    assert draft.ns_directory is not None
    for kind in KINDS:
        link = "time_for_children" if kind.name == "time" else kind.proc
        read = draft.add(
            f"read ns/{link}",
            "readlinkat",
            draft.ns_directory,
            link,
            Out(_LINK_SIZE),
            _LINK_SIZE,
            phase="read back",
            path=f"/proc/self/ns/{link}",
            bearing=Bearing.TOLERATE_ALL,
        )
        draft.read_back.append((kind.name, read.step))


def join(draft: Draft) -> None:
    """Enter existing namespaces."""


def keep(draft: Draft) -> None:
    """Let the parent mount new namespaces where they outlive the child."""


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    yield from ()


CAUSES: tuple[Cause, ...] = ()
