"""A namespace is opened through whatever keeps it alive, so that its content can be read with no process inside."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from children import call
from dwellers import kept, opened, shell

from nsview.host.content.opened import Opener
from nsview.host.namespaces import Namespace, discover
from nsview.host.process import PinnedProcess
from nsview.host.producer import Producer
from nsview.host.snapshot import take
from spawner.namespaces import BY_PROC

pytestmark = pytest.mark.needs("root", "unshare", "nsenter")

CLONE_NEWNET, CLONE_NEWUTS = BY_PROC["net"].flag, BY_PROC["uts"].flag


@contextmanager
def found(inode: int) -> Iterator[tuple[Namespace, Opener]]:
    """The namespace with an inode as the full search has it, and an opener."""
    snapshot = take(by=Producer.PROC)
    namespaces = discover(snapshot)
    assert inode in namespaces
    yield namespaces[inode], Opener(snapshot, namespaces)


def opens(inode: int) -> bool:
    """Whether it can be opened, and the descriptor is of that very namespace."""
    with found(inode) as (namespace, opener), opener.opened(namespace) as fd:
        return fd is not None and os.fstat(fd).st_ino == inode


@pytest.mark.parametrize("name", ["mnt", "net", "pid", "user", "uts", "ipc", "cgroup", "time"])
def test_by_a_process(nothing_left, name):
    with shell(
        "--user", "--map-root-user", "--mount", "--net", "--uts", "--ipc", "--cgroup", "--pid", "--time", "--fork"
    ) as pid:
        inode = os.stat(f"/proc/{pid}/ns/{name}").st_ino
        assert opens(inode)
        with found(inode) as (namespace, opener), opener.member(namespace) as process:
            assert process is not None
            assert process.namespace(name) == inode


@pytest.mark.parametrize("name", ["net", "uts", "ipc", "user"])
def test_by_a_descriptor(nothing_left, name):
    with kept(name, options=("--user", "--map-root-user", "--net", "--uts", "--ipc")) as fds:
        inode = os.fstat(*fds).st_ino
        assert opens(inode)
        with found(inode) as (namespace, opener), opener.member(namespace) as process:
            assert (namespace.members, process) == ((), None)


def test_by_a_bind_mount_in_another_mount_namespace(nothing_left):
    script = "mount -t tmpfs none /mnt && touch '/mnt/a b' && unshare --net='/mnt/a b' true"
    with shell("--mount", script=script) as pid:
        inode = os.stat(f"/proc/{pid}/root/mnt/a b").st_ino
        with found(inode) as (namespace, _):
            assert not namespace.members
        assert opens(inode)


def test_by_a_bind_mount_in_a_mount_namespace_that_only_a_descriptor_holds(nothing_left):
    script = "mount -t tmpfs none /mnt && touch /mnt/net && unshare --net=/mnt/net true"
    with ExitStack() as stack:
        with shell("--mount", script=script) as pid:
            inode = os.stat(f"/proc/{pid}/root/mnt/net").st_ino
            stack.enter_context(opened(pid, "mnt"))
        assert opens(inode)


def test_by_a_thread(nothing_left):
    inside, stop, inodes = threading.Event(), threading.Event(), []

    def go_elsewhere() -> None:
        call("unshare", CLONE_NEWUTS)
        inodes.append(os.stat("/proc/thread-self/ns/uts").st_ino)
        inside.set()
        stop.wait()

    thread = threading.Thread(target=go_elsewhere)
    thread.start()
    try:
        inside.wait()
        assert opens(inodes[0])
    finally:
        stop.set()
        thread.join()


def test_by_a_socket(nothing_left, forked):
    def leave_a_socket() -> int:
        call("unshare", CLONE_NEWNET)
        inode = os.stat("/proc/self/ns/net").st_ino
        kept.append(socket.socket())
        call("setns", home, CLONE_NEWNET)
        return inode

    kept: list[socket.socket] = []
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        _, inode = forked(leave_a_socket)
    finally:
        os.close(home)
    assert opens(inode)


def test_by_its_child_when_nothing_else_leads_there(nothing_left):
    # The shell leaves the first user namespace for a second: of the first only its child is left.
    with shell(
        "--user", "--map-root-user", script="exec unshare --user --map-root-user sh -c 'echo ready; read forever'"
    ) as pid:
        with PinnedProcess(pid) as process:
            inode = process.namespace("user")
        namespaces = discover(take(by=Producer.PROC))
        parent = namespaces[inode].parent
        assert not namespaces[parent].members
        assert opens(parent)


def test_each_of_a_kind_is_opened_one_at_a_time(nothing_left):
    with shell("--net") as one, shell("--net") as two:
        inodes = {os.stat(f"/proc/{pid}/ns/net").st_ino for pid in (one, two, "self")}
        snapshot = take(by=Producer.PROC)
        opener = Opener(snapshot, discover(snapshot))
        seen = [os.fstat(fd).st_ino for fd in opener.each("network")]
        assert inodes <= set(seen)
        assert len(seen) == len(set(seen))
