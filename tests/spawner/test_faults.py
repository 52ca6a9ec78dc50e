"""A fault at any step: the error names the step, and nothing at all is left."""

from __future__ import annotations

import errno
import os
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
from running import EVERYTHING, PLANNING

from spawner import LaunchError, Mechanism, Plan, Spec, Stdio, compile_spec, launch
from spawner.birth import Birth
from spawner.plan import Bearing

BASE = Spec(args=("/bin/true",), env=(), cwd="/", stdio=Stdio.PIPE, new_session=True, pdeathsig=9)

PLANS = {
    **{f"everything by {via}": replace(EVERYTHING, via=via) for via in PLANNING},
    **{f"no namespaces by {via}": replace(BASE, via=via) for via in (Mechanism.FORK, Mechanism.VFORK)},
    "program on PATH": replace(BASE, args=("true",), env=(("PATH", "/nowhere:/usr/bin:/elsewhere"),)),
}


def fails(plan: Plan, index: int) -> bool:
    """Whether an errno at this step may not be passed over."""
    return not plan.steps[index].bearing & Bearing.TOLERATE_ALL


@pytest.mark.needs_root
@pytest.mark.parametrize("held", [False, True], ids=["at once", "after a hold"])
@pytest.mark.parametrize("name", PLANS)
def test_a_fault_at_any_step_is_named_and_leaves_nothing(name, held, nothing_left):
    spec = PLANS[name]
    if held and spec.via is Mechanism.VFORK:
        held = False  # vfork cannot hold: the same plan again, on a fresh census
    plan = compile_spec(spec, hold=held)
    mounts = Path("/proc/self/mountinfo").read_bytes()
    before = os.getcwd(), os.uname(), os.sched_getaffinity(0)
    for index, step in enumerate(plan.steps):
        if not fails(plan, index):
            continue
        fault = (index, errno.EDQUOT)
        with pytest.raises(LaunchError) as caught:
            launch(plan, hold=0, inject=fault).resume() if held else launch(plan, inject=fault)
        assert (caught.value.index, caught.value.step, caught.value.errno) == (index, step.label, errno.EDQUOT)
        assert caught.value.path == step.path
        assert step.label in str(caught.value)
        assert "EDQUOT" in str(caught.value)
        assert nothing_left.difference() == []
    assert Path("/proc/self/mountinfo").read_bytes() == mounts
    assert (os.getcwd(), os.uname(), os.sched_getaffinity(0)) == before


@pytest.mark.needs_root
@pytest.mark.parametrize("via", PLANNING)
def test_a_fault_that_is_tolerated_makes_the_answer_unknown_and_no_more(via, nothing_left):
    plan = compile_spec(replace(EVERYTHING, via=via))
    with launch(plan, inject=("read ns/uts", errno.EACCES)) as child:
        assert child.namespaces["uts"] is None
        assert child.namespaces["mount"] is not None
        assert child.wait().code == 0
    with launch(plan, inject=("open /proc/self/ns", errno.ENOENT)) as child:
        assert set(child.namespaces.values()) == {None}
        assert child.wait().code == 0


@pytest.mark.needs_root
@pytest.mark.parametrize("via", PLANNING)
def test_death_before_any_step_is_named_and_leaves_nothing(via, nothing_left):
    plan = compile_spec(replace(EVERYTHING, via=via), hold=True)
    for index, step in enumerate(plan.steps):
        with launch(plan, hold=index) as child:
            assert child.held == index
            child.signal(9)
            with pytest.raises(LaunchError) as caught:
                child.resume()
        assert "SIGKILL" in caught.value.cause
        assert caught.value.errno is None
        assert caught.value.index == index
        assert caught.value.step == step.label
        assert nothing_left.difference() == []


@pytest.mark.needs_root
def test_refused_birth_leaves_nothing(nothing_left):
    for stdio in Stdio:
        spec = Spec(args=("/bin/true",), stdio=stdio, clone_flags=0x200 | 0x20000, check=False)
        with pytest.raises(LaunchError) as caught:
            launch(spec)
        assert (caught.value.step, caught.value.index, caught.value.errno) == ("clone3", None, errno.EINVAL)


def test_error_without_descriptors_left_is_a_launch_error(nothing_left):
    import resource

    answers: list[int | None] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = len(os.listdir("/proc/self/fd"))
    try:
        for limit in range(count, count + 12):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            try:
                with launch(Spec(args=("/bin/true",), stdio=Stdio.PIPE, pdeathsig=9)) as child:
                    child.wait()
            except LaunchError as error:
                answers.append(error.errno)
            else:
                break
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert 0 < len(answers) < 12, "a launch needs some descriptors, and not many"
    assert set(answers) == {errno.EMFILE}


@pytest.mark.needs_root
def test_interrupted_at_any_moment_of_a_second_fork_nobody_is_left(nothing_left, monkeypatch):
    plan = compile_spec(replace(EVERYTHING, via=Mechanism.FORK_UNSHARE, stdio=Stdio.NULL))
    moments = random.Random(2)

    def interrupted(birth):
        until = time.monotonic_ns() + moments.randrange(1_500_000)
        while time.monotonic_ns() < until:
            pass
        birth.discard()
        raise KeyboardInterrupt

    monkeypatch.setattr(Birth, "_settle", interrupted)
    for _ in range(300):
        with pytest.raises(KeyboardInterrupt):
            launch(plan)
        assert Path(f"/proc/self/task/{os.getpid()}/children").read_text() == ""
