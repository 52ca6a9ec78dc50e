"""Id maps of user namespaces and offsets of time namespaces, with a process inside and with none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dwellers import opened

from nsview.host.content.entered import dwelling
from nsview.host.content.time import TimeOffsets, parse_offsets, read_offsets
from nsview.host.content.user import Extent, UserContent, parse_map, read_user
from nsview.host.process import PinnedProcess

SECOND = 1_000_000_000


@pytest.mark.needs("root", "unshare")
def test_maps_of_a_user_namespace_are_those_that_were_written(unshared):
    pid = unshared("--user")
    Path(f"/proc/{pid}/uid_map").write_text("0 100000 1000")
    Path(f"/proc/{pid}/gid_map").write_text("5 300000 7")
    expected = UserContent((Extent(0, 100000, 1000),), (Extent(5, 300000, 7),), True)
    with PinnedProcess(pid) as process:
        assert read_user(process) == expected


@pytest.mark.needs("root", "unshare")
def test_maps_without_a_process_are_read_through_a_descriptor_alone(nothing_left, unshared):
    shell = unshared("--user", "--map-root-user", script="exec 3</proc/self/ns/user")
    with opened(shell, "user") as fds, dwelling(fds) as process:
        content = read_user(process)
    assert content == UserContent((Extent(0, 0, 1),), (Extent(0, 0, 1),), False)


@pytest.mark.needs("root", "unshare")
def test_a_map_is_empty_before_it_is_written(unshared):
    pid = unshared("--user")
    with PinnedProcess(pid) as process:
        assert read_user(process) == UserContent((), (), True)


def test_several_extents_and_ids_that_we_have_not():
    text = b"         0     100000       1000\n      1000 4294967295          1\n"
    assert parse_map(text) == (Extent(0, 100000, 1000), Extent(1000, None, 1))
    assert parse_map(None) is None


@pytest.mark.needs("root", "unshare")
def test_offsets_are_those_given_and_the_clocks_agree(unshared):
    pid = unshared("--time", "--monotonic=-3", "--boottime=86400", "--fork")
    with PinnedProcess(pid) as process:
        inode = process.namespace("time")
        assert inode != os.stat("/proc/self/ns/time").st_ino
        assert read_offsets(process, inode) == TimeOffsets(-3 * SECOND, 86400 * SECOND)


@pytest.mark.needs("root", "unshare")
def test_offsets_of_a_namespace_are_never_those_of_the_one_for_children(unshared):
    # unshare(1) without --fork: the shell was executed, so it is inside; a process that only unshared is not.
    pid = unshared("--time", "--boottime=77", "--fork")
    with PinnedProcess(pid) as process:
        assert read_offsets(process, os.stat("/proc/self/ns/time").st_ino) is None


@pytest.mark.needs("root", "unshare")
def test_offsets_without_a_process_are_read_through_a_descriptor_alone(nothing_left, unshared):
    pid = unshared("--time", "--monotonic=5", "--boottime=-2", "--fork")
    with opened(pid, "time") as fds, dwelling(fds) as process:
        assert read_offsets(process, os.fstat(*fds).st_ino) == TimeOffsets(5 * SECOND, -2 * SECOND)


def test_negative_offsets_and_an_empty_file():
    text = b"monotonic         -3         500\nboottime           7           0\n"
    assert parse_offsets(text) == TimeOffsets(-3 * SECOND + 500, 7 * SECOND)
    assert parse_offsets(b"") is None
