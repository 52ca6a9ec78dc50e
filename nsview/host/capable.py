"""Which capabilities a process has in a given namespace: the rules of user_namespaces(7), asked of the kernel."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum

from nsview.host.attribute import Attribute
from nsview.host.capabilities import NAMES, change, words
from nsview.host.process import ORDINARY, PinnedProcess
from spawner.namespaces import KINDS

_NS_GET_USERNS = 0xB701
_NS_GET_PARENT = 0xB702
_NS_GET_NSTYPE = 0xB703
_NS_GET_OWNER_UID = 0xB704
"""linux/nsfs.h; ioctl_nsfs(2)."""
_CLONE_NEWUSER = 0x10000000
_INITIAL = 0xEFFFFFFD
"""PROC_USER_INIT_INO, include/linux/proc_ns.h: the initial user namespace, which has no parent."""
_WHOLE_MAP = b"0 0 4294967295"


class Rule(Enum):
    """Which rule of the kernel decides (security/commoncap.c: cap_capable())."""

    INSIDE = "it is in the user namespace that owns it: its effective set counts"
    ABOVE = "it is in a user namespace above the one that owns it: its effective set counts there too"
    OWNER = "its user owns that user namespace, or one above it, from the parent: all capabilities"
    NOT_BELOW = "that user namespace is neither its own nor below its own: none"
    UNKNOWN = "cannot be told: a user namespace on the way cannot be seen from here"


@dataclass(frozen=True, slots=True)
class Capable:
    """The capabilities of a process in a namespace, as a bit mask (None: unknown), and the rule that decided."""

    mask: int | None
    rule: Rule


@dataclass(frozen=True, slots=True)
class UserNamespace:
    """A user namespace on the way up: its inode, and the uid that owns it, None where that cannot be told.

    The uid is as the reader's user namespace sees it.
    """

    inode: int
    owner_uid: int | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """A user namespace and those above it, the nearest first; ``complete`` when the last is the initial one."""

    chain: tuple[UserNamespace, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Credentials:
    """What of a process the rules look at; ``euid`` is as the reader's user namespace sees it, ``effective``
    a bit mask. None is unknown.
    """

    lineage: Lineage | None
    euid: int | None
    effective: int | None


def capabilities_in(process: PinnedProcess, namespace: int) -> Capable:
    """Say which capabilities the main thread of ``process`` has in the namespace open at fd ``namespace``.

    What counts is the user namespace that owns it (a user namespace: itself). LSMs may still refuse. The
    process's own restrictions of another kind, such as seccomp, are not part of the answer.
    """
    return capable(credentials_of(process), owner_of(namespace), last_capability())


def capable(credentials: Credentials, owner: Lineage | None, last: int) -> Capable:
    """Decide by the kernel's rules; ``owner`` is the lineage of the owning user namespace. Pure.

    They are walked as cap_capable() walks them: up from the owner until the process's own user namespace is
    met, or a user namespace that the process's user owns and whose parent is the process's own.
    """
    if owner is None or credentials.lineage is None:
        return Capable(None, Rule.UNKNOWN)
    own = credentials.lineage.chain[0].inode
    every = (1 << last + 1) - 1
    for at, level in enumerate(owner.chain):
        if level.inode == own:
            rule = Rule.UNKNOWN if credentials.effective is None else Rule.ABOVE if at else Rule.INSIDE
            return Capable(credentials.effective, rule)
        parent = owner.chain[at + 1].inode if at + 1 < len(owner.chain) else None
        if parent == own:
            if level.owner_uid is None or credentials.euid is None:
                # Its set still counts one level up; the owner's rule can only add to that.
                full = credentials.effective == every
                return Capable(every, Rule.ABOVE) if full else Capable(None, Rule.UNKNOWN)
            if level.owner_uid == credentials.euid:
                return Capable(every, Rule.OWNER)
    top = owner.chain[-1].inode
    # Beyond the last we see there may be more. If that is above the process's own, its own is not further up.
    if owner.complete or top in (level.inode for level in credentials.lineage.chain[1:]):
        return Capable(0, Rule.NOT_BELOW)
    return Capable(None, Rule.UNKNOWN)


def last_capability() -> int:
    """Return the number of the newest capability the kernel has (/proc/sys/kernel/cap_last_cap)."""
    try:
        with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
            return int(file.read())
    except (FileNotFoundError, PermissionError):
        return len(NAMES) - 1


def credentials_of(process: PinnedProcess) -> Credentials:
    """Read what the rules look at; its parts are None where we may not look, or it is gone."""
    status = process.status() or {}
    uids, effective = status.get("Uid", "").split(), status.get("CapEff")
    fd = process.open("ns/user")
    lineage = None if fd is None else _lineage(fd)
    euid = int(uids[1]) if uids else None
    return Credentials(
        lineage,
        None if euid is None or _is_ambiguous(euid) else euid,
        None if effective is None else int(effective, 16),
    )


def owner_of(namespace: int) -> Lineage | None:
    """Return the lineage of the user namespace that owns the namespace open at fd; None when out of sight.

    ``namespace`` stays the caller's. Raises OSError (ENOTTY) when it is no namespace.
    """
    kind = fcntl.ioctl(namespace, _NS_GET_NSTYPE)
    if kind == _CLONE_NEWUSER:
        return _lineage(os.dup(namespace))
    owner = _related(namespace, _NS_GET_USERNS)
    return None if owner is None else _lineage(owner)


def _lineage(fd: int) -> Lineage:
    """Walk up from the user namespace open at ``fd``, which is closed."""
    chain: list[UserNamespace] = []
    with ExitStack() as opened:
        opened.callback(os.close, fd)
        at: int | None = fd
        while at is not None:
            chain.append(UserNamespace(os.fstat(at).st_ino, _owner_uid(at)))
            at = _related(at, _NS_GET_PARENT)
            if at is not None:
                opened.callback(os.close, at)
    return Lineage(tuple(chain), chain[-1].inode == _INITIAL)


def _related(fd: int, request: int) -> int | None:
    """Return a descriptor of the parent or owner; None at the top, and where it is out of our sight (EPERM)."""
    try:
        related: int = fcntl.ioctl(fd, request)
    except OSError as error:
        if error.errno in ORDINARY:
            return None
        raise
    return related


def _owner_uid(fd: int) -> int | None:
    try:
        uid: int = struct.unpack("=I", fcntl.ioctl(fd, _NS_GET_OWNER_UID, bytes(4)))[0]
    except OSError as error:
        if error.errno in ORDINARY or error.errno == errno.EINVAL:
            return None
        raise
    return None if _is_ambiguous(uid) else uid


def _is_ambiguous(uid: int) -> bool:
    """True where the number may stand for any uid that our user namespace does not map (from_kuid_munged())."""
    return uid == _overflow_uid() and not _maps_all()


def _overflow_uid() -> int:
    try:
        with open("/proc/sys/kernel/overflowuid", "rb") as file:
            return int(file.read())
    except (FileNotFoundError, PermissionError):
        return 65534


def _maps_all() -> bool:
    try:
        with open("/proc/thread-self/uid_map", "rb") as file:
            return b" ".join(file.read().split()) == _WHOLE_MAP
    except (FileNotFoundError, PermissionError):
        return False


Own = Mapping[str, Capable]
"""What a process may do in its own namespaces, by the name of the link in /proc/PID/ns."""

_LINKS = tuple(kind.proc for kind in KINDS)


def over_own_namespaces(process: PinnedProcess) -> Own:
    """Say for each of its namespaces what it may do there: a network that its host owns grants it nothing."""
    credentials, last = credentials_of(process), last_capability()
    found: dict[str, Capable] = {}
    for link in _LINKS:
        fd = process.open(f"ns/{link}")
        if fd is None:
            found[link] = Capable(None, Rule.UNKNOWN)
            continue
        try:
            found[link] = capable(credentials, owner_of(fd), last)
        finally:
            os.close(fd)
    return found


def _attribute(link: str) -> Attribute[Own]:
    def delta(one: Own, two: Own) -> str | None:
        before, after = one[link].mask, two[link].mask
        return None if before is None or after is None else change(before, after)

    return Attribute(
        f"in its {link}",
        lambda own: words(own[link].mask, last_capability()),
        f"/proc/PID/status CapEff and ioctl(/proc/PID/ns/{link}, NS_GET_USERNS)",
        "each may do the same to its own",
        "capabilities count in what their user namespace owns, and in what is below it",
        delta,
        value=lambda own: own[link].mask,
    )


ATTRIBUTES: tuple[Attribute[Own], ...] = tuple(_attribute(link) for link in _LINKS)
