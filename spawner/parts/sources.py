"""Detached mounts, made while the old root is still there: each is held by a descriptor until it has its place."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass, field

from spawner.draft import AT_FDCWD, NULL, Draft
from spawner.filling import DEVICES, RootMount, Settled
from spawner.oci import Bind, Dev, File, Overlay, Proc
from spawner.plan import Argument, Named, Packed, Result, Text
from spawner.spec import Spec, Stdio

_OPEN_TREE_CLONE, _AT_RECURSIVE, _O_CLOEXEC = 1, 0x8000, 0o2000000
CLONE = Named(_OPEN_TREE_CLONE | _O_CLOEXEC, "OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC")
CLONE_ALL = Named(_OPEN_TREE_CLONE | _O_CLOEXEC | _AT_RECURSIVE, "OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE")
EMPTY_RECURSIVE = Named(0x1000 | _AT_RECURSIVE, "AT_EMPTY_PATH|AT_RECURSIVE")
MOUNT_ATTR_SIZE = 32

_MS_NOSUID_NODEV = Named(2 | 4, "MS_NOSUID|MS_NODEV")
_MNT_DETACH = Named(2, "MNT_DETACH")
_FSCONFIG_CMD_CREATE = Named(6, "FSCONFIG_CMD_CREATE")
_FSOPEN_CLOEXEC = Named(1, "FSOPEN_CLOEXEC")
_FSMOUNT_CLOEXEC = Named(1, "FSMOUNT_CLOEXEC")
_ATTR_OF_PROC = Named(2 | 4 | 8, "MOUNT_ATTR_NOSUID|MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC")
_SEEK_DATA = Named(3, "SEEK_DATA")
_CREATE = Named(0o1 | 0o100 | 0o200 | 0o2000000, "O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC")

# Whatever is mounted on the root last: ".." of the root is the root, and what is mounted on it is entered then
# (follow_dotdot in fs/namei.c), which the path "/" does not do.
TOP = "/.."

_ATTRIBUTES = ((1, "MOUNT_ATTR_RDONLY"), (2, "MOUNT_ATTR_NOSUID"), (4, "MOUNT_ATTR_NODEV"))


def attributes(mask: int) -> Packed:
    """The struct mount_attr that sets these MOUNT_ATTR_* bits, which are those of mount(2)."""
    names = "|".join(name for bit, name in _ATTRIBUTES if mask & bit)
    return Packed("4Q", (mask, 0, 0, 0), f"{{attr_set={names}}}")


def bind_attributes(bind: Bind) -> int:
    """What a bind is besides: never set-user-ID, without devices and read-only as asked."""
    return 2 | (0 if bind.devices else 4) | (1 if bind.read_only else 0)


@dataclass(slots=True)
class Sources:
    """The detached mounts by the number of their operation; ``devices`` by (operation, name)."""

    root: Result | None = None
    trees: dict[int, Result] = field(default_factory=dict)
    devices: dict[tuple[int, str], Result] = field(default_factory=dict)


def clone(draft: Draft, source: str | Text, flags: Named = CLONE_ALL, *, optional: bool = False) -> Result:
    """A detached copy of what is mounted at ``source`` (open_tree(2))."""
    return draft.add(
        "open tree",
        "open_tree",
        AT_FDCWD,
        source,
        flags,
        phase="mounts",
        path=source if isinstance(source, str) else f"{{{source.name}}}",
        tolerated=(errno.ENOENT,) if optional else (),
    )


def gather(draft: Draft, sources: Sources, root: RootMount | None, settled: list[Settled]) -> None:
    """Copy what is to be bound, and mount procfs while one is in full view, as a user namespace demands it."""
    spec = draft.spec
    if spec.rootfs is not None:
        sources.root = clone(draft, spec.rootfs)
    elif isinstance(root, Bind):
        sources.root = _bind(draft, root)
    for item in settled:
        match item.operation:
            case Bind() as bind:
                sources.trees[item.number] = _bind(draft, bind)
            case Proc() if shares_pids(spec, draft.asked):
                sources.trees[item.number] = clone(draft, "/proc")
                draft.notes.append("the pid namespace is not new: its procfs is bound, for it is not ours to mount")
            case Proc():
                sources.trees[item.number] = _proc(draft)
            case Dev():
                for name in DEVICES:
                    sources.devices[item.number, name] = clone(draft, f"/dev/{name}", CLONE)
                if spec.stdio is Stdio.PTY:
                    sources.devices[item.number, "console"] = clone(draft, Text("tty"), CLONE)
            case _:
                pass


def shares_pids(spec: Spec, asked: frozenset[str]) -> bool:
    """Whether a procfs would be one of a pid namespace that the child's user namespace does not own."""
    return "user" in asked and "pid" not in asked and not any(join.type == "pid" for join in spec.join)


def _bind(draft: Draft, bind: Bind) -> Result:
    tree = clone(draft, bind.source, optional=bind.optional)
    if draft.facts.mount_setattr:
        set_attributes(draft, tree, bind_attributes(bind), bind.source, only_if=tree if bind.optional else None)
    return tree


def set_attributes(draft: Draft, tree: Result, mask: int, path: str, *, only_if: Result | None = None) -> None:
    """Set attributes of a detached mount and of all below it. None is cleared, so locked ones stay as they are."""
    draft.add(
        "set mount attributes",
        "mount_setattr",
        tree,
        "",
        EMPTY_RECURSIVE,
        attributes(mask),
        MOUNT_ATTR_SIZE,
        phase="mounts",
        path=path,
        only_if=only_if,
    )


