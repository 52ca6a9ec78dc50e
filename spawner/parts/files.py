"""The tree of files: propagation of mounts, a root of its own, and what is mounted in it.

With a root of its own the child first makes every mount as a detached one, held by a descriptor, while the old root is
there; then the roots are exchanged; then each mount is given its place. So nothing that is looked up inside, links
included, can lead to the host.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from spawner.cause import Cause
from spawner.draft import AT_FDCWD, NULL, Draft
from spawner.errors import Problem
from spawner.filling import Filling, Settled, fill, switches_root
from spawner.oci import Bind, Chmod, Dev, Dir, File, Mqueue, Overlay, Proc, RemountReadOnly, Symlink, Tmpfs
from spawner.parts import covers, files_causes, files_check, root
from spawner.parts.devices import furnish
from spawner.parts.known_mounts import mounts_at
from spawner.parts.mountpoints import OPEN_HOW_SIZE, Grounds, how
from spawner.parts.sources import TOP, Sources, attach, bind_attributes, gather, is_bound, stage, write_content
from spawner.plan import Named, Out, Packed, Result
from spawner.spec import Spec

_MS_REC = 0x4000
_PROPAGATION = {
    "private": (1 << 18, "MS_PRIVATE"),
    "slave": (1 << 19, "MS_SLAVE"),
    "shared": (1 << 20, "MS_SHARED"),
}
_MS_PROC = Named(2 | 4 | 8, "MS_NOSUID|MS_NODEV|MS_NOEXEC")
_MS_NOSUID_NODEV = Named(2 | 4, "MS_NOSUID|MS_NODEV")
_O_PATH, _O_DIRECTORY, _O_NONBLOCK, _O_CLOEXEC = 0o10000000, 0o200000, 0o4000, 0o2000000
_PATH_MAX = 4096
_NO_MAGIC = Packed(
    "3Q",
    (_O_PATH | _O_DIRECTORY | _O_CLOEXEC, 0, 2),
    "{flags=O_PATH|O_DIRECTORY|O_CLOEXEC, resolve=RESOLVE_NO_MAGICLINKS}",
)

_ON_ONE_MOUNT = Packed(
    "3Q",
    (_O_PATH | _O_DIRECTORY | _O_CLOEXEC, 0, 1),
    "{flags=O_PATH|O_DIRECTORY|O_CLOEXEC, resolve=RESOLVE_NO_XDEV}",
)
_NO_MAGIC_FILE = Packed("3Q", (_O_PATH | _O_CLOEXEC, 0, 2), "{flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_NO_MAGICLINKS}")


def mounts(draft: Draft) -> None:
    """Set the propagation of mounts, switch the root, and mount."""
    if switches_root(draft.spec):
        _new_root(draft)
        return
    if "mount" in draft.asked:
        _propagation(draft, draft.spec.rootfs_propagation)
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
    covers.cover(draft, covers.masks(draft))
    covers.read_only_paths(draft, None)
    covers.read_only_root(draft, None)


def _propagation(draft: Draft, propagation: str) -> None:
    if propagation in _PROPAGATION:
        bit, name = _PROPAGATION[propagation]
        draft.add(
            f"{propagation} mounts",
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


def _new_root(draft: Draft) -> None:
    spec = draft.spec
    filling = fill(spec)
    if filling.covered:
        draft.notes.append("what is mounted before / is covered by it, and left out")
    sources = Sources()
    umask = draft.add("umask", "umask", 0, phase="mounts", why="what is made gets the mode it is given")
    # The old root must be no peer of the original when it goes: the original's mounts would go too (propagate_umount).
    _propagation(draft, "slave" if spec.rootfs_propagation == "shared" else spec.rootfs_propagation)
    gather(draft, sources, filling.root, filling.settled)
    nulls = covers.masks(draft)
    stage(draft, sources, filling.root, filling.settled)
    root.switch(draft, sources.root, filling.root)
    _fill(draft, sources, filling)
    covers.cover(draft, nulls)
    covers.read_only_paths(draft, filling)
    _look_at_root(draft)
    if spec.rootfs_propagation == "shared":
        _propagation(draft, "shared")
    covers.read_only_root(draft, filling)
    draft.add("restore umask", "umask", umask, phase="mounts")


def _look_at_root(draft: Draft) -> None:
    """Make sure that nothing was mounted on the root itself, by a link of the host's that leads there."""
    fd = draft.add(
        "look at root",
        "openat2",
        AT_FDCWD,
        TOP,
        _ON_ONE_MOUNT,
        OPEN_HOW_SIZE,
        phase="mounts",
        why="what is mounted on the root is not seen from it: it would be there and do nothing",
        path="/",
    )
    draft.add("close", "close", fd, phase="mounts")


