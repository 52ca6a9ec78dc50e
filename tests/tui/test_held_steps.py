"""Stepping real plans: what each step changed is what the kernel says; giving up anywhere leaves nothing."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from leftovers import Census, until
from nobody import Runner
from timeline_app import at_the_start, container

from nsview.host.difference import DiffRow
from nsview.tui.launching import held_facts
from nsview.tui.launching.held_facts import Changes, UnreadError, look
from nsview.tui.launching.launched import Launched
from nsview.tui.launching.launcher import Born, Changed, Failed, Launcher, LauncherMessage, Tried
from nsview.tui.timeline.lines import steps_of
from nsview.tui.timeline.words import changes_title
from spawner import IDMapping, Mechanism, Plan, Spec, Stdio
from spawner.oci import Capabilities, Rlimit

pytestmark = pytest.mark.needs("root")

KEPT = frozenset({"CAP_KILL", "CAP_CHOWN"})


class Stepper:
    """A launcher, and the newest state of its launches."""

    def __init__(self) -> None:
        self.messages: list[LauncherMessage] = []
        self.launcher = Launcher(self.messages.append)
        self.launcher.start()

    def close(self) -> None:
        """End all and close the terminals."""
        self.launcher.close()
        for message in self.messages:
            if isinstance(message, Born) and message.pty is not None:
                os.close(message.pty)

    def state(self, number: int) -> Launched | None:
        """How a launch stands."""
        told = (one.launched for one in self.messages if isinstance(one, Born | Changed))
        return next((one for one in reversed([*told]) if one.number == number), None)

    def wait(self, number: int, condition: Callable[[Launched], object]) -> Launched:
        """Wait until a launch stands so, and return how."""

        def so() -> Launched | None:
            state = self.state(number)
            return state if state is not None and condition(state) else None

        found = until(so, 20)
        assert found is not None, f"it did not come to that: {self.state(number)}, {self.messages[-1:]}"
        return found

    def launch(self, spec: Spec, hold: Callable[[Plan], int] = at_the_start) -> Launched:
        """Launch and hold."""
        number = 1 + sum(isinstance(message, Born) for message in self.messages)
        self.launcher.launch(spec, hold)
        return self.wait(number, lambda state: state.held is not None)


@pytest.fixture
def stepper(nothing_left: Census) -> Iterator[Stepper]:
    """A stepper that leaves nothing."""
    one = Stepper()
    yield one
    one.close()


def labelled(launched: Launched, label: str) -> Changes:
    """What was seen to change by the first step of this label."""
    index = next(index for index, step in enumerate(launched.plan.steps) if step.label == label)
    return next(changes for changes in launched.changes if changes.covers(index))


def rows_of(launched: Launched, label: str) -> dict[str, DiffRow]:
    """The rows of that, by attribute; a pid and its pid namespace are two."""
    return by_attribute(labelled(launched, label).rows)


def by_attribute(rows: tuple[DiffRow, ...]) -> dict[str, DiffRow]:
    """Those on namespaces are called as in /proc: ``ns/uts``."""
    return {("ns/" if row.section == "namespaces" else "") + row.attribute: row for row in rows}


def everything() -> Spec:
    """A container in the old way, with a root, limits, few capabilities, and each namespace made in a step."""
    return container(
        via=Mechanism.FORK_UNSHARE,
        namespaces=frozenset({"mount", "uts", "ipc", "network", "pid", "user", "cgroup"}),
        rootfs="/",
        rlimits=(Rlimit("RLIMIT_NOFILE", 100, 100),),
        no_new_privs=True,
        nice=3,
        capabilities=Capabilities(
            bounding=KEPT, effective=KEPT, permitted=KEPT, inheritable=frozenset(), ambient=frozenset()
        ),
    )


def test_each_step_of_a_container_shows_what_it_changed(stepper: Stepper) -> None:
    born = stepper.launch(everything())
    exec_at = next(index for index, step in enumerate(born.plan.steps) if step.phase == "exec")
    stepper.launcher.step_to(1, exec_at)
    held = stepper.wait(1, lambda state: state.held is not None and state.held >= exec_at)

    own = {name: Path(f"/proc/{held.pid}/ns/{name}").readlink() for name in ("mnt", "net", "user", "uts", "ipc")}
    made = rows_of(held, "unshare")
    assert {name: made[f"ns/{name}"].child for name in own} == {name: str(link) for name, link in own.items()}
    assert rows_of(held, "second fork")["pid"].child == str(held.pid)
    assert rows_of(held, "write uid_map")["uid map"].child == "0→0 ×1"
    host = rows_of(held, "sethostname")["host name"]
    assert (host.parent, host.child) == (os.uname().nodename, "box")
    assert "127.0.0.1" in (rows_of(held, "lo up")["addresses"].child or "")
    assert any(row.section == "mounts" for row in labelled(held, "attach").rows)
    root = rows_of(held, "pivot_root")["root mount"]
    assert root.parent is not None
    assert root.child is not None
    assert root.parent != root.child
    assert rows_of(held, "setpriority")["nice"].child == "3"
    limit = rows_of(held, "set RLIMIT_NOFILE")["nofile"]
    assert limit.child == "100" == str(resource.prlimit(held.pid, resource.RLIMIT_NOFILE)[0])
    assert rows_of(held, "no_new_privs")["no new privileges"].child == "yes"
    dropped = rows_of(held, "drop CAP_SYS_ADMIN")["caps bounding"]
    assert dropped.delta == "−SYS_ADMIN"
    status = dict(line.split(":\t") for line in Path(f"/proc/{held.pid}/status").read_text().splitlines())
    capset = rows_of(held, "capset")["caps effective"]
    assert capset.child is not None
    assert int(capset.child.split()[0], 16) == int(status["CapEff"], 16) == 1 << 0 | 1 << 5

    # Every step was looked at alone: what it has is its own. What reads only has changed nothing.
    done = {event.index for event in held.timeline if event.index is not None}
    assert all(len(done & {*range(one.first, one.last + 1)}) == 1 for one in held.changes[1:])
    assert labelled(held, "read RLIMIT_NOFILE").rows == ()
    assert not any(one.unread for one in held.changes)

    stepper.launcher.resume(1)
    runs = stepper.wait(1, lambda state: state.held is None)
    assert runs.exit is None
    last = runs.changes[-1]
    assert last.running
    assert {row.attribute: row.child for row in last.rows}["name"] == "sleep"


def test_birth_is_compared_with_ourselves_before_it(stepper: Stepper) -> None:
    born = stepper.launch(container())
    (birth,) = born.changes
    assert birth.birth
    assert birth.covers(None)
    assert not birth.covers(0)
    found = by_attribute(birth.rows)
    assert found["ns/uts"].parent == os.readlink("/proc/self/ns/uts")
    assert found["ns/uts"].child == os.readlink(f"/proc/{born.pid}/ns/uts")
    assert found["pid"].parent == str(os.getpid())
    assert (found["VM"].parent, found["VM"].child) == ("nsview's", "shared with nsview")


def test_execve_ends_the_sharing_of_memory(stepper: Stepper) -> None:
    stepper.launch(container())
    stepper.launcher.resume(1)
    runs = stepper.wait(1, lambda state: state.held is None)
    memory = next(row for row in runs.changes[-1].rows if row.attribute == "VM")
    assert (memory.parent, memory.child) == ("shared with nsview", "its own")


def test_what_the_parent_does_between_two_steps_is_told_to_be_its_doing(stepper: Stepper) -> None:
    mappings = (IDMapping(0, 100_000, 65_536),)
    held = stepper.launch(container(uid_mappings=mappings, gid_mappings=mappings))
    action = next(action for action in held.plan.actions if action.label == "write uid_map")
    stepper.launcher.step_to(1, action.before)
    held = stepper.wait(1, lambda state: state.held == action.before)
    last = held.changes[-1]
    assert last.acts == ("write uid_map", "write gid_map")
    assert by_attribute(last.rows)["uid map"].child == "0→100000 ×65536"
    assert not any(one.acts for one in held.changes[:-1])
    steps = {step.label: step for step in steps_of(held)}
    assert steps["write gid_map"].changed == len(last.rows)
    assert "uid_map of the parent" in changes_title(last, held.plan)


def test_child_that_is_held_again_is_looked_at_once_for_all_that_it_did_between(stepper: Stepper) -> None:
    born = stepper.launch(container())
    after = next(index for index, step in enumerate(born.plan.steps) if step.label == "sethostname") + 1
    stepper.launcher.resume(1, after)
    held = stepper.wait(1, lambda state: state.held == after)
    assert [(one.first, one.last) for one in held.changes] == [(0, -1), (0, after - 1)]
    assert {"uid map", "gid map", "host name"} <= {row.attribute for row in held.changes[-1].rows}


def test_what_is_not_there_is_not_read() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    with pytest.raises(UnreadError, match="ended"):
        look(child)
    os.waitpid(child, 0)
    with pytest.raises(UnreadError, match="ended"):
        look(child)


def test_looks_at_one_process_that_only_waits_are_the_same() -> None:
    assert held_facts.differences(look(os.getpid()), look(os.getpid()))[0] == ()


def test_what_we_do_to_a_file_that_both_have_open_is_not_what_the_child_did(stepper: Stepper) -> None:
    ours, theirs = os.pipe()
    try:
        os.set_inheritable(ours, True)
        held = stepper.launch(Spec(args=("sleep", "1000"), stdio=Stdio.NULL))
        os.set_blocking(ours, False)
        stepper.launcher.step(1)
        held = stepper.wait(1, lambda state: state.held == 1)
        assert f"fd {ours}" not in {row.attribute for row in held.changes[-1].rows}
        assert any(row.attribute.startswith("fd ") for row in held.changes[-1].rows), "its own is told"
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("via", [Mechanism.CLONE3, Mechanism.FORK_UNSHARE])
def test_giving_up_before_any_step_leaves_nothing(stepper: Stepper, via: Mechanism) -> None:
    spec = container(via=via, args=("/bin/true",), namespaces=frozenset({"pid", "mount", "uts", "user"}))
    steps = len(stepper.launch(spec).plan.steps)
    stepper.launcher.abort(1)
    for index in range(1, steps):
        held = stepper.launch(spec, lambda _plan, index=index: index)  # type: ignore[misc]
        assert held.held is not None
        assert held.held >= index
        stepper.launcher.abort(held.number)
        ended = stepper.wait(held.number, lambda state: state.exit is not None)
        assert ended.aborted
        assert (ended.held, ended.ended_before) == (None, held.held)
        assert not Path(f"/proc/{held.pid}").exists()


def test_giving_up_below_a_reaper_leaves_nothing(stepper: Stepper) -> None:
    spec = container(init=True, args=("/bin/true",), namespaces=frozenset({"pid", "mount", "user"}), hostname=None)
    plan = stepper.launch(spec).plan
    stepper.launcher.abort(1)
    for index in (i for i, step in enumerate(plan.steps) if step.phase in ("init", "signals", "exec")):
        held = stepper.launch(spec, lambda _plan, index=index: index)  # type: ignore[misc]
        stepper.launcher.abort(held.number)
        stepper.wait(held.number, lambda state: state.exit is not None)


def test_below_a_reaper_the_process_that_waits_is_looked_at(stepper: Stepper) -> None:
    spec = container(init=True, capabilities=Capabilities(bounding=KEPT, effective=KEPT, permitted=KEPT))
    held = stepper.launch(spec)
    exec_at = next(index for index, step in enumerate(held.plan.steps) if step.phase == "exec")
    stepper.launcher.step_to(1, exec_at)
    held = stepper.wait(1, lambda state: state.held is not None and state.held >= exec_at)
    below = rows_of(held, "execute init")
    assert below["parent"].child == str(held.pid)
    inner = below["pid"].child
    assert inner is not None
    status = Path(f"/proc/{inner}/status").read_text()
    assert int(status.partition("CapEff:")[2].split()[0], 16) == 1 << 0 | 1 << 5


def test_what_was_made_before_the_child_is_not_where_its_changes_are_told(stepper: Stepper) -> None:
    held = stepper.launch(container(init=True))
    steps = [step for step in steps_of(held) if step.state.done]
    assert [step.label for step in steps] == ["make the reaper", "clone3"]
    assert [step.changed for step in steps] == [None, len(held.changes[0].rows)]


def test_held_child_killed_from_elsewhere_has_ended_where_it_waited(stepper: Stepper) -> None:
    held = stepper.launch(container())
    stepper.launcher.step_to(1, 4)
    held = stepper.wait(1, lambda state: state.held == 4)
    os.kill(held.pid, signal.SIGKILL)
    ended = stepper.wait(1, lambda state: state.exit is not None)
    assert ended.exit is not None
    assert ended.exit.signal == signal.SIGKILL
    assert (ended.held, ended.ended_before, ended.aborted) == (None, 4, False)
    stepper.launcher.step(1)
    stepper.launcher.abort(1)
    assert not any(isinstance(message, Failed) for message in stepper.messages)


def test_plan_that_forks_twice_goes_on_as_another_process(stepper: Stepper) -> None:
    held = stepper.launch(everything())
    fork = next(index for index, step in enumerate(held.plan.steps) if step.label == "second fork")
    first = held.identity
    stepper.launcher.resume(1, fork + 1)
    held = stepper.wait(1, lambda state: state.held == fork + 1)
    assert held.identity != first
    stat = Path(f"/proc/{held.pid}/stat").read_text()
    assert held.start_time == int(stat.rpartition(") ")[2].split()[19])


def test_breakpoints_alone_hold_only_who_can_be_held(stepper: Stepper) -> None:
    def at_exec(plan: Plan) -> tuple[int, ...]:
        return tuple(index for index, step in enumerate(plan.steps) if step.phase == "exec")

    launcher = stepper.launcher
    launcher.launch(Spec(args=("sleep", "1000"), stdio=Stdio.NULL), breakpoints=at_exec)
    held = stepper.wait(1, lambda state: True)
    assert held.held == at_exec(held.plan)[0]
    launcher.launch(Spec(args=("sleep", "1000"), stdio=Stdio.NULL, via=Mechanism.VFORK), breakpoints=at_exec)
    assert stepper.wait(2, lambda state: True).held is None
    launcher.launch(Spec(args=("sleep", "1000"), stdio=Stdio.NULL), breakpoints=lambda plan: ())
    free = stepper.wait(3, lambda state: True)
    assert free.held is None
    assert free.plan.suspends, "a plan that nothing is to stop in is the one that would be run without breakpoints"


def test_breakpoint_before_the_goal_is_stopped_at_first(stepper: Stepper) -> None:
    stepper.launcher.launch(
        container(), lambda plan: len(plan.steps) - 1, breakpoints=lambda plan: (3, len(plan.steps) - 1)
    )
    held = stepper.wait(1, lambda state: True)
    assert (held.held, held.goal) == (3, len(held.plan.steps) - 1)


def test_launches_for_their_times_leave_nothing_and_run_in_turns(stepper: Stepper) -> None:
    specs = tuple(Spec(args=("true",), stdio=Stdio.NULL, via=via) for via in (Mechanism.FORK, Mechanism.CLONE))
    told: list[Tried] = []
    stepper.launcher.try_out(specs, 5, told.append)
    assert until(lambda: len(told) == 5, 20)
    assert [tuple(map(len, tried.runs)) for tried in told] == [(done, done) for done in range(1, 6)]
    assert {run.timeline[0].label for run in told[-1].runs[0]} == {"fork"}
    assert {run.timeline[0].label for run in told[-1].runs[1]} == {"clone"}


def test_launcher_that_is_closed_gives_up_trying_out(nothing_left: Census) -> None:
    told: list[Tried] = []
    launcher = Launcher(lambda _message: None)
    launcher.start()
    launcher.try_out((Spec(args=("true",), stdio=Stdio.NULL),), 100_000, told.append)
    assert until(lambda: told, 20)
    launcher.close()
    assert told[-1].error is None
    assert len(told[-1].runs[0]) < 100_000


def test_launch_that_cannot_be_tried_out_says_why_and_is_not_tried_again(stepper: Stepper) -> None:
    errors: list[object] = []
    stepper.launcher.try_out((Spec(args=("/nonexistent",)),), 5, lambda tried: errors.append(tried.error))
    assert until(lambda: errors, 20)
    stepper.launcher.launch(Spec(args=("true",), stdio=Stdio.NULL))
    stepper.wait(1, lambda state: state.exit is not None)
    assert len(errors) == 1
    assert "ENOENT" in str(errors[0])


SCRIPT = """
import os, queue
from nsview.tui.launching.launcher import Launcher
from spawner import IDMapping, Spec, Stdio

told = queue.Queue()
launcher = Launcher(told.put)
launcher.start()
ids = (IDMapping(0, os.geteuid()),)
launcher.launch(Spec(args=("true",), namespaces=frozenset({"user", "uts"}), uid_mappings=ids, hostname="box",
                     stdio=Stdio.NULL), lambda plan: 0)
plan = told.get().launched.plan
launcher.step_to(1, len(plan.steps) - 1)
while (launched := told.get().launched).held < len(plan.steps) - 1:
    pass
for changes in launched.changes:
    if changes.first <= changes.last and plan.steps[changes.first].label in ("sethostname", "write uid_map"):
        print([row.attribute for row in changes.rows], *changes.unknown, sep="|")
launcher.close()
"""


def test_without_privilege_what_may_not_be_read_is_unknown_and_not_unchanged(nobody: Runner) -> None:
    done = nobody("python", "-c", SCRIPT)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["['uid map']|host name|domain name", "[]|host name|domain name"]
