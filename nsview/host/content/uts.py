"""The host and domain name of a uts namespace."""

from __future__ import annotations

import ctypes
import os
from typing import NamedTuple

from nsview.host.content.entered import NotEnteredError, inside, is_ours
from nsview.host.process import ORDINARY, PinnedProcess
from nsview.host.text import printable
from spawner.namespaces import BY_NAME

_UTS = BY_NAME["uts"]
_LONGEST = 64
"""__NEW_UTS_LEN: linux/utsname.h."""

_libc = ctypes.CDLL(None, use_errno=True)


class UtsNames(NamedTuple):
    """What uname(2) says in one uts namespace, safe to print."""

    hostname: str
    domainname: str


def names_in(namespace: int) -> UtsNames:
    """Return the names in the uts namespace of a descriptor; NotEnteredError when we may not enter it.

    No file shows them: /proc/sys/kernel/hostname answers for the reader.
    """
    return inside((namespace,), _names_here)


def names_of(process: PinnedProcess) -> UtsNames | None:
    """Return the names as ``process`` sees them; None when we may not enter its uts namespace."""
    fd = process.open(f"ns/{_UTS.proc}")
    if fd is None:
        return None
    try:
        # Most processes are where we are: no thread needs to go there.
        return _names_here() if is_ours(_UTS, fd) else names_in(fd)
    except NotEnteredError as error:
        if error.errno in ORDINARY:
            return None
        raise OSError(error.errno, os.strerror(error.errno), "setns(uts)") from error
    finally:
        os.close(fd)


def _names_here() -> UtsNames:
    domain = ctypes.create_string_buffer(_LONGEST + 1)
    if _libc.getdomainname(domain, len(domain)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "getdomainname")
    return UtsNames(printable(os.uname().nodename), "" if domain.value == b"(none)" else printable(domain.value))
