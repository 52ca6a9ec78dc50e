"""Limits and filters: a child killed in its set-up is no success, a refused call is explained or gone around."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import seccomp_filter
from apart import NEWPID, NEWUSER, apart, become_nobody, call
from leftovers import Census
from running import EVERYTHING, PLANNING, output, shell

from spawner import IDMapping, LaunchError, Mechanism, Spec, SpecError, Stdio, compile_spec, kernel, launch
from spawner.namespaces import KINDS

CALLS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE)
TRUE = Spec(args=("/bin/true",), stdio=Stdio.NULL)
NAMED = replace(TRUE, namespaces=frozenset({"uts"}), hostname="demo", domainname="example")
_SYSCTLS = {"mount": "mnt", "network": "net"}

Failure = tuple[str, int | None, str]


def failure_of(spec: Spec) -> Failure:
    census = Census()
    with pytest.raises(LaunchError) as caught:
        launch(spec)
    assert census.difference(1) == []
    return caught.value.step, caught.value.errno, str(caught.value)


# ---- limits ----


def root_inside() -> None:
    """Become root of a user namespace of our own, whose limits are ours to set."""
    uid, gid = os.getuid(), os.getgid()
    call("unshare", NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


# bubblewrap's die_with_error: ENOSPC is "maximum number of namespaces", not a disk
@pytest.mark.needs("userns")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("via", PLANNING)
def test_a_limit_of_namespaces_is_told_from_a_full_disk(via: Mechanism, kind: object) -> None:
    name = kind.name  # type: ignore[attr-defined]

    def run() -> Failure:
        root_inside()
        Path(f"/proc/sys/user/max_{_SYSCTLS.get(name, name)}_namespaces").write_text("0")
        return failure_of(replace(TRUE, namespaces=frozenset({name}), via=via))

    step, number, text = apart(run)
    made = "unshare" if via is Mechanism.FORK_UNSHARE else str(via)
    assert (step, number) == ("unshare time" if name == "time" else made, errno.ENOSPC)
    assert "not of a disk" in text
    assert "max_" in text


# pid_namespaces(7), user_namespaces(7): 32 levels; ENOSPC since Linux 4.9
@pytest.mark.needs("userns")
@pytest.mark.parametrize("kind", ["pid", "user"])
def test_the_end_of_nesting_is_told(kind: str) -> None:
    def deeper(level: int) -> tuple[int, Failure]:
        try:
            launch(replace(TRUE, namespaces=frozenset({kind}))).close()
        except LaunchError as error:
            return level, (error.step, error.errno, str(error))
        if kind == "user":
            root_inside()
            return deeper(level + 1)
        call("unshare", NEWPID)
        return apart(lambda: deeper(level + 1))

    def run() -> tuple[int, Failure]:
        root_inside()
        return deeper(0)

    level, (step, number, text) = apart(run)
    assert 25 < level <= 33
    assert (step, number) == ("clone3", errno.ENOSPC)
    assert "32 levels" in text


# getrlimit(2) RLIMIT_NPROC: EAGAIN, for whom has neither CAP_SYS_RESOURCE nor CAP_SYS_ADMIN
@pytest.mark.needs_root
@pytest.mark.parametrize("via", [*CALLS, Mechanism.POSIX_SPAWN])
def test_a_limit_of_processes_is_told(via: Mechanism) -> None:
    def run() -> Failure:
        become_nobody()
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        return failure_of(replace(TRUE, via=via))

    step, number, text = apart(run)
    assert number == errno.EAGAIN
    assert step == ("fork" if via is Mechanism.FORK_UNSHARE else str(via))
    assert "RLIMIT_NPROC" in text


# setrlimit(2) RLIMIT_FSIZE, _AS: limits of ours that would break our own set-up must not break it half
@pytest.mark.parametrize("limit", [resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_CORE], ids=str)
@pytest.mark.parametrize("via", PLANNING)
@pytest.mark.needs_root
def test_other_limits_of_ours_are_only_handed_down(via: Mechanism, limit: int) -> None:
    def run() -> str:
        resource.setrlimit(limit, (100 if limit == resource.RLIMIT_CPU else 0,) * 2)
        return output(replace(EVERYTHING, args=("/bin/echo", "works"), stdio=Stdio.PIPE, via=via))

    assert apart(run) == "works\n"


# uname(2): __NEW_UTS_LEN is 64 bytes, not characters
@pytest.mark.needs_root
@pytest.mark.parametrize("name", ["x" * 64, "é" * 32, "", "two words", "\t"])
def test_a_host_name_that_fits_is_set_as_it_is(name: str, nothing_left: Census) -> None:
    spec = shell("cat /proc/sys/kernel/hostname", namespaces=frozenset({"uts"}), hostname=name)
    assert output(spec) == f"{name}\n"


@pytest.mark.parametrize("name", ["x" * 65, "é" * 33])
@pytest.mark.parametrize("field", ["hostname", "domainname"])
def test_a_host_name_that_is_too_long_is_refused_before_anything_runs(field: str, name: str) -> None:
    with pytest.raises(SpecError, match="64 bytes"):
        compile_spec(replace(NAMED, **{field: name}))


# sethostname(2) with no name is one, too: without a namespace of its own the machine would lose its name
@pytest.mark.parametrize(
    ("field", "value"),
    [("hostname", ""), ("domainname", ""), ("hostname", "x"), ("mount_proc", ""), ("mount_proc", "/proc")],
)
def test_what_would_change_this_machine_is_refused(field: str, value: str) -> None:
    with pytest.raises(SpecError, match="without a new"):
        compile_spec(replace(TRUE, **{field: value}))


# ---- seccomp ----


def filtered(*names: str, action: int) -> Callable[[], None]:
    def apply() -> None:
        seccomp_filter.answer(*names, action=action)
        kernel.clone3_errno.cache_clear()

    return apply


# "SIGKILL by seccomp/OOM in set-up otherwise looks like success (Go, Python, go-sandbox)"
@pytest.mark.needs("seccomp")
@pytest.mark.needs_root
@pytest.mark.parametrize("name", ["sethostname", "setdomainname", "close_range"])
@pytest.mark.parametrize("via", PLANNING)
def test_a_child_that_a_filter_kills_in_set_up_is_no_success_and_the_step_is_named(via: Mechanism, name: str) -> None:
    plan = compile_spec(replace(NAMED, via=via))
    wanted = [step.label for step in plan.steps if step.syscall == name]

    def run() -> Failure:
        filtered(name, action=seccomp_filter.KILL_PROCESS)()
        return failure_of(replace(NAMED, via=via))

    step, number, text = apart(run)
    assert step == wanted[0]
    assert number is None
    assert "SIGSYS" in text


@pytest.mark.needs("seccomp")
@pytest.mark.parametrize("via", CALLS)
def test_a_child_that_a_filter_kills_at_execve_did_not_start_the_program(via: Mechanism) -> None:
    def run() -> tuple[str, bool]:
        filtered("execve", action=seccomp_filter.KILL_PROCESS)()
        try:
            with launch(replace(TRUE, via=via)) as child:
                ended = child.wait()  # it may be seen to die only now
        except LaunchError as error:
            return f"{error.step}: {error}", False
        assert ended is not None
        assert ended.signal == signal.SIGSYS
        return "execve: SIGSYS", ended.executed

    text, executed = apart(run)
    assert text.startswith("execve:")
    assert "SIGSYS" in text
    assert not executed


@pytest.mark.needs("seccomp")
@pytest.mark.needs_root
@pytest.mark.parametrize("via", PLANNING)
def test_a_call_that_a_filter_refuses_is_told_with_its_errno(via: Mechanism) -> None:
    def run() -> Failure:
        filtered("setdomainname", action=seccomp_filter.ERRNO | errno.ENOTNAM)()
        return failure_of(replace(NAMED, via=via))

    assert apart(run)[:2] == ("setdomainname", errno.ENOTNAM)


# moby#42680: container filters answer clone3 with ENOSYS, older ones with EPERM
@pytest.mark.needs("seccomp")
@pytest.mark.needs_root
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_without_clone3_auto_takes_clone_and_says_why(number: int) -> None:
    def run() -> tuple[str, str, str]:
        filtered("clone3", action=seccomp_filter.ERRNO | number)()
        spec = replace(EVERYTHING, args=("/bin/sh", "-c", "hostname; echo $$"), stdio=Stdio.PIPE)
        plan = compile_spec(spec)
        return str(plan.mechanism), plan.why, output(spec)

    mechanism, why, said = apart(run)
    assert mechanism == "clone"
    assert errno.errorcode[number] in why
    assert said == "demo\n1\n"


# the fall-back must never drop a flag: clone knows 32 bits
@pytest.mark.needs("seccomp")
def test_without_clone3_what_only_clone3_knows_is_refused_and_not_dropped() -> None:
    into_cgroup = 1 << 33

    def run() -> str:
        filtered("clone3", action=seccomp_filter.ERRNO | errno.ENOSYS)()
        with pytest.raises((LaunchError, SpecError)) as caught:
            launch(replace(TRUE, clone_flags=into_cgroup, check=False))
        return str(caught.value)

    assert "CLONE_INTO_CGROUP" in apart(run)


@pytest.mark.needs("seccomp")
def test_clone3_asked_for_and_filtered_is_told_as_missing() -> None:
    def run() -> Failure:
        filtered("clone3", action=seccomp_filter.ERRNO | errno.ENOSYS)()
        return failure_of(replace(TRUE, via=Mechanism.CLONE3))

    step, number, text = apart(run)
    assert (step, number) == ("clone3", errno.ENOSYS)
    assert "filter" in text


@pytest.mark.needs("seccomp")
@pytest.mark.parametrize("via", [Mechanism.FORK_UNSHARE])
@pytest.mark.needs_root
def test_a_filtered_unshare_is_told_and_its_child_gone(via: Mechanism) -> None:
    def run() -> Failure:
        filtered("unshare", action=seccomp_filter.ERRNO | errno.EPERM)()
        return failure_of(replace(NAMED, via=via))

    assert apart(run)[:2] == ("unshare", errno.EPERM)


# the OOM killer's way: SIGKILL from outside at any moment of the set-up
@pytest.mark.needs_root
@pytest.mark.parametrize("via", PLANNING)
def test_a_child_killed_before_any_of_its_steps_is_no_success(via: Mechanism, nothing_left: Census) -> None:
    spec = replace(EVERYTHING, via=via)
    for index in range(len(compile_spec(spec, hold=True).steps)):
        with launch(spec, hold=index) as child:
            child.signal(signal.SIGKILL)
            with pytest.raises(LaunchError, match="SIGKILL") as caught:
                child.resume()
        assert caught.value.index == index


@pytest.mark.needs("userns")
def test_limits_of_the_child_of_a_user_namespace_leave_ours_alone() -> None:
    before = Path("/proc/sys/user/max_uts_namespaces").read_text()

    def run() -> None:
        root_inside()
        Path("/proc/sys/user/max_uts_namespaces").write_text("0")

    apart(run)
    assert Path("/proc/sys/user/max_uts_namespaces").read_text() == before
    spec = replace(TRUE, namespaces=frozenset({"user", "uts"}), uid_mappings=(IDMapping(0, os.getuid()),))
    with launch(spec) as child:
        child.wait()
