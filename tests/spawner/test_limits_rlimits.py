"""Resource limits: set in the child, read back from the kernel, and explained where they cannot be had."""

from __future__ import annotations

import errno
import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest
from apart import apart, become_nobody
from running import PLANNING, output, shell

from spawner import IDMapping, LaunchError, Mechanism, Spec, SpecError, compile_spec, launch
from spawner.kernel import facts
from spawner.oci import Rlimit
from spawner.parts.limits import RLIMITS
from spawner.parts.limits_facts import with_limits

WITH_PLANS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE)
ROWS = {
    "RLIMIT_CPU": "Max cpu time",
    "RLIMIT_FSIZE": "Max file size",
    "RLIMIT_DATA": "Max data size",
    "RLIMIT_STACK": "Max stack size",
    "RLIMIT_CORE": "Max core file size",
    "RLIMIT_RSS": "Max resident set",
    "RLIMIT_NPROC": "Max processes",
    "RLIMIT_NOFILE": "Max open files",
    "RLIMIT_MEMLOCK": "Max locked memory",
    "RLIMIT_AS": "Max address space",
    "RLIMIT_LOCKS": "Max file locks",
    "RLIMIT_SIGPENDING": "Max pending signals",
    "RLIMIT_MSGQUEUE": "Max msgqueue size",
    "RLIMIT_NICE": "Max nice priority",
    "RLIMIT_RTPRIO": "Max realtime priority",
    "RLIMIT_RTTIME": "Max realtime timeout",
}
"""The rows of /proc/PID/limits (fs/proc/base.c)."""

INFINITY = resource.RLIM_INFINITY


def limits_of(text: str) -> dict[str, tuple[str, ...]]:
    """(soft, hard) by name from /proc/PID/limits."""
    rows = {name: row for row, name in ((row, name) for name, row in ROWS.items())}
    found = {}
    for name, row in rows.items():
        line = next(line for line in text.splitlines() if line.startswith(row + " "))
        found[name] = tuple(line.removeprefix(row).split()[:2])
    return found


def lower(name: str) -> Rlimit:
    """A limit below our own, which a small program can live with."""
    _, hard = resource.getrlimit(RLIMITS[name])
    top = 1 << 40 if hard == INFINITY else hard
    return Rlimit(name, max(top // 4 * 3, 0), max(top // 8 * 7, 0))


def test_the_table_has_every_limit_that_the_kernel_shows():
    rows = [line for line in Path("/proc/self/limits").read_text().splitlines()[1:] if line]
    assert len(rows) == len(RLIMITS)
    assert all(any(line.startswith(row) for row in ROWS.values()) for line in rows)
    for name, number in RLIMITS.items():
        assert getattr(resource, name, number) == number


# criyle/go-sandbox pkg/rlimit/rlimit_test.go TestPrepareRLimit
@pytest.mark.parametrize("via", WITH_PLANS)
def test_every_limit_at_once_is_the_childs_and_not_ours(via, nothing_left):
    wanted = tuple(lower(name) for name in RLIMITS)
    before = Path("/proc/self/limits").read_text()
    seen = limits_of(output(shell("cat /proc/self/limits", rlimits=wanted, via=via)))
    assert seen == {limit.type: (str(limit.soft), str(limit.hard)) for limit in wanted}
    assert Path("/proc/self/limits").read_text() == before


# opencontainers/runc tests/integration/rlimits.bats: NOFILE the same, bigger, smaller than ours
@pytest.mark.parametrize("change", ["same", "smaller", "bigger"])
def test_nofile_may_be_the_same_as_ours_or_smaller_or_bigger(change, nothing_left):
    def run() -> tuple[str, ...]:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        value = {"same": 256, "smaller": 100, "bigger": min(hard, 400)}[change]
        text = output(shell("cat /proc/self/limits", rlimits=(Rlimit("RLIMIT_NOFILE", value, value),)))
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (256, hard)
        return (str(value), *limits_of(text)["RLIMIT_NOFILE"])

    value, soft, hard = apart(run)
    assert (soft, hard) == (value, value)


def test_no_limit_is_unlimited(nothing_left):
    name = next(name for name in RLIMITS if resource.getrlimit(RLIMITS[name])[1] == INFINITY)
    spec = shell("cat /proc/self/limits", rlimits=(Rlimit(name, None, None),))
    assert limits_of(output(spec))[name] == ("unlimited", "unlimited")


def test_a_limit_bites(nothing_left, tmp_path):
    spec = shell(f"trap '' XFSZ; echo hello > {tmp_path}/file; echo $?", rlimits=(Rlimit("RLIMIT_FSIZE", 0, 0),))
    assert output(spec).strip() != "0"
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.needs("root")
@pytest.mark.parametrize("via", PLANNING)
def test_limits_reach_the_child_of_namespaces_too(via, nothing_left):
    kinds = frozenset({"user", "pid", "mount"})
    limits = (Rlimit("RLIMIT_NOFILE", 50, 60), Rlimit("RLIMIT_CORE", 0, 0))
    spec = shell("ulimit -Sn; ulimit -Hn; ulimit -c", rlimits=limits, namespaces=kinds, via=via)
    assert output(replace(spec, uid_mappings=(IDMapping(0, os.geteuid()),))).split() == ["50", "60", "0"]


def test_limits_are_among_the_last_steps_so_that_the_set_up_does_not_run_into_them():
    spec = shell(
        "true", rlimits=(Rlimit("RLIMIT_NOFILE", 50, 60),), namespaces=frozenset({"mount"}), mount_proc="/proc"
    )
    labels = [step.label for step in compile_spec(spec).steps]
    assert labels.index("set RLIMIT_NOFILE") > labels.index("mount proc")


# ---- refused ----


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        (Rlimit("RLIMIT_NOFILES", 1, 1), "RLIMIT_NOFILE,"),
        (Rlimit("NOFILE", 1, 1), "unknown"),
        (Rlimit("RLIMIT_NOFILE", 2, 1), "soft limit of 2 is above the hard one of 1"),
        (Rlimit("RLIMIT_NOFILE", None, 1), "soft limit of unlimited is above the hard one of 1"),
        (Rlimit("RLIMIT_NOFILE", -1, 1), "-1 is no soft limit"),
        (Rlimit("RLIMIT_NOFILE", 1, 2**64), "no hard limit"),
    ],
)
def test_a_limit_that_is_none_is_refused_beforehand(limit, says):
    with pytest.raises(SpecError, match=says):
        compile_spec(shell("true", rlimits=(limit,)))


