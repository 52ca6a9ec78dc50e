"""Mounts made by a child in a mount namespace of its own, and what its own path lookups say of them."""

from __future__ import annotations

import ctypes
import errno
import os
import random
import re

from children import call

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_BIND, MS_REC = 1, 1 << 12, 1 << 14
MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20

_ESCAPED = re.compile(rb"\\([0-7]{3})")


def mount(source: str | bytes, target: str | bytes, kind: str | None = None, flags: int = 0, data: str = "") -> None:
    """mount(2); OSError when it fails."""
    call(
        "mount",
        ctypes.c_char_p(os.fsencode(source)),
        ctypes.c_char_p(os.fsencode(target)),
        None if kind is None else ctypes.c_char_p(kind.encode()),
        ctypes.c_ulong(flags),
        ctypes.c_char_p(data.encode()),
    )


def private() -> str:
    """Move this process to a mount namespace of its own from which nothing spreads; return a directory to mount in.

    The directory is on a tmpfs over /mnt, so that nothing is left on the machine.
    """
    call("unshare", CLONE_NEWNS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("place", "/mnt", "tmpfs")
    return "/mnt"


def lookups(proc: int | None = None) -> dict[int, int]:
    """For each mount id of this process's mountinfo: the id of the mount that its mount point leads to, really.

    Read here in another way than by the code under test: open(2) walks the path, fdinfo names the mount. ``proc`` is
    a descriptor of /proc, for one whose root has none.
    """
    proc = os.open("/proc", os.O_PATH) if proc is None else proc
    led = {}
    for line in _read("self/mountinfo", proc).split(b"\n")[:-1]:
        words = line.split(b" ")
        point = _ESCAPED.sub(lambda escape: bytes((int(escape[1], 8),)), words[4])
        led[int(words[0])] = mount_id_of(point, proc)
    return led


def mount_id_of(path: str | bytes, proc: int) -> int:
    """The mount that a path leads to; 0 where it leads nowhere: what hides the mount point need not have it."""
    try:
        fd = os.open(path, os.O_PATH)
    except FileNotFoundError:
        return 0
    try:
        text = _read(f"self/fdinfo/{fd}", proc)
    finally:
        os.close(fd)
    return int(text.partition(b"mnt_id:")[2].split()[0])


def _read(name: str, directory: int) -> bytes:
    with open(os.open(name, os.O_RDONLY, dir_fd=directory), "rb") as file:
        return file.read()


def tangle(seed: int, mounts: int = 40) -> str:
    """Mount at random: new, bound, on one another, above and below, with all kinds of propagation."""
    dice = random.Random(seed)
    place = private()
    names = ("a", "b", "a b", "line\nbreak", "re\rturn", "\\040", "é\udcff", "#x")
    for number in range(mounts):
        depth = dice.randrange(4)
        path = os.path.join(place, *(dice.choice(names[:4] if depth > 2 else names) for _ in range(depth)))
        try:
            os.makedirs(path, exist_ok=True)
            if dice.random() < 0.4:
                source = dice.choice([directory for directory, _, _ in os.walk(place)][:20])
                mount(source, path, None, MS_BIND | (MS_REC if dice.random() < 0.3 else 0))
            else:
                mount(
                    dice.choice(("", f"t{number}", "s \t#\\")), path, "tmpfs", MS_RDONLY if dice.random() < 0.1 else 0
                )
            if dice.random() < 0.4:
                mount("none", path, None, dice.choice((MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE)))
        except OSError as error:
            if error.errno not in _IN_A_TANGLE:
                raise
    return place


_IN_A_TANGLE = (errno.EROFS, errno.EINVAL, errno.ENOENT)
"""Below a mount that is read-only; of an unbindable mount; a path that the last mount has hidden."""
