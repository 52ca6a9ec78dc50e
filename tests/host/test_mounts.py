"""The mounts of other processes and namespaces, held against findmnt(8) and against the path lookups of the kernel."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import mounting
import pytest
from children import call

from nsview.host.content import mounts
from nsview.host.content.entered import NotEnteredError
from nsview.host.content.mount_calls import mounts_by_call
from nsview.host.content.mount_peers import peer_groups
from nsview.host.content.mount_table import MountTable
from nsview.host.process import PinnedProcess
from nsview.host.snapshot import take

pytestmark = pytest.mark.needs("mount_namespace")


def table(pid: int) -> MountTable:
    with PinnedProcess(pid) as process:
        found = mounts.mounts_of(process)
    assert found is not None
    return found


@contextmanager
def namespace_of(pid: int) -> Iterator[int]:
    fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


SEEDS = range(int(os.environ.get("NSVIEW_MOUNT_TANGLES", "12")))


@pytest.mark.needs("root")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_mount_is_called_visible_when_its_path_leads_to_it(forked, seed):
    def act():
        mounting.tangle(seed)
        return mounting.lookups()

    pid, led = forked(act)
    found = table(pid)
    assert found.mounts.keys() == led.keys()
    assert {number for number in led if found.is_visible(number)} == {n for n, reached in led.items() if n == reached}
    assert found.covers.keys() == {n for n, reached in led.items() if n != reached}


@pytest.mark.needs("root")
@pytest.mark.parametrize("seed", SEEDS)
def test_one_in_a_chroot_has_the_view_of_its_own(forked, seed):
    def act():
        place = mounting.tangle(seed)
        jail = next(path for path in (f"{place}/a", f"{place}/b", f"{place}/a b", place) if os.path.isdir(path))
        proc = os.open("/proc", os.O_PATH)
        os.chroot(jail)
        return mounting.lookups(proc)

    pid, led = forked(act)
    found = table(pid)
    assert found.mounts.keys() == led.keys()
    assert {number for number in led if found.is_visible(number)} == {n for n, reached in led.items() if n == reached}


@pytest.mark.needs("root")
def test_a_mount_over_the_root_of_a_process_hides_nothing_from_it(forked):
    def act():
        mounting.private()
        mounting.mount("over", "/", "tmpfs")
        proc = os.open("/proc", os.O_PATH)
        return mounting.mount_id_of("/", proc), mounting.mount_id_of("/proc", proc)

    pid, (root, proc) = forked(act)
    found = table(pid)
    assert (found.root_id, found.holding("/").id, found.holding("/proc/1").id) == (root, root, proc)
    (over,) = (mount for mount in found.mounts.values() if mount.source == "over")
    assert found.covers[over.id] == root


@pytest.mark.needs("root")
def test_one_who_enters_meets_what_is_mounted_over_the_root(forked):
    def act():
        mounting.private()
        mounting.mount("over", "/", "tmpfs")

    pid, _ = forked(act)
    with namespace_of(pid) as fd:
        tables = mounts.mounts_in(fd), mounts.mounts_on_entering(fd)
    for found in tables:
        top = found.holding("/")
        assert top is not None
        assert top.source == "over"
        assert [mount.point for mount in found.visible] == ["/"]


@pytest.mark.needs("root", "findmnt")
@pytest.mark.parametrize("seed", SEEDS[:4])
def test_the_table_is_that_of_findmnt(forked, seed):
    pid, _ = forked(lambda: mounting.tangle(seed))
    command = ["findmnt", "--json", "--list", "--nofsroot", "--task", str(pid), "--output"]
    columns = "ID,PARENT,TARGET,SOURCE,FSTYPE,VFS-OPTIONS,FS-OPTIONS,PROPAGATION,FSROOT,MAJ:MIN"
    text = subprocess.check_output([*command, columns])
    rows = json.loads(text.decode("utf-8", "surrogateescape"))["filesystems"]
    mine = [
        {
            "id": mount.id,
            "parent": mount.parent,
            "target": mount.point,
            "source": mount.source or None,  # findmnt(8) tells an empty one like none
            "fstype": mount.fs_type,
            "vfs-options": ",".join(mount.options),
            "fs-options": ",".join(mount.super_options),
            "propagation": propagation_of_findmnt(mount),
            "fsroot": mount.root,
            "maj:min": "{}:{}".format(*mount.device),
        }
        for mount in table(pid).mounts.values()
    ]
    by_id = {row["id"]: row for row in rows}
    assert {row["id"]: comparable(row) for row in mine} == {number: comparable(row) for number, row in by_id.items()}


def propagation_of_findmnt(mount: mounts.Mount) -> str:
    flags = ["shared" if mount.shared is not None else "private"]
    flags += ["slave"] if mount.master is not None else []
    flags += ["unbindable"] if mount.unbindable else []
    return ",".join(flags)


def comparable(row: dict[str, object]) -> dict[str, object]:
    """findmnt(8) escapes what is not printable in its own way: those names are left to the other tests."""
    odd = any(not str(value).isprintable() or "\\" in str(value) or not str(value).isascii() for value in row.values())
    return {key: value for key, value in row.items() if not (odd and key in ("target", "fsroot", "source"))}


@pytest.mark.needs("root", "statmount")
@pytest.mark.parametrize("seed", SEEDS[:6])
def test_the_calls_and_the_text_say_the_same(forked, seed):
    pid, _ = forked(lambda: mounting.tangle(seed))
    read = table(pid)
    with namespace_of(pid) as fd:
        called = mounts_by_call(fd)
        entered = mounts.mounts_on_entering(fd)
    assert {mount.id: replace(mount, unique_id=None) for mount in called} == dict(read.mounts)
    assert dict(entered.mounts) == dict(read.mounts)
    assert len({mount.unique_id for mount in called} - {None}) == len(called)


@pytest.mark.needs("root")
def test_a_namespace_without_a_process_still_tells_its_mounts(nothing_left, forked):
    pid, place = forked(lambda: (mounting.private(), mounting.mount("kept", "/mnt", "tmpfs"))[0])
    fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    expected = {mount.point for mount in table(pid).mounts.values()}
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        found = mounts.mounts_in(fd)
        entered = mounts.mounts_on_entering(fd)
    finally:
        os.close(fd)
    for each in (found, entered):
        assert {mount.point for mount in each.mounts.values()} == expected
        assert each.holding(place).source == "kept"


@pytest.mark.needs("root")
def test_mounts_outside_of_a_chroot_are_found_in_the_namespace(forked):
    def act():
        place = mounting.private()
        os.mkdir(f"{place}/jail")
        mounting.mount("in", f"{place}/jail", "tmpfs")
        os.chroot(f"{place}/jail")

    pid, _ = forked(act)
    seen = table(pid)
    with namespace_of(pid) as fd:
        whole = mounts.mounts_in(fd)
    assert [(mount.source, mount.point) for mount in seen.mounts.values()] == [("in", "/")]
    assert [mount.point for mount in whole.mounts.values() if mount.source == "in"] == ["/mnt/jail"]
    assert len(whole.mounts) > 2


@pytest.mark.needs("root")
def test_peers_in_two_namespaces_share_a_group_and_a_slave_is_told_apart(forked):
    def share():
        place = mounting.private()
        mounting.mount("none", place, None, mounting.MS_SHARED)

    first, _ = forked(share)

    def join(flags):
        with namespace_of(first) as fd:
            call("setns", fd, mounting.CLONE_NEWNS)
        call("unshare", mounting.CLONE_NEWNS)
        mounting.mount("none", "/mnt", None, flags)
        return os.stat("/proc/self/ns/mnt").st_ino

    second, peer = forked(lambda: join(mounting.MS_SHARED))
    third, slave = forked(lambda: join(mounting.MS_SLAVE))
    own = os.stat(f"/proc/{first}/ns/mnt").st_ino
    tables = mounts.mounts_by_namespace(take(), (own, peer, slave))
    assert tables.keys() == {own, peer, slave}
    number = tables[own].holding("/mnt").shared
    group = peer_groups(tables)[number]
    assert {place.namespace for place in group.peers} == {own, peer}
    assert {place.namespace for place in group.slaves} == {slave}
    found = mounts.difference(tables[own].mounts.values(), tables[slave].mounts.values())
    assert [(change.after.point, change.what) for change in found.changed] == [("/mnt", ("shared", "master"))]
    assert second != third


def test_a_process_that_is_gone_has_unknown_mounts(forked):
    pid, _ = forked()
    with PinnedProcess(pid) as process:
        os.kill(pid, 9)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert mounts.mounts_of(process) is None  # a zombie has none


@pytest.mark.needs("root")
def test_without_privilege_the_own_mounts_are_told_and_those_of_others_refused_in_words(forked, as_nobody):
    pid, _ = forked(mounting.private)
    with namespace_of(pid) as other:

        def look():
            with namespace_of(os.getpid()) as own, PinnedProcess(os.getpid()) as process:
                seen = set(mounts.mounts_of(process).mounts) == set(mounts.mounts_in(own).mounts)
            try:
                mounts.mounts_in(other)
            except NotEnteredError as error:
                return seen, error.reason

        seen, reason = as_nobody(look)
    assert seen
    assert "CAP_SYS_ADMIN" in reason


@pytest.mark.needs("root")
def test_a_chroot_hides_the_mount_it_is_in(forked):
    def act():
        place = mounting.private()
        os.makedirs(f"{place}/jail/below")
        mounting.mount("below", f"{place}/jail/below", "tmpfs")
        os.chroot(f"{place}/jail")

    pid, _ = forked(act)
    found = table(pid)
    assert [(mount.point, mount.source) for mount in found.mounts.values()] == [("/below", "below")]
    assert found.root_id not in found.mounts
    assert [mount.parent for mount in found.tops] == [found.root_id]
    assert found.holding("/elsewhere") is None


@pytest.mark.needs("root")
def test_a_removed_mount_point_keeps_its_mount_and_says_what_became_of_its_root(forked):
    def act():
        place = mounting.private()
        os.mkdir(f"{place}/source")
        os.mkdir(f"{place}/target")
        mounting.mount(f"{place}/source", f"{place}/target", None, mounting.MS_BIND)
        os.rmdir(f"{place}/source")

    pid, _ = forked(act)
    (mount,) = (mount for mount in table(pid).mounts.values() if mount.point == "/mnt/target")
    assert mount.is_deleted
    with namespace_of(pid) as fd:
        assert mounts.mounts_in(fd).mounts[mount.id].root == mount.root
