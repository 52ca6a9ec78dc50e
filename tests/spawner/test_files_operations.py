"""What fills a new root, seen from inside: binds, tmpfs, files, links, modes, in the order given."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from apart import apart, mount, own_mounts
from rooms import entries, room
from running import output, read_all

from spawner import LaunchError, SpecError, compile_spec, launch
from spawner.oci import Bind, Chmod, Dev, Dir, File, Overlay, Proc, RemountReadOnly, Symlink, Tmpfs

pytestmark = pytest.mark.needs_root

PROC = Proc(destination="/proc")
STAT = "stat -c '%n %F %a'"


@pytest.fixture(params=[0o022, 0o077, 0])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Some umask of ours, which must not show in what is made."""
    before = os.umask(request.param)
    yield int(request.param)
    os.umask(before)


# bubblewrap tests/test-run.sh: mount points 755/444, modes of parents, tmpfs perms
def test_modes_are_those_asked_for_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = output(
        room(
            f"{STAT} /d /open/x /open /closed /closed/x /group /group/x /t /b /f /f.file /s/f /s; umask",
            Dir(destination="/d"),
            Dir(destination="/open/x", mode=0o1777),
            Dir(destination="/closed/x", mode=0o700),
            Dir(destination="/group/x", mode=0o750),
            Tmpfs(destination="/t", mode=0o1770),
            Bind(source=str(tmp_path), destination="/b"),
            Bind(source=str(tmp_path / "file"), destination="/f"),
            File(destination="/f.file"),
            File(destination="/s/f", mode=0o4600),
        )
    )
    *lines, inside = text.splitlines()
    assert lines == [
        "/d directory 755",
        "/open/x directory 1777",
        "/open directory 755",
        "/closed directory 700",
        "/closed/x directory 700",
        "/group directory 750",
        "/group/x directory 750",
        "/t directory 1770",
        f"/b directory {tmp_path.stat().st_mode & 0o7777:o}",
        f"/f regular empty file {(tmp_path / 'file').stat().st_mode & 0o777:o}",
        "/f.file regular empty file 666",
        "/s/f regular empty file 4600",
        "/s directory 700",
    ]
    assert int(inside, 8) == umask


def test_mount_points_are_755_and_444_below_the_mounts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    script = f"umount /a/b /a/f; {STAT} /a/b /a/f"
    spec = room(
        script,
        PROC,
        Bind(source=str(tmp_path), destination="/a/b"),
        Bind(source=str(tmp_path / "file"), destination="/a/f"),
    )
    assert output(spec).splitlines() == ["/a/b directory 755", "/a/f regular empty file 444"]


# bubblewrap tests/test-run.sh "tmpfs size 1 MiB"
def test_tmpfs_has_the_size_asked_for() -> None:
    spec = room("df --output=size -B1 /t | tail -n1; head -c 1048577 /dev/zero > /t/x; stat -c %s /t/x")
    spec = replace(spec, mounts=(*spec.mounts, Tmpfs(destination="/t", size=1 << 20), Dev(destination="/dev")))
    assert output(spec).split() == ["1048576", "1048576"]


# ---- binds ----


# runc tests/integration/mounts_recursive.bats: what it calls rro
def test_read_only_binds_are_so_all_the_way_down(tmp_path: Path) -> None:
    def run() -> str:
        own_mounts()
        mount("none", str(tmp_path), "tmpfs")
        (tmp_path / "t").mkdir()
        mount("none", str(tmp_path / "t"), "tmpfs")
        spec = room(
            "touch /ro/x; touch /ro/t/x; touch /rw/x && touch /rw/t/x && ls /rw /rw/t",
            Bind(source=str(tmp_path), destination="/ro", read_only=True),
            Bind(source=str(tmp_path), destination="/rw"),
        )
        return output(spec)

    assert apart(run).split() == ["/rw:", "t", "x", "/rw/t:", "x"]


def test_binds_have_no_set_user_id_and_devices_only_where_asked() -> None:
    script = (
        "for d in /plain /devices; do findmnt -no OPTIONS $d; done; "
        "echo x > /devices/null; echo x > /plain/null; echo $?"
    )
    plain, devices, refused = output(
        room(
            script,
            PROC,
            Bind(source="/dev", destination="/plain"),
            Bind(source="/dev", destination="/devices", devices=True),
        )
    ).split("\n")[:3]
    assert {"nosuid", "nodev"} <= set(plain.split(","))
    assert "nosuid" in devices.split(",")
    assert "nodev" not in devices.split(",")
    assert refused != "0"


def test_an_optional_bind_of_nothing_leaves_nothing(nothing_left: object) -> None:
    spec = room(
        "ls -A /; ls -A /opt; ls /a/b",
        Bind(source="/no/such", destination="/x/y", optional=True),
        Bind(source="/no/such", destination="/opt", optional=True, read_only=True),
        Bind(source="/etc/hostname", destination="/a/b", optional=True, read_only=True),
    )
    with launch(spec) as child:
        assert child.stdout is not None
        assert read_all(child.stdout).split() == ["a", "bin", "lib", "lib64", "sbin", "usr", "/a/b"]
        child.wait()


def test_what_is_below_an_optional_parent_is_made_all_the_same() -> None:
    spec = room(
        "ls -A /x",
        Bind(source="/no/such", destination="/x/y", optional=True),
        Dir(destination="/x/z"),
    )
    assert output(spec) == "z\n"


# bubblewrap tests/test-run.sh "can bind a destination over a symlink"
def test_a_bind_over_a_link_is_where_it_leads() -> None:
    mounts = (
        Dir(destination="/tmp/dir"),
        Symlink(target="dir", destination="/tmp/link"),
        Bind(source="/etc", destination="/tmp/link"),
    )
    assert output(room("test -e /tmp/dir/hostname && readlink /tmp/link", *mounts)) == "dir\n"


