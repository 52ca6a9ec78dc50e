"""The host and domain name of another uts namespace, read by a thread that goes there and ends."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from typing import NamedTuple

from nsview.host.process import ORDINARY, PinnedProcess
from nsview.host.text import printable
from spawner.namespaces import BY_NAME

_UTS = BY_NAME["uts"]
_libc = ctypes.CDLL(None, use_errno=True)


class UtsNames(NamedTuple):
    """What uname(2) says in one uts namespace, safe to print."""

    hostname: str
    domainname: str


def names_of(process: PinnedProcess) -> UtsNames | None:
    """Return the names as ``process`` sees them; None when we may not enter its uts namespace.

    No file shows them: /proc/sys/kernel/hostname answers for the reader. setns(2) moves one thread alone,
    and needs CAP_SYS_ADMIN in the user namespace that owns the uts namespace.
    """
    fd = process.open(f"ns/{_UTS.proc}")
    if fd is None:
        return None
    try:
        own = os.stat(f"/proc/thread-self/ns/{_UTS.proc}")
        return _names_here() if os.path.samestat(own, os.fstat(fd)) else _names_in(fd)
    finally:
        os.close(fd)


def _names_here() -> UtsNames:
    with open("/proc/sys/kernel/domainname", "rb") as file:
        domain = file.read().rstrip(b"\n")
    return UtsNames(printable(os.uname().nodename), "" if domain == b"(none)" else printable(domain))


def _names_in(namespace: int) -> UtsNames | None:
    found: list[UtsNames] = []
    failures: list[int] = []

    def visit() -> None:
        if _libc.setns(namespace, _UTS.flag):
            failures.append(ctypes.get_errno())
            return
        try:
            found.append(_names_here())
        except OSError as error:
            failures.append(error.errno or errno.EIO)

    thread = threading.Thread(target=visit, name="nsview-uts")
    thread.start()
    thread.join()
    if failures and failures[0] not in ORDINARY:
        raise OSError(failures[0], os.strerror(failures[0]), "setns(uts)")
    return found[0] if found else None
