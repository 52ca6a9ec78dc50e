"""The full search: every namespace that a process, thread, descriptor, socket, mount or other namespace keeps alive.

A table of steps, each a way to find namespaces. What a step finds is asked for its parent and owner at once, while it
is open, so no step needs to know of another; mount namespaces found by any of them are looked into by the last.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial

from nsview.host.content.entered import NotEnteredError
from nsview.host.namespaces import holders
from nsview.host.namespaces.binds import Mounted, in_mount_namespace, seen_by
from nsview.host.namespaces.holders import Holder, How, Looked
from nsview.host.namespaces.membership import members_of, open_by_process, open_checked
from nsview.host.namespaces.names import named
from nsview.host.namespaces.namespace import MOUNT, BindMount, Descriptor, Keepers, Namespace, Task
from nsview.host.namespaces.relations import Relations, explore, related
from nsview.host.namespaces.sockets import network_of_socket
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import ProcessRecord, Snapshot, take
from nsview.host.tree import ProcessTree
from spawner.namespaces import NamespaceKind


@dataclass(frozen=True, slots=True)
class StepReport:
    """How far one step came.

    ``looked`` of ``what`` were looked at; ``unread`` of them could not be looked into, so namespaces that only they
    hold are missing. ``errno`` is an answer of the kernel that is neither "gone" nor "not allowed", else 0.
    """

    name: str
    what: str
    looked: int
    unread: int
    took_ns: int = 0
    errno: int = 0


@dataclass(frozen=True, slots=True)
class Discovery:
    """All namespaces found, by inode in KINDS order, and how complete the search was."""

    namespaces: dict[int, Namespace]
    steps: tuple[StepReport, ...]

    @property
    def is_complete(self) -> bool:
        """True when nothing refused to be looked into."""
        return not any(step.unread or step.errno for step in self.steps)


def discover(snapshot: Snapshot | None = None, tree: ProcessTree | None = None) -> dict[int, Namespace]:
    """Return every namespace that can be found, by inode on the nsfs device, in KINDS order and then by inode."""
    return search(snapshot, tree).namespaces


def search(
    snapshot: Snapshot | None = None, tree: ProcessTree | None = None, without: Collection[str] = ()
) -> Discovery:
    """Do all steps of STEPS but those named in ``without``.

    It needs no privilege; without, much is unread (lsns(8) and lxkns say nothing of it, we count). What vanishes
    meanwhile is left out.
    """
    snapshot = snapshot or take()
    hunt = Search(snapshot, tree or ProcessTree(snapshot.records))
    try:
        for step in STEPS:
            if step.name not in without:
                hunt.do(step)
        return hunt.result()
    finally:
        hunt.close()


@dataclass(slots=True)
class _Found:
    """What a namespace is kept by, while it is collected."""

    kind: NamespaceKind
    tasks: list[Task] = field(default_factory=list)
    awaiting_tasks: list[Task] = field(default_factory=list)
    descriptors: list[Descriptor] = field(default_factory=list)
    sockets: list[Descriptor] = field(default_factory=list)
    bind_mounts: list[BindMount] = field(default_factory=list)

    def keepers(self) -> Keepers:
        return Keepers(
            tuple(sorted(self.tasks)),
            tuple(sorted(self.awaiting_tasks)),
            tuple(sorted(self.descriptors)),
            tuple(sorted(self.sockets)),
            tuple(sorted(self.bind_mounts)),
        )


class Search:
    """One search under way: what is found, and the descriptors of mount namespaces that are yet to be visited."""

    def __init__(self, snapshot: Snapshot, tree: ProcessTree) -> None:
        """Begin with nothing found."""
        self.snapshot = snapshot
        self.tree = tree
        self.members: dict[int, Namespace] = {}
        self.found: dict[int, _Found] = {}
        self.relations: dict[int, Relations] = {}
        self.reports: list[StepReport] = []
        self.held: dict[int, int] = {}
        """Descriptors of mount namespaces in which no process is, by inode."""
        self.tables: list[tuple[ProcessRecord, int]] = []
        """Threads with a descriptor table of their own."""

    def close(self) -> None:
        """Close what is open."""
        while self.held:
            os.close(self.held.popitem()[1])

    def do(self, step: Step) -> None:
        """Do a step and note how far it came."""
        began = time.monotonic_ns()
        reports = list(step.act(self))
        took = time.monotonic_ns() - began
        self.reports += [replace(report, took_ns=took) for report in reports[:1]] + reports[1:]

    def meet(self, kind: NamespaceKind, inode: int, opener: Callable[[], int | None]) -> _Found:
        """Note a namespace and ask for its relations, unless that is done; ``opener`` opens it."""
        found = self.found.get(inode)
        if found is None:
            found = self.found[inode] = _Found(kind)
        unvisited = kind is MOUNT and inode not in self.members and inode not in self.held
        if (unvisited or inode not in self.relations) and (fd := opener()) is not None:
            explore(fd, self.relations)
            if unvisited:
                self.held[inode] = fd
            else:
                os.close(fd)
        return found

    def result(self) -> Discovery:
        """Join what was found."""
        every = [
            replace(
                self.members.get(inode) or Namespace(found.kind, inode, ()),
                keepers=found.keepers(),
            )
            for inode, found in self.found.items()
        ]
        namespaces = related(every, self.relations)
        unread = sum(inode not in self.relations for inode in namespaces)
        self.reports.append(StepReport("relations", "namespaces", len(namespaces), unread))
        return Discovery(named(namespaces, self.snapshot.records), tuple(self.reports))


# ---- the steps ---------------------------------------------------------------------------------------------------


def _processes(search: Search) -> Iterable[StepReport]:
    records = search.snapshot.records.values()
    search.members = members_of(search.snapshot, search.tree)
    for namespace in search.members.values():
        search.meet(namespace.kind, namespace.inode, partial(open_by_process, namespace, search.snapshot))
    unread = sum(not any(record.ns) and not record.is_zombie and not record.is_exiting for record in records)
    yield StepReport("processes", "processes", len(records), unread)


def _tasks(search: Search) -> Iterable[StepReport]:
    several = [record for record in search.snapshot.records.values() if record.threads > 1]
    rows, looked = holders.of_tasks(several)
    _note(search, rows)
    yield _of_processes("tasks", looked)


def _descriptors(search: Search) -> Iterable[StepReport]:
    records = [one for one in search.snapshot.records.values() if not one.is_kernel_thread and not one.is_zombie]
    rows, looked = holders.of_descriptors(records, search.tables, sockets=True)
    own, ours = os.getpid(), frozenset(search.held.values())
    _note(search, (row for row in rows if row.pid != own or row.fd not in ours))
    yield _of_processes("descriptors", looked)
    yield StepReport("sockets", "sockets", looked.sockets, looked.sockets_refused)


def _mounts(search: Search) -> Iterable[StepReport]:
    visited: set[int] = set()
    unread = 0
    while new := [inode for inode, found in search.found.items() if found.kind is MOUNT and inode not in visited]:
        for inode in new:
            visited.add(inode)
            mounted = _mounted_in(search, inode)
            unread += mounted is None
            for mount in mounted or ():
                found = search.meet(mount.kind, mount.inode, lambda mount=mount: _duplicate(mount.fd))  # type: ignore[misc]
                found.bind_mounts.append(BindMount(inode, mount.path))
                if mount.fd is not None:
                    os.close(mount.fd)
    yield StepReport("mounts", "mount namespaces", len(visited), unread)


@dataclass(frozen=True, slots=True)
class Step:
    """A way to find namespaces: its name, what it looks at, and the function that does it."""

    name: str
    meaning: str
    act: Callable[[Search], Iterable[StepReport]]


STEPS: tuple[Step, ...] = (
    Step("processes", "the namespaces processes are in, and those their next children will be born in", _processes),
    Step("tasks", "the same of single threads, where a process has several", _tasks),
    Step("descriptors", "open descriptors of namespaces, and sockets made in another network namespace", _descriptors),
    Step("mounts", "bind mounts of namespaces in every mount namespace, until nothing new is found", _mounts),
)
"""In this order: a step may use what the steps before it found."""


# ---- pieces ------------------------------------------------------------------------------------------------------


def _of_processes(name: str, looked: Looked) -> StepReport:
    return StepReport(name, "processes", looked.processes, looked.refused, errno=looked.errno)


def _note(search: Search, rows: Iterable[Holder]) -> None:
    for row in rows:
        record = search.snapshot.records[row.pid]
        if row.how is How.OWN_TABLE:
            search.tables.append((record, row.tid))
            continue
        found = search.meet(row.kind, row.inode, partial(_open_holder, row, record.start_time))
        if row.how is How.TASK:
            found.tasks.append(Task(row.pid, row.tid))
        elif row.how is How.AWAITING_TASK:
            found.awaiting_tasks.append(Task(row.pid, row.tid))
        else:
            where = found.descriptors if row.how is How.DESCRIPTOR else found.sockets
            where.append(Descriptor(row.pid, row.tid, row.fd))


def _open_holder(row: Holder, start_time: int) -> int | None:
    task = f"task/{row.tid}"
    if row.how is How.SOCKET:
        return network_of_socket(row.pid, row.tid, start_time, row.fd, row.inode)
    link = {
        How.DESCRIPTOR: f"{task}/fd/{row.fd}",
        How.TASK: f"{task}/ns/{row.kind.proc}",
        How.AWAITING_TASK: f"{task}/ns/{row.kind.proc}_for_children",
    }[row.how]
    return open_checked(row.pid, start_time, link, row.inode)


def _mounted_in(search: Search, inode: int) -> list[Mounted] | None:
    """Return the bind mounts in a mount namespace, None when we cannot look into it."""
    namespace = search.members.get(inode)

    def wanted(other: int) -> bool:
        found = search.found.get(other)
        is_new_mount = found is None or (found.kind is MOUNT and other not in search.members)
        return other not in search.relations or (is_new_mount and other not in search.held)

    with ExitStack() as opened:
        fd = search.held.get(inode)
        if fd is None and namespace is not None and (fd := open_by_process(namespace, search.snapshot)) is not None:
            opened.callback(os.close, fd)
        if fd is not None:
            with suppress(NotEnteredError):
                return in_mount_namespace(fd, wanted, dwells=False)
        for pid in namespace.members if namespace else ():
            with suppress(ProcessGoneError):
                with PinnedProcess(pid, search.snapshot.records[pid].start_time) as process:
                    if (mounted := seen_by(process, wanted)) is not None:
                        return mounted
        if fd is not None:
            with suppress(NotEnteredError):
                return in_mount_namespace(fd, wanted)
    return None


def _duplicate(fd: int | None) -> int | None:
    return None if fd is None else os.dup(fd)