def test_a_limit_given_twice_is_refused():
    with pytest.raises(SpecError, match="twice"):
        compile_spec(shell("true", rlimits=(Rlimit("RLIMIT_CPU", 1, 1), Rlimit("RLIMIT_CPU", 2, 2))))


RAISING = shell("true", rlimits=(Rlimit("RLIMIT_NOFILE", 50, 200),))


def test_raising_a_hard_limit_without_the_capability_is_explained_beforehand():
    poor = replace(with_limits(RAISING, facts()), capabilities=0, hard_limits=(("RLIMIT_NOFILE", 100),))
    with pytest.raises(SpecError, match=r"200 is above ours of 100, which takes CAP_SYS_RESOURCE.*lacks") as caught:
        compile_spec(RAISING, given=poor)
    assert caught.value.problems[0].errno == errno.EPERM
    rich = replace(poor, capabilities=1 << 24)
    compile_spec(RAISING, given=rich)
    with pytest.raises(SpecError, match="a new user namespace takes away"):
        compile_spec(replace(RAISING, namespaces=frozenset({"user"})), given=rich)
    compile_spec(RAISING, given=replace(poor, hard_limits=(("RLIMIT_NOFILE", 200),)))


# setrlimit(2): the kernel's own refusal is the same as what was said beforehand
def test_raising_a_hard_limit_without_the_capability_is_refused_by_the_kernel(nothing_left):
    def run() -> tuple[str, str, int | None, str]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        if os.geteuid() == 0:
            become_nobody()
        with pytest.raises(SpecError) as before:
            launch(RAISING)
        with pytest.raises(LaunchError) as caught:
            launch(replace(RAISING, check=False))
        return str(before.value), caught.value.step, caught.value.errno, caught.value.cause

    said, step, number, cause = apart(run)
    assert "CAP_SYS_RESOURCE" in said
    assert (step, number) == ("set RLIMIT_NOFILE", errno.EPERM)
    assert "CAP_SYS_RESOURCE" in cause


def test_a_limit_that_the_kernel_changed_is_no_success(nothing_left):
    plan = compile_spec(shell("true", rlimits=(Rlimit("RLIMIT_NOFILE", 50, 60),)))
    steps = tuple(
        replace(step, syscall="getpid", args=()) if step.label == "set RLIMIT_NOFILE" else step for step in plan.steps
    )
    with pytest.raises(LaunchError, match="read back RLIMIT_NOFILE: 50:60 was asked for, the kernel says"):
        launch(replace(plan, steps=steps))


def test_too_few_descriptors_for_the_standard_streams_are_told(nothing_left):
    with pytest.raises(LaunchError, match="at least 3") as caught:
        launch(shell("true", rlimits=(Rlimit("RLIMIT_NOFILE", 1, 1),)))
    assert caught.value.errno == errno.EBADF


@pytest.mark.parametrize("name", RLIMITS)
def test_a_fault_at_a_limit_is_named(name, nothing_left):
    spec = Spec(args=("/bin/true",), rlimits=(lower(name),))
    for label in (f"set {name}", f"read {name}"):
        with pytest.raises(LaunchError) as caught:
            launch(spec, inject=(label, errno.EDQUOT))
        assert caught.value.step == label
