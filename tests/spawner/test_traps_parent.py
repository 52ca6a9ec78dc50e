"""What becomes of a child when its parent, or the thread that launched it, ends."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from apart import apart, beside
from leftovers import Census, until
from running import EVERYTHING, ended, shell

from spawner import Mechanism, Spec, SpecError, Stdio, compile_spec, launch
from spawner.flags import bits

CALLS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE)
HOLDING = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.FORK_UNSHARE)
SLEEP = Spec(args=("/bin/sleep", "1000"), stdio=Stdio.NULL, pdeathsig=signal.SIGKILL)


@contextmanager
def watching(pid: int) -> Iterator[int]:
    """A pidfd of a process that is not ours to wait for, and its end if the test left it alive."""
    pidfd = os.pidfd_open(pid)
    try:
        yield pidfd
    finally:
        if not ended(pidfd):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)


def orphan_of(spec: Spec, hold: int | str | None = None) -> bool:
    """Whether the child of a parent that is killed with SIGKILL is gone soon after."""

    def parent() -> int:
        return kept(spec, hold)

    with beside(parent) as (pid, child), watching(child) as pidfd:
        assert not ended(pidfd)
        os.kill(pid, signal.SIGKILL)
        return until(lambda: ended(pidfd))


_kept = []


def kept(spec: Spec, hold: int | str | None = None) -> int:
    """Launch a child that nobody closes; its pid."""
    child = launch(spec, hold=hold)
    _kept.append(child)
    return child.pid


# prctl(2) PR_SET_PDEATHSIG; design 3: on by default in nsview run
@pytest.mark.parametrize("call", CALLS)
def test_a_child_with_a_death_signal_dies_with_a_parent_that_is_killed(call: Mechanism) -> None:
    assert orphan_of(replace(SLEEP, via=call))


@pytest.mark.needs_root
@pytest.mark.parametrize("call", [Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK_UNSHARE])
def test_so_does_pid_1_of_a_pid_namespace(call: Mechanism) -> None:
    assert orphan_of(replace(SLEEP, via=call, namespaces=frozenset({"pid"})))


# "pdeathsig after the last uid change": writing maps and entering namespaces must not have cleared it
@pytest.mark.needs_root
@pytest.mark.parametrize("call", [Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK_UNSHARE])
def test_so_does_a_child_in_every_namespace(call: Mechanism) -> None:
    spec = replace(EVERYTHING, args=SLEEP.args, via=call, stdio=Stdio.NULL)
    assert spec.pdeathsig == signal.SIGKILL
    assert orphan_of(spec)


def test_without_a_death_signal_the_child_outlives_its_parent() -> None:
    with beside(lambda: kept(replace(SLEEP, pdeathsig=None))) as (pid, child), watching(child) as pidfd:
        parent = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: ended(parent))
        os.close(parent)
        assert not ended(pidfd)


def test_another_death_signal_is_the_one_that_comes() -> None:
    reader, writer = os.pipe()

    def parent() -> int:
        os.dup2(writer, 1)
        script = "trap 'echo told; exit' TERM; echo ready; while :; do sleep 1000 & wait; done"
        return kept(Spec(args=("/bin/sh", "-c", script), pdeathsig=signal.SIGTERM, new_session=True))

    with beside(parent) as (pid, child), watching(child) as pidfd:
        os.close(writer)
        assert os.read(reader, 100) == b"ready\n"
        os.kill(pid, signal.SIGKILL)
        assert os.read(reader, 100) == b"told\n"
        assert until(lambda: ended(pidfd))
        os.killpg(child, signal.SIGKILL)  # its sleep
    os.close(reader)


# golang/go#27505, bubblewrap#692: "PDEATHSIG fires on *thread* exit"
@pytest.mark.parametrize("call", CALLS)
def test_a_child_outlives_the_passing_thread_that_launched_it(call: Mechanism) -> None:
    def run() -> bytes:
        with ThreadPoolExecutor(1) as pool:
            child = pool.submit(lambda: launch(shell("exec cat", via=call, pdeathsig=9))).result()
            (tid,) = pool.submit(lambda: (threading.get_native_id(),)).result()
        assert until(lambda: str(tid) not in os.listdir("/proc/self/task"))
        # The kernel sends the signal as the thread ends, so by now it would be dead.
        with child:
            assert child.stdin is not None
            assert child.stdout is not None
            os.write(child.stdin, b"alive\n")
            return os.read(child.stdout, 100)

    assert apart(run) == b"alive\n"


@pytest.mark.parametrize("call", CALLS)
def test_and_still_dies_with_the_process(call: Mechanism) -> None:
    def parent() -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: kept(replace(SLEEP, via=call))).result()

    with beside(parent) as (pid, child), watching(child) as pidfd:
        assert not ended(pidfd)
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: ended(pidfd))


_HELD = [
    *(replace(SLEEP, via=call, pdeathsig=None) for call in HOLDING),
    *(replace(SLEEP, via=call, pdeathsig=None, clone_flags=bits("FILES", "VM")) for call in HOLDING[:2]),
    *(replace(EVERYTHING, via=call) for call in (Mechanism.CLONE3, Mechanism.FORK_UNSHARE)),
]


# bubblewrap#633: it waits for a word that will never come, perhaps with a copy of our end
@pytest.mark.needs_root
@pytest.mark.parametrize("hold", [0, 1, "read ns/mnt", "close on exec", "signal mask", "execve"])
@pytest.mark.parametrize("spec", _HELD, ids=lambda spec: f"{spec.via}-{spec.stdio}-{spec.clone_flags}")
def test_a_held_child_does_not_outlive_its_parent(spec: Spec, hold: int | str) -> None:
    assert orphan_of(spec, hold)


# the same while a sibling, held too, has copies of every descriptor of the parent
@pytest.mark.parametrize("call", HOLDING)
def test_two_held_children_do_not_keep_each_other_waiting(call: Mechanism) -> None:
    def parent() -> tuple[int, int]:
        return kept(replace(SLEEP, via=call), 0), kept(replace(SLEEP, via=call), 0)

    with beside(parent) as (pid, (first, second)), watching(first) as one, watching(second) as two:
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: ended(one))
        assert until(lambda: ended(two))


# prctl(2): the signal is sent when the *parent* dies, and with CLONE_PARENT that is our own parent
def test_a_death_signal_is_refused_for_a_child_that_is_not_ours() -> None:
    with pytest.raises(SpecError, match="CLONE_PARENT"):
        compile_spec(replace(SLEEP, clone_flags=bits("PARENT")))


# a parent that simply exits says nothing to its children; close() or the pidfd do
def test_a_closed_child_is_dead_and_reaped(nothing_left: Census) -> None:
    child = launch(replace(SLEEP, pdeathsig=None))
    pidfd = os.dup(child.pidfd)
    child.close()
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    assert poller.poll(0)
    os.close(pidfd)
    child.close()
