"""Another root: it is put on the old one and takes its place, and nothing of the old one can be reached any more."""

from __future__ import annotations

from spawner.draft import AT_FDCWD, Draft
from spawner.filling import RootMount
from spawner.oci import Tmpfs
from spawner.parts.sources import CLONE_ALL, MOVE, TOP, attach, clone
from spawner.plan import Named, Result

_MS_NOSUID_NODEV = Named(2 | 4, "MS_NOSUID|MS_NODEV")
_MNT_DETACH = Named(2, "MNT_DETACH")


def tmpfs_options(tmpfs: Tmpfs) -> str:
    """The options of a tmpfs, tmpfs(5)."""
    return f"mode={tmpfs.mode:o}" + ("" if tmpfs.size is None else f",size={tmpfs.size}")


def switch(draft: Draft, tree: Result | None, root: RootMount | None) -> None:
    """Make ``tree``, or a new tmpfs, the root. The mounts of the old one are private or slaves by now.

    pivot_root(".", ".") needs no directory for the old root: it lands on top of the new one and is unmounted from
    there (pivot_root(2)).
    """
    phase = "root"
    if not draft.facts.root_attached:
        _attach_old_root(draft)
    if tree is not None:
        attach(draft, tree, "/")
        draft.add("close root", "close", tree, phase=phase)
    else:
        options = tmpfs_options(root if isinstance(root, Tmpfs) else Tmpfs(destination="/"))
        draft.add("mount tmpfs", "mount", "tmpfs", "/", "tmpfs", _MS_NOSUID_NODEV, options, phase="mounts", path="/")
    draft.add("enter root", "chdir", TOP, phase=phase, why="what is mounted on the root last", path="/")
    draft.add(
        "pivot_root",
        "pivot_root",
        ".",
        ".",
        phase=phase,
        why="the new root takes the old one's place; links in it cannot lead out any more",
    )
    draft.add("detach old root", "umount2", ".", _MNT_DETACH, phase=phase, why="it lies on the new one now")
    draft.add("chdir to root", "chdir", "/", phase=phase, path="/")


def _attach_old_root(draft: Draft) -> None:
    """Let the old root be a mount on something: pivot_root(2) refuses an initramfs, or a directory after chroot(2)."""
    phase = "root"
    why = "pivot_root refuses a root that is mounted on nothing (an initramfs) or no mount at all (after chroot)"
    tree = clone(draft, "/", CLONE_ALL)
    draft.add("attach", "move_mount", tree, "", AT_FDCWD, "/", MOVE, phase="mounts", why=why, path="/")
    draft.add("enter root", "fchdir", tree, phase=phase, path="/")
    draft.add("chroot", "chroot", ".", phase=phase, path="/")
    draft.add("close root", "close", tree, phase=phase)
