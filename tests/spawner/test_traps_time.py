"""Time namespaces: entered at execve and not by the call, offsets written in between or refused with a reason."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from apart import NEWTIME, apart, become_nobody, call
from leftovers import Census
from running import PLANNING, output, shell

from spawner import IDMapping, LaunchError, Mechanism, Spec, SpecError, Stdio, TimeOffset, compile_spec, launch
from spawner.parts.time_facts import entered_at_execve

pytestmark = pytest.mark.needs_root

CALLS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE)
EVERY_CALL = (*CALLS, Mechanism.POSIX_SPAWN)
TIME = frozenset({"time"})
HOUR = (("boottime", TimeOffset(3600)),)


def our_time() -> str:
    return os.readlink("/proc/self/ns/time")


# a namespace made by clone3 itself is frozen: timens_offsets answers EACCES
@pytest.mark.parametrize("via", PLANNING)
@pytest.mark.parametrize("hold", [False, True])
def test_no_call_is_given_the_flag_itself(via: Mechanism, hold: bool) -> None:
    plan = compile_spec(shell("true", namespaces=TIME, via=via), hold=hold)
    assert not plan.clone_flags & NEWTIME
    assert "unshare time" in [step.label for step in plan.steps]


# 0x80 lands in clone's exit signal: "clone(0x80|SIGCHLD) succeeds with exit_signal 0x91 and no time namespace"
@pytest.mark.parametrize("spelling", [{"namespaces": TIME}, {"clone_flags": NEWTIME}], ids=str)
def test_clone_does_not_drop_it_without_a_word(spelling: dict[str, object], nothing_left: Census) -> None:
    spec = shell("readlink /proc/self/ns/time", via=Mechanism.CLONE, **spelling)
    assert compile_spec(spec).exit_signal == signal.SIGCHLD
    assert output(spec).strip() != our_time()


@pytest.mark.parametrize("via", PLANNING)
def test_the_program_is_inside_and_so_are_its_children(via: Mechanism, nothing_left: Census) -> None:
    spec = shell("readlink /proc/self/ns/time /proc/self/ns/time_for_children", namespaces=TIME, via=via)
    inside, for_children = output(spec).split()
    assert inside == for_children != our_time()


# time_namespaces(7): ERANGE where the clock would be negative or beyond half of what it can hold (~146 years)
@pytest.mark.parametrize("clock", ["monotonic", "boottime"])
@pytest.mark.parametrize("seconds", [-(10**9), 2**62, -(2**62)])
@pytest.mark.parametrize("via", PLANNING)
def test_an_offset_out_of_range_is_told_as_that(via: Mechanism, seconds: int, clock: str, nothing_left: Census) -> None:
    with pytest.raises(LaunchError) as caught:
        launch(shell("true", namespaces=TIME, time_offsets=((clock, TimeOffset(seconds)),), via=via))
    assert (caught.value.step, caught.value.errno) == ("write timens_offsets", errno.ERANGE)
    assert "146 years" in caught.value.cause


# kernel/time/namespace.c: nanoseconds below 10^9; fs/proc/base.c reads seconds modulo 2^64, so 2^64 would be 0
@pytest.mark.parametrize(
    "offset", [TimeOffset(2**64), TimeOffset(2**63), TimeOffset(0, 10**9), TimeOffset(0, -1)], ids=str
)
def test_what_is_no_offset_is_refused_before_anything_runs(offset: TimeOffset) -> None:
    with pytest.raises(SpecError, match="no offset"):
        compile_spec(shell("true", namespaces=TIME, time_offsets=(("monotonic", offset),)))


# runc#4635 "offsets only with a *new* time namespace"
def test_an_offset_without_a_new_namespace_is_refused() -> None:
    with pytest.raises(SpecError, match="-T"):
        compile_spec(shell("true", time_offsets=HOUR))


# time_namespaces(7): CAP_SYS_TIME in the user namespace that owns it: ours after the maps, or without any
@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("via", PLANNING)
def test_anybody_may_set_the_clocks_of_a_namespace_owned_by_the_own_user_namespace(
    via: Mechanism, mapped: bool
) -> None:
    def run() -> str:
        become_nobody()
        maps = (IDMapping(0, os.getuid()),) if mapped else ()
        spec = shell("cat /proc/self/timens_offsets", namespaces=TIME | {"user"}, time_offsets=HOUR, via=via)
        return output(replace(spec, uid_mappings=maps))

    assert "boottime 3600 0" in " ".join(apart(run).split())


def pending() -> None:
    """Ask that our next children, though not we, be in a new time namespace."""
    call("unshare", NEWTIME)
    assert os.readlink("/proc/self/ns/time_for_children") != our_time()


# cpython#91307: with a pending time namespace CLONE_VM, even vfork, is EINVAL before Linux 6.2
@pytest.mark.parametrize("via", EVERY_CALL)
def test_a_caller_with_a_pending_namespace_launches_into_it_or_is_told_why_not(via: Mechanism) -> None:
    def run() -> tuple[str | int | None, str]:
        pending()
        try:
            # no shell, which might not be able to fork then either
            inside = output(Spec(args=("readlink", "/proc/self/ns/time"), stdio=Stdio.PIPE, via=via))
        except LaunchError as error:
            return error.errno, f"{error.cause}; {error.remedy}"
        return inside.strip(), os.readlink("/proc/self/ns/time_for_children")

    copies_memory = via in (Mechanism.FORK, Mechanism.FORK_UNSHARE)
    first, second = apart(run)
    if copies_memory or entered_at_execve(True):
        assert first == second
        assert second.startswith("time:[")
    else:
        assert first == errno.EINVAL
        assert "none of them can share our memory; use --via fork" in second


@pytest.mark.parametrize("via", PLANNING)
def test_a_caller_with_a_pending_namespace_launches_into_a_further_one(via: Mechanism) -> None:
    def run() -> tuple[str, str]:
        pending()
        inside = output(shell("readlink /proc/self/ns/time", via=via, namespaces=TIME, time_offsets=HOUR))
        return inside.strip(), os.readlink("/proc/self/ns/time_for_children")

    inside, for_children = apart(run)
    assert inside not in (for_children, our_time())


# timens/vfork_exec.c of the kernel's selftests: offset in the child, parent unchanged
@pytest.mark.parametrize("via", PLANNING)
def test_our_own_clocks_and_children_are_not_touched(via: Mechanism, nothing_left: Census) -> None:
    before = our_time(), os.readlink("/proc/self/ns/time_for_children"), Path("/proc/self/timens_offsets").read_text()
    with launch(Spec(args=("/bin/true",), namespaces=TIME, time_offsets=HOUR, via=via, stdio=Stdio.NULL)) as child:
        child.wait()
    after = our_time(), os.readlink("/proc/self/ns/time_for_children"), Path("/proc/self/timens_offsets").read_text()
    assert after == before


# in the window before execve ns/time and ns/time_for_children differ
def test_a_child_held_before_execve_is_not_inside_yet_unless_it_had_to_enter_itself(nothing_left: Census) -> None:
    spec = Spec(args=("/bin/sleep", "1000"), namespaces=TIME, stdio=Stdio.NULL)
    with launch(spec, hold="execve") as child:
        directory = f"/proc/{child.pid}/ns"
        inside, for_children = os.readlink(f"{directory}/time"), os.readlink(f"{directory}/time_for_children")
        assert for_children != our_time()
        assert inside == (our_time() if entered_at_execve(True) else for_children)
        child.resume()
        assert os.readlink(f"{directory}/time") == os.readlink(f"{directory}/time_for_children") != our_time()
