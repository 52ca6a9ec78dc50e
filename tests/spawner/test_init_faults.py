"""A launch with an init is whole or not at all: a fault, a death or a hold at any step, above and below."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from leftovers import Census, until
from running import EVERYTHING, PLANNING, ended
from slow_program import SlowProgram
from test_traps_slow_execve import Launching, our_children

from spawner import LaunchError, Mechanism, Plan, Spec, SpecError, Stdio, compile_spec, launch
from spawner.flags import bits
from spawner.plan import Bearing

TRUE = Spec(args=("/bin/true",), env=(), stdio=Stdio.NULL, init=True)
SPECS = {
    **{f"everything by {via}": replace(EVERYTHING, via=via, init=True) for via in PLANNING},
    **{f"no namespaces by {via}": replace(TRUE, via=via) for via in (*PLANNING, Mechanism.FORK)},
    "shared descriptors": replace(TRUE, clone_flags=bits("FILES")),
}


def left(census: Census, plan: Plan) -> list[str]:
    """What is left; asked only at the end where the machine's own init has to reap, which may take its time."""
    return census.difference() if "pid" in plan.asked else []


def at_work(plan: Plan) -> list[int]:
    """The steps that run where nothing goes wrong."""
    return [i for i, step in enumerate(plan.steps) if step.only_if is None and step.unless is None]


@pytest.mark.needs_root
@pytest.mark.parametrize("held", [False, True], ids=["at once", "after a hold"])
@pytest.mark.parametrize("name", SPECS)
def test_a_fault_at_any_step_is_named_and_leaves_nothing(name: str, held: bool, nothing_left: Census) -> None:
    plan = compile_spec(SPECS[name], hold=held)
    for index in at_work(plan):
        step = plan.steps[index]
        if step.bearing & Bearing.TOLERATE_ALL:
            continue
        fault = (index, errno.EDQUOT)
        with pytest.raises(LaunchError) as caught:
            launch(plan, hold=0, inject=fault).resume() if held else launch(plan, inject=fault)
        assert (caught.value.index, caught.value.step, caught.value.errno) == (index, step.label, errno.EDQUOT)
        assert left(nothing_left, plan) == []


@pytest.mark.needs_root
@pytest.mark.parametrize("name", SPECS)
def test_death_before_any_step_is_named_and_leaves_nothing(name: str, nothing_left: Census) -> None:
    plan = compile_spec(SPECS[name], hold=True)
    for index in at_work(plan):
        with launch(plan, hold=index) as child:
            assert child.held == index
            child.signal(signal.SIGKILL)
            assert until(lambda: ended(child.pidfd))  # by then the one below has its SIGKILL too
            with pytest.raises(LaunchError) as caught:
                child.resume()
        assert "SIGKILL" in caught.value.cause
        assert (caught.value.errno, caught.value.index) == (None, index)
        assert left(nothing_left, plan) == []


@pytest.mark.needs_root
@pytest.mark.parametrize("name", SPECS)
def test_death_below_it_is_named_too(name: str, nothing_left: Census) -> None:
    plan = compile_spec(SPECS[name], hold=True)
    last = next(i for i, step in enumerate(plan.steps) if step.bearing & Bearing.LAST)
    for index in (i for i in at_work(plan) if i > last):
        with launch(plan, hold=index) as child:
            (below,) = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
            os.kill(int(below), signal.SIGKILL)
            with pytest.raises(LaunchError) as caught:
                child.resume()
        assert "SIGKILL" in caught.value.cause
        assert caught.value.index == index
        assert left(nothing_left, plan) == []


@pytest.mark.needs_root
@pytest.mark.parametrize("name", SPECS)
def test_it_is_held_before_any_step_and_let_go_or_ended(name: str, nothing_left: Census) -> None:
    plan = compile_spec(SPECS[name], hold=True)
    for index in at_work(plan):
        with launch(plan, hold=index) as child:
            assert child.held == index
            child.resume()
            found = child.wait()
            assert found is not None
            assert found.code == 0
        with launch(plan, hold=index) as child:
            assert child.held == index
        assert left(nothing_left, plan) == []


