"""Namespaces: new ones where the call made none, and which the child is in, read from the kernel."""

from __future__ import annotations

from signal import SIGCHLD

from spawner import mechanism as ways
from spawner.draft import AT_FDCWD, O_PATH_DIR, Draft
from spawner.flags import format_mask
from spawner.namespaces import KINDS
from spawner.plan import Bearing, Named, Out

_LINK_SIZE = 64


def namespaces_by_unshare(draft: Draft) -> None:
    """Make in the child what the call that made it could not."""
    spaces, _others = ways.wanted_flags(draft.spec)
    spaces &= ~ways.NEWTIME
    if draft.flags:
        return
    if spaces:
        draft.add(
            "unshare",
            "unshare",
            Named(spaces, format_mask(spaces)),
            phase="namespaces",
            why="fork cannot make them",
        )
    if spaces & ways.NEWPID or any(join.type == "pid" for join in draft.spec.join):
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
            why="neither unshare(CLONE_NEWPID) nor setns moves the caller: its next child is inside",
            bearing=Bearing.FORKS,
        )


def open_namespace_links(draft: Draft) -> None:
    """Open the directory from which the namespaces are read later."""
    draft.ns_directory = draft.add(
        "open /proc/self/ns",
        "openat",
        draft.proc_directory or AT_FDCWD,
        "self/ns" if draft.proc_directory else "/proc/self/ns",
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
