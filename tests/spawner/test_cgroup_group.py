"""A child's group while it lives and when it ends: freeze, thaw, kill, remove, and what earlier processes left."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from apart import beside
from grouped import HERE, LAYOUTS, grouped, planned, waiting
from leftovers import until
from running import ended, read_all

from spawner import Child, LaunchError, Mechanism, Stdio, launch
from spawner.cgroups import control
from spawner.cgroups.owner import Owner, ourselves, owner_of
from spawner.cgroups.sweep import sweep

pytestmark = pytest.mark.needs("root")
in_each_layout = pytest.mark.parametrize("layout", LAYOUTS)

COUNT = "i=0; while :; do i=$((i+1)); echo $i; done"


def says_something(fd: int) -> bool:
    """Whether there is something to read, which is read."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0) and os.read(fd, 1 << 20))


# ---- freeze and thaw ----


@in_each_layout
def test_a_frozen_child_stands_still_until_it_is_thawed(layout, nothing_left):
    with launch(planned(grouped(COUNT), layout)) as child:
        assert until(lambda: says_something(child.stdout))
        assert child.cgroup.frozen is False
        child.cgroup.freeze()
        assert child.cgroup.frozen is True
        while says_something(child.stdout):  # what it had written before
            pass
        before = Path(f"/proc/{child.pid}/stat").read_text().split()[13:15]
        assert child.signal(signal.SIGCONT) is None  # no signal moves it
        assert not says_something(child.stdout)
        assert Path(f"/proc/{child.pid}/stat").read_text().split()[13:15] == before
        child.cgroup.thaw()
        assert child.cgroup.frozen is False
        assert until(lambda: says_something(child.stdout))


@in_each_layout
@pytest.mark.parametrize("via", [Mechanism.CLONE3, Mechanism.FORK_UNSHARE])
def test_a_frozen_child_dies_at_close_all_the_same(layout, via, nothing_left):
    with waiting(layout, via=via, namespaces=frozenset({"pid"})) as child:
        pidfd = os.dup(child.pidfd)
        child.cgroup.freeze()
    try:
        assert ended(pidfd)
        assert child.wait().signal == signal.SIGKILL
    finally:
        os.close(pidfd)


@in_each_layout
def test_a_frozen_child_that_is_held_dies_at_close_too(layout, nothing_left):
    with launch(planned(grouped("true"), layout, hold=True), hold="execve") as child:
        child.cgroup.freeze()
    assert child.cgroup.removed


@in_each_layout
def test_a_frozen_group_can_be_killed(layout, nothing_left):
    with waiting(layout) as child:
        child.cgroup.freeze()
        child.cgroup.kill()
        assert child.wait(10).signal == signal.SIGKILL


# ---- kill and remove ----


@in_each_layout
def test_kill_is_for_everybody_in_the_group_and_nobody_else(layout, nothing_left):
    script = "setsid sleep 1000 & setsid sleep 1000 & echo ready; wait"
    with launch(planned(grouped(script), layout)) as child, waiting(layout) as other:
        assert os.read(child.stdout, 100) == b"ready\n"
        assert until(lambda: len(child.cgroup.processes) == 3)
        child.cgroup.kill()
        assert child.wait(10).signal == signal.SIGKILL
        assert until(lambda: child.cgroup.processes == ())
        assert other.poll() is None


# bubblewrap#529: whoever leaves the session outlives the child, but not the group
@in_each_layout
def test_who_has_left_the_childs_session_ends_with_the_group(layout, nothing_left):
    with launch(planned(grouped("setsid sh -c 'echo $$; exec sleep 1000' & wait $!"), layout)) as child:
        pid = int(os.read(child.stdout, 100))
        pidfd = os.pidfd_open(pid)
        child.signal(signal.SIGKILL)
        assert child.wait().signal == signal.SIGKILL
        assert until(lambda: child.cgroup.processes == (pid,))
        assert not ended(pidfd)
    try:
        assert ended(pidfd)
    finally:
        os.close(pidfd)


@in_each_layout
def test_groups_that_the_program_made_below_its_own_are_removed_with_it(layout, nothing_left):
    with waiting(layout) as child:
        for directory in child.cgroup.paths.values():
            os.makedirs(os.path.join(directory, "inner", "deeper"))
            os.mkdir(os.path.join(directory, "other"))
        inner = os.path.join(next(iter(child.cgroup.paths.values())), "inner", "deeper")
        control.write(inner, "cgroup.procs", str(child.pid))
        assert child.cgroup.processes == (child.pid,)
    assert not any(os.path.exists(path) for path in child.cgroup.paths.values())


