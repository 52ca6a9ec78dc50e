"""The child's share of the machine: nice, processors, scheduler, I/O priority; its OOM score and personality."""

from __future__ import annotations

import errno
import os
import platform
from dataclasses import replace
from pathlib import Path

import pytest
from apart import apart, become_nobody
from running import PLANNING, output, shell

from spawner import LaunchError, Mechanism, SpecError, compile_spec, launch
from spawner.oci import IOPriority, Scheduler

WITH_PLANS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE)
CLONE_VM, CLONE_VFORK, CLONE_IO = 0x100, 0x4000, 0x80000000
OTHER, FIFO, BATCH, IDLE = 0, 1, 3, 5
CAP_SYS_RESOURCE = 24
POLICY_FIELD, NICE_FIELD, RT_PRIORITY_FIELD = 40, 18, 39
"""Of /proc/PID/stat, counted from 0 (proc_pid_stat(5))."""


def stat_field(pid: int, field: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[field - 2])


def capable(number: int) -> bool:
    status = Path("/proc/self/status").read_text()
    return bool(int(status.partition("CapEff:")[2].split(maxsplit=1)[0], 16) >> number & 1)


# ---- nice ----


@pytest.mark.parametrize("via", WITH_PLANS)
def test_child_is_as_nice_as_asked_and_we_are_not(via, nothing_left):
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with launch(shell("read line", nice=before + 3, via=via)) as child:
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == before + 3
        assert stat_field(child.pid, NICE_FIELD) == before + 3
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


@pytest.mark.needs("root")
def test_a_lower_nice_value_is_for_the_privileged(nothing_left):
    with launch(shell("read line", nice=-20)) as child:
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == -20

    def run() -> tuple[str, int | None, str]:
        become_nobody()
        with pytest.raises(LaunchError) as caught:
            launch(shell("true", nice=-1))
        return caught.value.step, caught.value.errno, caught.value.cause

    step, number, cause = apart(run)
    assert (step, number) == ("setpriority", errno.EACCES)
    assert "CAP_SYS_NICE" in cause


@pytest.mark.parametrize("nice", [-21, 20])
def test_a_nice_value_that_the_kernel_would_cut_off_is_refused(nice):
    with pytest.raises(SpecError, match="-20"):
        compile_spec(shell("true", nice=nice))


# ---- processors ----


@pytest.mark.parametrize("via", WITH_PLANS)
def test_child_may_run_on_the_processors_asked_for(via, nothing_left):
    ours = os.sched_getaffinity(0)
    last = max(ours)
    with launch(shell("read line", cpu_affinity=frozenset({last}), via=via)) as child:
        assert os.sched_getaffinity(child.pid) == {last}
    assert os.sched_getaffinity(0) == ours


# opencontainers/runc tests/integration/cpu_affinity.bats "runc run [CPU affinity should reset]"
def test_child_may_have_more_processors_than_we_run_on(nothing_left):
    every = os.sched_getaffinity(0)

    def run() -> tuple[set[int], set[int]]:
        os.sched_setaffinity(0, {min(every)})
        with launch(shell("read line")) as same, launch(shell("read line", cpu_affinity=frozenset(every))) as more:
            return os.sched_getaffinity(same.pid), os.sched_getaffinity(more.pid)

    assert apart(run) == ({min(every)}, every)


def test_a_processor_that_is_not_there_is_refused_by_number():
    missing = os.sysconf("SC_NPROCESSORS_CONF")
    for cpu in (missing, -1, 8192):
        with pytest.raises(SpecError, match=f"no processor {cpu} "):
            compile_spec(shell("true", cpu_affinity=frozenset({0, cpu})))


# ---- scheduler ----


# opencontainers/runc tests/integration/scheduler.bats
@pytest.mark.parametrize("policy", ["SCHED_BATCH", "SCHED_IDLE", "SCHED_OTHER"])
@pytest.mark.parametrize("via", [Mechanism.CLONE3, Mechanism.FORK])
def test_child_runs_by_the_policy_asked_for(policy, via, nothing_left):
    numbers = {"SCHED_OTHER": OTHER, "SCHED_BATCH": BATCH, "SCHED_IDLE": IDLE}
    with launch(shell("read line", scheduler=Scheduler(policy=policy), via=via)) as child:
        assert stat_field(child.pid, POLICY_FIELD) == numbers[policy]
        assert os.sched_getscheduler(child.pid) == numbers[policy]
    assert os.sched_getscheduler(0) == OTHER


def test_a_policy_takes_the_nice_value_of_either_field(nothing_left):
    for fields in ({"scheduler": Scheduler(policy="SCHED_BATCH", nice=7)},):
        with launch(shell("read line", **fields)) as child:
            assert os.getpriority(os.PRIO_PROCESS, child.pid) == 7
    with launch(shell("read line", nice=6, scheduler=Scheduler(policy="SCHED_BATCH"))) as child:
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == 6
        assert os.sched_getscheduler(child.pid) == BATCH


