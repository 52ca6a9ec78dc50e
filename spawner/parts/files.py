"""The tree of files: propagation of mounts, a root of its own, and what is mounted in it."""

from __future__ import annotations

from collections.abc import Iterator

from spawner.cause import Cause
from spawner.draft import NULL, Draft
from spawner.errors import Problem
from spawner.plan import Named
from spawner.spec import Spec

_MS_REC = 0x4000
_PROPAGATION = {
    "private": (1 << 18, "MS_PRIVATE"),
    "slave": (1 << 19, "MS_SLAVE"),
    "shared": (1 << 20, "MS_SHARED"),
}
_MS_PROC = Named(2 | 4 | 8, "MS_NOSUID|MS_NODEV|MS_NOEXEC")


def mounts(draft: Draft) -> None:
    """Set the propagation of mounts, and mount."""
    if "mount" in draft.asked and draft.spec.rootfs_propagation in _PROPAGATION:
        bit, name = _PROPAGATION[draft.spec.rootfs_propagation]
        draft.add(
            f"{draft.spec.rootfs_propagation} mounts",
            "mount",
            NULL,
            "/",
            NULL,
            Named(_MS_REC | bit, f"MS_REC|{name}"),
            NULL,
            phase="mounts",
            why="the copy's mounts are still peers of the original's: without this, changes would leak out",
            path="/",
        )
    if draft.spec.mount_proc is not None:
        draft.add(
            "mount proc",
            "mount",
            "proc",
            draft.spec.mount_proc,
            "proc",
            _MS_PROC,
            NULL,
            phase="mounts",
            why="a procfs shows the pid namespace of whoever mounts it",
            path=draft.spec.mount_proc,
        )


def directory(draft: Draft) -> None:
    """Go to the working directory."""
    if draft.spec.cwd is not None:
        draft.add("chdir", "chdir", draft.spec.cwd, phase="directory", path=draft.spec.cwd)


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    yield from ()


CAUSES: tuple[Cause, ...] = ()
