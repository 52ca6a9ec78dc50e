"""The columns of namespaces: what lists show of them, filters ask, and lists are sorted by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from nsview.host.columns.column import Column
from nsview.host.columns.kinds import COUNT, FLAG, NUMBER, PIDS, TEXT, USER, WORD, Kind
from nsview.host.namespaces.namespace import WAYS, Namespace
from nsview.host.snapshot import ProcessRecord
from nsview.host.text import printable
from nsview.host.users import user_name

NONE = -1
"""A value that says: there is none (a parent of the topmost, a leader where no process is). None is unknown."""


@dataclass(frozen=True, slots=True)
class NamespaceRow:
    """A namespace, and the record of its leader where it has one."""

    namespace: Namespace
    leader: ProcessRecord | None


def rows_of(namespaces: Iterable[Namespace], records: Mapping[int, ProcessRecord]) -> list[NamespaceRow]:
    """Return a row for each."""
    return [NamespaceRow(ns, None if ns.leader is None else records[ns.leader]) for ns in namespaces]


def _or_none(kind: Kind) -> Kind:
    """The same kind with a dash for NONE, which filters find by ``none`` and ``-``."""

    def read(word: str) -> object:
        return NONE if word in ("none", "-") else kind.read(word)

    return replace(
        kind,
        takes=f"{kind.takes}, or none",
        text=lambda value: "-" if value == NONE else kind.text(value),
        read=read,
        json=lambda value: None if value == NONE else kind.json(value),
        order=lambda value: "" if kind.name == "user" and value == NONE else kind.order(value),
    )


def _has(words: tuple[str, ...], wanted: object) -> bool:
    return words == wanted if isinstance(wanted, tuple) else wanted in words


def _read_way(word: str) -> object:
    known = tuple(way.word for way in WAYS)
    if word in ("none", "-"):
        return ()
    if word in known:
        return word
    raise ValueError(f"it takes one of {', '.join(known)}, or none")


INODE = replace(NUMBER, name="inode", takes="an inode")
INODE_OR_NONE, PID_OR_NONE, USER_OR_NONE = _or_none(INODE), _or_none(NUMBER), _or_none(USER)
MEMBERS = replace(PIDS, text=lambda pids: " ".join(map(str, pids)) or "-", right=False, gives=True)
HELD = Kind(
    "ways",
    f"one of {', '.join(way.word for way in WAYS)}, or none",
    "a list of texts",
    lambda words: ",".join(words) or "-",
    _read_way,
    _has,
    list,
    ordered=False,
    gives=True,
)


def parent_of(namespace: Namespace) -> int | None:
    """Return the parent's inode, NONE where there is none to have, None where it is unknown."""
    return NONE if not namespace.has_parents or namespace.is_top else namespace.parent


def owner_of(namespace: Namespace) -> int | None:
    """Return the owning user namespace's inode; the initial user namespace has none above it."""
    return NONE if namespace.kind.name == "user" and namespace.is_top else namespace.owner


def _user(row: NamespaceRow) -> int | None:
    return NONE if row.leader is None else row.leader.uid


def _paths(row: NamespaceRow) -> str:
    return " ".join(sorted({printable(mount.path) for mount in row.namespace.keepers.bind_mounts}))


def _command(row: NamespaceRow) -> str:
    return "-" if row.leader is None else row.leader.comm


NAMESPACE_COLUMNS: tuple[Column[NamespaceRow], ...] = (
    Column("ns", "NS", INODE, lambda row: row.namespace.inode, "its inode on the nsfs device", aliases=("inode",)),
    Column("type", "TYPE", WORD, lambda row: row.namespace.kind.proc, "its type, as in /proc/PID/ns"),
    Column(
        "nprocs",
        "NPROCS",
        COUNT,
        lambda row: len(row.namespace.members),
        "how many processes are in it",
        aliases=("processes",),
    ),
    Column(
        "pid",
        "PID",
        PID_OR_NONE,
        lambda row: NONE if row.leader is None else row.leader.pid,
        "its leader: the topmost process inside, the oldest of several",
        aliases=("leader",),
    ),
    Column("user", "USER", USER_OR_NONE, _user, "the user of its leader"),
    Column("parent", "PARENT", INODE_OR_NONE, lambda row: parent_of(row.namespace), "its parent (pid and user)"),
    Column("owner", "OWNER", INODE_OR_NONE, lambda row: owner_of(row.namespace), "the user namespace that owns it"),
    Column("held", "HELD-BY", HELD, lambda row: row.namespace.held_by, "what keeps it alive", aliases=("held-by",)),
    Column(
        "name",
        "NAME",
        TEXT,
        lambda row: row.namespace.name or "-",
        "container and pod, ip-netns(8)'s name, bind mount, or its leader's name",
        main=True,
    ),
    Column("command", "COMMAND", TEXT, _command, "the name of its leader", main=True, aliases=("comm",)),
    Column("members", "PIDS", MEMBERS, lambda row: row.namespace.members, "the processes in it", aliases=("pids",)),
    Column("uid", "OWNER-UID", USER, lambda row: row.namespace.owner_uid, "who made it, or the one that owns it"),
    Column("id", "ID", NUMBER, lambda row: row.namespace.id, "the kernel's number for it, never used again"),
    Column("depth", "DEPTH", NUMBER, lambda row: row.namespace.depth, "ancestors we see above it (pid and user)"),
    Column("tasks", "TASKS", COUNT, lambda row: len(row.namespace.keepers.tasks), "single threads that are in it"),
    Column("fds", "FDS", COUNT, lambda row: len(row.namespace.keepers.descriptors), "descriptors open on it"),
    Column("sockets", "SOCKS", COUNT, lambda row: len(row.namespace.keepers.sockets), "its sockets elsewhere"),
    Column("mounts", "MOUNTS", COUNT, lambda row: len(row.namespace.keepers.bind_mounts), "bind mounts of it"),
    Column("paths", "PATHS", TEXT, _paths, "where it is bound, in any mount namespace", aliases=("path",)),
    Column("children", "CHILDREN", COUNT, lambda row: len(row.namespace.keepers.children), "those below it"),
    Column("owns", "OWNS", COUNT, lambda row: len(row.namespace.keepers.owned), "those it owns (user namespaces)"),
    Column("hidden", "HIDDEN", FLAG, lambda row: row.namespace.is_hidden, "only others lead to it"),
)


def maker_text(namespace: Namespace) -> str | None:
    """Word who made it: ``0 (root)``, the number alone where it has no name; None is unknown."""
    uid = namespace.owner_uid
    if uid is None:
        return None
    name = user_name(uid)
    return name if name == str(uid) else f"{uid} ({name})"