def _proc(draft: Draft) -> Result:
    phase = "mounts"
    why = "in a user namespace the kernel wants a procfs in full view: the old root's still is (mount_too_revealing)"
    context = draft.add("open file system proc", "fsopen", "proc", _FSOPEN_CLOEXEC, phase=phase, why=why)
    draft.add("create file system proc", "fsconfig", context, _FSCONFIG_CMD_CREATE, NULL, NULL, 0, phase=phase)
    tree = draft.add("mount proc", "fsmount", context, _FSMOUNT_CLOEXEC, _ATTR_OF_PROC, phase=phase)
    draft.add("close file system proc", "close", context, phase=phase)
    return tree


def stage(draft: Draft, sources: Sources, root: RootMount | None, settled: list[Settled]) -> None:
    """Make what needs a directory for a moment, on a tmpfs that is gone afterwards: overlays, files to be bound.

    The tmpfs is on top of the root, which is private by now: nobody outside sees it.
    """
    staged: list[tuple[int | None, Overlay | File]] = [(None, root)] if isinstance(root, Overlay) else []
    for item in settled:
        if isinstance(item.operation, Overlay) or (isinstance(item.operation, File) and is_bound(item.operation)):
            staged.append((item.number, item.operation))
    if not staged:
        return
    draft.add("mount tmpfs", "mount", "tmpfs", "/", "tmpfs", _MS_NOSUID_NODEV, "mode=700", phase="mounts", path="/")
    for place, (number, operation) in enumerate(staged):
        made = (
            _overlay(draft, operation, place) if isinstance(operation, Overlay) else _content(draft, operation, place)
        )
        if number is None:
            sources.root = made
        else:
            sources.trees[number] = made
    draft.add("leave tmpfs", "umount2", TOP, _MNT_DETACH, phase="mounts", why="what was made of it stays", path=TOP)


def is_bound(file: File) -> bool:
    """Whether a file is mounted rather than made."""
    return file.bound or file.read_only


def _content(draft: Draft, file: File, place: int) -> Result:
    path = f"{TOP}/{place}"
    write_content(draft, (AT_FDCWD, path), file, path)
    tree = clone(draft, path, CLONE)
    if file.read_only and draft.facts.mount_setattr:
        set_attributes(draft, tree, 1, file.destination)
    return tree


def write_content(draft: Draft, named: tuple[Argument, str], file: File, path: str) -> None:
    """Make a file with its content, written in one step."""
    at, name = named
    mode = Named(file.mode, f"0{file.mode:o}")
    fd = draft.add("create file", "openat", at, name, _CREATE, mode, phase="mounts", path=path)
    size = len(file.content)
    if size:
        draft.add("write file", "write", fd, file.content, size, phase="mounts", path=path)
        draft.add(
            "find the file's end",
            "lseek",
            fd,
            size - 1,
            _SEEK_DATA,
            phase="mounts",
            why="write(2) may write a part only, where the file system is full: the last byte has to be there",
            path=path,
        )
    draft.add("close file", "close", fd, phase="mounts", path=path)


def escaped(path: str) -> str:
    r"""A path as overlay's options want it: ``\``, ``,`` and ``:`` are preceded by a ``\`` (ovl_next_opt)."""
    return re.sub(r"[\\,:]", r"\\\g<0>", path)


def overlay_options(overlay: Overlay, upper: str | None, work: str | None, *, in_user_namespace: bool) -> str:
    """The options of an overlay, mount(8): the topmost directory comes first among the lower ones."""
    options = ["lowerdir=" + ":".join(map(escaped, reversed(overlay.lower)))]
    if upper is not None and work is not None:
        options += [f"upperdir={escaped(upper)}", f"workdir={escaped(work)}"]
    if in_user_namespace:
        options.append("userxattr")  # what trusted.* attributes are for is not allowed there
    return ",".join(options)


def in_user_namespace(spec: Spec, asked: frozenset[str]) -> bool:
    """Whether the child is in another user namespace than its parent."""
    return "user" in asked or any(join.type == "user" for join in spec.join)


def _overlay(draft: Draft, overlay: Overlay, place: int) -> Result:
    phase, path = "mounts", f"{TOP}/{place}"
    upper, work = overlay.upper, overlay.work
    directories = [path]
    if upper is None and not overlay.read_only:
        upper, work = f"{path}.upper", f"{path}.work"
        directories += [upper, work]
    for directory in directories:
        draft.add("mkdir", "mkdirat", AT_FDCWD, directory, Named(0o755, "0755"), phase=phase, path=directory)
    options = overlay_options(overlay, upper, work, in_user_namespace=in_user_namespace(draft.spec, draft.asked))
    draft.add(
        "mount overlay",
        "mount",
        "overlay",
        path,
        "overlay",
        _MS_NOSUID_NODEV,
        options,
        phase=phase,
        why="by mount(2), for fsconfig(2) takes paths of 255 bytes at most",
        path=overlay.destination,
    )
    return clone(draft, path, CLONE)


def attach(draft: Draft, tree: Result, path: str, *, only_if: Result | None = None) -> None:
    """Give a detached mount its place; a link there is followed, as mount(2) does, and cannot lead out."""
    draft.add(
        "attach",
        "move_mount",
        tree,
        "",
        AT_FDCWD,
        path,
        MOVE,
        phase="mounts",
        path=path,
        only_if=only_if,
    )


MOVE = Named(4 | 0x10, "MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_SYMLINKS")
