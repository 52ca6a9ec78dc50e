"""Namespaces: the same that lsns finds, with the parents and owners the kernel tells."""

from __future__ import annotations

import os

import pytest
from children import call
from lsns import listed

from nsview.host.namespaces import namespaces_of
from nsview.host.snapshot import take
from spawner.namespaces import BY_NAME, KINDS

pytestmark = pytest.mark.needs("unshare", "user_namespace")


def own(name: str) -> int:
    inode = take((os.getpid(),)).records[os.getpid()].namespace(name)
    assert inode is not None
    return inode


@pytest.mark.needs("lsns")
@pytest.mark.needs("root")
def test_namespaces_are_those_of_lsns(unshared):
    """What was there before and after a look was there at the look; the rest of the machine comes and goes."""
    unshared("-mnpUuiCT", "--map-root-user", "--fork")
    unshared("--uts")
    mine, theirs, mine_later, theirs_later = found(), listed_by_lsns(), found(), listed_by_lsns()
    assert mine & mine_later <= theirs
    assert theirs & theirs_later <= mine_later


def found() -> set[tuple[int, str]]:
    return {(ns.inode, ns.kind.proc) for ns in namespaces_of(take()).values() if ns.members}


def listed_by_lsns() -> set[tuple[int, str]]:
    return {(row["ns"], row["type"]) for row in listed("NS", "TYPE", "NPROCS") if row["nprocs"]}


def test_members_are_the_processes_inside(unshared):
    pid = unshared("--user", "--map-root-user", "--uts")
    snapshot = take()
    namespace = namespaces_of(snapshot)[snapshot.records[pid].namespace("uts")]
    assert namespace.kind.name == "uts"
    assert namespace.members == (pid,)
    assert namespace.leader == pid


def test_owner_is_the_user_namespace_and_its_uid_the_creator(unshared):
    pid = unshared("--user", "--map-root-user", "--net")
    snapshot = take()
    found = namespaces_of(snapshot)
    network = found[snapshot.records[pid].namespace("network")]
    user = found[snapshot.records[pid].namespace("user")]
    assert network.owner == user.inode
    assert (user.parent, user.owner_uid) == (own("user"), os.geteuid())
    assert network.parent is None


def test_parent_of_a_pid_namespace_is_ours(unshared):
    pid = unshared("--user", "--map-root-user", "--pid", "--fork")
    snapshot = take()
    inner = namespaces_of(snapshot)[snapshot.records[pid].namespace("pid")]
    assert inner.parent == own("pid")
    assert not inner.is_top


def test_leader_is_the_topmost_of_the_members(unshared):
    pid = unshared("--user", "--map-root-user", "--uts", script="exec 3<&0; for i in 1 2; do cat <&3 & done")
    snapshot = take()
    namespace = namespaces_of(snapshot)[snapshot.records[pid].namespace("uts")]
    assert len(namespace.members) == 3
    assert namespace.leader == pid


def test_user_namespace_without_a_process_is_found_as_the_parent_of_another(forked):
    uid, gid = os.geteuid(), os.getegid()

    def enter_two() -> int:
        call("unshare", BY_NAME["user"].flag)
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        between = os.stat("/proc/self/ns/user").st_ino
        call("unshare", BY_NAME["user"].flag)
        return between

    pid, between = forked(enter_two)
    snapshot = take()
    found = namespaces_of(snapshot)
    inner = found[snapshot.records[pid].namespace("user")]
    assert inner.parent == between
    assert found[between].members == ()
    assert found[between].leader is None
    assert found[between].parent == own("user")
    assert namespaces_of(snapshot, known=found) == found


def test_namespace_only_awaited_by_the_next_children_is_found(forked):
    def unshare_time() -> None:
        call("unshare", BY_NAME["user"].flag | BY_NAME["time"].flag)

    pid, _ = forked(unshare_time)
    snapshot = take()
    awaited = namespaces_of(snapshot)[snapshot.records[pid].time_for_children]
    assert (awaited.members, awaited.awaited_by) == ((), (pid,))
    assert awaited.owner == snapshot.records[pid].namespace("user")


@pytest.mark.needs("root")
def test_what_may_not_be_read_is_unknown_not_missing(as_nobody):
    nobody, found = as_nobody(lambda: (os.getpid(), namespaces_of(take())))
    assert {ns.kind.name for ns in found.values()} == {kind.name for kind in KINDS}
    for namespace in found.values():
        assert os.getpid() not in namespace.members
    assert all(
        nobody in found[take((os.getpid(),)).records[os.getpid()].namespace(kind.name)].members for kind in KINDS
    )


def test_namespaces_leave_no_descriptor_open(unshared):
    unshared("-mnpUuiCT", "--map-root-user", "--fork")
    before = os.listdir("/proc/self/fd")
    namespaces_of(take())
    assert os.listdir("/proc/self/fd") == before
