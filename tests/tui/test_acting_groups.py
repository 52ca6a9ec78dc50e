"""Freezing, and killing subtrees, groups and pid namespaces from the screen: real ones, read from the kernel."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from acted import acting, child, children_of, dialog, has_ended, identity_of, look_at, reap, said, shown, state, sure
from leftovers import Census
from leftovers import until as blocking_until
from screen import until

from nsview.host.snapshot import take
from nsview.tui.acting.freezing import freezer_of, stand_still
from nsview.tui.acting.groups import FoundGroup, found_groups
from nsview.tui.acting.killing import Subtree, kill_group
from nsview.tui.acting.progress import Progress
from nsview.tui.acting.whom import Scope
from spawner.cgroups.group import Group
from spawner.cgroups.hierarchies import Hierarchy, hierarchies


def hierarchy_that_freezes(version: int) -> Hierarchy:
    """The mounted hierarchy of version 2, or version 1's with the freezer."""
    for each in hierarchies():
        if each.unified if version == 2 else "freezer" in each.controllers:
            return each
    pytest.skip(f"needs a hierarchy of version {version} that can freeze")


@pytest.fixture(params=[2, 1])
def group(request: pytest.FixtureRequest) -> Iterator[str]:
    """The directory of a new group, of each version."""
    directory = os.path.join(hierarchy_that_freezes(request.param).own, f"nsview-test-{os.getpid()}")
    os.mkdir(directory)
    try:
        yield directory
    finally:
        assert blocking_until(lambda: not Path(directory, "cgroup.procs").read_text())
        assert blocking_until(lambda: _removed(directory))


def _removed(directory: str) -> bool:
    """Version 1 may count who is just ending a little longer than it lists them."""
    try:
        os.rmdir(directory)
    except OSError:
        return False
    return True


def put(directory: str, *pids: int) -> None:
    """Move processes into a group."""
    for pid in pids:
        Path(directory, "cgroup.procs").write_text(str(pid))


def is_frozen(directory: str) -> bool:
    """What the kernel's file says."""
    version_1 = Path(directory, "freezer.state")
    if version_1.exists():
        return version_1.read_text() == "FROZEN\n"
    return "frozen 1" in Path(directory, "cgroup.events").read_text()


@pytest.mark.needs("root")
async def test_freezing_names_who_stands_still_with_it_and_thawing_is_the_same_key(
    group: str, nothing_left: Census
) -> None:
    with child() as process, child("sleep", "2000") as other:
        put(group, process.pid, other.pid)
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("Z")
            question = await sure(app)
            texts = " ".join(str(each.render()) for each in question.query("Static"))
            assert f"1 process would stand still with it: {other.pid} sleep" in texts
            assert group in texts
            await pilot.press("right", "enter")
            await said(app, "with 2 processes is frozen")
            assert is_frozen(group)
            await pilot.press("Z")
            await said(app, "is thawed")
            assert not is_frozen(group)


@pytest.mark.needs("root")
async def test_cancelled_freezing_freezes_nothing(group: str, nothing_left: Census) -> None:
    with child() as process:
        put(group, process.pid)
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("Z")
            question = await sure(app)
            assert "alone in it" in " ".join(str(each.render()) for each in question.query("Static"))
            await pilot.press("enter")
            await until(lambda: len(app.screen_stack) == 1)
            assert not is_frozen(group)


async def test_who_is_in_no_group_of_its_own_is_told_what_else_stops_it(nothing_left: Census) -> None:
    with child() as process:
        if any(each.freezes for each in found_groups(identity_of(process.pid))):
            pytest.skip("needs to be run in a root group")
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("Z")
            await said(app, "in no control group that can be frozen", "SIGSTOP stops it")


@pytest.mark.needs("root")
async def test_a_group_with_nsview_in_it_is_not_frozen(group: str, nothing_left: Census) -> None:
    own = os.path.dirname(group)
    with child() as process:
        put(group, process.pid, os.getpid())
        try:
            async with acting() as (app, pilot):
                await look_at(app, process.pid)
                await pilot.press("Z")
                await said(app, "is not frozen: nsview itself")
                await pilot.press("ctrl+g")
                await said(app, "is not killed: nsview itself")
                assert process.poll() is None
        finally:
            put(own, os.getpid())


