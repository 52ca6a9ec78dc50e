"""How a child ended is told right or as unknown, whoever else waits, whatever its exit signal."""

from __future__ import annotations

import errno
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from apart import apart
from leftovers import Census, until
from running import PLANNING, ended, shell

from spawner import Exit, LaunchError, Mechanism, Spec, SpecError, Stdio, compile_spec, launch
from spawner.flags import bits

CALLS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE)
EVERY_CALL = (*CALLS, Mechanism.POSIX_SPAWN)
SEVEN = Spec(args=("/bin/sh", "-c", "exit 7"), stdio=Stdio.NULL)
KILLED = Spec(args=("/bin/sh", "-c", "kill -TERM $$"), stdio=Stdio.NULL)


def honest(found: Exit | None, code: int | None, number: int | None) -> None:
    """The truth, or nothing: never another answer."""
    assert found is not None
    if (found.code, found.signal) != (None, None):
        assert (found.code, found.signal) == (code, number)


# bubblewrap 0.11.1 #705: SIGCHLD ignored, as inherited, makes the kernel reap; wait(2) answers ECHILD
@pytest.mark.parametrize("call", EVERY_CALL)
@pytest.mark.parametrize(
    ("spec", "code", "number"), [(SEVEN, 7, None), (KILLED, None, signal.SIGTERM)], ids=["exits", "killed"]
)
def test_with_sigchld_ignored_the_end_is_told_truly_or_not_at_all(
    call: Mechanism, spec: Spec, code: int | None, number: int | None
) -> None:
    def run() -> list[Exit | None]:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        ends = []
        for _ in range(20):
            try:
                with launch(replace(spec, via=call)) as child:
                    ends.append(child.wait())
            except LaunchError as error:  # of the calls that bring no pidfd, where it ends too soon
                if call in (Mechanism.CLONE3, Mechanism.CLONE) or "SIGCHLD is ignored" not in error.cause:
                    raise
        return ends

    for end in apart(run):
        honest(end, code, number)


# the same where a process of the engine's own ends on the way
@pytest.mark.needs_root
@pytest.mark.parametrize("call", PLANNING)
def test_with_sigchld_ignored_a_child_still_gets_its_pid_namespace(call: Mechanism) -> None:
    def run() -> Exit | None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        spec = shell("read x; exit 7", via=call, namespaces=frozenset({"pid"}))
        with launch(spec) as child:
            assert child.stdin is not None
            os.write(child.stdin, b"go\n")
            return child.wait()

    honest(apart(run), 7, None)


@pytest.mark.parametrize("call", CALLS)
def test_with_sigchld_ignored_a_failed_launch_is_a_launch_error(call: Mechanism) -> None:
    def run() -> tuple[str, int | None]:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        with pytest.raises(LaunchError) as caught:
            launch(Spec(args=("/no/such",), via=call))
        return caught.value.step, caught.value.errno

    assert apart(run) == ("execve", errno.ENOENT)


# waitpid(2): a library that waits for -1, or for our pid, takes the status away
@pytest.mark.parametrize("call", EVERY_CALL)
def test_a_status_stolen_by_another_wait_is_told_truly_or_not_at_all(call: Mechanism, nothing_left: Census) -> None:
    with launch(replace(SEVEN, via=call)) as child:
        assert os.waitpid(child.pid, 0)[0] == child.pid
        found = child.wait()
    honest(found, 7, None)
    assert found is not None
    assert found.rusage is None


def test_a_stolen_child_is_not_signalled(nothing_left: Census) -> None:
    with launch(SEVEN) as child:
        os.waitpid(child.pid, 0)
        with pytest.raises(ProcessLookupError):
            child.signal(signal.SIGTERM)


# clone(2): CLONE_PARENT makes a sibling; wait answers ECHILD and only the pidfd tells
@pytest.mark.parametrize("call", [Mechanism.CLONE3, Mechanism.CLONE])
def test_a_child_made_with_clone_parent_is_our_parents_to_wait_for(call: Mechanism, nothing_left: Census) -> None:
    def run() -> tuple[int, Exit | None]:
        with launch(replace(SEVEN, via=call, clone_flags=bits("PARENT"))) as child:
            return child.pid, child.wait()

    pid, found = apart(run)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    honest(found, 7, None)
    assert found is not None
    assert found.rusage is None


def test_a_failed_launch_with_clone_parent_is_dead_when_it_is_told(nothing_left: Census) -> None:
    def run() -> str:
        with pytest.raises(LaunchError) as caught:
            launch(Spec(args=("/no/such",), clone_flags=bits("PARENT")))
        return caught.value.step

    assert apart(run) == "execve"
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 125


