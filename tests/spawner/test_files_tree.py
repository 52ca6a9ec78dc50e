"""The model of the new root: what the plan knows to be there, and where it may make more."""

from __future__ import annotations

import pytest

from spawner import Spec
from spawner.filling import fill
from spawner.oci import Bind, Chmod, Dev, Dir, File, FileOperation, Overlay, RemountReadOnly, Symlink, Tmpfs
from spawner.tree import Kind, Place


def filled(*mounts: FileOperation, rootfs: str | None = None) -> dict[int, Place]:
    """The place of each operation by its number; AssertionError where something speaks against them."""
    filling = fill(Spec(args=("x",), mounts=mounts, rootfs=rootfs))
    assert filling.problems == []
    return {item.number: item.place for item in filling.settled}


def complaints(*mounts: FileOperation, rootfs: str | None = None) -> str:
    return "\n".join(map(str, fill(Spec(args=("x",), mounts=mounts, rootfs=rootfs)).problems))


def test_parents_are_made_once_the_outermost_first() -> None:
    places = filled(Dir(destination="/a/b/c"), Dir(destination="/a/b/d"))
    assert places[0].parents == (("a",), ("a", "b"))
    assert places[1].parents == ()
    assert places[1].missing


def test_links_of_the_plan_are_followed() -> None:
    places = filled(Symlink(target="usr/bin", destination="/bin"), Dir(destination="/bin/x"))
    assert places[1].path == "/usr/bin/x"
    assert places[1].parents == (("usr",), ("usr", "bin"))


def test_links_of_the_plan_go_up_no_further_than_the_root() -> None:
    places = filled(Symlink(target="../../../etc", destination="/a/link"), Dir(destination="/a/link/x"))
    assert places[1].path == "/etc/x"


def test_absolute_links_of_the_plan_start_at_the_new_root() -> None:
    places = filled(Symlink(target="/srv", destination="/a/b/link"), Tmpfs(destination="/a/b/link"))
    assert places[1].path == "/srv"


def test_links_in_a_circle_are_a_problem() -> None:
    assert "circle" in complaints(
        Symlink(target="b", destination="/a"), Symlink(target="a", destination="/b"), Dir(destination="/a/x")
    )


def test_nothing_is_made_in_a_bind() -> None:
    place = filled(Bind(source="/srv", destination="/d"), Tmpfs(destination="/d/e/f"))[1]
    assert (place.missing, place.parents) == (False, ())


def test_nothing_is_made_in_a_given_root() -> None:
    place = filled(Tmpfs(destination="/d/e/f"), rootfs="/srv")[0]
    assert (place.missing, place.parents) == (False, ())


def test_things_are_made_on_a_tmpfs_in_a_bind() -> None:
    place = filled(Bind(source="/", destination="/"), Tmpfs(destination="/tmp"), Dir(destination="/tmp/a/b"))[2]
    assert place.missing
    assert place.parents == (("tmp", "a"),)
    assert not place.ground.exact, "a link of the host's could be on the way to the tmpfs"


def test_a_mount_covers_what_was_made_before() -> None:
    place = filled(Dir(destination="/a/b"), Tmpfs(destination="/a"), Dir(destination="/a/b"))[2]
    assert place.missing


def test_a_bind_covers_what_was_made_before() -> None:
    assert "changes nothing" in complaints(
        Dir(destination="/a/b"), Bind(source="/srv", destination="/a"), File(destination="/a/b/file")
    )


def test_what_is_mounted_on_the_root_last_is_the_root() -> None:
    filling = fill(
        Spec(args=("x",), mounts=(Tmpfs(destination="/tmp"), Bind(source="/", destination="/"), Dir(destination="/d")))
    )
    assert filling.root == Bind(source="/", destination="/")
    assert filling.covered == 1
    assert [item.number for item in filling.settled] == [2]


def test_a_second_root_is_a_problem() -> None:
    assert "two roots" in complaints(Bind(source="/", destination="/"), rootfs="/srv")


def test_the_same_link_again_is_nothing_to_do_and_another_is_a_problem() -> None:
    places = filled(Symlink(target="x", destination="/l"), Symlink(target="x", destination="/l"))
    assert places[1].node is not None
    assert places[1].node.kind is Kind.LINK
    assert "already" in complaints(Symlink(target="x", destination="/l"), Symlink(target="y", destination="/l"))


@pytest.mark.parametrize(
    "operation",
    [
        File(destination="/d/x"),
        Symlink(target="y", destination="/d/x"),
        Chmod(destination="/d/x", mode=0o700),
        Chmod(destination="/d", mode=0o700),
    ],
)
@pytest.mark.parametrize(
    "host",
    [
        Bind(source="/srv", destination="/d"),
        Bind(source="/srv", destination="/d", optional=True),
        Overlay(destination="/d", lower=("/srv",), upper="/u", work="/w"),
        Overlay(destination="/d", lower=("/srv", "/opt"), read_only=True),
    ],
)
def test_what_would_change_the_host_is_a_problem(host: FileOperation, operation: FileOperation) -> None:
    assert "changes nothing of the host's" in complaints(host, operation)


def test_devices_of_a_dev_are_known() -> None:
    assert "already" in complaints(Dev(destination="/dev"), Symlink(target="x", destination="/dev/fd"))
    assert "changes nothing" in complaints(Dev(destination="/dev"), Chmod(destination="/dev/null", mode=0))
    assert filled(Dev(destination="/dev"), Dir(destination="/dev/mqueue"))[1].missing


@pytest.mark.parametrize("path", ["/a", "/a/b"])
def test_read_only_becomes_a_mount_only(path: str) -> None:
    assert "no mount" in complaints(Dir(destination="/a/b"), RemountReadOnly(destination=path))
    assert complaints(Tmpfs(destination=path), RemountReadOnly(destination=path)) == ""


def test_a_file_is_no_place_for_a_tmpfs() -> None:
    assert "no directory can be mounted" in complaints(File(destination="/f"), Tmpfs(destination="/f"))
