"""A child in a control group of its own: where it is, what it may use, and that nothing of the group is left."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from apart import NOBODY, apart, become_nobody, call, mount, own_mounts
from grouped import HERE, LAYOUTS, content, either, grouped, groups_of, planned, waiting
from leftovers import until
from running import PLANNING, output, read_all, shell

from spawner import IDMapping, LaunchError, Mechanism, Plan, Spec, SpecError, Stdio, compile_spec, launch
from spawner.cgroups import control
from spawner.cgroups.hierarchies import Hierarchy, hierarchies
from spawner.cgroups.seats import choose
from spawner.kernel import facts
from spawner.oci import IOMax, Resources

PAGE = os.sysconf("SC_PAGE_SIZE")
MEGABYTE = 1 << 20
WITH_PLANS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE)
INTO_CGROUP = 1 << 33

pytestmark = pytest.mark.needs("root")
in_each_layout = pytest.mark.parametrize("layout", LAYOUTS)


# ---- where it is ----


# golang/go src/syscall/exec_linux_test.go TestUseCgroupFD (through an O_PATH descriptor, as here)
@in_each_layout
@pytest.mark.parametrize("via", WITH_PLANS)
def test_child_is_in_its_group_in_every_hierarchy_used(via, layout, nothing_left):
    with waiting(layout, via=via) as child:
        for hierarchy in LAYOUTS[layout]:
            if directory := child.cgroup.paths.get(hierarchy.key):
                assert groups_of(child.pid)[hierarchy.key] == hierarchy.path_of(directory)
                assert Path(directory, "cgroup.procs").read_text().split() == [str(child.pid)]
                assert os.path.dirname(directory) in hierarchy.above()
            else:
                assert groups_of(child.pid)[hierarchy.key] == hierarchy.path
        assert child.cgroup.processes == (child.pid,)


def test_version_2_is_entered_by_the_call_that_makes_the_child_and_version_1_by_steps():
    plan = compile_spec(grouped("true"))
    steps = [step.label for step in plan.steps]
    assert bool(plan.clone_flags & INTO_CGROUP) == any(each.unified for each in HERE)
    assert "enter version 2 cgroup" not in steps
    if "version 1 alone" in LAYOUTS:
        plan = planned(grouped("true"), "version 1 alone")
        assert not plan.clone_flags & INTO_CGROUP
        assert "enter freezer cgroup" in [step.label for step in plan.steps]


def test_without_a_cgroup_a_plan_knows_nothing_of_them():
    plan = compile_spec(shell("true"))
    assert not plan.clone_flags & INTO_CGROUP
    assert not plan.preparations
    assert not [step for step in plan.steps if "cgroup" in step.label and step.phase != "read back"]


def test_a_child_that_is_not_in_its_group_is_no_success(nothing_left):
    plan = compile_spec(grouped("true", via=Mechanism.FORK))
    steps = [
        replace(step, syscall="getpid", args=()) if step.label.startswith("enter ") else step for step in plan.steps
    ]
    assert tuple(steps) != plan.steps
    with pytest.raises(LaunchError, match=r"read back cgroup.*was asked for"):
        launch(replace(plan, steps=tuple(steps)))


@pytest.mark.parametrize("namespaces", [{"cgroup"}, {"cgroup", "pid"}, {"cgroup", "user", "pid", "mount"}])
@pytest.mark.parametrize("via", PLANNING)
@in_each_layout
def test_root_of_a_new_cgroup_namespace_is_the_childs_own_group(via, namespaces, layout, nothing_left):
    maps = {"uid_mappings": (IDMapping(0, 0),)} if "user" in namespaces else {}
    spec = grouped("cat /proc/self/cgroup", namespaces=frozenset(namespaces), via=via, **maps)
    seen = control_groups(output(planned(spec, layout)))
    used = {seat.hierarchy.key for seat in choose(LAYOUTS[layout], Resources())[0]}
    assert used
    assert {seen[key] for key in used} == {"/"}


def control_groups(text: str) -> dict[str, str]:
    return {key: path for _, key, path in (line.split(":", 2) for line in text.splitlines())}


def test_the_call_makes_no_cgroup_namespace_where_a_group_is_to_be_entered_first():
    spec = grouped("true", namespaces=frozenset({"cgroup", "uts"}))
    plan = compile_spec(spec)
    assert not plan.clone_flags & 0x02000000
    labels = [step.label for step in plan.steps]
    assert labels.index("unshare cgroup") > max(i for i, label in enumerate(labels) if label.endswith("own cgroups"))
    assert compile_spec(replace(spec, cgroup=None)).clone_flags & 0x02000000


def test_a_shared_descriptor_table_is_left_before_the_groups_are_entered(nothing_left):
    with waiting(clone_flags=0x400) as child:  # CLONE_FILES
        assert child.cgroup.processes == (child.pid,)


def test_a_held_child_is_in_its_group_from_its_first_step_of_version_2(nothing_left):
    plan = planned(grouped("true"), hold=True)
    with launch(plan, hold="open own cgroups") as child:
        assert child.cgroup.processes == (child.pid,)
        child.resume()
        assert child.wait().code == 0


# ---- names ----


def test_a_given_name_is_the_name_of_the_group(nothing_left):
    with launch(grouped("read line", "nsvtest-given")) as child:
        assert {os.path.basename(path) for path in child.cgroup.paths.values()} == {"nsvtest-given"}


def test_made_up_names_never_meet(nothing_left):
    with waiting() as one, waiting() as two:
        assert not set(one.cgroup.paths.values()) & set(two.cgroup.paths.values())
        assert one.cgroup.processes == (one.pid,)
        assert two.cgroup.processes == (two.pid,)


@in_each_layout
def test_the_group_of_a_living_child_is_refused_to_another(layout, nothing_left):
    spec = grouped("read line", "nsvtest-taken")
    with launch(planned(spec, layout)) as child:
        with pytest.raises(LaunchError) as caught:
            launch(planned(spec, layout))
        assert caught.value.errno == errno.EEXIST
        assert caught.value.step == "make cgroup"
        assert f"made by process {os.getpid()}, which still runs, 1 process in it" in caught.value.cause
        assert child.cgroup.processes == (child.pid,)


# opencontainers/runc tests/integration/cgroups.bats "should refuse pre-existing frozen cgroup"
@in_each_layout
def test_a_frozen_group_that_exists_is_refused_at_once_and_left_alone(layout, nothing_left):
    hierarchy = choose(LAYOUTS[layout], Resources())[0][0].hierarchy
    directory = os.path.join(hierarchy.own, "nsvtest-frozen")
    file, frozen = ("cgroup.freeze", "1") if hierarchy.unified else ("freezer.state", "FROZEN")
    os.mkdir(directory)
    try:
        control.write(directory, file, frozen)
        with pytest.raises(LaunchError) as caught:
            launch(planned(grouped("true", "nsvtest-frozen"), layout))
        assert caught.value.errno == errno.EEXIST
        assert caught.value.path == directory
        assert "not made by us, 0 processes in it, frozen" in caught.value.cause
        assert (control.read(directory, file) or "").strip() == frozen
    finally:
        os.rmdir(directory)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\nb", "a\0b", "x" * 256, "nsview-1-2-3"])
def test_a_name_that_is_none_is_refused_beforehand(name):
    with pytest.raises(SpecError, match=r"name|NUL byte"):
        compile_spec(grouped("true", name))


# ---- limits ----


@pytest.mark.needs("memory_controller", "pids_controller", "cpu_controller")
def test_limits_are_what_the_kernel_says_they_are(nothing_left):
    with waiting(memory=64 * MEGABYTE + 1, pids=7, cpus=0.25) as child:
        assert either(child, "memory.max", "memory.limit_in_bytes") == str(64 * MEGABYTE)
        assert content(child, "pids.max") == "7"
        quota = either(child, "cpu.max", "cpu.cfs_quota_us")
        assert quota in ("25000 100000", "25000")
        assert either(child, "cgroup.procs", "cgroup.procs") == str(child.pid)


@pytest.mark.needs("memory_controller")
def test_what_does_not_fit_into_memory_may_not_go_to_swap_either(nothing_left):
    with waiting(memory=64 * MEGABYTE) as child:
        files = [os.path.join(path, name) for path in child.cgroup.paths.values() for name in SWAP]
        for path in filter(os.path.exists, files):
            assert Path(path).read_text().strip() == SWAP[os.path.basename(path)]


SWAP = {"memory.swap.max": "0", "memory.memsw.limit_in_bytes": str(64 * MEGABYTE)}


@pytest.mark.needs("io_controller", "disk")
def test_io_limits_of_a_disk_are_what_the_kernel_says_they_are(nothing_left):
    number = next(Path("/sys/block").iterdir()).joinpath("dev").read_text().strip()
    major, minor = map(int, number.split(":"))
    device = IOMax(major=major, minor=minor, read_bps=5 * MEGABYTE, write_iops=70)
    with waiting(io_max=(device,)) as child:
        if any(os.path.exists(os.path.join(path, "io.max")) for path in child.cgroup.paths.values()):
            assert content(child, "io.max") == f"{number} rbps={5 * MEGABYTE} wbps=max riops=max wiops=70"
        else:
            assert content(child, "blkio.throttle.read_bps_device") == f"{number} {5 * MEGABYTE}"
            assert content(child, "blkio.throttle.write_iops_device") == f"{number} 70"


@pytest.mark.needs("memory_controller")
@pytest.mark.parametrize("via", [Mechanism.CLONE3, Mechanism.FORK])
def test_a_child_that_wants_more_memory_than_it_may_have_is_killed_and_that_is_told(via, nothing_left):
    spec = replace(grouped("", memory=16 * MEGABYTE, via=via), args=("/usr/bin/tail", "/dev/zero"))
    with launch(spec) as child:
        child.close_stream("stdin")
        ended = child.wait(30)
        assert ended is not None
        assert ended.signal == signal.SIGKILL
        assert child.cgroup.oom_kills == 1
        assert child.cgroup.usage.memory_peak is None or child.cgroup.usage.memory_peak <= 16 * MEGABYTE
    assert child.cgroup.oom_kills == 1, "what it has used can be asked afterwards"


@pytest.mark.needs("memory_controller")
def test_a_child_that_is_killed_for_another_reason_was_not_short_of_memory(nothing_left):
    with waiting(memory=16 * MEGABYTE) as child:
        child.signal(signal.SIGKILL)
        assert child.wait().signal == signal.SIGKILL
        assert child.cgroup.oom_kills == 0


@pytest.mark.needs("memory_controller")
def test_memory_that_does_not_even_hold_the_program_is_a_failed_launch_or_a_killed_child(nothing_left):
    refused, killed = None, False
    try:
        with launch(grouped("true", memory=PAGE)) as child:
            ended = child.wait(30)
            assert ended is not None
            killed = ended.signal == signal.SIGKILL and bool(child.cgroup.oom_kills)
    except LaunchError as error:
        refused = error
    short = "more memory than its cgroup may have"
    assert killed or refused.errno == errno.ENOMEM or (refused.errno is None and short in refused.cause)


BOMB = "bomb() { bomb & bomb & wait; }; bomb"


@pytest.mark.needs("pids_controller")
@in_each_layout
def test_a_fork_bomb_stays_within_its_limit_and_ends_with_the_child(layout, nothing_left):
    if "pids" in {name for each in LAYOUTS[layout] for name in each.controllers}:
        with launch(planned(grouped(BOMB, pids=20, stdio=Stdio.NULL), layout)) as child:
            assert until(lambda: child.cgroup.usage.pids == 20 or child.poll() is not None)
            assert child.cgroup.usage.pids <= 20
        assert child.cgroup.processes == ()
    else:
        with pytest.raises(SpecError, match="pids controller"):
            planned(grouped(BOMB, pids=20, stdio=Stdio.NULL), layout)


@pytest.mark.needs("pids_controller")
def test_at_its_limit_of_tasks_a_program_cannot_fork(nothing_left):
    with launch(grouped("true | cat; true", pids=1)) as child:
        child.close_stream("stdin")
        assert "fork" in read_all(child.stderr).lower()
        assert child.wait().code != 0


@pytest.mark.needs("cpu_controller")
def test_a_busy_child_is_throttled(nothing_left):
    with launch(grouped("while :; do :; done", cpus=0.05)) as child:
        assert until(lambda: (control.number(content_of_cpu(child), "nr_throttled") or 0) > 0)


def content_of_cpu(child) -> str:
    texts = [control.read(path, "cpu.stat") or "" for path in child.cgroup.paths.values()]
    return next(text for text in texts if "nr_throttled" in text)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"memory": 0}, "memory"),
        ({"memory": -1}, "memory"),
        ({"memory": PAGE - 1}, "page"),
        ({"memory": 2**63}, "memory"),
        ({"pids": 0}, "tasks"),
        ({"pids": 2**22 + 1}, "tasks"),
        ({"cpus": 0.0}, "processors"),
        ({"cpus": 0.001}, "processors"),
        ({"cpus": float("nan")}, "processors"),
        ({"cpus": float("inf")}, "processors"),
        ({"io_max": (IOMax(major=8, minor=0),)}, "no limit"),
        ({"io_max": (IOMax(major=8, minor=0, read_bps=0),)}, "8:0"),
        ({"io_max": (IOMax(major=8, minor=0, read_iops=2**32),)}, "8:0"),
        ({"io_max": (IOMax(major=-1, minor=0, read_bps=1),)}, "no device"),
        ({"io_max": (IOMax(major=8, minor=0, read_bps=1), IOMax(major=8, minor=0, write_bps=1))}, "twice"),
    ],
)
def test_a_limit_that_is_none_is_refused_beforehand(limits, says):
    with pytest.raises(SpecError, match=says):
        compile_spec(grouped("true", **limits))


@pytest.mark.needs("io_controller")
def test_a_device_that_is_not_there_is_told_and_no_group_left(nothing_left):
    with pytest.raises(LaunchError, match="block device") as caught:
        launch(grouped("true", io_max=(IOMax(major=4000, minor=9, read_bps=1),)))
    assert caught.value.errno == errno.ENODEV


def test_enabling_a_controller_for_a_group_is_undone_with_it(nothing_left):
    before = {path: control.read(path, "cgroup.subtree_control") for each in HERE for path in each.above()}
    here = {name for each in HERE for name in each.controllers}
    limits = {"memory": 64 * MEGABYTE, "pids": 20, "cpus": 0.5}
    limits = {name: value for name, value in limits.items() if name.replace("cpus", "cpu") in here}
    with waiting(**limits), waiting(**limits):
        pass
    assert {path: control.read(path, "cgroup.subtree_control") for path in before} == before


# ---- what cannot be ----


def test_without_any_hierarchy_it_is_said_what_to_mount():
    with pytest.raises(SpecError, match="mount -t cgroup2"):
        compile_spec(grouped("true"), given=facts())


def test_the_flag_alone_has_no_group_to_go_into():
    with pytest.raises(SpecError, match="needs a cgroup to go into; ask for one"):
        compile_spec(Spec(args=("/bin/true",), clone_flags=INTO_CGROUP))


def test_without_privilege_it_is_explained_and_nothing_made(nothing_left):
    def run() -> tuple[int | None, str, str]:
        become_nobody()
        with pytest.raises(LaunchError) as caught:
            launch(grouped("true"))
        return caught.value.errno, caught.value.step, str(caught.value)

    number, step, text = apart(run)
    assert number in (errno.EACCES, errno.EROFS)
    assert step == "make cgroup"
    assert "systemd-run --user --scope" in text


@pytest.mark.needs("cgroup2")
def test_a_delegated_group_needs_no_privilege(nothing_left):
    unified = next(each for each in HERE if each.unified)
    delegated = os.path.join(unified.own, "nsvtest-delegated")
    os.mkdir(delegated)
    try:
        for path in (
            delegated,
            *(os.path.join(delegated, name) for name in ("cgroup.procs", "cgroup.subtree_control")),
        ):
            os.chown(path, NOBODY, NOBODY)

        def run() -> tuple[str, str]:
            control.write(delegated, "cgroup.procs", "0")
            become_nobody()
            with launch(grouped("read line")) as child:
                child.cgroup.freeze()
                assert child.cgroup.frozen
                return child.cgroup.paths[""], groups_of(child.pid)[""]

        directory, group = apart(run)
        assert os.path.dirname(directory) == delegated
        assert group == unified.path_of(directory)
        assert not os.path.exists(directory)
    finally:
        os.rmdir(delegated)


# ---- where there is a place in version 2 ----


def pids_limits_of_version_2() -> Hierarchy | None:
    """The hierarchy of version 2, if it is the one that limits tasks here."""
    return next((each for each in HERE if each.unified and "pids" in each.controllers), None)


def only_version_2(spec: Spec) -> Plan:
    """The plan on a machine that has only version 2."""
    return compile_spec(spec, given=replace(facts(), cgroups=tuple(each for each in hierarchies() if each.unified)))


@pytest.mark.needs("cgroup2")
def test_a_controller_is_enabled_in_the_nearest_group_that_has_it_and_no_processes(nothing_left):
    unified = pids_limits_of_version_2()
    if unified is None:
        with pytest.raises(SpecError, match="no cgroup hierarchy here has the pids controller"):
            only_version_2(grouped("true", pids=5))
        return
    outer = os.path.join(unified.mount, "nsvtest-outer")
    inner, file = os.path.join(outer, "inner"), "cgroup.subtree_control"
    assert "pids" in (control.read(unified.mount, file) or "").split()

    def run(before: str) -> list[str | None]:
        control.write(outer, file, before)
        control.write(inner, "cgroup.procs", "0")
        seen = []
        with launch(grouped("read line", pids=5)) as one, launch(grouped("read line", pids=6)) as two:
            assert {os.path.dirname(path) for child in (one, two) for path in child.cgroup.paths.values()} == {outer}
            assert (content(one, "pids.max"), content(two, "pids.max")) == ("5", "6")
            one.close()
            seen.append(control.read(outer, file))
            assert content(two, "pids.max") == "6"
        seen.append(control.read(outer, file))
        with launch(grouped("read line", pids=5)):
            control.write(inner, "pids.max", "100")  # somebody else uses it meanwhile
        seen.append(control.read(outer, file))
        return seen

    for before in ("-pids", "+pids"):
        os.makedirs(inner)
        try:
            seen = apart(lambda: run(before))  # noqa: B023
        finally:
            os.rmdir(inner)
            os.rmdir(outer)
        off = "" if before == "-pids" else "pids"
        assert [text.strip() for text in seen] == ["pids", off, "pids"]


@pytest.mark.needs("cgroup2")
def test_where_our_own_group_is_all_there_is_it_is_explained_why_no_limit_can_be_set(nothing_left, tmp_path):
    unified = next(each for each in HERE if each.unified)
    limited = pids_limits_of_version_2() is not None
    inner = os.path.join(unified.mount, "nsvtest-inner")  # the root passes on what it has

    def run() -> tuple[str, str]:
        control.write(inner, "cgroup.procs", "0")
        call("unshare", 0x02000000)
        own_mounts()
        mount("none", str(tmp_path), "cgroup2")
        with launch(only_version_2(grouped("read line"))) as child:
            place = os.path.dirname(child.cgroup.paths[""])
            assert child.cgroup.processes == (child.pid,)
        with pytest.raises((LaunchError, SpecError)) as caught:
            launch(only_version_2(grouped("true", pids=5)))
        return place, str(caught.value)

    os.mkdir(inner)
    try:
        place, text = apart(run)
    finally:
        os.rmdir(inner)
    assert place == str(tmp_path)
    assert ("no place for a group with pids" if limited else "pids controller") in text
    assert ("processes of its own" in text) == limited


# ---- faults ----


@in_each_layout
@pytest.mark.parametrize("via", PLANNING)
def test_a_fault_at_any_step_leaves_no_group(via, layout, nothing_left):
    spec = grouped("true", namespaces=frozenset({"cgroup", "pid"}), via=via)
    plan = planned(spec, layout)
    for index, step in enumerate(plan.steps):
        if step.phase != "cgroup" or step.bearing:
            continue
        with pytest.raises(LaunchError) as caught:
            launch(plan, inject=(index, errno.EDQUOT))
        assert (caught.value.step, caught.value.index) == (step.label, index)
        assert nothing_left.difference() == []
    with pytest.raises(LaunchError) as caught:
        launch(plan, inject=("make cgroup", errno.EROFS))
    assert caught.value.step == "make cgroup"
    assert "read-only" in caught.value.cause


def test_where_there_is_no_proc_to_read_the_group_from_it_stays_unknown(nothing_left):
    with launch(compile_spec(grouped("true")), inject=("open own cgroups", errno.ENOENT)) as child:
        assert child.wait().code == 0


def test_a_plan_serves_again_and_makes_another_group(nothing_left):
    plan = compile_spec(grouped("read line"))
    with launch(plan) as one, launch(plan) as two:
        assert one.cgroup.paths != two.cgroup.paths
