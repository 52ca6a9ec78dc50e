"""The person who invoked us, and files that are that person's.

Under sudo(8) that is not root. The files are then read and written with the invoking user's own rights, so that
whatever that user has put in the way (a symbolic link, a home on NFS) is met as the user would meet it.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TOLD_BY = ("SUDO_UID", "PKEXEC_UID")
_GET_PDEATHSIG, _SET_PDEATHSIG, _GET_DUMPABLE, _SET_DUMPABLE = 2, 1, 3, 4  # prctl(2)
_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class Invoker:
    """The person who runs nsview; under sudo(8) who called sudo."""

    uid: int
    gid: int
    home: Path


def invoker(environ: Mapping[str, str] = os.environ) -> Invoker:
    """Who invoked us: who sudo(8) or pkexec(1) say it was where we are root, else we ourselves."""
    if os.geteuid() == 0:
        for name in _TOLD_BY:
            told = environ.get(name, "")
            if told.isascii() and told.isdigit() and int(told) and (found := _entry(int(told))) is not None:
                return Invoker(found.pw_uid, found.pw_gid, Path(found.pw_dir))
    own = _entry(os.geteuid())
    home = environ.get("HOME", "") or (own.pw_dir if own is not None else "/")
    return Invoker(os.geteuid(), os.getegid(), Path(home))


def _entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


@contextmanager
def as_invoker(environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Let this thread's file accesses, and no other thread's, be the invoking user's (setfsuid(2)).

    What is created meanwhile is owned by that user. Root's capabilities over files are off (capabilities(7), "Effect
    of user ID changes").
    """
    person = invoker(environ)
    if person.uid == os.geteuid():
        yield
        return
    # A change of the file-system ids also takes the death signal and the dumpable mark away (kernel/cred.c).
    death = ctypes.c_int()
    _libc.prctl(_GET_PDEATHSIG, ctypes.byref(death), 0, 0, 0)
    dumpable = _libc.prctl(_GET_DUMPABLE, 0, 0, 0, 0)
    group, user = _libc.setfsgid(person.gid), _libc.setfsuid(person.uid)
    try:
        yield
    finally:
        _libc.setfsuid(user)
        _libc.setfsgid(group)
        _libc.prctl(_SET_PDEATHSIG, death.value, 0, 0, 0)
        if dumpable in (0, 1):
            _libc.prctl(_SET_DUMPABLE, dumpable, 0, 0, 0)


def read(path: Path, most: int) -> bytes:
    """The last ``most`` bytes of a file, or all of it, read as the invoking user. Raises OSError."""
    with as_invoker(), open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        if (excess := os.fstat(file.fileno()).st_size - most) > 0:
            file.seek(excess)
        return file.read(most)


def write(path: Path, content: bytes, *, anew: bool = False) -> None:
    """Write a file of the invoking user's as a whole, or leave what is there; directories are made.

    ``anew``: only where there is none yet. Raises OSError (FileExistsError).
    """
    with as_invoker():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = path if anew else Path(os.path.realpath(path))  # a link stays one
        fd, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
        try:
            with open(fd, "wb") as file:
                file.write(content)
            (os.link if anew else os.replace)(draft, target)
        except BaseException:
            os.unlink(draft)
            raise
        if anew:
            os.unlink(draft)


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file of the invoking user's, in one write(2); it is made if need be. Raises OSError."""
    with as_invoker():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        try:
            os.write(fd, content)
        finally:
            os.close(fd)
