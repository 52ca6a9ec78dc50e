"""Control groups of the running machine, whichever versions it has, held against what their files say to a test."""

from __future__ import annotations

import inspect
import mmap
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grouping
import mounting
import pytest
from children import call, end, fork_and
from grouping import busy, member
from leftovers import until

from nsview.host.cgroups import FACTS, MAX, Group, Quota, hierarchies, read_tree
from nsview.host.cgroups.namespace import roots_of
from nsview.host.cgroups.paths import groups_of

CLONE_NEWCGROUP, CLONE_NEWPID = 0x02000000, 0x20000000
VERSIONS = [key for key in grouping.mounted() if key in ("", "pids")] or [""]
MIB = 1 << 20

pytestmark = pytest.mark.needs("root")


def path_of(directory: Path) -> str:
    return next(found for each in hierarchies() if (found := each.path_of(str(directory))) is not None)


def seen(directory: Path) -> Group:
    """The group with this directory, as the code under test sees it."""
    tree = read_tree(hierarchies(), path_of(directory))
    assert tree is not None
    assert str(directory) in tree.directories.values()
    return tree


def raw(directory: Path, file: str) -> str:
    return (directory / file).read_text()


@pytest.mark.needs("cpu_controller")
def test_a_limit_of_cpu_time_and_what_it_does_to_a_spinning_process():
    with grouping.controlled("cpu") as directory:
        assert seen(directory).values["cpu_max"] == Quota(MAX, 100_000)
        if grouping.legacy("cpu"):
            (directory / "cpu.cfs_quota_us").write_text("20000")
        else:
            (directory / "cpu.max").write_text("20000 100000")
        with busy(directory, grouping.spin) as pid:
            assert until(lambda: seen(directory).values["cpu_throttled_periods"] > 1, 30)
            group = seen(directory)
        after = dict(line.split() for line in raw(directory, "cpu.stat").splitlines())
    assert group.values["cpu_max"] == Quota(20_000, 100_000)
    assert group.values["cpu_max"].cpus == 0.2
    assert group.values["cpu_throttled"] > 0
    assert 1 < group.values["cpu_throttled_periods"] <= int(after["nr_throttled"])
    assert group.values["cpu_throttled_periods"] <= group.values["cpu_periods"] <= int(after["nr_periods"])
    assert (group.processes, group.subtree) == ({pid}, {pid})


@pytest.mark.needs("cpu_controller")
def test_cpu_time_is_what_the_kernel_has_counted():
    with grouping.group("cpuacct" if grouping.legacy("cpuacct") else "") as directory:

        def counted() -> int:
            if grouping.legacy("cpuacct"):
                return int(raw(directory, "cpuacct.usage"))
            return int(raw(directory, "cpu.stat").split()[1]) * 1000

        with busy(directory, grouping.spin):
            assert until(lambda: counted() > 200_000_000, 30)
            before, group, after = counted(), seen(directory), counted()
    usage, user, system = (group.values[name] for name in ("cpu_usage", "cpu_user", "cpu_system"))
    assert 200_000_000 < before <= usage <= after
    assert before - 20_000_000 <= user + system <= after + 20_000_000  # version 1 counts these two in ticks


@pytest.mark.needs("memory_controller")
def test_memory_its_limit_and_a_kill_for_want_of_it():
    limit = "memory.limit_in_bytes" if grouping.legacy("memory") else "memory.max"
    with grouping.controlled("memory") as directory:
        fresh = seen(directory).values
        with member(directory, lambda: KEPT.append(b"x" * (24 * MIB))):
            filled = seen(directory).values
            (directory / limit).write_text(str(48 * MIB))
            for file in ("memory.swap.max", "memory.swappiness"):  # no swap, in either version
                if (directory / file).exists():
                    (directory / file).write_text("0")
            greedy = os.fork()
            if greedy == 0:
                grouping.enter(directory)
                devour()
            assert os.waitstatus_to_exitcode(os.waitpid(greedy, 0)[1]) == -signal.SIGKILL
            after = seen(directory).values
    assert (fresh["memory_max"], fresh["oom_kills"], fresh["memory_current"] < 24 * MIB) == (MAX, 0, True)
    assert 24 * MIB <= filled["memory_anon"] <= filled["memory_current"] <= filled["memory_peak"]
    assert (after["memory_max"], after["memory_max_hits"] > 0) == (48 * MIB, True)
    assert after["oom_kills"] >= 1
    assert after["memory_peak"] <= 48 * MIB


