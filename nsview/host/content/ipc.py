"""What is inside an ipc namespace: System V objects, POSIX message queues, and their limits.

Sources: sysvipc(7), mq_overview(7), proc_sysvipc(5), proc_sys_kernel(5), ipc/mqueue.c.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from nsview.host.content import posix_queues
from nsview.host.content.entered import inside
from nsview.host.content.posix_queues import PosixQueue
from nsview.host.process import ORDINARY

SHM_DEST = 0o1000
"""linux/shm.h: it goes when the last process detaches."""

LIMITS = (
    *(f"kernel/{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni")),
    "kernel/shm_rmid_forced",
    *(f"fs/mqueue/{name}" for name in ("msg_default", "msg_max", "msgsize_default", "msgsize_max", "queues_max")),
)
"""Files of /proc/sys that answer for the reader's ipc namespace (ipc/ipc_sysctl.c, ipc/mq_sysctl.c)."""


@dataclass(frozen=True, slots=True)
class MessageQueue:
    """A System V message queue: ``bytes`` in ``messages``; ids of owner and creator as in our user namespace,
    None where they have none.
    """

    key: int
    id: int
    mode: int
    uid: int | None
    gid: int | None
    creator_uid: int | None
    bytes: int
    messages: int
    last_sender: int
    last_receiver: int


@dataclass(frozen=True, slots=True)
class SemaphoreSet:
    """A System V set of ``count`` semaphores."""

    key: int
    id: int
    mode: int
    uid: int | None
    gid: int | None
    creator_uid: int | None
    count: int


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """A System V segment of ``bytes``, of which ``resident`` are in memory, in use by ``attached`` mappings.

    ``removed``: it has been and goes with the last of them. ``creator`` is a pid in our pid namespace, 0 when it
    has none there.
    """

    key: int
    id: int
    mode: int
    uid: int | None
    gid: int | None
    creator_uid: int | None
    bytes: int
    attached: int
    creator: int
    resident: int
    removed: bool


@dataclass(frozen=True, slots=True)
class IpcContent:
    """Everything in one ipc namespace; None is unknown. ``limits``: the words of each file in LIMITS, by its
    name with dots.
    """

    message_queues: tuple[MessageQueue, ...] | None
    semaphores: tuple[SemaphoreSet, ...] | None
    shared_memory: tuple[SharedMemory, ...] | None
    posix_queues: tuple[PosixQueue, ...] | None
    posix_queues_unknown_because: str | None
    limits: Mapping[str, str | None]


def read_ipc(namespace: int) -> IpcContent:
    """Read all of the ipc namespace of a descriptor; NotEnteredError when we may not enter it."""
    return inside((namespace,), _read_here)


def _read_here() -> IpcContent:
    try:
        queues, why = posix_queues.read_here(), None
    except OSError as error:
        if error.errno not in posix_queues.NOT_TO_BE_HAD:
            raise
        queues, why = None, f"mqueue cannot be mounted: {error.strerror}"
    return IpcContent(
        parse_message_queues(_read("/proc/sysvipc/msg")),
        parse_semaphores(_read("/proc/sysvipc/sem")),
        parse_shared_memory(_read("/proc/sysvipc/shm")),
        queues,
        why,
        {name.replace("/", "."): _words(_read(f"/proc/sys/{name}")) for name in LIMITS},
    )


def parse_message_queues(text: bytes | None) -> tuple[MessageQueue, ...] | None:
    """Return the rows of /proc/sysvipc/msg. Pure, as are the other two."""
    return None if text is None else tuple(
        MessageQueue(
            _key(row), row["msqid"], row["perms"], row["uid"], row["gid"], row["cuid"],
            row["cbytes"], row["qnum"], row["lspid"], row["lrpid"],
        )
        for row in _rows(text)
    )  # fmt: skip


def parse_semaphores(text: bytes | None) -> tuple[SemaphoreSet, ...] | None:
    """Return the rows of /proc/sysvipc/sem."""
    return None if text is None else tuple(
        SemaphoreSet(
            _key(row), row["semid"], row["perms"], row["uid"], row["gid"], row["cuid"], row["nsems"]
        )
        for row in _rows(text)
    )  # fmt: skip


def parse_shared_memory(text: bytes | None) -> tuple[SharedMemory, ...] | None:
    """Return the rows of /proc/sysvipc/shm."""
    return None if text is None else tuple(
        SharedMemory(
            _key(row), row["shmid"], row["perms"] & 0o777, row["uid"], row["gid"], row["cuid"],
            row["size"], row["nattch"], row["cpid"], row["rss"], bool(row["perms"] & SHM_DEST),
        )
        for row in _rows(text)
    )  # fmt: skip


def _rows(text: bytes) -> list[dict[str, int]]:
    titles, *lines = text.decode("ascii").splitlines()
    names = titles.split()
    found = []
    for line in lines:
        row = dict(zip(names, line.split(), strict=True))
        found.append({name: int(word, 8 if name == "perms" else 10) for name, word in row.items()})
    return found


def _key(row: Mapping[str, int]) -> int:
    """As the unsigned number that ipcs(1) and ftok(3) show; the file has it signed."""
    return row["key"] & 0xFFFFFFFF


def _words(text: bytes | None) -> str | None:
    return None if text is None else " ".join(text.decode("ascii").split())


def _read(path: str) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in ORDINARY:
            return None
        raise
    try:
        pieces = []
        while piece := os.read(fd, 65536):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)