# runc tests/integration/mounts.bats: a dangling link as a destination
def test_a_bind_over_a_dangling_link_makes_what_it_names() -> None:
    mounts = (Symlink(target="/not/yet", destination="/link"), Bind(source="/etc", destination="/link"))
    assert output(room("test -e /not/yet/hostname && echo there", *mounts)) == "there\n"


# runc tests/integration/mounts.bats: mounts are made in the order given
def test_order_is_the_one_given() -> None:
    first = (Tmpfs(destination="/t"), File(destination="/t/x"))
    assert output(room("ls -A /t", *first)) == "x\n"
    assert output(room("ls -A /t", *first[::-1])) == ""


# runc tests/integration/mounts.bats: /proc is a link
def test_proc_over_a_link_is_where_it_leads() -> None:
    spec = room("cat /elsewhere/1/comm", Symlink(target="elsewhere", destination="/proc"), PROC)
    assert output(spec) == "sh\n"


def test_a_relative_source_is_one_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "found").touch()
    monkeypatch.chdir(tmp_path)
    overlay = Overlay(destination="/o", lower=("d",))
    assert output(room("ls /b /o", Bind(source="d", destination="/b"), overlay)).split() == [
        *("/b:", "found", "/o:", "found")
    ]


# runc tests/integration/mounts.bats: a root with the set-group-ID bit
def test_directories_below_a_set_group_id_directory_are_made() -> None:
    mounts = (Tmpfs(destination="/t", mode=0o2755), Dir(destination="/t/a/b"), Tmpfs(destination="/t/c/d"))
    assert [line.split()[-1] for line in output(room(f"{STAT} /t/a /t/a/b /t/c", *mounts)).splitlines()] == ["2755"] * 3


# go-sandbox pkg/mount TestEnsureMountTargetExists_Dir, _File, TestBuilder_FilterNotExist
def test_mount_points_are_made_as_the_source_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    mounts = [Bind(source=str(tmp_path / name), destination=f"/a/{name}", optional=True) for name in ("file", "none")]
    spec = room(f"{STAT} /a/b/c /a/file; ls /a", Bind(source=str(tmp_path), destination="/a/b/c"), *mounts)
    lines = output(spec).splitlines()
    assert lines[0].startswith("/a/b/c directory")
    assert lines[1].startswith("/a/file regular")
    assert lines[2:] == ["b", "file"]


# ---- files, links, modes ----


def test_a_file_has_its_content() -> None:
    content = bytes(range(256)) * 1000
    spec = room(
        "stat -c %s /a/f /b; sha256sum < /a/f", File(destination="/a/f", content=content), File(destination="/b")
    )
    assert output(spec).split()[:3] == ["256000", "0", hashlib.sha256(content).hexdigest()]


def test_a_bound_file_covers_another_and_leaves_it_alone(tmp_path: Path) -> None:
    host = tmp_path / "file"
    host.write_text("host")
    before = entries(tmp_path)
    spec = room(
        "cat /d/file /d2; echo new > /d/file; cat /d/file; echo x > /d2; true",
        Bind(source=str(tmp_path), destination="/d"),
        File(destination="/d/file", content=b"ours\n", bound=True),
        File(destination="/d2", content=b"read-only\n", read_only=True, mode=0o640),
    )
    assert output(spec).split() == ["ours", "read-only", "new"]
    assert entries(tmp_path) == before


def test_a_large_file_is_written_whole() -> None:
    content = b"x" * (16 << 20)
    assert output(room("stat -c %s /f", File(destination="/f", content=content))) == f"{16 << 20}\n"


def test_a_file_that_does_not_fit_fails_the_launch(nothing_left: object) -> None:
    mounts = (Tmpfs(destination="/t", size=4096), File(destination="/t/f", content=b"x" * 9000))
    with pytest.raises(LaunchError) as caught:
        launch(room("true", *mounts))
    assert (caught.value.step, caught.value.errno) == ("find the file's end", errno.ENXIO)
    assert "full" in caught.value.cause


# bubblewrap tests/test-run.sh "--symlink works", "is idempotent", "doesn't overwrite a conflicting symlink"
def test_links_are_made_once_and_not_overwritten() -> None:
    link = Symlink(target="target", destination="/a/link")
    assert output(room("readlink /a/link", link, link)) == "target\n"
    with pytest.raises(SpecError, match="already a symbolic link at /a/link"):
        compile_spec(room("true", link, Symlink(target="other", destination="/a/link")))


def test_chmod_changes_what_the_plan_made() -> None:
    spec = room(
        f"{STAT} / /t /t/d /f",
        Chmod(destination="/", mode=0o711),
        Tmpfs(destination="/t"),
        Chmod(destination="/t", mode=0o1777),
        Dir(destination="/t/d"),
        Chmod(destination="/t/d", mode=0o2755),
        File(destination="/f"),
        Chmod(destination="/f", mode=0o400),
    )
    assert [line.split()[-1] for line in output(spec).splitlines()] == ["711", "1777", "2755", "400"]


def test_remount_read_only_leaves_what_is_below() -> None:
    spec = room(
        "touch /t/x; touch /t/d/x; ls /t/d",
        Tmpfs(destination="/t"),
        Tmpfs(destination="/t/d"),
        RemountReadOnly(destination="/t"),
    )
    assert output(spec) == "x\n"
    spec = room("touch /x; touch /t/x && ls /t", Tmpfs(destination="/t"), RemountReadOnly(destination="/"))
    assert output(spec) == "x\n"