KEPT: list[bytes] = []


def devour() -> None:
    """Take memory until the kernel ends this; the most memory that any process may have sets the score."""
    Path("/proc/self/oom_score_adj").write_text("1000")
    while True:
        KEPT.append(b"x" * MIB)


@pytest.mark.needs("pids_controller")
def test_the_limit_of_tasks_and_the_forks_it_refused():
    def fork_too_much() -> None:
        try:
            while os.fork():
                pass
            signal.pause()
        except BlockingIOError:  # what was to come
            return

    with grouping.controlled("pids") as directory:
        assert seen(directory).values["pids_max"] == MAX
        (directory / "pids.max").write_text("3")
        with member(directory, fork_too_much):
            group = seen(directory)
            for pid in map(int, raw(directory, "cgroup.procs").split()):
                os.kill(pid, signal.SIGKILL)
    assert (group.values["pids_max"], group.values["pids_current"], group.values["pids_max_hits"]) == (3, 3, 1)
    assert len(group.processes) == 3


FREEZERS = ["", "freezer"]


@pytest.mark.parametrize("key", FREEZERS, ids=["v2", "v1"])
def test_a_frozen_group_freezes_those_below(key):
    if key not in grouping.mounted():
        key = next(other for other in FREEZERS if other in grouping.mounted())  # a machine with one version only
    file, on, off = ("freezer.state", "FROZEN", "THAWED") if key else ("cgroup.freeze", "1", "0")
    with grouping.group(key) as directory, grouping.group(key, "below", directory) as below:
        with member(below):
            assert states(directory) == [("THAWED", False, False), ("THAWED", False, False)]
            (directory / file).write_text(on)
            assert until(lambda: states(directory)[1][0] == "FROZEN")
            assert states(directory) == [("FROZEN", True, False), ("FROZEN", False, True)]
            assert states(below) == [("FROZEN", False, True)]
            (directory / file).write_text(off)
            assert until(lambda: states(directory)[1][0] == "THAWED")
            (below / file).write_text(on)
            assert until(lambda: states(directory)[1][0] == "FROZEN")
            assert states(directory) == [("THAWED", False, False), ("FROZEN", True, False)]
            (below / file).write_text(off)


def states(directory: Path) -> list[tuple[object, object, object]]:
    names = ("freezer", "freezer_self", "freezer_parent")
    return [tuple(group.values[name] for name in names) for _, group in seen(directory).walk()]


@pytest.mark.needs("io_controller", "disk")
def test_a_limit_of_bytes_written_to_a_disk_is_told_by_device():
    disk = next(iter(sorted(os.listdir("/sys/block"))))
    device = Path(f"/sys/block/{disk}/dev").read_text().strip()
    with grouping.controlled("io") as directory:
        if grouping.legacy("io"):
            (directory / "blkio.throttle.write_bps_device").write_text(f"{device} 1048576")
        else:
            (directory / "io.max").write_text(f"{device} wbps=1048576")
        limited = seen(directory).values["io_max"]
        assert limited == {device: {"rbps": MAX, "wbps": 1048576, "riops": MAX, "wiops": MAX}}


