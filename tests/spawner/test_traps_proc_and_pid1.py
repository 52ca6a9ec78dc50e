"""Process 1 of a pid namespace, and /proc: missing, masked, or of another namespace than ours."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from apart import MNT_DETACH, NEWPID, apart, call, mount, own_mounts
from leftovers import Census, until
from running import EVERY_KIND, EVERYTHING, PLANNING, ended, output, read_all, shell

from spawner import IDMapping, LaunchError, Mechanism, Spec, Stdio, TimeOffset, launch
from spawner.parts.time_facts import entered_at_execve

pytestmark = pytest.mark.needs_root

CALLS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE)
EVERY_CALL = (*CALLS, Mechanism.POSIX_SPAWN)
PID = frozenset({"pid"})
TRUE = Spec(args=("/bin/true",), stdio=Stdio.NULL)
ROOT_INSIDE = {"uid_mappings": (IDMapping(0, 0),), "gid_mappings": (IDMapping(0, 0),)}


def told(error: LaunchError) -> tuple[str, int | None, str]:
    return error.step, error.errno, str(error)


def failure_of(spec: Spec) -> tuple[str, int | None, str]:
    with pytest.raises(LaunchError) as caught:
        launch(spec)
    return told(caught.value)


# pid_namespaces(7): a procfs shows the namespace of whoever mounted it: "30467" outside, 1 inside
@pytest.mark.parametrize("via", PLANNING)
def test_proc_self_is_1_only_where_proc_is_mounted_anew(via: Mechanism, nothing_left: Census) -> None:
    spec = shell("readlink /proc/self; exec sh -c 'echo $$'", namespaces=PID | {"mount"}, via=via)
    fresh, own = output(replace(spec, mount_proc="/proc")).split()
    assert (int(fresh) > 1, own) == (True, "1")
    assert int(fresh) < 10
    outer, own = output(spec).split()
    assert own == "1"
    assert int(outer) > 10


# pid_namespaces(7): what has no handler is ignored by process 1, even SIGKILL and SIGSTOP from inside
@pytest.mark.parametrize("via", PLANNING)
def test_process_1_survives_what_it_sends_itself(via: Mechanism, nothing_left: Census) -> None:
    script = "kill -TERM $$; kill -KILL $$; kill -STOP $$; echo alive"
    assert output(shell(script, namespaces=PID, via=via)) == "alive\n"


@pytest.mark.parametrize("via", PLANNING)
def test_process_1_ignores_our_sigterm_but_not_our_sigkill(via: Mechanism, nothing_left: Census) -> None:
    with launch(shell("exec cat", namespaces=PID, via=via)) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.signal(signal.SIGTERM)
        os.write(child.stdin, b"alive\n")
        assert os.read(child.stdout, 100) == b"alive\n"
        child.signal(signal.SIGKILL)
        found = child.wait()
    assert found is not None
    assert found.signal == signal.SIGKILL


# go-sandbox's hold by kill(getpid(), SIGSTOP) is a no-op in process 1 (its own comment)
@pytest.mark.parametrize("via", PLANNING)
def test_process_1_can_be_held_and_stepped(via: Mechanism, nothing_left: Census) -> None:
    with launch(replace(EVERYTHING, args=("/bin/sh", "-c", "exit $$"), stdio=Stdio.NULL, via=via), hold=0) as child:
        count = 0
        while child.held is not None:
            child.step()
            count += 1
        found = child.wait()
    assert count == len(child.plan.steps)
    assert found is not None
    assert found.code == 1


# pid_namespaces(7): the end of process 1 is the end of all
@pytest.mark.parametrize("via", PLANNING)
def test_closing_process_1_ends_its_children_too(via: Mechanism, nothing_left: Census) -> None:
    with launch(shell("sleep 1000 & echo; read x", namespaces=PID, via=via)) as child:
        assert child.stdout is not None
        os.read(child.stdout, 1)
        (grandchild,) = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        pidfd = os.pidfd_open(int(grandchild))
        assert not ended(pidfd)
        child.close()
        assert until(lambda: ended(pidfd))
        os.close(pidfd)


# "after unshare(NEWPID) only the next child is pid 1": the process in between must be reaped by us
def test_the_process_between_us_and_process_1_is_gone_when_launch_returns(nothing_left: Census) -> None:
    with launch(shell("exec cat", namespaces=PID, via=Mechanism.FORK_UNSHARE)) as child:
        ours = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        assert ours == [str(child.pid)]
        assert Path(f"/proc/{child.pid}/stat").read_text().rpartition(") ")[2].split()[1] == str(os.getpid())


# clone(2): ENOMEM from a pid namespace that has lost its process 1
@pytest.mark.parametrize("via", EVERY_CALL)
def test_a_pid_namespace_without_process_1_takes_no_child_and_is_named(via: Mechanism) -> None:
    def run() -> tuple[str, int | None, str]:
        call("unshare", NEWPID)
        with launch(TRUE) as first:  # its process 1
            first.wait()
        return failure_of(replace(TRUE, via=via))

    step, number, text = apart(run)
    made = {Mechanism.FORK_UNSHARE: "fork"}.get(via, str(via))
    assert (step, number) == (made, errno.ENOMEM)
    assert "process 1" in text


# pid_namespace.c copy_pid_ns: EINVAL once the caller's children go elsewhere
@pytest.mark.parametrize("via", [Mechanism.CLONE3, Mechanism.CLONE])
def test_a_second_pid_namespace_from_outside_the_first_is_refused(via: Mechanism) -> None:
    def run() -> tuple[str, int | None, str]:
        call("unshare", NEWPID)
        return failure_of(replace(TRUE, namespaces=PID, via=via))

    step, number, text = apart(run)
    assert (step, number) == (str(via), errno.EINVAL)
    assert text


# ---- /proc is not what it seems ----


def in_a_pid_namespace(action: Callable[[], object]) -> Callable[[], object]:
    """Run ``action`` as process 1 of a pid namespace whose /proc still is the outer one."""

    def run() -> object:
        call("unshare", NEWPID)
        return apart(action)

    return run


# procfs(5): /proc/PID of an outer namespace is a stranger; pidfd's fdinfo has the number that /proc knows us by
@pytest.mark.parametrize("via", PLANNING)
def test_under_an_outer_proc_a_time_namespace_is_still_verified(via: Mechanism) -> None:
    spec = shell("cat /proc/self/timens_offsets", namespaces=frozenset({"time"}), via=via)
    spec = replace(spec, time_offsets=(("boottime", TimeOffset(60)),))
    assert "60" in str(apart(in_a_pid_namespace(lambda: output(spec))))


@pytest.mark.parametrize("via", EVERY_CALL)
def test_under_an_outer_proc_the_start_time_is_the_childs(via: Mechanism) -> None:
    def run() -> tuple[int | None, int]:
        with launch(shell("cut -d' ' -f22 /proc/self/stat; read x", via=via, args=("/bin/cat",))) as child:
            fdinfo = Path(f"/proc/self/fdinfo/{child.pidfd}").read_text()
            outer = next(line.split()[1] for line in fdinfo.splitlines() if line.startswith("Pid:"))
            assert outer != str(child.pid)
            return child.start_time, int(Path(f"/proc/{outer}/stat").read_text().rpartition(") ")[2].split()[19])

    found, true = apart(in_a_pid_namespace(run))  # type: ignore[misc]
    assert found == true


@pytest.mark.parametrize("via", CALLS)
def test_under_an_outer_proc_a_program_that_ends_at_once_was_launched(via: Mechanism) -> None:
    def run() -> list[int | None]:
        codes = []
        for _ in range(20):
            with launch(replace(TRUE, via=via)) as child:
                found = child.wait()
                codes.append(None if found is None else found.code)
        return codes

    assert apart(in_a_pid_namespace(run)) == [0] * 20


def without_proc(action: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        own_mounts()
        call("umount2", b"/proc", MNT_DETACH)
        assert not os.path.exists("/proc/self")
        return action()

    return run


# design 5: "a zero for unknown" never: without /proc nobody can tell the namespaces
@pytest.mark.parametrize("via", CALLS)
def test_without_proc_a_child_is_launched_and_its_namespaces_are_unknown(via: Mechanism) -> None:
    def run() -> tuple[dict[str, int | None], int | None, int | None]:
        with launch(replace(TRUE, via=via)) as child:
            found = child.wait()
            return child.namespaces, child.start_time, None if found is None else found.code

    namespaces, start_time, code = apart(without_proc(run))  # type: ignore[misc]
    assert set(namespaces.values()) == {None}
    assert start_time is None
    assert code == 0


@pytest.mark.parametrize("via", PLANNING)
def test_without_proc_every_namespace_but_a_mapped_one_can_be_made(via: Mechanism) -> None:
    # Where execve does not enter a time namespace, it takes /proc to do so.
    kinds = EVERY_KIND if entered_at_execve(os.geteuid() == 0) else EVERY_KIND - {"time"}

    def run() -> str:
        return output(shell("echo $$", namespaces=kinds, via=via))

    assert apart(without_proc(run)) == "1\n"


@pytest.mark.parametrize("via", PLANNING)
def test_without_proc_a_map_is_refused_and_proc_named(via: Mechanism) -> None:
    spec = replace(TRUE, namespaces=frozenset({"user"}), via=via, **ROOT_INSIDE)
    step, number, text = apart(without_proc(lambda: failure_of(spec)))  # type: ignore[misc]
    assert (step, number) == ("open setgroups", errno.ENOENT)
    assert "no /proc" in text


def test_without_proc_posix_spawn_says_what_it_lacks() -> None:
    step, number, text = apart(without_proc(lambda: failure_of(replace(TRUE, via=Mechanism.POSIX_SPAWN))))  # type: ignore[misc]
    assert (step, number) == ("prepare", errno.ENOENT)
    assert "/proc" in text


# bubblewrap#284, #505, #738: "VFS: Mount too revealing" where something covers a part of the outer /proc
@pytest.mark.parametrize("via", PLANNING)
def test_a_new_proc_under_a_masked_one_is_refused_and_the_mask_named(via: Mechanism) -> None:
    spec = replace(TRUE, namespaces=frozenset({"user", "pid", "mount"}), mount_proc="/proc", via=via, **ROOT_INSIDE)

    def run() -> tuple[str, int | None, str]:
        own_mounts()
        mount("none", "/proc/sys", "tmpfs")
        return failure_of(spec)

    step, number, text = apart(run)
    assert (step, number) == ("mount proc", errno.EPERM)
    assert "masked" in text
    with launch(spec) as child:  # and without the mask it works
        found = child.wait()
    assert found is not None
    assert found.code == 0


# fs/proc/root.c, user_namespaces(7): the pid namespace must belong to the user namespace, or be new as well
def test_a_new_proc_of_a_pid_namespace_that_is_not_ours_is_refused_with_what_to_add() -> None:
    spec = replace(TRUE, namespaces=frozenset({"user", "mount"}), mount_proc="/proc", **ROOT_INSIDE)
    step, number, text = failure_of(spec)
    assert (step, number) == ("mount proc", errno.EPERM)
    assert "-p" in text


@pytest.mark.parametrize("via", PLANNING)
def test_proc_goes_where_it_is_asked_to_and_nowhere_else(via: Mechanism, tmp_path: Path, nothing_left: Census) -> None:
    spec = shell(f"ls {tmp_path}/1/status", namespaces=frozenset({"mount", "pid"}), mount_proc=str(tmp_path), via=via)
    assert output(spec).strip() == f"{tmp_path}/1/status"
    assert list(tmp_path.iterdir()) == []


def test_a_place_for_proc_that_is_missing_is_told(nothing_left: Census) -> None:
    spec = replace(TRUE, namespaces=frozenset({"mount", "pid"}), mount_proc="/no/such/place")
    step, number, text = failure_of(spec)
    assert (step, number) == ("mount proc", errno.ENOENT)
    assert "/no/such/place" in text


def test_the_outer_pid_namespace_sees_what_process_1_writes_of_itself(nothing_left: Census) -> None:
    spec = shell("grep NSpid /proc/self/status; read x", namespaces=PID, args=("/bin/cat",))
    with launch(spec) as child:
        line = next(
            line for line in Path(f"/proc/{child.pid}/status").read_text().splitlines() if line.startswith("NSpid")
        )
        assert line.split()[1:] == [str(child.pid), "1"]
        child.close_stream("stdin")
        assert child.stdout is not None
        assert read_all(child.stdout) == ""
