"""New namespaces that outlive the child: the parent binds them to files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from spawner import _native, procfs
from spawner.cause import Cause
from spawner.draft import Draft
from spawner.errors import LaunchError, Problem
from spawner.namespaces import BY_NAME
from spawner.plan import Held, Undo
from spawner.spec import Spec

_MS_BIND = 0x1000
_MNT_DETACH = 2


def keep(draft: Draft) -> None:
    """Let the parent mount new namespaces where they outlive the child, once all is set up in them."""
    for each in draft.spec.keep:
        keeping = Keeping(each.type, each.path)
        draft.act(f"keep {each.type}", str(keeping), keeping, phase="keep", path=each.path, lasting=True)


@dataclass(frozen=True, slots=True)
class Keeping:
    """One namespace of a child, to be bound to ``path``: a file, made where it is missing."""

    kind: str
    path: str

    @property
    def link(self) -> str:
        """The file in /proc/PID/ns. A new time namespace is its maker's children's until the maker's execve."""
        return "time_for_children" if self.kind == "time" else BY_NAME[self.kind].proc

    def __str__(self) -> str:
        return f"mount its ns/{self.link} on {self.path}"

    def __call__(self, held: Held) -> Undo:
        """Mount, look whether it is there, and answer what takes it away again. Raises OSError or LaunchError."""
        path = os.path.abspath(self.path)
        source = f"/proc/{procfs.number(held.pidfd)}/ns/{self.link}"
        made = _make(path)
        try:
            _call("mount", source.encode(), os.fsencode(path), 0, _MS_BIND, 0)
        except OSError:
            if made:
                os.unlink(path)
            raise

        def undo() -> None:
            with suppress(FileNotFoundError):  # somebody was faster
                _call("umount2", os.fsencode(path), _MNT_DETACH)
                if made:
                    os.unlink(path)

        wanted = procfs.parse_link(os.readlink(source))
        found = os.stat(path).st_ino
        if found != wanted:
            undo()
            raise LaunchError(f"keep {self.kind}", path=path, cause=f"{found} is there, and not {wanted}")
        return undo


def _make(path: str) -> bool:
    """Make the file; False where there is one."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
    except FileExistsError:
        return False
    return True


def _call(name: str, *arguments: bytes | int) -> None:
    words = [word + b"\0" if isinstance(word, bytes) else word for word in arguments]
    _native.call(_native.SYSCALLS[name], *words)


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with the namespaces to keep."""
    paths = [each.path for each in spec.keep]
    for each in spec.keep:
        if each.type not in BY_NAME:
            yield Problem(f"unknown namespace {each.type!r} to keep", f"the kinds are {', '.join(BY_NAME)}")
        elif each.type not in asked:
            yield Problem(
                f"no new {each.type} namespace is made that could be kept",
                f"add one (-{BY_NAME[each.type].letter})",
            )
        if not each.path or "\0" in each.path:
            yield Problem(f"{each.path!r} is no path to keep a namespace at", "name a file")
        elif _is_directory(each.path):
            yield Problem(f"{each.path} is a directory, and a namespace is mounted on a file", "name a file")
    for path in sorted(path for path in set(paths) if paths.count(path) > 1):
        yield Problem(f"two namespaces to keep at {path}", "give each a file of its own")


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:  # whatever it is, making the file will say so
        return False


_KEEPS = tuple(f"keep {name}" for name in BY_NAME)

CAUSES: tuple[Cause, ...] = (
    Cause(
        _KEEPS,
        errno.EPERM,
        "keeping a namespace takes a mount, and that CAP_SYS_ADMIN in the user namespace of our mounts",
        "run as root",
    ),
    Cause(
        ("keep mount",),
        errno.EINVAL,
        "a mount namespace can be bound only where the mount does not propagate (into the new namespace, too), and "
        "not from inside itself or a younger one (mnt_ns_loop(); since Linux 6.18 age is counted for each processor, "
        "so from a mount namespace that is not the machine's first it is refused by chance)",
        "keep it below a private mount (mount --bind DIR DIR; mount --make-private DIR), launch from the first mount "
        "namespace or pinned to one processor",
    ),
    Cause(_KEEPS, errno.EINVAL, "nothing can be mounted there", "name a file of this mount namespace"),
    Cause(_KEEPS, errno.ENOENT, "there is no such directory to make the file in", "make it first"),
    Cause(_KEEPS, errno.ENOTDIR, "a part of the path is no directory", "check the path"),
    Cause(_KEEPS, errno.EACCES, "the file cannot be made there, or the child not be looked into", "run as root"),
    Cause(_KEEPS, errno.EROFS, "the file cannot be made on a read-only file system", "choose another place"),
    Cause(_KEEPS, errno.ENOSPC, "no room for a file or a mount (fs.mount-max)", "choose another place"),
)