@pytest.mark.needs("io_controller", "disk")
def test_what_is_written_past_the_cache_is_counted(tmp_path):
    major, minor = os.major(tmp_path.stat().st_dev), os.minor(tmp_path.stat().st_dev)
    if not os.path.exists(f"/sys/dev/block/{major}:{minor}"):
        assert major == 0  # the directory is on no disk of its own: nothing to count
        return
    with grouping.controlled("io") as directory:
        before = seen(directory).values

        def write() -> None:
            fd = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
            os.write(fd, mmap.mmap(-1, MIB))
            os.close(fd)

        with member(directory, write):
            group = seen(directory).values
        text = raw(directory, "blkio.throttle.io_service_bytes_recursive" if grouping.legacy("io") else "io.stat")
    assert before["io_write"] == 0
    assert MIB <= group["io_write"] == sum(written(text))
    assert group["io_writes"] >= 1


def written(text: str) -> list[int]:
    words = [line.split() for line in text.splitlines()]
    old = [int(line[2]) for line in words if len(line) == 3 and line[1] == "Write"]
    return old + [int(pair[7:]) for line in words for pair in line if pair.startswith("wbytes=")]


def test_a_process_counts_in_the_innermost_of_its_groups():
    keys = list(dict.fromkeys(grouping.mounted().values()))
    if len(keys) < 2:
        keys = keys * 2  # one hierarchy alone: then it is simply there
    name = grouping.unique()
    points = {point: key for key, point in grouping.mounted().items()}
    with grouping.group(points[keys[0]], name) as outer, grouping.group(points[keys[0]], "in", outer) as inner:
        if keys[0] == keys[1]:
            with member(inner) as pid:
                tree = seen(outer)
        else:
            with grouping.group(points[keys[1]], name) as other, member(other) as pid:
                grouping.enter(inner, pid)
                tree = seen(outer)
                assert set(map(Path, tree.directories.values())) == {outer, other}
    assert (tree.processes, tree.subtree, tree.children[0].processes) == (set(), {pid}, {pid})


def test_the_tree_has_the_groups_and_processes_of_every_hierarchy():
    with grouping.group(next(iter(grouping.mounted()))) as directory, member(directory) as pid:
        before = directories()
        tree = read_tree(hierarchies())
        after = directories()
        groups = [group for _, group in tree.walk()]
        found = {Path(path) for group in groups for path in group.directories.values()}
        assert before & after <= found <= before | after
        assert directory in found
        assert pid in tree.subtree
        assert next(group for group in groups if str(directory) in group.directories.values()).processes == {pid}


def directories() -> set[Path]:
    return {Path(below) for point in set(grouping.mounted().values()) for below, _, _ in os.walk(point)}


@pytest.mark.needs("cgroup2")
def test_pressure_is_what_the_file_says():
    with grouping.group("") as directory, busy(directory, grouping.spin):
        if not (directory / "cpu.pressure").exists():
            assert "cpu_pressure" not in seen(directory).values
            return

        def total() -> int:
            return int(raw(directory, "cpu.pressure").split()[4].removeprefix("total="))

        before = total()
        group = seen(directory)
        assert before <= group.values["cpu_pressure"].some.total <= total()
        assert group.values["io_pressure"].full is not None


@pytest.mark.needs("cgroup2")
def test_a_group_with_pressure_accounting_off_has_unknown_pressure():
    with grouping.group("") as directory:
        if not (directory / "cgroup.pressure").exists():
            assert "cpu_pressure" in seen(directory).values or not (directory / "cpu.pressure").exists()
            return
        (directory / "cgroup.pressure").write_text("0")
        off = seen(directory)
        assert "cpu_pressure" not in off.values
        assert off.sources["freezer"]


@pytest.mark.parametrize(
    "name", ["cr\rlf", "esc\x1b[31m", "blank tab\t", "bell\x07", "\udcff\udcfe", "\u202erev", "a:b,c"]
)
def test_a_name_may_hold_anything_but_a_newline_and_a_slash(name):
    with grouping.group("", name) if "" in grouping.mounted() else grouping.group("pids", name) as directory:
        with member(directory) as pid:
            group = seen(directory)
            assert (group.name, group.path, group.processes) == (name, f"/{name}", {pid})


