"""New namespaces kept by a bind mount: they outlive the child, and a launch that fails leaves no trace of them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from apart import MNT_DETACH, MS_PRIVATE, MS_SHARED, apart, become_nobody, call, own_mounts
from leftovers import Census
from mapped import RANGE, USER
from running import EVERY_KIND, PLANNING, output, shell

from spawner import LaunchError, Mechanism, Spec, SpecError, Stdio, TimeOffset, compile_spec, launch
from spawner.namespaces import KINDS
from spawner.oci import Join, Keep

pytestmark = pytest.mark.needs_root

TRUE = Spec(args=("/bin/true",), stdio=Stdio.NULL)


def keeping(directory: Path, *names: str, **fields: object) -> Spec:
    """A Spec that keeps new namespaces of these kinds, each in a file of its name."""
    keep = tuple(Keep(name, str(directory / name)) for name in names)
    return replace(TRUE, namespaces=frozenset(names), keep=keep, **fields)  # type: ignore[arg-type]


def in_own_mounts(action: Callable[[], object], propagation: int = MS_PRIVATE) -> object:
    def run() -> object:
        # kernel/nstree.c since 6.18 numbers namespaces for each processor; fs/namespace.c mnt_ns_loop compares them
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        own_mounts(propagation)
        return action()

    return apart(run)


# unshare(1) --uts=FILE and the like, nsenter(1) into it afterwards
@pytest.mark.parametrize("via", PLANNING)
def test_every_kind_outlives_the_child_and_can_be_entered(via: Mechanism, tmp_path: Path) -> None:
    spec = keeping(tmp_path, *sorted(EVERY_KIND), uid_mappings=RANGE, gid_mappings=RANGE, hostname="kept", via=via)
    spec = replace(spec, time_offsets=(("boottime", TimeOffset(86400)),))

    def run() -> tuple[dict[str, int | None], dict[str, int], str, dict[str, int | None]]:
        with launch(spec) as child:
            child.wait()
            made = child.namespaces
        found = {name: os.stat(tmp_path / name).st_ino for name in EVERY_KIND}
        joins = tuple(Join(name, str(tmp_path / name)) for name in EVERY_KIND - {"pid"})  # its process 1 is gone
        with launch(replace(TRUE, join=joins)) as again:
            entered = again.namespaces
        return made, found, output(shell("hostname; cat /proc/self/timens_offsets", join=joins)), entered

    made, found, text, entered = in_own_mounts(run)  # type: ignore[misc]
    assert found == made
    assert text.split()[0] == "kept"
    assert text.split()[-3:] == ["boottime", "86400", "0"]
    assert {name: inode for name, inode in entered.items() if name != "pid"} == {
        name: inode for name, inode in made.items() if name != "pid"
    }


@pytest.mark.parametrize("via", PLANNING)
def test_a_kept_pid_namespace_takes_new_members_while_its_process_1_lives(via: Mechanism, tmp_path: Path) -> None:
    spec = replace(keeping(tmp_path, "pid", via=via), args=("/bin/sleep", "1000"))

    def run() -> bool:
        with launch(spec) as child, launch(replace(TRUE, join=(Join("pid", str(tmp_path / "pid")),))) as member:
            return member.namespaces["pid"] == child.namespaces["pid"] != os.stat("/proc/self/ns/pid").st_ino

    assert in_own_mounts(run)


def test_a_file_that_is_there_is_mounted_on_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "uts"
    file.write_text("content")

    def run() -> int:
        with launch(keeping(tmp_path, "uts")) as child:
            child.wait()
            return os.stat(file).st_ino - (child.namespaces["uts"] or 0)

    assert in_own_mounts(run) == 0
    assert file.read_text() == "content"


def test_the_childs_end_takes_nothing_away(tmp_path: Path) -> None:
    def run() -> tuple[bool, bool]:
        with launch(keeping(tmp_path, "uts")) as child:
            child.wait()
        kept = os.path.ismount(tmp_path / "uts") or str(tmp_path / "uts") in Path("/proc/self/mountinfo").read_text()
        call("umount2", os.fsencode(tmp_path / "uts"), MNT_DETACH)
        return kept, (tmp_path / "uts").exists()

    assert in_own_mounts(run) == (True, True)


# ---- whole or not at all ----


@pytest.mark.parametrize("via", PLANNING)
@pytest.mark.parametrize("there", [False, True], ids=["new file", "old file"])
@pytest.mark.parametrize("step", ["keep network", "chdir", "execve"])
def test_a_launch_that_fails_leaves_neither_mount_nor_file(
    step: str, there: bool, via: Mechanism, tmp_path: Path, nothing_left: Census
) -> None:
    if there:
        (tmp_path / "uts").write_text("content")
    before = Path("/proc/self/mountinfo").read_bytes()
    spec = keeping(tmp_path, "uts", "network", cwd="/", via=via)
    with pytest.raises(LaunchError) as caught:
        launch(spec, inject=(step, errno.EDQUOT))
    assert (caught.value.step, caught.value.errno) == (step, errno.EDQUOT)
    assert Path("/proc/self/mountinfo").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == (["uts"] if there else [])
    assert not there or (tmp_path / "uts").read_text() == "content"


def test_a_program_that_is_not_there_leaves_nothing_kept(tmp_path: Path, nothing_left: Census) -> None:
    with pytest.raises(LaunchError):
        launch(replace(keeping(tmp_path, "uts"), args=("/nowhere",)))
    assert list(tmp_path.iterdir()) == []


# ---- refused ----


# mount_namespaces(7), kernel/fs/namespace.c: a mount of a mount namespace does not propagate
def test_a_mount_namespace_is_not_kept_where_the_mount_would_propagate(tmp_path: Path) -> None:
    spec = keeping(tmp_path, "mount", rootfs_propagation="unchanged")

    def run() -> tuple[str, int | None, str, list[str]]:
        with pytest.raises(LaunchError) as caught:
            launch(spec)
        return caught.value.step, caught.value.errno, str(caught.value), os.listdir(tmp_path)

    step, number, text, left = in_own_mounts(run, MS_SHARED)  # type: ignore[misc]
    assert (step, number, left) == ("keep mount", errno.EINVAL, [])
    assert "--make-private" in text


def test_keeping_without_privilege_is_refused_with_what_it_takes(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)

    def run() -> tuple[str, int | None, str, list[str]]:
        become_nobody()
        with pytest.raises(LaunchError) as caught:
            launch(keeping(tmp_path, "user"))
        return caught.value.step, caught.value.errno, str(caught.value), os.listdir(tmp_path)

    step, number, text, left = apart(run)
    assert (step, number, left) == ("keep user", errno.EPERM, [])
    assert "CAP_SYS_ADMIN" in text


@pytest.mark.parametrize(
    ("path", "number"), [("missing/file", errno.ENOENT), ("file/below", errno.ENOTDIR)], ids=["ENOENT", "ENOTDIR"]
)
def test_where_no_file_can_be_made_nothing_is_kept(
    path: str, number: int, tmp_path: Path, nothing_left: Census
) -> None:
    (tmp_path / "file").touch()
    spec = replace(TRUE, namespaces=frozenset({"uts"}), keep=(Keep("uts", str(tmp_path / path)),))
    with pytest.raises(LaunchError) as caught:
        launch(spec)
    assert (caught.value.step, caught.value.errno) == ("keep uts", number)
    assert caught.value.remedy


CASES = {
    "unknown kind": (replace(TRUE, keep=(Keep("net", "/tmp/x"),)), "unknown namespace 'net'"),
    "not new": (replace(TRUE, keep=(Keep("uts", "/tmp/x"),)), "no new uts namespace"),
    "joined": (
        replace(TRUE, join=(Join("uts", "/proc/self/ns/uts"),), keep=(Keep("uts", "/tmp/x"),)),
        "no new uts namespace",
    ),
    "no path": (replace(TRUE, namespaces=USER, keep=(Keep("user", ""),)), "is no path"),
    "directory": (replace(TRUE, namespaces=USER, keep=(Keep("user", "/tmp"),)), "is a directory"),
    "one file": (
        replace(TRUE, namespaces=USER | {"uts"}, keep=(Keep("user", "/tmp/x"), Keep("uts", "/tmp/x"))),
        "two namespaces to keep at /tmp/x",
    ),
    "vfork": (
        replace(TRUE, namespaces=USER, keep=(Keep("user", "/tmp/x"),), via=Mechanism.VFORK),
        "suspends the caller until execve",
    ),
    "posix_spawn": (replace(TRUE, keep=(Keep("uts", "/tmp/x"),), via=Mechanism.POSIX_SPAWN), "no attribute for keep"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_kept_is_told_beforehand(name: str, nothing_left: Census) -> None:
    spec, words = CASES[name]
    with pytest.raises(SpecError) as caught:
        launch(spec)
    assert words in str(caught.value)
    assert all(problem.remedy for problem in caught.value.problems)


def test_the_links_kept_are_those_of_the_new_namespaces(tmp_path: Path) -> None:
    plan = compile_spec(keeping(tmp_path, *sorted(EVERY_KIND)))
    kept = {action.label: action.text for action in plan.actions}
    for kind in KINDS:
        link = "time_for_children" if kind.name == "time" else kind.proc
        assert kept[f"keep {kind.name}"] == f"mount its ns/{link} on {tmp_path / kind.name}"
    assert all(action.lasting for action in plan.actions)