@pytest.mark.needs("root")
def test_real_time_has_a_priority_and_needs_privilege(nothing_left):
    spec = shell("read line", scheduler=Scheduler(policy="SCHED_FIFO", priority=42))
    with launch(spec) as child:
        assert os.sched_getscheduler(child.pid) == FIFO
        assert os.sched_getparam(child.pid).sched_priority == 42
        assert stat_field(child.pid, RT_PRIORITY_FIELD) == 42

    def run() -> tuple[str, int | None, str]:
        become_nobody()
        with pytest.raises(LaunchError) as caught:
            launch(spec)
        return caught.value.step, caught.value.errno, caught.value.cause

    step, number, cause = apart(run)
    assert (step, number) == ("sched_setattr", errno.EPERM)
    assert "CAP_SYS_NICE" in cause


@pytest.mark.needs("root")
def test_a_deadline_is_what_was_promised(nothing_left):
    promised = Scheduler(policy="SCHED_DEADLINE", runtime=1_000_000, deadline=50_000_000, period=100_000_000)
    with launch(shell("read line", scheduler=promised)) as child:
        assert os.sched_getscheduler(child.pid) == 6


@pytest.mark.parametrize(
    ("scheduler", "says"),
    [
        (Scheduler(policy="SCHED_SOMETIMES"), "SCHED_BATCH"),
        (Scheduler(policy="SCHED_FIFO"), "takes a priority from 1 to 99"),
        (Scheduler(policy="SCHED_RR", priority=100), "takes a priority from 1 to 99"),
        (Scheduler(policy="SCHED_BATCH", priority=1), "takes no priority"),
        (Scheduler(policy="SCHED_BATCH", nice=20), "nice"),
        (Scheduler(policy="SCHED_IDLE", nice=5), "takes no nice"),
        (Scheduler(policy="SCHED_OTHER", runtime=5000), "only SCHED_DEADLINE"),
        (Scheduler(policy="SCHED_DEADLINE"), "runtime <= deadline"),
        (Scheduler(policy="SCHED_DEADLINE", runtime=5000, deadline=4000), "runtime <= deadline"),
        (Scheduler(policy="SCHED_DEADLINE", runtime=5000, deadline=6000, period=5500), "deadline <= period"),
    ],
)
def test_a_scheduler_that_makes_no_sense_is_refused_beforehand(scheduler, says):
    with pytest.raises(SpecError, match=says):
        compile_spec(shell("true", scheduler=scheduler))


def test_two_nice_values_are_refused():
    with pytest.raises(SpecError, match="two nice values"):
        compile_spec(shell("true", nice=3, scheduler=Scheduler(policy="SCHED_BATCH", nice=4)))


# ---- I/O priority ----


# opencontainers/runc tests/integration/ioprio.bats
@pytest.mark.needs("ionice")
@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (IOPriority("IOPRIO_CLASS_BE", 2), "best-effort: prio 2"),
        (IOPriority("IOPRIO_CLASS_IDLE"), "idle"),
        pytest.param(IOPriority("IOPRIO_CLASS_RT", 0), "realtime: prio 0", marks=pytest.mark.needs("root")),
    ],
)
@pytest.mark.parametrize("via", [Mechanism.CLONE3, Mechanism.FORK])
def test_child_has_the_io_priority_asked_for(wanted, shown, via, nothing_left):
    before = output(shell("ionice"))
    assert output(shell("ionice", io_priority=wanted, via=via)).strip() == shown
    assert output(shell("ionice")) == before


@pytest.mark.needs("root")
def test_the_real_time_class_of_io_needs_privilege(nothing_left):
    def run() -> tuple[str, int | None, str]:
        become_nobody()
        with pytest.raises(LaunchError) as caught:
            launch(shell("true", io_priority=IOPriority("IOPRIO_CLASS_RT")))
        return caught.value.step, caught.value.errno, caught.value.remedy

    assert apart(run) == ("ioprio_set", errno.EPERM, "use IOPRIO_CLASS_BE")


def test_an_io_priority_that_is_none_is_refused():
    for wanted, says in (
        (IOPriority("IOPRIO_CLASS_NONE"), "IOPRIO_CLASS_BE"),
        (IOPriority("IOPRIO_CLASS_BE", 8), "0 .first. to 7"),
        (IOPriority("IOPRIO_CLASS_BE", -1), "0 .first. to 7"),
    ):
        with pytest.raises(SpecError, match=says):
            compile_spec(shell("true", io_priority=wanted))


def test_with_a_shared_io_context_there_is_no_priority_of_ones_own():
    with pytest.raises(SpecError, match="CLONE_IO"):
        compile_spec(shell("true", io_priority=IOPriority("IOPRIO_CLASS_BE"), clone_flags=CLONE_IO))


# ---- OOM score ----


def own_score() -> str:
    return Path("/proc/self/oom_score_adj").read_text().strip()