@pytest.mark.needs("cgroup2")
def test_groups_nested_without_end_are_read():
    with grouping.group("") as directory:
        deepest = directory
        for _ in range(250):
            deepest = deepest / "d"
            deepest.mkdir()
        with member(deepest) as pid, few_calls_in_calls(150):
            groups = [group for _, group in read_tree(hierarchies(), path_of(directory), ()).walk()]
    assert len(groups) == 251
    assert groups[-1].processes == {pid} == groups[0].subtree


@contextmanager
def few_calls_in_calls(more: int) -> Iterator[None]:
    """Let Python go only so much deeper, as a thousand groups would by its usual limit; making those takes seconds."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + more)
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)


def test_groups_that_come_and_go_while_they_are_read_do_no_harm():
    with grouping.group(next(iter(grouping.mounted()))) as directory:
        stop = threading.Event()

        def churn() -> None:
            while not stop.is_set():
                names = [directory / f"g{number}" for number in range(20)]
                for name in names:
                    name.mkdir()
                for name in reversed(names):
                    name.rmdir()

        thread = threading.Thread(target=churn)
        thread.start()
        counts: set[int] = set()
        try:
            assert until(lambda: counts.add(len(seen(directory).children)) or len(counts) > 5, 30)
        finally:
            stop.set()
            thread.join()
    assert max(counts) <= 20


@pytest.mark.needs("cgroup_namespace")
def test_the_root_of_a_cgroup_namespace_is_found_through_members_and_others():
    with grouping.group("") if "" in grouping.mounted() else grouping.group("pids") as directory:
        key = "" if "" in grouping.mounted() else "pids"

        def unshare() -> None:
            call("unshare", CLONE_NEWCGROUP)

        with grouping.group(key, "below", directory) as below, member(directory, unshare) as pid:
            fd = os.open(f"/proc/{pid}/ns/cgroup", os.O_RDONLY)
            try:
                at_root = roots_of(fd, [pid])
                with member(below) as lower:
                    through_other = roots_of(fd, [lower])
                    outside = roots_of(fd, [os.getpid()])
                    grouping.enter(below, pid)
                    moved = roots_of(fd, [pid])
            finally:
                os.close(fd)
    assert at_root[key] == through_other[key] == moved[key] == path_of(directory)
    assert outside[key] is None


@pytest.mark.needs("cgroup_namespace")
def test_a_reader_in_a_cgroup_namespace_sees_paths_from_its_root():
    with grouping.group("") if "" in grouping.mounted() else grouping.group("pids") as directory:
        key = "" if "" in grouping.mounted() else "pids"

        def look() -> object:
            grouping.enter(directory)
            call("unshare", CLONE_NEWCGROUP)
            (own,) = (each for each in hierarchies() if each.key == key)
            tree = read_tree([own], own.root)
            return own.root, own.own, own.directory("/"), [group.path for _, group in tree.walk()], os.getpid()

        pid, (root, own, directly, paths, number) = fork_and(look)
        end(pid)
    assert (root, own, directly, number) == ("/..", "/", None, pid)
    assert f"/../{directory.name}" in paths


def test_without_a_mount_the_hierarchies_are_known_but_not_read():
    def look() -> object:
        mounting.private()
        mounting.mount("over", "/sys/fs", "tmpfs")
        return [(each.key, each.mount) for each in hierarchies()], read_tree(hierarchies())

    pid, (known, tree) = fork_and(look)
    end(pid)
    assert {key for key, _ in known} == {each.key for each in hierarchies()}
    assert {mount for _, mount in known} == {None}
    assert tree is None


def test_a_hierarchy_is_found_wherever_it_is_mounted_and_where_most_of_it_is():
    key = next(iter(grouping.mounted()))
    with grouping.group(key) as directory, member(directory) as inside:

        def look() -> object:
            place = mounting.private()
            os.mkdir(f"{place}/part")
            mounting.mount(str(directory), f"{place}/part", None, mounting.MS_BIND)
            whole = os.open(grouping.mounted()[key], os.O_PATH)
            mounting.mount("over", "/sys/fs", "tmpfs")
            (part,) = (each for each in hierarchies() if each.mount is not None)
            os.mkdir(f"{place}/whole")
            mounting.mount(f"/proc/self/fd/{whole}", f"{place}/whole", None, mounting.MS_BIND)
            (more,) = (each for each in hierarchies() if each.mount is not None)
            found = read_tree([part], part.root)
            return part, more, found.processes, part.directory("/")

        pid, (part, more, processes, outside) = fork_and(look)
        end(pid)
    assert (part.mount, part.root, outside) == ("/mnt/part", f"/{directory.name}", None)
    assert processes == {inside}
    assert (more.mount, more.root) == ("/mnt/whole", "/")


@pytest.mark.needs("pid_namespace")
@pytest.mark.parametrize("key", VERSIONS)
@pytest.mark.parametrize("own_proc", [True, False])
def test_in_a_pid_namespace_processes_without_a_number_are_counted_or_unknown(key, own_proc):
    with grouping.group(key) as directory, member(directory):

        def look() -> object:
            call("unshare", CLONE_NEWPID)
            reading, writing = os.pipe()
            if os.fork() == 0:
                mounting.private()
                if own_proc:
                    mounting.mount("proc", "/proc", "proc")
                grouping.enter(directory)
                group = seen(directory)
                os.write(writing, repr((set(group.processes), group.outside, group.subtree_count)).encode())
                os._exit(0)
            os.close(writing)
            return os.read(reading, 1000).decode(), os.wait()

        pid, (told, _) = fork_and(look)
        end(pid)
    numbers = {1} if own_proc else set()  # /proc of the outer namespace has it under another number
    outside = None if key else 2 - len(numbers)
    assert told == repr((numbers, outside, None if key else 2))


def test_without_privilege_the_same_is_seen(as_nobody):
    with grouping.group(next(iter(grouping.mounted()))) as directory, member(directory):
        mine, theirs = seen(directory), as_nobody(lambda: seen(directory))
    assert (mine.path, mine.processes, mine.directories) == (theirs.path, theirs.processes, theirs.directories)
    assert mine.values.keys() == theirs.values.keys()


def test_a_group_that_is_gone_is_none():
    with grouping.group(next(iter(grouping.mounted()))) as directory:
        path = path_of(directory)
    assert read_tree(hierarchies(), path) is None


def test_the_groups_of_one_process_are_read_as_one_and_none_below():
    keys = list(dict.fromkeys(grouping.mounted().values()))
    points = {point: key for key, point in grouping.mounted().items()}
    with ExitStack() as made:
        inside = [made.enter_context(grouping.group(points[point])) for point in keys[:2]]
        made.enter_context(grouping.group("", "below", inside[0]))
        pid = made.enter_context(member(inside[0]))
        for directory in inside:
            grouping.enter(directory, pid)
        own = groups_of(Path(f"/proc/{pid}/cgroup").read_bytes())
        group = read_tree(hierarchies(), "/", roots=own, depth=0)
        deeper = read_tree(hierarchies(), "/", roots=own, depth=1)
    assert set(map(str, inside)) <= set(group.directories.values())
    assert pid in group.processes
    assert group.children == ()
    assert "below" in [child.name for child in deeper.children]
    assert all(child.children == () for child in deeper.children)


def test_only_the_facts_asked_for_are_read():
    wanted = [fact for fact in FACTS if fact.name in ("controllers", "pids_current", "cpu_usage")]
    tree = read_tree(hierarchies(), "/", wanted)
    assert {name for _, group in tree.walk() for name in group.values} <= {fact.name for fact in wanted}
