"""A root of one's own: nothing of the old one is left, and no link leads there."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from apart import MS_REC, MS_SHARED, apart, mount, own_mounts
from rooms import entries, room, skeleton
from running import PLANNING, output, shell

from spawner import LaunchError, Mechanism, Plan, Spec, SpecError, Stdio, compile_spec, launch, mountinfo
from spawner.kernel import facts
from spawner.oci import Bind, Dev, Dir, File, FileOperation, Proc, Symlink, Tmpfs
from spawner.parts.files_facts import root_attached, root_has_parent

pytestmark = pytest.mark.needs_root

_ATTACHED = [True, False] if root_attached() else [False]
MS_BIND = 0x1000
POINTS = "cut -d' ' -f5 /proc/self/mountinfo"


def planned(spec: Spec, *, attached: bool) -> Plan:
    """A plan for a caller whose root is mounted on something, or is not."""
    return compile_spec(spec, given=replace(facts(), root_attached=attached))


@pytest.mark.parametrize("attached", _ATTACHED)
def test_root_holds_what_was_asked_for_and_nothing_else(attached: bool, nothing_left: object) -> None:
    spec = room("ls -A /", Proc(destination="/proc"), Dir(destination="/srv/x"))
    assert output(planned(spec, attached=attached)).split() == ["bin", "lib", "lib64", "proc", "sbin", "srv", "usr"]


# bubblewrap tests/test-run.sh "oldroot/newroot not visible"
@pytest.mark.parametrize("attached", _ATTACHED)
def test_mounts_of_the_old_root_are_gone(attached: bool) -> None:
    below_usr = sum(line.split(" ")[4].startswith("/usr/") for line in mountinfo.read().splitlines())
    points = output(planned(room(POINTS, Proc(destination="/proc")), attached=attached)).split()
    assert sorted(point for point in points if not point.startswith("/usr/")) == ["/", "/proc", "/usr"]
    assert len(points) == 3 + below_usr


# runc tests/integration/no_pivot.bats "must not expose bare /proc"
@pytest.mark.parametrize("attached", _ATTACHED)
def test_no_other_proc_is_below_the_new_one(attached: bool) -> None:
    spec = room("umount /proc && ls -A /proc && echo none", Proc(destination="/proc"))
    assert output(planned(spec, attached=attached)) == "none\n"


@pytest.mark.parametrize("via", PLANNING)
@pytest.mark.parametrize("attached", _ATTACHED)
def test_every_mechanism_switches_the_root(via: Mechanism, attached: bool) -> None:
    spec = room("pwd; stat -c %d:%i / /..", via=via)
    cwd, root, above = output(planned(spec, attached=attached)).split()
    assert cwd == "/"
    assert root == above != f"{os.stat('/').st_dev}:{os.stat('/').st_ino}"


def in_chroot(root: Path, bound: bool) -> tuple[bool, str, str] | str:
    """What roots of its own a caller in a chroot gets, whose directory is a mount or is none."""
    skeleton(root)
    (root / "inner").mkdir()

    def run() -> tuple[bool, str, str] | str:
        own_mounts()
        if bound:
            mount(str(root), str(root), None, MS_BIND)
        mount("/usr", str(root / "usr"), None, MS_BIND | MS_REC)
        mount("/proc", str(root / "proc"), None, MS_BIND | MS_REC)
        os.chroot(root)
        os.chdir("/")
        try:
            empty = output(room("ls -A /", Dir(destination="/here")))
        except LaunchError as error:
            return str(error)
        return root_attached(), empty, output(shell("ls -A /", namespaces=frozenset({"mount"}), rootfs="/"))

    return apart(run)


# golang/go src/syscall/exec_linux_test.go TestUnshareMountNameSpaceChroot
def test_a_caller_in_a_chroot_gets_a_root_of_its_own(tmp_path: Path) -> None:
    said = in_chroot(tmp_path, bound=True)
    assert not isinstance(said, str), said
    attached, empty, given = said
    assert attached
    assert empty.split() == ["bin", "here", "lib", "lib64", "sbin", "usr"]
    assert "inner" in given.split()


def test_a_chroot_that_is_no_mount_is_named_as_the_cause(tmp_path: Path) -> None:
    said = in_chroot(tmp_path, bound=False)
    assert isinstance(said, str)
    assert "EINVAL" in said
    assert "chroot" in said
    assert "mount --bind" in said


def test_root_that_is_its_own_parent_is_not_attached() -> None:
    assert not root_has_parent("1 1 0:2 / / rw - rootfs rootfs rw\n20 1 0:3 / /proc rw - proc proc rw\n")
    assert root_has_parent("20 1 0:3 / / rw - ext4 /dev/vda rw\n21 20 0:2 / /proc rw - proc proc rw\n")
    assert not root_has_parent("20 1 0:3 / /proc rw - proc proc rw\n")
    assert root_attached() == root_has_parent(mountinfo.read())


# ---- propagation ----


def propagation_inside(propagation: str) -> tuple[list[str], bool]:
    """(What each mount inside says of its propagation, whether the mounts outside stayed) where those are shared."""

    def run() -> tuple[list[str], bool]:
        own_mounts(MS_SHARED)
        before = mountinfo.read()
        script = "cut -d' ' -f7 /proc/self/mountinfo | cut -d: -f1"
        spec = room(script, Proc(destination="/proc"), Dev(destination="/dev"), rootfs_propagation=propagation)
        return sorted(set(output(spec).split())), mountinfo.read() == before

    return apart(run)


# runc tests/integration/mounts_propagation.bats
@pytest.mark.parametrize(
    ("propagation", "inside"),
    [("private", ["-"]), ("slave", ["-", "master"]), ("shared", ["shared"])],
)
def test_propagation_is_what_was_asked_for_and_the_host_keeps_its_mounts(propagation: str, inside: list[str]) -> None:
    assert propagation_inside(propagation) == (inside, True)


@pytest.mark.parametrize("propagation", ["private", "slave", "shared"])
@pytest.mark.parametrize("attached", _ATTACHED)
def test_a_given_root_of_shared_mounts_is_switched_to(propagation: str, attached: bool, tmp_path: Path) -> None:
    skeleton(tmp_path)

    def run() -> tuple[list[str], bool]:
        own_mounts(MS_SHARED)
        mount(str(tmp_path), str(tmp_path), None, MS_BIND)
        before = mountinfo.read()
        usr = Bind(source="/usr", destination="/usr")
        tmp = Tmpfs(destination="/tmp")
        for rootfs in (str(tmp_path), "/"):
            spec = shell(
                "echo x > /tmp/x && ls /tmp",
                namespaces=frozenset({"mount"}),
                rootfs=rootfs,
                mounts=(usr, tmp),
                rootfs_propagation=propagation,
            )
            found = output(planned(spec, attached=attached)).split()
        return found, mountinfo.read() == before

    assert apart(run) == (["x"], True)


def test_unchanged_propagation_is_refused_with_a_root_of_its_own() -> None:
    with pytest.raises(SpecError, match="could appear outside"):
        compile_spec(room("true", rootfs_propagation="unchanged"))


@pytest.mark.parametrize("propagation", ["private", "slave", "shared"])
def test_a_failed_launch_leaves_shared_mounts_as_they_were(propagation: str) -> None:
    def run() -> bool:
        own_mounts(MS_SHARED)
        before = mountinfo.read()
        plan = compile_spec(
            room("true", Proc(destination="/proc"), Dev(destination="/dev"), rootfs_propagation=propagation)
        )
        for index in range(len(plan.steps)):
            if plan.steps[index].phase in ("mounts", "root"):
                with suppress(LaunchError):
                    launch(plan, inject=(index, errno.EPERM)).close()
        return mountinfo.read() == before

    assert apart(run)


# golang/go src/syscall/exec_linux_test.go TestUnshareMountNameSpace: what is mounted inside keeps nothing busy outside
def test_a_directory_mounted_on_inside_can_be_removed_outside(tmp_path: Path, nothing_left: object) -> None:
    place = tmp_path / "place"
    place.mkdir()
    spec = shell("echo up; read x; ls -d /", namespaces=frozenset({"mount"}), rootfs="/")
    with launch(replace(spec, mounts=(Tmpfs(destination=str(place)),))) as child:
        assert child.stdout is not None
        assert os.read(child.stdout, 3) == b"up\n"
        place.rmdir()
        child.close_stream("stdin")
        child.wait()


# bubblewrap tests/test-run.sh: bind-mount of / and /tmp
def test_the_whole_host_can_be_the_root(tmp_path: Path) -> None:
    (tmp_path / "seen").touch()
    mounts = (Bind(source="/", destination="/"), Bind(source=str(tmp_path), destination="/tmp"))
    spec = shell("ls -A /tmp; ls -A / | wc -l", namespaces=frozenset({"mount"}), mounts=mounts)
    assert output(spec).split() == ["seen", str(len(os.listdir("/")))]


# ---- containers in containers ----

INNER = """
import os, sys
sys.path[:0] = {path!r}
from rooms import room
from running import output
from spawner.oci import Dev, Proc
print(output(room("ls -A /; ls /dev; cat /proc/1/comm", Proc(destination="/proc"), Dev(destination="/dev"))))
"""


# bubblewrap tests/test-run.sh "can mount /proc recursively", "can pivot to new rootfs recursively"
@pytest.mark.parametrize("outer", [{"rootfs": "/"}, {"mounts": (Bind(source="/", destination="/", devices=True),)}])
def test_a_container_in_a_container(outer: dict[str, object]) -> None:
    code = INNER.format(path=sys.path)
    spec = Spec(args=(sys.executable, "-c", code), stdio=Stdio.PIPE, namespaces=frozenset({"mount", "pid"}))
    said = output(replace(spec, mount_proc="/proc", **outer)).split()  # type: ignore[arg-type]
    assert said[:7] == ["bin", "dev", "lib", "lib64", "proc", "sbin", "usr"]
    assert said[-1] == "sh"


# ---- links ----


@pytest.fixture
def trap(tmp_path: Path) -> tuple[Path, Path]:
    """A root directory full of links that lead to ``outside``, if one is not in that root."""
    root, outside = skeleton(tmp_path / "root"), tmp_path / "outside"
    for directory in (outside / "place", root / "a" / "b", root / "etc" / "place"):
        directory.mkdir(parents=True)
    (outside / "secret").write_text("secret")
    (root / "etc" / "inside").touch()
    (root / "absolute").symlink_to("/etc")
    (root / "a" / "b" / "up").symlink_to("../" * 40 + "etc")
    (root / "leak").symlink_to(outside)
    (root / "a" / "leak").symlink_to("../" * 40 + str(outside)[1:])
    return root, outside


def in_trap(root: Path, script: str, *mounts: FileOperation) -> Spec:
    mounts = (Bind(source="/usr", destination="/usr"), *mounts)
    return shell(script, namespaces=frozenset({"mount"}), rootfs=str(root), mounts=mounts)


def test_links_in_the_root_lead_inside(trap: tuple[Path, Path]) -> None:
    root, _ = trap
    assert output(in_trap(root, "ls /absolute /a/b/up; ls /leak/ /a/leak/; true")).split() == [
        *("/a/b/up:", "inside", "place", "/absolute:", "inside", "place")
    ]


@pytest.mark.parametrize("path", ["/absolute/place", "/a/b/up/place"])
@pytest.mark.parametrize("kind", [Tmpfs, Dev])
def test_a_mount_over_a_link_of_the_root_is_inside(kind: type, path: str, trap: tuple[Path, Path]) -> None:
    root, outside = trap
    before = entries(root), entries(outside)
    place, around = output(in_trap(root, "stat -c %d /etc/place /absolute/", kind(destination=path))).split()
    assert place != around
    assert (entries(root), entries(outside)) == before


@pytest.mark.parametrize("path", ["/leak/place", "/a/leak/place", "/leak", "/a/leak"])
@pytest.mark.parametrize(
    "operation",
    [
        lambda path: Tmpfs(destination=path),
        lambda path: Bind(source="/srv", destination=path),
        lambda path: Dir(destination=path),
        lambda path: File(destination=path, bound=True),
        lambda path: Proc(destination=path),
    ],
)
def test_a_link_out_of_the_root_leads_nowhere(
    operation: object, path: str, trap: tuple[Path, Path], nothing_left: object
) -> None:
    root, outside = trap
    before = entries(root), entries(outside)
    with pytest.raises(LaunchError) as caught:
        launch(in_trap(root, "true", operation(path)))  # type: ignore[operator]
    assert caught.value.errno == errno.ENOENT
    assert "make it beforehand" in caught.value.remedy
    assert (entries(root), entries(outside)) == before


def test_links_in_a_bind_lead_inside(trap: tuple[Path, Path]) -> None:
    root, outside = trap
    spec = room("cat /d/leak/secret /d/a/leak/secret", Bind(source=str(root), destination="/d"))
    with launch(spec) as child:
        ended = child.wait()
    assert ended is not None
    assert ended.status == 1
    with pytest.raises(LaunchError):
        launch(room("true", Bind(source=str(root), destination="/d"), Tmpfs(destination="/d/leak/place")))
    assert [path.name for path in sorted(outside.iterdir())] == ["place", "secret"]


def test_a_file_in_a_tmpfs_stays_there_when_another_mount_covers_it(tmp_path: Path) -> None:
    # /h/alias is a link to /h/real: the plan cannot know that the bind covers the tmpfs.
    host, other = tmp_path / "host", tmp_path / "other"
    for directory in (host / "real", other):
        directory.mkdir(parents=True)
    (host / "alias").symlink_to("real")
    mounts = (
        Bind(source=str(host), destination="/h"),
        Tmpfs(destination="/h/alias"),
        Bind(source=str(other), destination="/h/real"),
        File(destination="/h/alias/file", content=b"x"),
        Dir(destination="/h/alias/a/b"),
    )
    assert output(room("ls -A /h/real; umount /h/real; ls -A /h/real", *mounts)).split() == ["a", "file"]
    assert list(other.iterdir()) == []


def test_a_bind_behind_an_alias_is_not_written_to(tmp_path: Path, nothing_left: object) -> None:
    host, other = tmp_path / "host", tmp_path / "other"
    for directory in (host / "real", other):
        directory.mkdir(parents=True)
    (host / "alias").symlink_to("real")
    mounts = (
        Bind(source=str(host), destination="/h"),
        Tmpfs(destination="/h/alias"),
        Dir(destination="/h/alias/sub"),
        Bind(source=str(other), destination="/h/real/sub"),
        File(destination="/h/alias/sub/file", content=b"x"),
    )
    with pytest.raises(LaunchError) as caught:
        launch(room("true", *mounts))
    assert (caught.value.step, caught.value.errno) == ("open directory", errno.EXDEV)
    assert list(other.iterdir()) == []


# ---- the working directory ----


# CVE-2024-21626 (runc): a working directory outside of the root
@pytest.mark.parametrize("attached", _ATTACHED)
def test_working_directory_is_the_new_root(attached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    script = "/usr/bin/env -u PWD /bin/pwd; readlink /proc/self/cwd"
    assert output(planned(room(script, Proc(destination="/proc")), attached=attached)) == "/\n/\n"


def test_working_directory_is_looked_up_inside() -> None:
    assert output(room("pwd", Dir(destination="/srv/work"), cwd="/srv/work")) == "/srv/work\n"
    with pytest.raises(LaunchError) as caught:
        launch(room("true", cwd="/home"))
    assert (caught.value.step, caught.value.errno) == ("open working directory", errno.ENOENT)


# CVE-2024-21626 (runc): cwd=/proc/self/fd/N of a directory outside, which the child has from its parent
@pytest.mark.parametrize("path", ["/proc/self/fd/{}", "/proc/thread-self/fd/{}/usr", "/proc/1/cwd/../fd/{}"])
def test_no_descriptor_of_ours_is_a_working_directory(path: str, nothing_left: object) -> None:
    opened = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        with pytest.raises(LaunchError) as caught:
            launch(room("ls", Proc(destination="/proc"), cwd=path.format(opened)))
    finally:
        os.close(opened)
    assert (caught.value.step, caught.value.errno) == ("open working directory", errno.ELOOP)


# CVE-2019-5736 (runc): a program inside that leads to the file that made the container
@pytest.mark.parametrize("program", ["/proc/self/exe", "/hidden", "hidden"])
def test_no_program_of_ours_is_run_inside(program: str, nothing_left: object) -> None:
    link = Symlink(target="/proc/self/exe", destination="/hidden")
    spec = replace(room("true", Proc(destination="/proc"), link), args=(program,), env=(("PATH", "/nowhere:/"),))
    with pytest.raises(LaunchError) as caught:
        launch(spec)
    assert (caught.value.step, caught.value.errno) == ("look at the program", errno.ELOOP)
