"""A descriptor of a namespace, through whatever keeps it alive: what reading its content begins with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from nsview.host.content.entered import NotEnteredError
from nsview.host.namespaces import nsfs
from nsview.host.namespaces.binds import Mounted, in_mount_namespace, seen_by
from nsview.host.namespaces.membership import open_by_process, open_checked
from nsview.host.namespaces.namespace import Namespace
from nsview.host.namespaces.sockets import network_of_socket
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import Snapshot


class Opener:
    """Opens namespaces found by discover(), by the processes, descriptors, mounts and namespaces it told of."""

    def __init__(self, snapshot: Snapshot, found: Mapping[int, Namespace]) -> None:
        """Keep what was found, by inode, and the snapshot it was found from."""
        self._snapshot = snapshot
        self._found = found

    @contextmanager
    def opened(self, namespace: Namespace) -> Iterator[int | None]:
        """Have a namespace open; None when nothing lets us open it."""
        fd = self.open(namespace)
        try:
            yield fd
        finally:
            if fd is not None:
                os.close(fd)

    def each(self, kind_name: str) -> Iterator[int]:
        """Yield a descriptor of each namespace of a kind (OCI name) that can be opened, until the next is asked for."""
        for namespace in self._found.values():
            if namespace.kind.name == kind_name:
                with self.opened(namespace) as fd:
                    if fd is not None:
                        yield fd

    def open(self, namespace: Namespace) -> int | None:
        """Open a namespace; the descriptor, which is the caller's to close, is of that inode."""
        return self._open(namespace, frozenset())

    def _open(self, namespace: Namespace, on_the_way: frozenset[int]) -> int | None:
        """``on_the_way`` are the namespaces that are being opened for the sake of which this one is."""
        fd = open_by_process(namespace, self._snapshot)
        if fd is not None:
            return fd
        if namespace.inode in on_the_way:
            return None
        on_the_way |= {namespace.inode}
        ways = (self._by_holder(namespace), self._by_mount(namespace, on_the_way), self._by_kin(namespace, on_the_way))
        return next((fd for way in ways for fd in way if fd is not None), None)

    def _by_holder(self, namespace: Namespace) -> Iterator[int | None]:
        keepers, proc = namespace.keepers, namespace.kind.proc
        links = [(pid, f"task/{tid}/ns/{proc}") for pid, tid in keepers.tasks]
        links += [(pid, f"task/{tid}/ns/{proc}_for_children") for pid, tid in keepers.awaiting_tasks]
        links += [(pid, f"task/{tid}/fd/{fd}") for pid, tid, fd in keepers.descriptors]
        for pid, link in links:
            if record := self._snapshot.records.get(pid):
                yield open_checked(pid, record.start_time, link, namespace.inode)
        for pid, tid, fd in keepers.sockets:
            if record := self._snapshot.records.get(pid):
                yield network_of_socket(pid, tid, record.start_time, fd, namespace.inode)

    def _by_mount(self, namespace: Namespace, on_the_way: frozenset[int]) -> Iterator[int | None]:
        for inode in dict.fromkeys(mount.mount_namespace for mount in namespace.keepers.bind_mounts):
            where = self._found.get(inode)
            mounted = [] if where is None else self._mounted(where, namespace.inode, on_the_way)
            yield next((mount.fd for mount in mounted if mount.fd is not None), None)

    def _mounted(self, where: Namespace, inode: int, on_the_way: frozenset[int]) -> list[Mounted]:
        """The mounts in a mount namespace, the one of ``inode`` opened: from inside, or as a process there sees it."""
        fd = self._open(where, on_the_way)
        if fd is not None:
            try:
                return in_mount_namespace(fd, lambda other: other == inode)
            except NotEnteredError:
                pass
            finally:
                os.close(fd)
        with self.member(where) as process:
            return [] if process is None else seen_by(process, lambda other: other == inode) or []

    def _by_kin(self, namespace: Namespace, on_the_way: frozenset[int]) -> Iterator[int | None]:
        """Ask the children for their parent, and what it owns for the owner."""
        kin = [(inode, nsfs.NS_GET_PARENT) for inode in namespace.keepers.children]
        kin += [(inode, nsfs.NS_GET_USERNS) for inode in namespace.keepers.owned]
        for inode, request in kin:
            other = self._found.get(inode)
            fd = None if other is None else self._open(other, on_the_way)
            if fd is None:
                continue
            with ExitStack() as opened:
                opened.callback(os.close, fd)
                related = nsfs.related(fd, request, opened)
                if related is not None and os.fstat(related).st_ino == namespace.inode:
                    yield os.dup(related)

    @contextmanager
    def member(self, namespace: Namespace) -> Iterator[PinnedProcess | None]:
        """Have a process pinned that is in the namespace; None when there is none, or none lets itself be asked."""
        pids = [namespace.leader, *namespace.members] if namespace.leader is not None else list(namespace.members)
        with ExitStack() as pinned:
            for pid in pids:
                try:
                    process = pinned.enter_context(PinnedProcess(pid, self._snapshot.records[pid].start_time))
                except ProcessGoneError:
                    continue
                if process.namespace(namespace.kind.proc) == namespace.inode:
                    yield process
                    return
            yield None