@pytest.mark.needs_root
@pytest.mark.parametrize("name", SPECS)
def test_single_steps_go_through_both_processes(name: str, nothing_left: Census) -> None:
    plan = compile_spec(SPECS[name], hold=True)
    seen, pids = [], set()
    with launch(plan, hold=0) as child:
        while child.held is not None:
            seen.append(child.held)
            pids.add(child.pid)
            child.step()
        found = child.wait()
        assert {event.index for event in child.timeline if event.index is not None} == set(seen)
        assert all(event.result is not None for event in child.timeline)
        assert all(event.duration_ns is not None and event.duration_ns >= 0 for event in child.timeline)
    assert set(at_work(plan)) <= set(seen)
    assert seen == sorted(seen)
    assert len(pids) <= 2  # fork+unshare forks twice
    assert found is not None
    assert found.code == 0


@pytest.mark.parametrize("via", [*PLANNING, Mechanism.FORK])
def test_a_program_that_is_not_there_is_told_as_ever(via: Mechanism, tmp_path: Path, nothing_left: Census) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    for path, number in (("/no/such/program", errno.ENOENT), ("/etc/passwd", errno.EACCES), (script, errno.ENOENT)):
        with pytest.raises(LaunchError) as caught:
            launch(replace(TRUE, args=(str(path),), via=via))
        assert (caught.value.step, caught.value.errno, caught.value.path) == ("execve", number, str(path))
        assert nothing_left.difference() == []


# killed in the middle of execve: the reaper can tell (setpgid(2) takes a child that never executed)
@pytest.mark.parametrize("via", [*PLANNING, Mechanism.FORK])
def test_a_program_killed_inside_execve_was_not_launched(via: Mechanism, tmp_path: Path, nothing_left: Census) -> None:
    with SlowProgram(tmp_path) as slow:
        launching = Launching(replace(TRUE, args=(slow.path,), via=via))
        slow.wait_for_somebody()
        assert until(lambda: len(our_children()) == 1)
        (reaper,) = our_children()
        (program,) = Path(f"/proc/{reaper}/task/{reaper}/children").read_text().split()
        os.kill(int(program), signal.SIGKILL)
        error = launching.error()
    if error is None:  # it was dying still when the launch looked
        with launching.result() as child:
            found = child.wait()
        assert found is not None
        assert (found.code, found.executed) == (128 + signal.SIGKILL, False)
    else:
        assert isinstance(error, LaunchError)
        assert (error.step, error.errno) == ("execve", None)
        assert "SIGKILL" in error.cause


@pytest.mark.parametrize("via", [Mechanism.VFORK, Mechanism.POSIX_SPAWN])
def test_calls_that_suspend_us_cannot_have_one(via: Mechanism) -> None:
    with pytest.raises(SpecError) as caught:
        compile_spec(replace(TRUE, via=via))
    assert "init" in str(caught.value)


@pytest.mark.parametrize("name", ["SIGHAND", "VFORK"])
def test_flags_that_do_not_go_with_one_are_told(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        compile_spec(replace(TRUE, clone_flags=bits("VM", name)))
    assert f"CLONE_{name}" in str(caught.value)


def test_a_system_that_refuses_files_in_memory_is_named(nothing_left: Census) -> None:
    with pytest.raises(LaunchError) as caught:
        launch(TRUE, inject=("make the reaper", errno.EACCES))
    assert (caught.value.step, caught.value.errno) == ("make the reaper", errno.EACCES)
    assert "memfd_noexec" in str(caught.value)


def test_without_an_init_the_plan_is_as_ever() -> None:
    plan = compile_spec(replace(TRUE, init=False))
    assert not plan.init
    assert not plan.preparations
    assert not [step for step in plan.steps if step.phase == "init"]
