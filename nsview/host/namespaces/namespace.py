"""A namespace as a value: who is inside, what else keeps it alive, its parent and owner, what people call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from spawner.namespaces import BY_NAME, NamespaceKind

PID, TIME, USER, MOUNT = BY_NAME["pid"], BY_NAME["time"], BY_NAME["user"], BY_NAME["mount"]
_TOPS = {
    "pid": 0xEFFFFFFC,
    "user": 0xEFFFFFFD,
}  # PROC_PID_INIT_INO, PROC_USER_INIT_INO: include/linux/proc_ns.h


class Task(NamedTuple):
    """A thread: its process and its own number, as /proc shows them."""

    pid: int
    tid: int


class Descriptor(NamedTuple):
    """An open descriptor. ``tid`` is the pid, or that of a thread with a descriptor table of its own."""

    pid: int
    tid: int
    fd: int


class BindMount(NamedTuple):
    """A bind mount of a namespace file: in which mount namespace (inode), and where.

    ``path`` starts at the root of that mount namespace (of the reader's, as far as we see, where we could not
    enter); os.fsdecode() of what the kernel says, so printable() comes before showing it.
    """

    mount_namespace: int
    path: str


@dataclass(frozen=True, slots=True)
class Keepers:
    """What keeps a namespace alive beside the processes inside.

    ``tasks`` are threads inside whose process as a whole is not, ``awaiting_tasks`` such whose next children will be
    born in it; ``descriptors`` are open on it; ``sockets`` were made in it and belong to processes elsewhere;
    ``children`` and ``owned`` are the inodes of namespaces it is the parent or owner of.
    """

    tasks: tuple[Task, ...] = ()
    awaiting_tasks: tuple[Task, ...] = ()
    descriptors: tuple[Descriptor, ...] = ()
    sockets: tuple[Descriptor, ...] = ()
    bind_mounts: tuple[BindMount, ...] = ()
    children: tuple[int, ...] = ()
    owned: tuple[int, ...] = ()


NO_KEEPERS = Keepers()


@dataclass(frozen=True, slots=True)
class Namespace:
    """One namespace.

    ``members`` are the pids of its processes, ``awaited_by`` those of processes whose next children will be
    born in it (pid and time namespaces). ``leader`` is the topmost process in the tree, the oldest where
    there are several; None when no process is inside. ``parent`` (pid and user namespaces) and ``owner``
    (its user namespace) are inodes; ``owner_uid`` is who made a user namespace, or the owner of another
    kind's. ``id`` is the kernel's number for it, which is never used again (the inode is), ``depth`` how many
    ancestors of its kind we see above it, ``name`` what people call it. None is unknown: unreadable, outside our own
    namespaces, or for ``parent`` the initial one, for ``depth`` a kind without parents.
    """

    kind: NamespaceKind
    inode: int
    members: tuple[int, ...]
    leader: int | None = None
    leader_start_time: int | None = None
    awaited_by: tuple[int, ...] = ()
    parent: int | None = None
    owner: int | None = None
    owner_uid: int | None = None
    id: int | None = None
    keepers: Keepers = field(default=NO_KEEPERS)
    depth: int | None = None
    name: str | None = None

    @property
    def has_parents(self) -> bool:
        """True for the kinds that form a hierarchy: pid and user namespaces."""
        return self.kind in (PID, USER)

    @property
    def is_top(self) -> bool:
        """True for the initial pid and user namespace, which have no parent: their inodes are fixed."""
        return self.inode == _TOPS.get(self.kind.name)

    @property
    def held_by(self) -> tuple[str, ...]:
        """What keeps it alive, in the words of WAYS."""
        return tuple(way.word for way in WAYS if way.found(self))

    @property
    def is_hidden(self) -> bool:
        """True when nothing leads to it but the namespaces it is the parent or owner of."""
        return not any(way.found(self) for way in WAYS if way.leads)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to keep a namespace alive: a word, a sentence, what of it there is, and if it can be opened by it."""

    word: str
    meaning: str
    found: Callable[[Namespace], tuple[object, ...]]
    leads: bool = True


WAYS: tuple[Way, ...] = (
    Way("proc", "processes are in it", lambda ns: ns.members),
    Way("task", "single threads are in it", lambda ns: ns.keepers.tasks),
    Way("next", "next children will be born in it", lambda ns: ns.awaited_by + ns.keepers.awaiting_tasks),
    Way("fd", "open descriptors of it", lambda ns: ns.keepers.descriptors),
    Way("sock", "sockets made in it, of processes elsewhere", lambda ns: ns.keepers.sockets),
    Way("mount", "bind mounts of it", lambda ns: ns.keepers.bind_mounts),
    Way("child", "it is the parent of others", lambda ns: ns.keepers.children, leads=False),
    Way("owns", "it is the user namespace that owns others", lambda ns: ns.keepers.owned, leads=False),
)