# waitpid(2): a child with another exit signal, or none, is found only with __WALL or __WCLONE. execve makes it SIGCHLD
# again (fs/exec.c de_thread), so we are told by the other signal only of what ends before
@pytest.mark.parametrize("number", [0, signal.SIGUSR1, signal.SIGURG])
@pytest.mark.parametrize("call", [Mechanism.CLONE3, Mechanism.CLONE])
def test_a_child_with_any_exit_signal_is_reaped(call: Mechanism, number: int, nothing_left: Census) -> None:
    told = []
    before = signal.signal(number, lambda *_: told.append(1)) if number else None
    try:
        with launch(replace(SEVEN, via=call, exit_signal=number)) as child:
            found = child.wait()
        with pytest.raises(LaunchError):
            launch(Spec(args=("/no/such",), via=call, exit_signal=number))
    finally:
        if before is not None:
            signal.signal(number, before)
    assert found is not None
    assert found.code == 7
    assert found.rusage is not None
    assert len(told) == (1 if number else 0)


# "RT signal 64 with default action killed the test's parent"
def test_the_plan_warns_of_an_exit_signal_that_may_kill_us() -> None:
    assert any("this signal" in note for note in compile_spec(replace(SEVEN, exit_signal=64)).notes)
    assert not any("this signal" in note for note in compile_spec(SEVEN).notes)


# fork and vfork take no exit signal: it would be dropped without a word
@pytest.mark.parametrize("call", [Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE, Mechanism.POSIX_SPAWN])
def test_an_exit_signal_is_refused_by_calls_that_have_none(call: Mechanism) -> None:
    with pytest.raises(SpecError, match="exit signal"):
        compile_spec(replace(SEVEN, via=call, exit_signal=signal.SIGUSR1))


# a status can be had once; whoever comes second must get the same answer
def test_threads_that_wait_together_get_the_same_end(nothing_left: Census) -> None:
    with ThreadPoolExecutor(4) as pool:
        for _ in range(50):
            start = threading.Barrier(4)
            with launch(shell("read x; exit 7")) as child:

                def wait(child=child, start=start):
                    start.wait()
                    return child.wait()

                waits = [pool.submit(wait) for _ in range(4)]
                child.close_stream("stdin")
                answers = [future.result() for future in waits]
            assert [answer.code for answer in answers] == [7] * 4
            assert all(answer.rusage is not None for answer in answers)


def test_a_signal_handler_that_polls_takes_nothing_from_the_wait_it_interrupts(nothing_left: Census) -> None:
    polled: list[Exit | None] = []

    def handler(_number: int, _frame: object) -> None:
        until(lambda: ended(child.pidfd))
        polled.append(child.poll())

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with launch(shell("read x; kill -USR1 $PPID; exit 7")) as child:
            child.close_stream("stdin")
            found = child.wait()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert polled == [found]
    assert found is not None
    assert found.code == 7
    assert found.rusage is not None


# poll(2) takes an int of milliseconds: 25 days
@pytest.mark.parametrize("timeout", [1e7, 1e12, float("inf")])
def test_any_timeout_will_do(timeout: float, nothing_left: Census) -> None:
    with launch(SEVEN) as child:
        found = child.wait(timeout)
    assert found is not None
    assert found.code == 7


# waitid(2): without WSTOPPED a stop is no news
def test_a_stopped_child_has_not_ended(nothing_left: Census) -> None:
    with launch(shell("read x; exit 7")) as child:
        child.signal(signal.SIGSTOP)
        assert child.wait(0) is None
        assert child.poll() is None
        child.signal(signal.SIGCONT)
        child.close_stream("stdin")
        found = child.wait()
    assert found is not None
    assert found.code == 7


# pidfd_send_signal(2): a reused pid is another process
def test_a_reaped_child_is_signalled_no_more(nothing_left: Census) -> None:
    with launch(SEVEN) as child:
        child.wait()
        with pytest.raises(ProcessLookupError):
            child.signal(signal.SIGKILL)


@pytest.mark.parametrize("call", EVERY_CALL)
def test_a_dumped_core_is_told(call: Mechanism, nothing_left: Census) -> None:
    with launch(shell("kill -SEGV $$", via=call)) as child:
        found = child.wait()
    assert found is not None
    assert (found.code, found.signal, found.status) == (None, signal.SIGSEGV, 139)


# a held child that is killed is no success, and the step that it stood before is named
@pytest.mark.parametrize("hold", [0, "read ns/mnt", "close on exec", "execve"])
@pytest.mark.parametrize("call", [Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.FORK_UNSHARE])
def test_a_child_killed_while_held_is_a_launch_error_at_its_step(
    call: Mechanism, hold: int | str, nothing_left: Census
) -> None:
    with launch(replace(SEVEN, via=call), hold=hold) as child:
        index = child.held
        assert index is not None
        child.signal(signal.SIGKILL)
        with pytest.raises(LaunchError, match="SIGKILL") as caught:
            child.resume()
    assert caught.value.index == index
    assert caught.value.step == child.plan.steps[index].label


def test_a_child_killed_while_held_can_also_be_waited_for(nothing_left: Census) -> None:
    with launch(SEVEN, hold=0) as child:
        child.signal(signal.SIGKILL)
        found = child.wait()
        assert found is not None
        assert found.signal == signal.SIGKILL
        with pytest.raises(LaunchError):
            child.resume()