def _fill(draft: Draft, sources: Sources, filling: Filling) -> None:
    grounds = Grounds(draft)
    # Opened as they are mounted: by then their path leads to them, later something may cover it.
    worked_in = {item.place.ground.operation for item in filling.settled if _unsure(item)}
    if None in worked_in:
        _open_ground(draft, grounds, "/", None)
    if isinstance(filling.root, Bind):
        _finish_bind(draft, filling.root, "/", None)
    for item in filling.settled:
        _place(draft, grounds, sources, filling, item)
        if item.number in worked_in:
            _open_ground(draft, grounds, item.place.path, item.number)
    grounds.close()


def _unsure(item: Settled) -> bool:
    return item.place.ground.ours and not item.place.ground.exact


def _place(draft: Draft, grounds: Grounds, sources: Sources, filling: Filling, item: Settled) -> None:
    """Do one operation in the new root."""
    place, path = item.place, item.place.path
    tree = sources.trees.get(item.number)
    match item.operation:
        case Bind() as bind:
            assert tree is not None
            guard = tree if bind.optional else None
            grounds.of_kind(place, tree, optional=bind.optional)
            attach(draft, tree, path, only_if=guard)
            draft.add("close", "close", tree, phase="mounts", path=path, only_if=guard)
            _finish_bind(draft, bind, path, guard)
        case Tmpfs() as tmpfs:
            grounds.directory(place)
            options = root.tmpfs_options(tmpfs)
            draft.add(
                "mount tmpfs", "mount", "tmpfs", path, "tmpfs", _MS_NOSUID_NODEV, options, phase="mounts", path=path
            )
        case Mqueue():
            grounds.directory(place)
            draft.add("mount mqueue", "mount", "mqueue", path, "mqueue", _MS_PROC, NULL, phase="mounts", path=path)
        case Dev():
            grounds.directory(place)
            furnish(draft, sources, item)
        case Proc() | Overlay():
            assert tree is not None
            grounds.directory(place)
            _put(draft, tree, path)
        case File() as file if is_bound(file):
            assert tree is not None
            grounds.file(place)
            _put(draft, tree, path)
            if file.read_only and not draft.facts.mount_setattr:
                covers.remount(draft, path, (("", 2 | 4),), 1)
        case File() as file:
            write_content(draft, grounds.way(place, mode=file.mode), file, path)
        case Dir() as directory:
            _directory(draft, grounds, item, directory.mode)
        case Symlink() as link:
            _link(draft, grounds, item, link.target)
        case Chmod() as chmod:
            _chmod(draft, grounds, item, chmod.mode)
        case RemountReadOnly():
            covers.read_only_mount(draft, path, mounts_at(draft, filling, path))


def _put(draft: Draft, tree: Result, path: str) -> None:
    attach(draft, tree, path)
    draft.add("close", "close", tree, phase="mounts", path=path)


def _finish_bind(draft: Draft, bind: Bind, path: str, guard: Result | None) -> None:
    if not draft.facts.mount_setattr:
        known = dict(draft.facts.submounts).get(bind.source, (("", 0),))
        covers.remount(draft, path, known, bind_attributes(bind), only_if=guard)
    if bind.read_only:
        covers.expect_read_only(draft, path, only_if=guard)


def _open_ground(draft: Draft, grounds: Grounds, path: str, number: int | None) -> None:
    flags = Named(_O_PATH | _O_DIRECTORY | _O_CLOEXEC, "O_PATH|O_DIRECTORY|O_CLOEXEC")
    fd = draft.add("open mount", "openat", AT_FDCWD, path, flags, 0, phase="mounts", path=path)
    grounds.opened[number] = grounds.hold(fd)


