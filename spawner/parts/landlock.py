"""Landlock: which paths may be used (landlock(7))."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from functools import lru_cache

from spawner import _native
from spawner.cause import Cause
from spawner.draft import AT_FDCWD, Draft
from spawner.errors import Problem
from spawner.plan import Named, Packed, Plan, Result
from spawner.spec import Spec

# Rights in the order of their bits (linux/landlock.h), with the version of the kernel's interface that brought each,
# and whether it is one of a file: a rule for a file that names another is EINVAL.
_RIGHTS = (
    ("EXECUTE", 1, True),
    ("WRITE_FILE", 1, True),
    ("READ_FILE", 1, True),
    ("READ_DIR", 1, False),
    ("REMOVE_DIR", 1, False),
    ("REMOVE_FILE", 1, False),
    ("MAKE_CHAR", 1, False),
    ("MAKE_DIR", 1, False),
    ("MAKE_REG", 1, False),
    ("MAKE_SOCK", 1, False),
    ("MAKE_FIFO", 1, False),
    ("MAKE_BLOCK", 1, False),
    ("MAKE_SYM", 1, False),
    ("REFER", 2, False),
    ("TRUNCATE", 3, True),
    ("IOCTL_DEV", 5, True),
)
_READ = ("EXECUTE", "READ_FILE", "READ_DIR")
_VERSION = 1
_PATH_BENEATH = Named(1, "LANDLOCK_RULE_PATH_BENEATH")
_O_PATH = Named(os.O_PATH | os.O_CLOEXEC, "O_PATH|O_CLOEXEC")
_O_PATH_DIR = Named(os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, "O_PATH|O_DIRECTORY|O_CLOEXEC")
_RESTRICT = "landlock"


@lru_cache(maxsize=1)
def version() -> int:
    """The version of the kernel's landlock; 0 where it has none or it is switched off."""
    try:
        return _native.call(_native.SYSCALLS["landlock_create_ruleset"], None, 0, _VERSION)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):  # EPERM: a seccomp filter's
            return 0
        raise


def _mask(names: frozenset[str]) -> Named:
    picked = [(1 << bit, name) for bit, (name, since, _) in enumerate(_RIGHTS) if since <= version() and name in names]
    return Named(sum(bit for bit, _ in picked), "|".join(name for _, name in picked))


_EVERY = frozenset(name for name, _, _ in _RIGHTS)
_OF_FILES = frozenset(name for name, _, of_files in _RIGHTS if of_files)


def restrict(draft: Draft) -> None:
    """Make the ruleset and put it into force."""
    wanted = draft.spec.landlock
    if wanted is None:
        return
    handled = Packed("=Q", (_mask(_EVERY),), "{handled_access_fs=every right}")
    ruleset = draft.add(
        "landlock_create_ruleset",
        "landlock_create_ruleset",
        handled,
        8,
        0,
        phase="landlock",
        why="what is handled here and allowed by no rule is forbidden",
    )
    for paths, rights in ((wanted.read, frozenset(_READ)), (wanted.write, _EVERY)):
        for path in paths:
            _rule(draft, ruleset, path, rights)
    draft.add(_RESTRICT, "landlock_restrict_self", ruleset, 0, phase="landlock")
    draft.add("close landlock ruleset", "close", ruleset, phase="landlock")
    if version() < 2:
        draft.notes.append("landlock: this kernel forbids to link or rename from one directory to another anywhere")


def _rule(draft: Draft, ruleset: Result, path: str, rights: frozenset[str]) -> None:
    """Allow ``rights`` below ``path``, which is looked up by the child in its own root: only then is it known
    whether it is a directory.
    """
    label = "landlock path"
    directory = draft.add(
        label,
        "openat",
        AT_FDCWD,
        path,
        _O_PATH_DIR,
        0,
        phase="landlock",
        path=path,
        tolerated=(errno.ENOTDIR,),
    )
    file = draft.add(label, "openat", AT_FDCWD, path, _O_PATH, 0, phase="landlock", path=path, unless=directory)
    for fd, allowed in ((directory, rights), (file, rights & _OF_FILES)):
        mask = _mask(allowed)
        draft.add(
            "landlock_add_rule",
            "landlock_add_rule",
            ruleset,
            _PATH_BENEATH,
            Packed("=Qi", (mask, fd), f"{{allowed_access={mask.text}, parent_fd=#{fd.step}}}"),
            0,
            phase="landlock",
            path=path,
            only_if=fd,
        )
        draft.add("close landlock path", "close", fd, phase="landlock", path=path, only_if=fd)


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    wanted = spec.landlock
    if wanted is None:
        return
    for path in (*wanted.read, *wanted.write):
        if not path or "\0" in path:
            yield Problem(f"{path!r} is no path for landlock", "name a file or directory")
    if spec.check and version() == 0:
        yield Problem(
            "this kernel has no landlock, or it is switched off",
            "boot with landlock in the kernel's lsm= list; see nsview doctor",
            errno.EOPNOTSUPP,
        )


def _restricted(plan: Plan, path: str | None) -> bool:
    """Whether landlock is in force and the file itself would be no obstacle."""
    if all(step.label != _RESTRICT for step in plan.steps):
        return False
    return path is None or "mount" in plan.asked or os.access(path, os.X_OK)


CAUSES: tuple[Cause, ...] = (
    Cause(
        ("execve",),
        errno.EACCES,
        "landlock forbids executing it, or the loader or interpreter it needs",
        "allow to read the directories of the program and of its libraries, such as /usr and /lib",
        _restricted,
    ),
    Cause(
        ("landlock_create_ruleset",),
        errno.EOPNOTSUPP,
        "landlock is switched off",
        "boot with landlock in the kernel's lsm= list; see nsview doctor",
    ),
    Cause(
        ("landlock_create_ruleset",),
        errno.ENOSYS,
        "this kernel, or a seccomp filter, has no landlock",
        "see nsview doctor",
    ),
    Cause(("landlock path",), errno.ENOENT, "there is no such file or directory in the child's root", "check the path"),
    Cause(("landlock path",), errno.EACCES, "a directory on the way may not be searched", "check its permissions"),
    Cause(
        ("landlock_add_rule",),
        errno.EBADFD,
        "landlock takes no files of this kind of file system",
        "name a file or directory of an ordinary one",
    ),
    Cause(
        (_RESTRICT,),
        errno.EPERM,
        "landlock needs no_new_privs or CAP_SYS_ADMIN",
        "ask for no_new_privs",
    ),
    Cause((_RESTRICT,), errno.E2BIG, "16 layers of landlock are in force already", "launch from fewer of them"),
)