# opencontainers/runc tests/integration/oom_score_adj (run.bats); fs/proc/base.c __set_oom_adj
@pytest.mark.parametrize("via", WITH_PLANS)
@pytest.mark.parametrize("held", [False, True], ids=["at once", "after a hold"])
def test_child_has_its_oom_score_and_we_keep_ours(via, held, nothing_left):
    if held and via is Mechanism.VFORK:
        held = False  # vfork cannot hold
    before = own_score()
    spec = shell("read line", oom_score_adj=321, via=via)
    with launch(spec, hold="execve" if held else None) as child:
        assert Path(f"/proc/{child.pid}/oom_score_adj").read_text().strip() == "321"
        assert own_score() == before
        if held:
            child.resume()
        assert Path(f"/proc/{child.pid}/oom_score_adj").read_text().strip() == "321"
    assert own_score() == before


def test_a_memory_is_not_shared_where_its_oom_score_would_be():
    spec = shell("true", oom_score_adj=5)
    assert compile_spec(spec).clone_flags & (CLONE_VM | CLONE_VFORK) == CLONE_VM | CLONE_VFORK
    assert not compile_spec(spec, hold=True).clone_flags & CLONE_VM
    with pytest.raises(SpecError, match="OOM score would be this process's too"):
        compile_spec(replace(spec, clone_flags=CLONE_VM), hold=True)


@pytest.mark.needs("root")
@pytest.mark.parametrize("via", PLANNING)
def test_oom_score_of_a_child_that_is_number_1_of_a_pid_namespace(via, nothing_left):
    spec = shell("cat /proc/self/oom_score_adj", oom_score_adj=99, via=via)
    spec = replace(spec, namespaces=frozenset({"pid", "mount"}), mount_proc="/proc")
    assert output(spec).strip() == "99"


def test_lowering_the_oom_score_needs_a_capability(nothing_left):
    spec = shell("cat /proc/self/oom_score_adj", oom_score_adj=-500)

    def run() -> tuple[str, int | None, str]:
        become_nobody()
        with pytest.raises(LaunchError) as caught:
            launch(spec)
        return caught.value.step, caught.value.errno, caught.value.cause

    if capable(CAP_SYS_RESOURCE):
        assert output(spec).strip() == "-500"
        step, number, cause = apart(run)
    else:
        with pytest.raises(LaunchError) as caught:
            launch(spec)
        step, number, cause = caught.value.step, caught.value.errno, caught.value.cause
    assert (step, number) == ("write oom_score_adj", errno.EACCES)
    assert "CAP_SYS_RESOURCE" in cause


@pytest.mark.parametrize("score", [-1001, 1001])
def test_an_oom_score_out_of_range_is_refused(score):
    with pytest.raises(SpecError, match="-1000"):
        compile_spec(shell("true", oom_score_adj=score))


# ---- personality ----


# opencontainers/runc tests/integration/personality.bats
@pytest.mark.skipif(platform.machine() != "x86_64", reason="another machine has other names")
@pytest.mark.parametrize("via", WITH_PLANS)
def test_child_has_another_personality(via, nothing_left):
    linux32 = 8
    assert output(shell("uname -m", personality=linux32, via=via)).strip() == "i686"
    assert output(shell("uname -m", via=via)).strip() == "x86_64"


@pytest.mark.needs_root
def test_addresses_are_not_random_where_the_personality_says_so(nothing_left):
    no_randomize = 0x0040000
    with launch(shell("read line", personality=no_randomize)) as child:
        assert int(Path(f"/proc/{child.pid}/personality").read_text(), 16) == no_randomize


@pytest.mark.parametrize("personality", [-1, 0xFFFFFFFF, 1 << 32])
def test_a_personality_that_only_asks_is_refused(personality):
    with pytest.raises(SpecError, match="32 bits"):
        compile_spec(shell("true", personality=personality))


# ---- all of them ----


def test_what_the_kernel_says_of_each_is_compared(nothing_left):
    spec = shell(
        "true",
        nice=3,
        cpu_affinity=frozenset({0}),
        scheduler=Scheduler(policy="SCHED_BATCH"),
        io_priority=IOPriority("IOPRIO_CLASS_IDLE"),
        oom_score_adj=77,
        personality=0x0040000,
    )
    plan = compile_spec(spec)
    setting = {
        "setpriority": "nice",
        "sched_setaffinity": "cpu_affinity",
        "sched_setattr": "scheduler",
        "ioprio_set": "io_priority",
        "write oom_score_adj": "oom_score_adj",
        "personality": "personality",
    }
    with launch(plan) as child:
        assert child.wait().code == 0
    for label, what in setting.items():
        steps = [replace(step, syscall="getpid", args=()) if step.label == label else step for step in plan.steps]
        if what == "nice":  # the scheduler's own would set it again
            steps = [replace(s, syscall="getpid", args=()) if s.label == "sched_setattr" else s for s in steps]
        if what == "cpu_affinity" and os.sched_getaffinity(0) == {0}:
            continue
        with pytest.raises(LaunchError, match=f"read back {what}: "):
            launch(replace(plan, steps=tuple(steps)))
        with pytest.raises(LaunchError) as caught:
            launch(plan, inject=(label, errno.EDQUOT))
        assert caught.value.step == label