def _directory(draft: Draft, grounds: Grounds, item: Settled, mode: int) -> None:
    place = item.place
    if place.missing:
        grounds.directory(place, mode)
    if place.ground.known:
        return
    # Something of the host's may be there: it will do if it is a directory.
    flags = Named(_O_PATH | _O_DIRECTORY | _O_CLOEXEC, "O_PATH|O_DIRECTORY|O_CLOEXEC")
    fd = draft.add("look for a directory", "openat", AT_FDCWD, place.path, flags, 0, phase="mounts", path=place.path)
    draft.add("close", "close", fd, phase="mounts", path=place.path)


def _link(draft: Draft, grounds: Grounds, item: Settled, target: str) -> None:
    place = item.place
    if place.node is not None and not place.node.maybe:
        return  # the same link is there already
    at, name = grounds.way(place)
    if place.ground.known:
        draft.add("make link", "symlinkat", target, at, name, phase="mounts", path=place.path)
        return
    draft.add("make link", "symlinkat", target, at, name, phase="mounts", path=place.path, tolerated=(17,))
    seen = draft.add("read link", "readlinkat", at, name, Out(_PATH_MAX), _PATH_MAX, phase="mounts", path=place.path)
    draft.expect(f"the link {place.path}", seen, target, _target)


def _target(length: int, written: bytes) -> str | None:
    return written[:length].decode("utf-8", "surrogateescape") if length >= 0 else None


def _chmod(draft: Draft, grounds: Grounds, item: Settled, mode: int) -> None:
    place, named = item.place, Named(mode, f"0{mode:o}")
    if place.ground.exact:
        draft.add("chmod", "fchmodat", AT_FDCWD, place.path, named, phase="mounts", path=place.path)
        return
    at, name = grounds.name(place)
    fd = draft.add(
        "open for chmod",
        "openat2",
        at,
        name,
        how(_O_NONBLOCK, "O_RDONLY|O_NONBLOCK"),
        OPEN_HOW_SIZE,
        phase="mounts",
        path=place.path,
    )
    draft.add("chmod", "fchmod", grounds.hold(fd), named, phase="mounts", path=place.path)


def directory(draft: Draft) -> None:
    """Go to the working directory."""
    cwd = draft.spec.cwd
    if not switches_root(draft.spec):
        if cwd is not None:
            draft.add("chdir", "chdir", cwd, phase="directory", path=cwd)
        if any(join.type == "mount" for join in draft.spec.join):
            _look_at_program(draft)
        return
    if cwd is not None:
        fd = draft.add(
            "open working directory",
            "openat2",
            AT_FDCWD,
            cwd,
            _NO_MAGIC,
            OPEN_HOW_SIZE,
            phase="directory",
            why="a path such as /proc/self/fd/7 would lead out of the root, by what this process has open",
            path=cwd,
        )
        draft.add("chdir", "fchdir", fd, phase="directory", path=cwd)
        draft.add("close", "close", fd, phase="directory", path=cwd)
    seen = draft.add("getcwd", "getcwd", Out(_PATH_MAX), _PATH_MAX, phase="directory")
    draft.expect("the working directory", seen, "one inside the root", _inside)
    _look_at_program(draft)


def _look_at_program(draft: Draft) -> None:
    """Refuse a program that is reached by a link of /proc: /proc/self/exe is the host's file, ours, opened by its
    inode (CVE-2019-5736). What else is wrong with the path is execve's to say.
    """
    for path in draft.paths:
        fd = draft.add(
            "look at the program",
            "openat2",
            AT_FDCWD,
            path,
            _NO_MAGIC_FILE,
            OPEN_HOW_SIZE,
            phase="directory",
            why="a path such as /proc/self/exe would run this program of ours, and leave it to those inside",
            path=path,
            tolerated=(errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENAMETOOLONG),
        )
        draft.add("close", "close", fd, phase="directory", path=path, only_if=fd)


def _inside(length: int, written: bytes) -> str:
    """A directory outside of the root is named "(unreachable)…", getcwd(3) (CVE-2024-21626)."""
    return "one inside the root" if written[:1] == b"/" else written[: max(length - 1, 0)].decode("utf-8", "replace")


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    yield from files_check.problems(spec, asked)


CAUSES: tuple[Cause, ...] = files_causes.CAUSES
