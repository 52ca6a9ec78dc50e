"""A new time namespace is entered on every kernel: by execve where that does it, else by the child itself."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace

import pytest
from apart import MNT_DETACH, NEWTIME, apart, become_nobody, call, own_mounts
from leftovers import Census
from running import output, shell

from spawner import LaunchError, Mechanism, Spec, TimeOffset, compile_spec, launch
from spawner.kernel import facts
from spawner.oci import Join
from spawner.parts.time_facts import entered_at_execve

BOTH = "readlink /proc/self/ns/time /proc/self/ns/time_for_children"
CLONE_VM = 0x100
CALLS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK_UNSHARE)


def execve_enters() -> bool:
    """Try it with nothing of ours but a fork: unshare, execve, look."""

    def look() -> list[str]:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                call("unshare", NEWTIME)
                os.dup2(writing, 1)
                # not by a shell: it may not be able to fork then
                os.execvp("readlink", ["readlink", "/proc/self/ns/time", "/proc/self/ns/time_for_children"])
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read().split()
        assert os.waitpid(pid, 0)[1] == 0
        return said

    inside, for_children = apart(look)
    return inside == for_children


@pytest.mark.needs("root", "time_namespace")
def test_the_kernels_answer_is_what_execve_then_does(nothing_left: Census) -> None:
    assert apart(lambda: entered_at_execve(True)) is execve_enters()


@pytest.mark.needs("root", "time_namespace", "userns")
def test_the_answer_is_the_same_without_privilege(nothing_left: Census) -> None:
    def unprivileged() -> bool:
        become_nobody()
        return entered_at_execve(False)

    assert apart(unprivileged) is apart(lambda: entered_at_execve(True))


@pytest.mark.needs("root", "time_namespace")
@pytest.mark.parametrize("by_execve", [True, False])
@pytest.mark.parametrize("via", CALLS)
def test_clocks_are_ahead_however_the_namespace_is_entered(
    nothing_left: Census, via: Mechanism, by_execve: bool
) -> None:
    if by_execve and not entered_at_execve(True):
        by_execve = False  # what cannot be is what the other case tries
    spec = shell(f"{BOTH}; cat /proc/uptime", namespaces=frozenset({"time"}), via=via)
    spec = replace(spec, time_offsets=(("boottime", TimeOffset(10**6)),))
    plan = compile_spec(spec, given=replace(facts(), time_at_execve=by_execve))
    assert ("setns time" in [step.label for step in plan.steps]) is not by_execve
    inside, for_children, uptime, _ = output(plan).split()
    assert inside == for_children
    assert inside != os.readlink("/proc/self/ns/time")
    assert float(uptime) >= 10**6


@pytest.mark.needs("root", "time_namespace")
def test_nobody_is_asked_where_no_time_namespace_is_wanted() -> None:
    def asked() -> int:
        entered_at_execve.cache_clear()
        compile_spec(shell("true", namespaces=frozenset({"uts"})))
        return entered_at_execve.cache_info().misses

    assert apart(asked) == 0


@pytest.mark.needs("root", "time_namespace")
@pytest.mark.parametrize(
    ("fields", "hidden", "step", "number", "words"),
    [
        ({"clone_flags": CLONE_VM}, False, "setns time", errno.EUSERS, "leave out CLONE_VM"),
        ({}, True, "open ns/time_for_children", errno.ENOENT, "mount /proc"),
    ],
)
def test_what_keeps_a_child_from_entering_is_told(
    nothing_left: Census, fields: dict[str, int], hidden: bool, step: str, number: int, words: str
) -> None:
    spec = shell("true", namespaces=frozenset({"time"}), **fields)
    plan = compile_spec(spec, given=replace(facts(), time_at_execve=False))

    def failure() -> tuple[str, int | None, str]:
        if hidden:
            own_mounts()
            call("umount2", b"/proc", MNT_DETACH)
        try:
            launch(plan).close()
        except LaunchError as error:
            return error.step, error.errno, error.remedy
        raise AssertionError("it was launched")

    assert apart(failure) == (step, number, words)


@pytest.mark.needs("root", "time_namespace")
@pytest.mark.parametrize("joined", [False, True])
def test_times_of_a_child_whose_clock_was_moved_are_told_in_ours(nothing_left: Census, joined: bool) -> None:
    offsets = (("monotonic", TimeOffset(10**6)),)
    spec = shell("read x", namespaces=frozenset({"time"}), time_offsets=offsets)
    with launch(compile_spec(spec, given=replace(facts(), time_at_execve=False))) as child:
        inside = Spec(args=("/bin/true",), join=(Join("time", f"/proc/{child.pid}/ns/time"),))
        start = time.monotonic_ns()
        with launch(inside) if joined else child as seen:
            seen_within = time.monotonic_ns() - (start if joined else 0)
            events = seen.timeline
        assert "setns" in [event.text.partition("(")[0] for event in events]
        assert [event for event in events if event.duration_ns is None or event.duration_ns < 0] == []
        if joined:
            assert all(0 <= event.start_ns <= seen_within for event in events)
        starts = [event.start_ns for event in events]
        assert starts == sorted(starts)
