"""Which hierarchies there are and where in them we are, from the kernel's own words of several machines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spawner.cgroups.hierarchies import Hierarchy, combine, hierarchies, parse_groups, parse_mounts
from spawner.cgroups.seats import choose
from spawner.cgroups.settings import settings
from spawner.oci import IOMax, Resources

PURE = b"""22 1 0:20 / / rw - ext4 /dev/vda rw
30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
"""
VERSION_1 = b"""22 1 0:20 / / rw - ext4 /dev/vda rw
31 22 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 31 0:31 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
35 31 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
"""
HYBRID = VERSION_1 + b"36 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
OWN = "5:name=systemd:/user.slice\n4:freezer:/\n3:memory:/user.slice\n2:cpu,cpuacct:/user.slice/a\n"
NOTHING: dict[str, frozenset[str]] = {}


def found(mountinfo: bytes, groups: str, controllers: str = "") -> dict[str, Hierarchy]:
    mounts = parse_mounts(mountinfo)
    unified = {mount.point: frozenset(controllers.split()) for mount in mounts if mount.version == 2}
    return {each.key: each for each in combine(mounts, parse_groups(groups), unified)}


def test_version_2_alone_is_one_hierarchy_with_the_controllers_of_its_root():
    (only,) = found(PURE, "0::/user.slice/me\n", "memory pids").values()
    assert only.unified
    assert only.controllers == {"memory", "pids"}
    assert only.own == "/sys/fs/cgroup/user.slice/me"
    assert only.above() == (only.own, "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup")


def test_version_1_has_a_hierarchy_for_each_mount_and_a_place_in_each():
    each = found(VERSION_1, OWN)
    assert each["cpu,cpuacct"].own == "/sys/fs/cgroup/cpu,cpuacct/user.slice/a"
    assert each["cpu,cpuacct"].controllers == {"cpu", "cpuacct"}
    assert each["freezer"].own == each["freezer"].mount == "/sys/fs/cgroup/freezer"
    assert each["name=systemd"].own == "/sys/fs/cgroup/systemd/user.slice"


def test_a_hybrid_machine_has_both():
    each = found(HYBRID, OWN + "0::/user.slice\n", "hugetlb")
    assert each[""].own == "/sys/fs/cgroup/unified/user.slice"
    assert len(each) == 5


def test_in_a_container_that_sees_only_its_own_part_paths_begin_there():
    mountinfo = b"30 22 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    (only,) = found(mountinfo, "0::/docker/abc/inner\n").values()
    assert only.own == "/sys/fs/cgroup/inner"
    assert only.path_of("/sys/fs/cgroup/inner/child") == "/docker/abc/inner/child"
    assert only.above() == ("/sys/fs/cgroup/inner", "/sys/fs/cgroup")


@pytest.mark.parametrize(
    ("root", "own"),
    [("/docker/abc", "/docker/abcdef"), ("/docker/abc", "/"), ("/", "/../outside"), ("/..", "/")],
)
def test_a_hierarchy_in_which_we_are_outside_of_what_is_mounted_is_not_one_to_use(root, own):
    mountinfo = f"30 22 0:26 {root} /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n".encode()
    assert found(mountinfo, f"0::{own}\n") == {}


def test_what_a_later_mount_covers_is_not_there():
    over = b"40 22 0:50 / /sys rw - sysfs sysfs rw\n"
    assert found(PURE + over, "0::/\n") == {}


def test_what_stands_on_a_later_mount_in_the_list_is_there():
    above = b"30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n22 1 0:20 / / rw - ext4 /dev/vda rw\n"
    assert found(above, "0::/\n")[""].mount == "/sys/fs/cgroup"


def test_odd_characters_in_a_mount_point_are_unescaped():
    odd = b"30 22 0:26 / /a\\040b\\134c rw - cgroup2 cgroup2 rw\n"
    assert found(odd, "0::/\n")[""].mount == "/a b\\c"


def test_the_same_hierarchy_mounted_twice_is_used_once():
    twice = PURE + b"31 22 0:26 / /mnt rw - cgroup2 cgroup2 rw\n"
    (only,) = found(twice, "0::/\n").values()
    assert only.mount == "/sys/fs/cgroup"


def test_this_machine_has_our_own_group_in_each_of_its_hierarchies():
    here = hierarchies()
    assert here
    for each in here:
        processes = Path(each.own, "cgroup.procs").read_text().split()
        assert str(os.getpid()) in processes, each


@pytest.mark.parametrize(
    ("mountinfo", "groups", "controllers", "keys"),
    [
        (PURE, "0::/\n", "memory pids cpu io", [""]),
        (HYBRID, OWN + "0::/\n", "hugetlb", ["", "cpu,cpuacct", "memory"]),
        (VERSION_1, OWN, "", ["cpu,cpuacct", "freezer", "memory"]),
    ],
)
def test_limits_go_where_their_controllers_are(mountinfo, groups, controllers, keys):
    each = found(mountinfo, groups, controllers).values()
    seats, missing = choose(each, Resources(memory=1 << 20, cpus=0.5))
    assert missing == ()
    assert [seat.hierarchy.key for seat in seats] == keys
    limited = {name: seat.hierarchy.key for seat in seats for name in seat.controllers}
    assert limited == {"memory": keys[-1], "cpu": "cpu,cpuacct" if "cpu,cpuacct" in keys else ""}


def test_without_limits_only_what_freezes_and_ends_is_used():
    for mountinfo, groups, keys in ((HYBRID, f"{OWN}0::/\n", [""]), (VERSION_1, OWN, ["freezer"])):
        seats, missing = choose(found(mountinfo, groups).values(), Resources())
        assert [seat.hierarchy.key for seat in seats] == keys
        assert missing == ()


def test_a_controller_that_is_nowhere_is_said():
    each = found(PURE, "0::/\n", "cpu").values()
    assert choose(each, Resources(memory=1 << 20, pids=3, cpus=1))[1] == ("memory", "pids")


def test_memory_is_rounded_down_to_pages_as_the_kernel_does():
    page = os.sysconf("SC_PAGE_SIZE")
    asked = Resources(memory=3 * page + 17)
    for unified in (False, True):
        first, swap = settings(asked, unified=unified)
        assert (first.text, first.wanted) == (str(3 * page + 17), str(3 * page))
        assert swap.optional


def test_processors_are_a_share_of_time_in_both_versions():
    two = [(setting.file, setting.text) for setting in settings(Resources(cpus=1.5), unified=True)]
    one = [(setting.file, setting.text) for setting in settings(Resources(cpus=1.5), unified=False)]
    assert two == [("cpu.max", "150000 100000")]
    assert one == [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "150000")]


def test_io_limits_are_told_apart_by_device_when_they_are_read_back():
    asked = Resources(io_max=(IOMax(major=8, minor=1, read_bps=5), IOMax(major=8, minor=16, write_iops=7)))
    one, two = settings(asked, unified=True)
    text = "8:16 rbps=max wbps=max riops=max wiops=7\n8:1 rbps=5 wbps=max riops=max wiops=max\n"
    assert one.found(text) == one.wanted == "8:1 rbps=5 wbps=max riops=max wiops=max"
    assert two.found(text) == two.wanted == "8:16 rbps=max wbps=max riops=max wiops=7"
    files = [(setting.file, setting.text) for setting in settings(asked, unified=False)]
    assert files == [
        ("blkio.throttle.read_bps_device", "8:1 5"),
        ("blkio.throttle.write_iops_device", "8:16 7"),
    ]
