"""A program that goes where no thread of ours may: into a user namespace of ours, and from there into what it owns.

Who made a user namespace has every capability in it (user_namespaces(7)), but setns(2) to a namespace it owns also
takes CAP_SYS_ADMIN where the caller is: so the caller has to go there, and a thread cannot. This is how containers
of ordinary users are read by those users.
"""

from __future__ import annotations

import ctypes
import errno
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields, is_dataclass, replace
from typing import Any

from nsview.host.content.entered import NotEnteredError, dwelling, kind_of
from nsview.host.content.ipc import read_ipc
from nsview.host.content.network import read_network
from nsview.host.content.user import Extent, UserContent, outside, read_user
from nsview.host.content.uts import names_in
from nsview.host.namespaces import nsfs
from spawner.namespaces import BY_NAME

READINGS: Mapping[str, Callable[..., Any]] = {"ipc": read_ipc, "network": read_network, "uts": names_in}
"""By the OCI name of the kind: what reads the content of the namespace of a descriptor."""

_PR_SET_DUMPABLE = 4
_IDS = {"uid": "uid_map", "gid": "gid_map", "creator_uid": "uid_map"}


def read_by_owner(namespace: int) -> Any:
    """Read the content of the namespace of a descriptor from within the user namespace that owns it.

    The answer is that of READINGS, ids being those of our user namespace. NotEnteredError when we may not.
    """
    kind = kind_of(namespace)
    with ExitStack() as opened:
        owner = nsfs.related(namespace, nsfs.NS_GET_USERNS, opened)
        if owner is None or os.fstat(owner).st_ino == os.stat("/proc/self/ns/user").st_ino:
            raise NotEnteredError(kind, errno.EPERM)
        content = _visited(owner, namespace, kind.name)
        with dwelling((owner,)) as process:
            maps = read_user(process)
    return as_ours(content, maps)


def _visited(owner: int, namespace: int, reading: str) -> Any:
    fds = (owner, namespace)
    command = [sys.executable, "-P", "-m", "nsview.host.content.visitor", reading, *map(str, fds)]
    try:
        done = subprocess.run(command, pass_fds=fds, stdin=subprocess.DEVNULL, capture_output=True)
    except OSError as error:  # Python may live where this user cannot go
        raise NotEnteredError(kind_of(namespace), error.errno or errno.EIO) from None
    if done.returncode != 0:
        raise ChildProcessError(f"{reading} could not be read inside: {done.stderr.decode(errors='replace').strip()}")
    refused, answer = pickle.loads(done.stdout)
    if refused is not None:
        raise NotEnteredError(kind_of(refused), answer)
    return answer


def as_ours(value: Any, maps: UserContent) -> Any:
    """Return a content, or a tuple of its values, with our ids for those inside. Pure."""
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(as_ours(one, maps) for one in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changed = {}
    for field in fields(value):
        found = getattr(value, field.name)
        if field.name in _IDS and found is not None:
            extents: tuple[Extent, ...] = getattr(maps, _IDS[field.name]) or ()
            changed[field.name] = outside(extents, found)
        elif isinstance(found, tuple) or is_dataclass(found):
            changed[field.name] = as_ours(found, maps)
    return replace(value, **changed)


def main(words: Sequence[str]) -> int:
    """Enter the namespaces of inherited descriptors, read the last one, and write the answer for _visited()."""
    reading, *numbers = words
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # whoever has power in there is to have none over this process
    answer: tuple[int | None, Any] | None = None
    for fd in map(int, numbers):
        if libc.setns(fd, 0):
            answer = fd, ctypes.get_errno()
            break
    if answer is None:
        # To mount, even where nobody sees it, takes a mount namespace that the user namespace owns (fs/namespace.c:
        # may_mount()). Without one the reading says what is missing.
        libc.unshare(BY_NAME["mount"].flag)
        answer = None, READINGS[reading](int(numbers[-1]))
    sys.stdout.buffer.write(pickle.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
