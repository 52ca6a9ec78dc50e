"""What is wrong with the files of a Spec is said beforehand; what the kernel refuses is explained."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
from apart import apart, mount, own_mounts
from rooms import USR, room
from running import shell

from spawner import IDMapping, LaunchError, Spec, SpecError, compile_spec, launch
from spawner.oci import Bind, Chmod, Dev, Dir, File, FileOperation, Mqueue, Overlay, Proc, Symlink, Tmpfs

MOUNT = frozenset({"mount"})


def said(spec: Spec) -> str:
    with pytest.raises(SpecError) as caught:
        compile_spec(spec)
    assert all(problem.remedy for problem in caught.value.problems)
    return str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"rootfs": "/srv"},
        {"mounts": (Tmpfs(destination="/tmp"),)},
        {"masked_paths": ("/proc/kcore",)},
        {"readonly_paths": ("/proc/sys",)},
        {"rootfs_readonly": True},
    ],
)
def test_files_need_a_mount_namespace(fields: dict[str, object]) -> None:
    assert "without a new mount namespace" in said(shell("true", **fields))


# bubblewrap tests/test-run.sh: bogus sizes; go-sandbox pkg/mount
@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (Tmpfs(destination="/t", size=0), "no size of a tmpfs"),
        (Tmpfs(destination="/t", size=-1), "no size of a tmpfs"),
        (Tmpfs(destination="/t", size=2**63), "no size of a tmpfs"),
        (Tmpfs(destination="/t", size=2**63 + 1), "no size of a tmpfs"),
        (Tmpfs(destination="/t", size=2**64), "no size of a tmpfs"),
        (Tmpfs(destination="/t", mode=0o10000), "no mode"),
        (Dir(destination="/t", mode=-1), "no mode"),
        (Tmpfs(destination="t"), "is relative"),
        (Tmpfs(destination=""), "empty destination"),
        (Bind(source="", destination="/t"), "empty source"),
        (Bind(source="/a", destination="/b/../c"), "holds .."),
        (Bind(source="/a\0b", destination="/t"), "NUL"),
        (Tmpfs(destination="/a\0b"), "NUL"),
        (Symlink(target="", destination="/l"), "empty target"),
        (Symlink(target="\udfff\ud800", destination="/l"), "cannot be encoded"),
        (File(destination="/f", content=bytes((16 << 20) + 1)), "are the most"),
        (Overlay(destination="/o", lower=()), "no lower directory"),
        (Overlay(destination="/o", lower=("/a",), work="/w"), "only one of upper and work"),
        (Overlay(destination="/o", lower=("/a",), upper="/u"), "only one of upper and work"),
        (Overlay(destination="/o", lower=("/a", "/b"), upper="/u", work="/w", read_only=True), "read-only and has"),
        (Overlay(destination="/o", lower=("/a",), read_only=True), "one directory only"),
        (Overlay(destination="/o", lower=("/" + "x" * 2000, "/" + "y" * 2100)), "longer than"),
        (Proc(destination="/"), "cannot be mounted on the root itself"),
        (Bind(source="/", destination="/", optional=True), "root cannot be optional"),
        (Chmod(destination="/nothing", mode=0o700), "nothing at /nothing"),
    ],
)
def test_values_that_mean_nothing_are_refused(operation: FileOperation, words: str) -> None:
    assert words in said(shell("true", namespaces=MOUNT, mounts=(operation,)))


@pytest.mark.parametrize("field", ["masked_paths", "readonly_paths"])
def test_covered_paths_are_absolute_and_not_the_root(field: str) -> None:
    assert "is relative" in said(shell("true", namespaces=MOUNT, **{field: ("proc",)}))
    assert "is the root itself" in said(shell("true", namespaces=MOUNT, **{field: ("//.",)}))


def test_all_problems_are_said_at_once() -> None:
    text = said(shell("true", mounts=(Tmpfs(destination="t", size=0), Dir(destination="d"))))
    assert text.count("relative") == 2
    assert "no size" in text
    assert "mount namespace" in text


REFUSED: dict[str, tuple[tuple[FileOperation, ...], int, str]] = {
    "source": ((Bind(source="/no/such", destination="/d"),), errno.ENOENT, "source does not exist"),
    "place": (
        (Bind(source="/etc", destination="/d"), Tmpfs(destination="/d/no/such")),
        errno.ENOENT,
        "a launch makes none",
    ),
    "place of a bind": (
        (Bind(source="/etc", destination="/d"), Bind(source="/usr", destination="/d/no")),
        errno.ENOENT,
        "a launch makes none",
    ),
    "place of proc": (
        (Bind(source="/etc", destination="/d"), Proc(destination="/d/no")),
        errno.ENOENT,
        "a launch makes none",
    ),
    "directory": ((Bind(source="/etc", destination="/d"), Dir(destination="/d/no")), errno.ENOENT, "a launch makes"),
    "file on directory": (
        (Dir(destination="/d"), Bind(source="/etc/passwd", destination="/d")),
        errno.EINVAL,
        "one of the two is a directory",
    ),
    "directory on file": (
        (File(destination="/f"), Bind(source="/etc", destination="/f")),
        errno.EINVAL,
        "one of the two is a directory",
    ),
    "below a file": (
        (File(destination="/f"), Dir(destination="/f/d")),
        errno.ENOTDIR,
        "do not go together",
    ),
    "overlay": ((Overlay(destination="/o", lower=("/no", "/such")),), errno.ENOENT, "does not exist"),
    "full": (
        (Tmpfs(destination="/t", size=1), File(destination="/t/f", content=b"x" * 9999)),
        errno.ENXIO,
        "the tmpfs is full",
    ),
}


@pytest.mark.needs("root")
@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_has_a_cause_and_a_remedy(case: str, nothing_left: object) -> None:
    mounts, number, words = REFUSED[case]
    with pytest.raises(LaunchError) as caught:
        launch(room("true", *mounts))
    assert caught.value.path
    assert caught.value.errno == number
    assert words in caught.value.cause
    assert caught.value.remedy


# go-sandbox pkg/forkexec TestFork_ENOENT: the mount that failed is named
def test_the_path_that_failed_is_named() -> None:
    with pytest.raises(LaunchError) as caught:
        launch(shell("true", namespaces=MOUNT | {"user"}, mounts=(*USR, Bind(source="/no/such", destination="/d"))))
    assert (caught.value.step, caught.value.path) == ("open tree", "/no/such")


@pytest.mark.needs("root")
def test_upper_on_an_overlay_is_explained(tmp_path: Path, nothing_left: object) -> None:
    for name in ("low", "upper", "work"):
        (tmp_path / name).mkdir()
    inside = tmp_path / "upper"
    overlay = Overlay(destination="/o", lower=(str(tmp_path / "low"),), upper=str(inside), work=str(inside / "no"))
    with pytest.raises(LaunchError) as caught:
        launch(room("true", overlay))
    assert caught.value.errno == errno.ENOENT
    nested = Overlay(destination="/o", lower=(str(tmp_path / "low"),), upper=str(tmp_path), work=str(tmp_path / "work"))
    with pytest.raises(LaunchError) as caught:
        launch(room("true", nested))
    assert caught.value.errno in (errno.EINVAL, errno.ELOOP)
    assert caught.value.remedy


@pytest.mark.needs("root")
def test_message_queues_of_another_ipc_namespace_are_explained(nothing_left: object) -> None:
    ids = (IDMapping(0, 0),)
    spec = room("true", Mqueue(destination="/mq"), uid_mappings=ids, gid_mappings=ids)
    with pytest.raises(LaunchError) as caught:
        launch(replace(spec, namespaces=MOUNT | {"user"}))
    assert caught.value.errno == errno.EPERM
    assert "ipc namespace" in caught.value.cause


# containers/bubblewrap#284: parts of /proc are masked, as in most containers
@pytest.mark.needs("root")
def test_a_masked_proc_outside_is_explained() -> None:
    def run() -> tuple[int | None, str, str]:
        own_mounts()
        mount("/dev/null", "/proc/cmdline", None, 0x1000)
        ids = (IDMapping(0, 0),)
        spec = room("true", Proc(destination="/proc"), uid_mappings=ids, gid_mappings=ids)
        with pytest.raises(LaunchError) as caught:
            launch(replace(spec, namespaces=spec.namespaces | {"user"}))
        return caught.value.errno, caught.value.cause, caught.value.remedy

    number, cause, remedy = apart(run)
    assert number == errno.EPERM
    assert "Mount too revealing" in cause
    assert "bind /proc" in remedy


def test_terminals_without_a_root_inside_are_noted() -> None:
    ids = (IDMapping(1000, 1000),)
    spec = room("true", Dev(destination="/dev"), uid_mappings=ids, gid_mappings=ids)
    plan = compile_spec(replace(spec, namespaces=MOUNT | {"user"}))
    assert any("/dev/pts is empty" in note for note in plan.notes)


def test_a_spec_without_files_has_no_step_of_theirs() -> None:
    plan = compile_spec(shell("true", namespaces=MOUNT))
    assert [step.label for step in plan.steps if step.phase in ("mounts", "root", "masks", "read-only")] == [
        "private mounts"
    ]