@pytest.mark.needs("root")
async def test_killing_a_group_ends_all_in_it_and_nobody_else(group: str, nothing_left: Census) -> None:
    with child() as process, child() as other, child() as stranger:
        put(group, process.pid, other.pid)
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("ctrl+g")
            question = await sure(app)
            call = str(question.query_one(".call").render())
            assert "cgroup.kill" in call if Path(group, "cgroup.kill").exists() else "SIGKILL" in call
            await pilot.press("right", "enter")
            await said(app, "Killed 2 of 2 processes of cgroup")
        assert process.wait() == other.wait() == -signal.SIGKILL
        assert stranger.poll() is None


@dataclass(frozen=True)
class Restless(FoundGroup):
    """A group of which the kernel never says that it stands still."""

    def taken(self) -> Group:
        class _Never(Group):
            frozen = False

        return _Never(())


@pytest.mark.needs("root")
def test_what_will_not_stand_still_goes_on_when_it_is_called_off(group: str, nothing_left: Census) -> None:
    with child() as process:
        put(group, process.pid)
        found = next(each for each in found_groups(identity_of(process.pid)) if each.directory == group)
        progress = Progress()
        progress.cancel()
        with pytest.raises(OSError, match="cancel") as refused:
            stand_still(Restless(found.hierarchy, found.path, found.directory, found.pids), progress)
        assert refused.value.errno == errno.ECANCELED
        assert blocking_until(lambda: not is_frozen(group) and state(process.pid) == "S")
        stand_still(found, Progress())
        assert is_frozen(group)
        found.taken().thaw()


@pytest.mark.needs("root")
async def test_who_is_frozen_by_version_1_and_killed_is_said_to_end_when_thawed(nothing_left: Census) -> None:
    directory = os.path.join(hierarchy_that_freezes(1).own, f"nsview-test-frozen-{os.getpid()}")
    os.mkdir(directory)
    try:
        with child() as process:
            put(directory, process.pid)
            Path(directory, "freezer.state").write_text("FROZEN")
            await until(lambda: is_frozen(directory))
            async with acting() as (app, pilot):
                await look_at(app, process.pid)
                await pilot.press("k")
                await dialog(app)
                await pilot.press(*"kill", "enter")
                await sure(app)
                await pilot.press("right", "enter")
                await said(app, "is frozen with its cgroup", "it ends when that is thawed")
                assert process.poll() is None
                await pilot.press("Z")
                await said(app, "is thawed")
                assert process.wait() == -signal.SIGKILL
    finally:
        assert blocking_until(lambda: _removed(directory))


@pytest.mark.needs("root")
def test_processes_with_threads_in_threaded_groups_are_their_domains() -> None:
    """Such a group does not tell processes (EOPNOTSUPP), and is passed over."""
    domain = os.path.join(hierarchy_that_freezes(2).own, f"nsview-test-threaded-{os.getpid()}")
    threaded = os.path.join(domain, "threads")
    os.mkdir(domain)
    try:
        os.mkdir(threaded)
        Path(threaded, "cgroup.type").write_text("threaded")
        with child() as process:
            put(domain, process.pid)
            found = next(each for each in found_groups(identity_of(process.pid)) if each.directory == domain)
            assert found.processes() == (process.pid,)
            outcome = kill_group(found, Progress())
            assert outcome.done == 1
            assert process.wait() == -signal.SIGKILL
    finally:
        assert blocking_until(lambda: not os.path.exists(threaded) or _removed(threaded))
        assert blocking_until(lambda: _removed(domain))


_FORKER = "while :; do sh -c 'sleep 1000 & exec sleep 1001' & sleep 0.01; done"


@pytest.mark.needs("root")
def test_a_group_that_goes_on_forking_is_ended_all_the_same(group: str, nothing_left: Census) -> None:
    """Without cgroup.kill too, as on version 1: it is frozen while its processes are killed."""
    with subprocess.Popen(["setsid", "sh", "-c", f"echo $$ > {group}/cgroup.procs; {_FORKER}"]) as process:
        assert blocking_until(lambda: len(Path(group, "cgroup.procs").read_text().split()) > 20)
        found = next(each for each in found_groups(identity_of(process.pid)) if each.directory == group)
        members = found.processes()
        outcome = kill_group(found, Progress())
        assert not outcome.refused
        assert not Path(group, "cgroup.procs").read_text()
        assert all(map(has_ended, members))
        process.wait()