def test_closing_twice_and_a_group_that_somebody_else_removed_are_no_errors(nothing_left):
    child = waiting()
    child.signal(signal.SIGKILL)
    child.wait()
    for directory in child.cgroup.paths.values():
        assert until(lambda: not control.processes(directory))  # noqa: B023
        os.rmdir(directory)
    child.close()
    child.close()
    assert child.cgroup.removed


def test_use_is_counted_while_it_runs_and_remembered_afterwards(nothing_left):
    with launch(grouped("i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; echo done; read line")) as child:
        assert os.read(child.stdout, 100) == b"done\n"
        used = child.cgroup.usage
    kept = child.cgroup.usage
    if used.cpu is not None:
        assert 0 < used.cpu <= kept.cpu
    assert any(each.unified for each in HERE) == (used.cpu is not None)
    assert child.cgroup.usage == kept


@pytest.mark.needs("memory_controller", "pids_controller")
def test_use_of_what_is_limited_is_known(nothing_left):
    with launch(grouped("sleep 1000 & read line", memory=64 << 20, pids=9, cpus=1.0)) as child:
        assert until(lambda: child.cgroup.usage.pids == 2)
        used = child.cgroup.usage
        assert 0 < used.memory <= 64 << 20
        assert used.memory_peak is None or used.memory_peak >= used.memory - (1 << 20)
        assert used.cpu > 0
        assert used.oom_kills == 0


# ---- what killed processes leave ----

START = """
import signal, sys
from spawner import Spec, Stdio, launch
from spawner.oci import Cgroup
for name in (None, "nsvtest-named"):
    child = launch(Spec(args=("/bin/cat",), stdio=Stdio.PIPE, pdeathsig=9, cgroup=Cgroup(name=name)))
    print(*child.cgroup.paths.values(), flush=True)
signal.pause()
"""
NEXT = """
from spawner import Spec, launch
from spawner.oci import Cgroup
with launch(Spec(args=("/bin/true",), cgroup=Cgroup())) as child:
    child.wait()
"""


def test_after_a_kill_the_next_start_leaves_nothing(nothing_left):
    first = subprocess.Popen([sys.executable, "-c", START], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    groups = [path for _ in range(2) for path in first.stdout.readline().split()]
    assert groups
    first.kill()
    first.wait()
    first.stdout.close()
    assert until(lambda: not any(control.processes(path) for path in groups)), "the death signal ends them"
    assert all(os.path.isdir(path) for path in groups), "nobody was there to remove them"
    subprocess.run([sys.executable, "-c", NEXT], check=True)
    assert not any(os.path.exists(path) for path in groups)


def test_only_the_empty_groups_of_those_who_have_ended_are_swept(nothing_left):
    foreign = os.path.join(HERE[0].own, "nsvtest-foreign")
    os.mkdir(foreign)
    try:
        with waiting() as ours, beside(sleepers) as (pid, paths):
            assert all(owner_of(path).pid == pid for path in paths)
            assert set(sweep(HERE)) & {*paths, foreign} == set()
            os.kill(pid, signal.SIGKILL)
            assert until(lambda: not owner_of(paths[0]).lives)
            assert set(sweep(HERE)) & {*paths, foreign} == set(), "their children still run"
            for path in paths:
                control.end_all(path)
            assert until(lambda: not any(control.processes(path) for path in paths))
            assert set(paths) <= set(sweep(HERE))
            assert ours.cgroup.processes == (ours.pid,)
        assert os.path.isdir(foreign)
    finally:
        os.rmdir(foreign)


def sleepers() -> list[str]:
    """Start children that outlive us, in groups of ours, and say where these are."""
    children = [launch(grouped("exec sleep 1000", name, stdio=Stdio.NULL)) for name in (None, "nsvtest-named")]
    _outliving.extend(children)
    return [path for child in children for path in child.cgroup.paths.values()]


_outliving: list[Child] = []


def test_an_owner_is_a_process_and_its_start_so_a_pid_that_is_used_again_is_nobody():
    us = ourselves()
    assert us.lives
    assert us.pid == os.getpid()
    assert not Owner(us.pid, us.start_time + 1, us.pid_namespace).lives
    assert not Owner(2**22 + 1, 1, us.pid_namespace).lives
    assert Owner(2**22 + 1, 1, us.pid_namespace + 1).lives, "of another pid namespace nothing is known"


def test_a_failed_launch_leaves_the_groups_of_others_alone(nothing_left):
    with waiting() as child:
        with pytest.raises(LaunchError):
            launch(grouped("true", cwd="/nowhere"))
        assert child.cgroup.processes == (child.pid,)
        child.close_stream("stdin")
        assert child.wait(10).code == 1
        assert read_all(child.stderr) == ""
