"""What the kernel writes in mountinfo is read as it is meant; differences and peer groups of tables are found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nsview.host.content.mount_difference import difference
from nsview.host.content.mount_info import Mount, parse
from nsview.host.content.mount_peers import peer_groups
from nsview.host.content.mount_table import table_of

PLAIN = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"  # proc_pid_mountinfo(5)


def one(text: bytes) -> Mount:
    (mount,) = parse(text)
    return mount


def test_the_line_of_the_manual_page_is_read():
    assert one(PLAIN) == Mount(
        id=36,
        parent=35,
        device=(98, 0),
        root="/mnt1",
        point="/mnt2",
        options=("rw", "noatime"),
        shared=None,
        master=1,
        propagate_from=None,
        unbindable=False,
        fs_type="ext3",
        source="/dev/root",
        super_options=("rw", "errors=continue"),
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (b"", "private"),
        (b"shared:7 ", "shared with peer group 7"),
        (b"master:3 ", "slave of peer group 3"),
        (b"shared:7 master:3 ", "shared with peer group 7, slave of peer group 3"),
        (b"master:9 propagate_from:3 ", "slave of peer group 9 (here through 3)"),
        (b"unbindable ", "unbindable"),
        (b"later:5 shared:7 ", "shared with peer group 7"),
    ],
)
def test_propagation_is_worded(fields, said):
    assert one(b"1 0 0:1 / / rw " + fields + b"- tmpfs t rw\n").propagation == said


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (rb"/a\040b", "/a b"),
        (rb"/a\011b\012c", "/a\tb\nc"),
        (rb"/a\134040b", r"/a\040b"),
        (b"/a\rb\x0b\x0c\x1c\xc2\x85", "/a\rb\x0b\x0c\x1c\x85"),
        (b"/\xff", "/\udcff"),
        (b"/-", "/-"),
    ],
)
def test_escapes_and_control_characters_of_a_path_are_read(written, meant):
    text = b"1 0 0:1 " + written + b" " + written + b" rw - tmpfs - rw\n"
    assert [(mount.root, mount.point) for mount in parse(text + PLAIN)] == [(meant, meant), ("/mnt1", "/mnt2")]


def test_a_source_may_be_empty_and_an_option_may_hold_an_escaped_comma():
    mount = one(rb"1 0 0:1 / / rw -  overlay  rw,lowerdir=/a\054b:/c".replace(b"-  overlay", b"- overlay") + b"\n")
    assert mount.source == ""
    assert mount.super_options == ("rw", "lowerdir=/a,b:/c")


@pytest.mark.parametrize(("point", "system", "expected"), [("rw", "rw", False), ("ro", "rw", True), ("rw", "ro", True)])
def test_either_the_mount_or_its_file_system_makes_it_read_only(point, system, expected):
    assert one(f"1 0 0:1 / / {point} - tmpfs t {system}\n".encode()).read_only is expected


def test_a_bind_mount_of_what_was_removed_says_so():
    assert one(b"1 0 0:1 /gone//deleted /x rw - tmpfs t rw\n").is_deleted
    assert not one(PLAIN).is_deleted


@pytest.mark.parametrize("text", [b"nonsense\n", b"1 0 0:1 / / rw\n", PLAIN[:40] + b"\n"])
def test_what_is_no_mountinfo_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the words
        parse(text)


BASE = one(b"1 0 0:1 / / rw - ext4 /dev/vda rw\n")


def at(number: int, point: str, **rest: object) -> Mount:
    return replace(BASE, id=number, parent=1, point=point, **rest)


def test_tables_that_differ_in_ids_alone_are_the_same():
    found = difference([BASE, at(5, "/a")], [replace(BASE, id=50), at(60, "/a")])
    assert found.is_empty


def test_mounts_come_go_and_change():
    found = difference(
        [BASE, at(5, "/a"), at(6, "/b"), at(7, "/c")],
        [BASE, at(5, "/a"), at(6, "/b", options=("ro",), shared=4), at(8, "/d")],
    )
    assert [mount.point for mount in found.removed] == ["/c"]
    assert [mount.point for mount in found.added] == ["/d"]
    assert [(change.after.point, change.what) for change in found.changed] == [("/b", ("options", "shared"))]


def test_one_more_mount_on_the_same_point_is_added_and_changes_none():
    found = difference([BASE, at(5, "/a")], [BASE, at(5, "/a"), replace(at(6, "/a", fs_type="tmpfs"), parent=5)])
    assert ([mount.id for mount in found.added], found.removed, found.changed) == ([6], (), ())


def test_peer_groups_reach_across_namespaces():
    tables = {
        100: table_of([at(2, "/x", shared=7), at(3, "/y")]),
        200: table_of([at(4, "/z", shared=7), at(5, "/w", shared=9, master=7)]),
    }
    groups = peer_groups(tables)
    assert {number: group.namespaces for number, group in groups.items()} == {7: {100, 200}, 9: {200}}
    assert [(place.namespace, place.mount.point) for place in groups[7].peers] == [(100, "/x"), (200, "/z")]
    assert [(place.namespace, place.mount.point) for place in groups[7].slaves] == [(200, "/w")]