async def test_killing_a_subtree_leaves_nobody_who_forked_meanwhile(nothing_left: Census) -> None:
    with child("sh", "-c", _FORKER) as process, child() as stranger:
        async with acting() as (app, pilot):
            await until(lambda: len(children_of(process.pid)) > 10)
            await look_at(app, process.pid)
            await pilot.press("ctrl+k")
            question = await sure(app)
            assert "All are stopped first" in " ".join(str(each.render()) for each in question.query("Static"))
            before = descendants(process.pid)
            await pilot.press("right", "enter")
            await said(app, "Killed")
            await until(lambda: process.poll() is not None)
            assert all(map(has_ended, before))
            assert stranger.poll() is None
            ended = [record.pid for record in take().records.values() if record.ppid == os.getpid()]
            assert all(has_ended(pid) for pid in ended if pid != stranger.pid)
            reap(*(pid for pid in ended if pid != stranger.pid))


def descendants(pid: int) -> list[int]:
    """All that is below a process now."""
    from nsview.host.tree import ProcessTree

    records = take().records
    return [*ProcessTree(records).descendants(pid)]


def test_a_subtree_that_is_called_off_goes_on() -> None:
    with child("sh", "-c", "sleep 1000 & wait") as process:
        assert blocking_until(lambda: len(children_of(process.pid)) == 1)
        (below,) = children_of(process.pid)
        progress = Progress()
        progress.cancel()
        outcome = Subtree(identity_of(process.pid)).kill(progress)
        assert outcome.done == 0
        assert outcome.cancelled == 2
        assert blocking_until(lambda: state(process.pid) == state(below) == "S")
        os.kill(below, signal.SIGKILL)


def test_who_is_no_descendant_any_more_is_let_go_on() -> None:
    """Its parent is taken out of the second look, as if it had ended and somebody else were the parent now."""
    with child("sh", "-c", "sleep 1000 & sleep 1001 & wait") as process:
        assert blocking_until(lambda: len(children_of(process.pid)) == 2)
        first, second = children_of(process.pid)
        looks = 0

        def look_after() -> dict[int, object]:
            nonlocal looks
            looks += 1
            records = dict(take().records)
            if looks > 1:
                records[second] = records[second]._replace(ppid=1)
            return records  # type: ignore[return-value]

        outcome = Subtree(identity_of(process.pid), look=look_after).kill(Progress())  # type: ignore[arg-type]
        assert outcome.done == 2
        assert has_ended(first)
        assert process.wait() == -signal.SIGKILL
        assert blocking_until(lambda: state(second) == "S")
        os.kill(second, signal.SIGKILL)
        assert blocking_until(lambda: has_ended(second))


@pytest.mark.needs("root", "unshare")
async def test_killing_a_pid_namespace_ends_it_by_its_first_process(nothing_left: Census) -> None:
    with child("unshare", "--pid", "--fork", "sh", "-c", "sleep 1000 & sleep 1001 & wait") as process:
        await until(lambda: children_of(process.pid) and len(children_of(children_of(process.pid)[0])) == 2)
        (init,) = children_of(process.pid)
        below = children_of(init)
        async with acting() as (app, pilot):
            await look_at(app, below[0])
            await pilot.press("ctrl+n")
            question = await sure(app)
            assert f"To {init} sh, its first process" in str(question.query_one(".note").render())
            await pilot.press("right", "enter")
            await said(app, "Killed 3 of 3 processes of pid namespace")
            await until(lambda: all(map(has_ended, (init, *below))))


async def test_our_own_pid_namespace_is_not_killed(nothing_left: Census) -> None:
    with child() as process:
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("ctrl+n")
            await said(app, "in nsview's own pid namespace")
            assert process.poll() is None


@pytest.mark.needs("root")
async def test_the_cgroup_is_a_scope_of_signals(group: str, nothing_left: Census) -> None:
    with child() as process, child() as other:
        put(group, process.pid, other.pid)
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("k")
            picker = await dialog(app)
            while picker.whom.scope is not Scope.CGROUP:
                await pilot.press("f2")
                await pilot.pause()
            assert os.path.basename(group) in shown(app, "#note")
            await pilot.press("enter")
            await sure(app)
            await pilot.press("right", "enter")
            await said(app, "SIGTERM sent to 2 of 2 processes of cgroup")
        assert process.wait() == other.wait() == -signal.SIGTERM


@pytest.mark.needs("root")
def test_the_smallest_group_that_freezes_is_found(group: str) -> None:
    with child() as process:
        put(group, process.pid)
        found = freezer_of(identity_of(process.pid), identity_of(os.getpid()))
        assert found is not None
        assert isinstance(found.group, FoundGroup)
        assert found.group.directory == group
        assert [record.pid for record in found.whom.members] == [process.pid]
        assert not found.frozen
