"""Masked paths, read-only paths, a read-only root; with and without a root of one's own."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from apart import apart, mount, own_mounts
from rooms import entries, room, skeleton
from running import output, shell

from spawner import IDMapping, LaunchError, Plan, Spec, compile_spec, launch, mountinfo
from spawner.kernel import facts
from spawner.oci import Bind, Dir, File, Proc, RemountReadOnly, Symlink, Tmpfs
from spawner.parts.files_facts import has_mount_setattr, submounts, with_files

pytestmark = pytest.mark.needs_root

PROC = Proc(destination="/proc")
MS_BIND, MS_NODEV, MS_REMOUNT, MS_NOEXEC, MS_RELATIME = 0x1000, 4, 32, 8, 1 << 21


def planned(spec: Spec, *, modern: bool) -> Plan:
    """A plan for a kernel that has mount_setattr(2), or has not."""
    found = with_files(spec, facts())
    return compile_spec(spec, given=found if modern else replace(found, mount_setattr=False, submounts=submounts(spec)))


def test_this_kernel_has_mount_setattr() -> None:
    assert has_mount_setattr()


# runc tests/integration/mask.bats
def test_masked_directories_are_empty_and_masked_files_too() -> None:
    spec = room(
        "ls -A /etc/ssl; cat /etc/passwd /etc/link; touch /etc/ssl/x || echo read-only; "
        "echo x > /etc/passwd; cat /etc/passwd",
        Dir(destination="/etc/ssl/certs"),
        File(destination="/etc/passwd", content=b"secret"),
        File(destination="/etc/real", content=b"secret"),
        Symlink(target="real", destination="/etc/link"),
        masked_paths=("/etc/ssl", "/etc/passwd", "/etc/link", "/no/such", "/etc/passwd/x"),
    )
    assert output(spec) == "read-only\n"


# runc tests/integration/mask.bats "mask paths [duplicate paths]"
def test_a_path_masked_twice_is_masked() -> None:
    spec = room("cat /f; ls -A /d; cut -d' ' -f5 /proc/self/mountinfo", File(destination="/f", content=b"x"), PROC)
    spec = replace(spec, mounts=(*spec.mounts, Dir(destination="/d/e")), masked_paths=("/f", "/d") * 2)
    points = output(spec).split()
    assert [points.count(point) for point in ("/f", "/d")] == [2, 2]


# runc tests/integration/mask.bats "mask paths [prohibit symlink /proc]"
def test_masking_over_a_link_stays_inside(tmp_path: Path) -> None:
    root, outside = skeleton(tmp_path / "root"), tmp_path / "outside"
    (outside / "kcore").mkdir(parents=True)
    (outside / "kcore" / "file").touch()
    (root / "proc").rmdir()
    (root / "proc").symlink_to(outside)
    before = entries(tmp_path)
    spec = shell(
        "echo ran",
        namespaces=frozenset({"mount"}),
        rootfs=str(root),
        mounts=(Bind(source="/usr", destination="/usr"),),
        masked_paths=("/proc/kcore", "/proc/kcore/file"),
        readonly_paths=("/proc/kcore",),
    )
    assert output(spec) == "ran\n"
    assert entries(tmp_path) == before
    assert str(tmp_path) not in mountinfo.read()


def test_paths_are_masked_without_another_root(nothing_left: object) -> None:
    spec = shell(
        "ls -A /etc/security; cat /etc/passwd; ls -A /etc/apt | head -c1 | wc -c",
        namespaces=frozenset({"mount"}),
        masked_paths=("/etc/security", "/etc/passwd"),
    )
    assert output(spec) == "1\n"
    assert os.listdir("/etc/security")
    assert Path("/etc/passwd").read_text()


@pytest.mark.parametrize("modern", [True, False])
def test_read_only_paths_are_so_all_the_way_down(modern: bool, tmp_path: Path) -> None:
    def run() -> str:
        own_mounts()
        mount("none", str(tmp_path), "tmpfs")
        (tmp_path / "t").mkdir()
        mount("none", str(tmp_path / "t"), "tmpfs", MS_NOEXEC)
        spec = shell(
            f"touch {tmp_path}/x; touch {tmp_path}/t/x; findmnt -no OPTIONS {tmp_path}/t | tail -n1; ls -A {tmp_path}",
            namespaces=frozenset({"mount"}),
            readonly_paths=(str(tmp_path), "/no/such"),
        )
        return output(planned(spec, modern=modern))

    options, name = apart(run).split()
    assert {"ro", "noexec"} <= set(options.split(","))
    assert name == "t"


def test_read_only_paths_may_be_files_and_in_a_root_of_their_own() -> None:
    spec = room(
        "echo x > /d/f || echo no; echo x > /d/g && cat /d/g; echo 1 > /proc/sys/kernel/domainname || echo no",
        File(destination="/d/f"),
        PROC,
        readonly_paths=("/d/f", "/proc/sys", "/proc/not-there"),
    )
    assert output(spec).split() == ["no", "x", "no"]


@pytest.mark.parametrize("modern", [True, False])
def test_a_read_only_root_leaves_what_is_mounted_in_it(modern: bool) -> None:
    spec = room("touch /x || echo no; touch /t/x && ls /t", Tmpfs(destination="/t"), rootfs_readonly=True)
    assert output(planned(spec, modern=modern)).split() == ["no", "x"]
    whole = shell("touch /x-of-nsview || echo no", namespaces=frozenset({"mount"}), rootfs_readonly=True)
    assert output(planned(whole, modern=modern)) == "no\n"
    given = shell(
        "touch /x-of-nsview || echo no; touch /tmp/x && echo yes",
        namespaces=frozenset({"mount"}),
        rootfs="/",
        mounts=(Tmpfs(destination="/tmp"),),
        rootfs_readonly=True,
    )
    assert output(planned(given, modern=modern)).split() == ["no", "yes"]


# What is mounted on the root itself is not seen from it: it would be reported as done and do nothing.
@pytest.mark.parametrize(
    "fields",
    [
        {"mounts": (Tmpfs(destination="/to-root"),)},
        {"mounts": (Bind(source="/etc", destination="/to-root"),)},
        {"masked_paths": ("/to-root",)},
        {"readonly_paths": ("/to-root",)},
    ],
)
def test_a_link_to_the_root_is_no_place_to_mount_on(
    fields: dict[str, object], tmp_path: Path, nothing_left: object
) -> None:
    (skeleton(tmp_path) / "to-root").symlink_to("/")
    usr = Bind(source="/usr", destination="/usr")
    fields = {**fields, "mounts": (usr, *fields.get("mounts", ()))}  # type: ignore[misc]
    with pytest.raises(LaunchError) as caught:
        launch(shell("true", namespaces=frozenset({"mount"}), rootfs=str(tmp_path), **fields))
    assert (caught.value.step, caught.value.errno) == ("look at root", errno.EXDEV)


def test_a_link_to_the_root_is_not_read_only_without_another_root(tmp_path: Path, nothing_left: object) -> None:
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(LaunchError, match="read-only was asked for, the kernel says writable"):
        launch(shell("true", namespaces=frozenset({"mount"}), readonly_paths=(str(tmp_path / "link"),)))


# ---- without mount_setattr(2) ----


def test_binds_get_their_flags_by_a_walk_where_mount_setattr_lacks(tmp_path: Path) -> None:
    def run() -> str:
        own_mounts()
        mount("none", str(tmp_path), "tmpfs", MS_NOEXEC)
        (tmp_path / "a b").mkdir()
        mount("none", str(tmp_path / "a b"), "tmpfs")
        (tmp_path / "a b" / "c").mkdir()
        mount("none", str(tmp_path / "a b" / "c"), "tmpfs")
        spec = room(
            "for d in '/ro' '/ro/a b' '/ro/a b/c' /rw '/rw/a b/c'; do findmnt -no OPTIONS --target \"$d\"; done",
            Bind(source=str(tmp_path), destination="/ro", read_only=True),
            Bind(source=str(tmp_path), destination="/rw", devices=True),
            PROC,
        )
        plan = planned(spec, modern=False)
        assert not any(step.syscall == "mount_setattr" for step in plan.steps)
        return output(plan)

    options = [set(line.split(",")) for line in apart(run).splitlines()]
    assert [{"ro", "rw", "nosuid", "nodev", "noexec"} & found for found in options] == [
        {"ro", "nosuid", "nodev", "noexec"},
        {"ro", "nosuid", "nodev"},
        {"ro", "nosuid", "nodev"},
        {"rw", "nosuid", "noexec"},
        {"rw", "nosuid"},
    ]


# opencontainers/runc#1523: flags of mounts are locked in a user namespace; ST_RELATIME is not MS_RELATIME
@pytest.mark.parametrize("modern", [True, False])
def test_locked_flags_are_kept_in_a_user_namespace(modern: bool, tmp_path: Path) -> None:
    def run() -> str:
        own_mounts()
        mount("none", str(tmp_path), "tmpfs", MS_NOEXEC | MS_RELATIME)
        spec = room(
            "findmnt -no OPTIONS /ro; findmnt -no OPTIONS /file; findmnt -no OPTIONS /t",
            Bind(source=str(tmp_path), destination="/ro", read_only=True),
            File(destination="/file", content=b"x", read_only=True),
            Tmpfs(destination="/t"),
            RemountReadOnly(destination="/t"),
            PROC,
        )
        ids = (IDMapping(0, 0),)
        spec = replace(spec, namespaces=spec.namespaces | {"user"}, uid_mappings=ids, gid_mappings=ids)
        return output(planned(spec, modern=modern))

    tree, file, tmpfs = apart(run).splitlines()
    assert {"ro", "nosuid", "nodev", "noexec", "relatime"} <= set(tree.split(","))
    for options in (file, tmpfs):
        assert "ro" in options.split(",")


@pytest.mark.parametrize("modern", [True, False])
def test_what_becomes_read_only_in_a_bind_keeps_its_other_flags(modern: bool, tmp_path: Path) -> None:
    def run() -> str:
        own_mounts()
        mount("none", str(tmp_path), "tmpfs")
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            mount("none", str(tmp_path / name), "tmpfs", MS_NOEXEC)
            (tmp_path / name / "d").mkdir()
        spec = room(
            "for d in one two/d two; do findmnt -no OPTIONS --target /b/$d | tail -n1; done; findmnt -no OPTIONS /b",
            Bind(source=str(tmp_path), destination="/b", devices=True),
            PROC,
            RemountReadOnly(destination="/b/one"),
            readonly_paths=("/b/two/d",),
        )
        return output(planned(spec, modern=modern))

    flags = {"ro", "rw", "nosuid", "nodev", "noexec"}
    assert [flags & set(line.split(",")) for line in apart(run).splitlines()] == [
        {"ro", "nosuid", "noexec"},
        {"ro", "nosuid", "noexec"},
        {"rw", "nosuid", "noexec"},
        {"rw", "nosuid"},
    ]


def test_a_mount_that_another_covers_is_not_walked_to() -> None:
    text = "\n".join(
        [
            "20 1 0:1 / / rw,relatime - ext4 x rw",
            "21 20 0:2 / /a rw,nosuid - tmpfs x rw",
            "22 21 0:3 / /a/b rw - tmpfs x rw",
            "23 20 0:4 / /a ro,noexec - tmpfs x rw",
            r"24 23 0:5 / /a/c\040d rw,nodev - tmpfs x rw",
            "25 20 0:6 / /ab rw - tmpfs x rw",
        ]
    )
    assert mountinfo.mounts_below("/a", text) == (("", 1 | 8), ("/c d", 4))
    assert mountinfo.mounts_below("/a/c d/e", text) == (("", 4),)
    assert mountinfo.mounts_below("/", text) == (("", 0), ("/a", 1 | 8), ("/a/c d", 4), ("/ab", 0))


def test_a_path_that_cannot_be_read_only_fails_the_launch(nothing_left: object) -> None:
    spec = room("true", Bind(source="/etc", destination="/d"), RemountReadOnly(destination="/d/security"))
    with pytest.raises(LaunchError) as caught:
        launch(spec)
    assert caught.value.errno == errno.EINVAL
    assert "nothing is mounted there" in caught.value.cause
