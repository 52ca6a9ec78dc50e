"""``nsview ns INODE`` of mount and cgroup namespaces: the tree, what hides what, who else gets a mount, the roots."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from listed import json_of, text_of

from nsview.host.cgroups import hierarchies
from nsview.host.process import PinnedProcess
from nsview.host.snapshot import take
from nsview.wording.inside.cgroups import cgroup_inside
from nsview.wording.inside.mounts import COLUMNS, mounts_inside
from nsview.wording.inside.section import NOT_OPENED

pytestmark = pytest.mark.needs("root", "unshare", "nsenter")


@contextmanager
def shell(*command: str, script: str = ":") -> Iterator[int]:
    """The pid of a shell that is in namespaces of its own, or those of another, and has run a script."""
    words = [*command, "sh", "-c", f"{script} && echo ready && read forever"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n", "its words are on standard error"
        yield process.pid
        process.stdin.close()
        process.wait()


def inode_of(pid: int, name: str = "mnt") -> int:
    return os.stat(f"/proc/{pid}/ns/{name}").st_ino


def content_of(inode: int) -> dict[str, object]:
    (namespace,) = json_of("ns", str(inode))["namespaces"]
    return namespace["inside"]


def rows_of(pid: int) -> list[dict[str, str]]:
    """The rows of the table, by title; read in this process, where no line is cut."""
    with PinnedProcess(pid) as process:
        fd = process.open("ns/mnt")
        assert fd is not None
        try:
            (section,) = mounts_inside(fd, process, take()).sections
        finally:
            os.close(fd)
    return [dict(zip((column.title for column in COLUMNS), row, strict=True)) for row in section.rows]


PRIVATE = ("unshare", "--mount", "--propagation", "private")


def test_a_mount_under_another_names_what_hides_it():
    script = "mount -t tmpfs low /mnt && mkdir /mnt/in && mount -t tmpfs in /mnt/in && mount -t tmpfs top /mnt"
    with shell(*PRIVATE, script=script) as pid:
        rows = rows_of(pid)
        mounts = content_of(inode_of(pid))["mounts"]
    by_source = {row["SOURCE"]: row for row in rows}
    low, inner, top = (by_source[name] for name in ("low", "in", "top"))
    assert (low["HIDDEN BY"], inner["HIDDEN BY"], top["HIDDEN BY"]) == (top["ID"], top["ID"], "")
    depth = [len(row["MOUNT POINT"]) - len(row["MOUNT POINT"].lstrip()) for row in (low, inner, top)]
    assert depth[1] == depth[2] > depth[0]
    hidden = {mount["source"]: mount["hidden_by"] for mount in mounts}
    assert (hidden["low"], hidden["in"], hidden["top"]) == (int(top["ID"]), int(top["ID"]), None)


def test_a_shared_mount_names_the_namespaces_that_get_it_too():
    with shell(*PRIVATE, script="mount -t tmpfs ours /mnt && mount --make-shared /mnt") as first:
        join = ("nsenter", f"--mount=/proc/{first}/ns/mnt", "unshare", "--mount", "--propagation")
        with shell(*join, "unchanged") as peer, shell(*join, "slave") as slave:
            namespaces = {name: inode_of(pid) for name, pid in (("own", first), ("peer", peer), ("slave", slave))}
            (row,) = (row for row in rows_of(first) if row["SOURCE"] == "ours")
            content = content_of(namespaces["own"])
            (slaves,) = (row for row in rows_of(slave) if row["SOURCE"] == "ours")
    (mount,) = (mount for mount in content["mounts"] if mount["source"] == "ours")
    assert row["PROPAGATION"] == mount["propagation"] == f"shared with peer group {mount['shared']}"
    assert set(map(int, row["ALSO IN"].split())) == {namespaces["peer"], namespaces["slave"]}
    (group,) = (group for group in content["peer_groups"] if group["number"] == mount["shared"])
    assert {place["namespace"] for place in group["peers"]} == {namespaces["own"], namespaces["peer"]}
    assert {place["namespace"] for place in group["slaves"]} == {namespaces["slave"]}
    assert slaves["PROPAGATION"].startswith(f"slave of peer group {mount['shared']}")
    assert str(namespaces["own"]) in slaves["ALSO IN"].split()


def test_mounts_that_a_chroot_hides_from_its_process_are_shown_and_counted():
    script = "mount -t tmpfs jail /mnt && mkdir /mnt/root"
    with shell(*PRIVATE, script=script) as outer, PinnedProcess(outer) as process:
        fd = process.open("ns/mnt")
        assert fd is not None
        jailed = subprocess.Popen(
            ["nsenter", f"--mount=/proc/{outer}/ns/mnt", sys.executable, "-c", _JAIL],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with jailed, PinnedProcess(jailed.pid) as inner:
            assert jailed.stdout
            assert jailed.stdout.readline() == b"ready\n"
            content = mounts_inside(fd, inner, take())
        os.close(fd)
    (section,) = content.sections
    assert "jail" in [row[3] for row in section.rows]
    assert section.notes == (f"process {jailed.pid} cannot reach {len(section.rows)} of these from its root",)
    assert content.document["seen_from"] == "namespace"


_JAIL = "import os, sys; os.chroot('/mnt/root'); print('ready', flush=True); sys.stdin.read()"


def test_what_may_not_be_looked_at_is_unknown_with_the_reason():
    content = mounts_inside(None, None, take())
    assert content.document == {
        "seen_from": None,
        "mounts": None,
        "peer_groups": None,
        "unknown_because": NOT_OPENED,
    }
    assert content.sections[0].notes == (f"?: {NOT_OPENED}",)


def test_a_cgroup_namespace_shows_its_roots_and_the_groups_below():
    own = next(each for each in hierarchies() if each.mount is not None)
    outer = Path(own.mount) / f"nstest-{os.getpid()}"
    (outer / "below").mkdir(parents=True)
    try:
        script = f"echo $$ > {outer}/cgroup.procs; exec"
        with shell("sh", "-c", f'{script} unshare --cgroup "$@"', "sh") as pid:
            inode = inode_of(pid, "cgroup")
            content = content_of(inode)
            lines = [line.split() for line in text_of("ns", str(inode))]
            fd = os.open(f"/proc/{pid}/ns/cgroup", os.O_RDONLY)
        try:
            empty = cgroup_inside(fd, (), (os.getpid(),))
        finally:
            os.close(fd)
    finally:
        (outer / "below").rmdir()
        outer.rmdir()
    assert content["roots"][own.key] == f"/{outer.name}"
    assert [own.label, f"/{outer.name}", str(outer)] in lines
    paths = [group["path"] for group in content["groups"]]
    assert paths[0] == "/"
    assert "/below" in paths
    assert pid in content["groups"][0]["processes"]
    assert empty.document["roots"][own.key] is None
    assert empty.document["unknown_because"] is None
