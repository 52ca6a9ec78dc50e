"""While a child hangs in execve (a network disk, FUSE) only its own launch waits, and killing it is no success."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from apart import keep_threads
from leftovers import Census, until
from running import PLANNING
from slow_program import SlowProgram

from spawner import Child, Exit, LaunchError, Mechanism, Spec, Stdio, launch

CALLS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE)
EVERY_CALL = (*CALLS, Mechanism.POSIX_SPAWN)
TRUE = Spec(args=("/bin/true",), stdio=Stdio.NULL)
LONG = 30.0
"""Less than /proc/sys/fs/lease-break-time, after which the kernel would let the execve go on by itself."""


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[SlowProgram]:
    with SlowProgram(tmp_path) as program:
        yield program


@pytest.fixture(autouse=True)
def _lasting_threads() -> None:
    keep_threads(2)


class Launching:
    """A launch in a thread of its own."""

    def __init__(self, spec: Spec) -> None:
        self._future: Future[Child] = Future()
        self._thread = threading.Thread(target=self._run, args=(spec,), daemon=True)
        self._thread.start()

    def _run(self, spec: Spec) -> None:
        try:
            self._future.set_result(launch(spec))
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            self._future.set_exception(error)

    @property
    def over(self) -> bool:
        return self._future.done()

    def result(self) -> Child:
        answer = self._future.result(LONG)
        self._thread.join(LONG)
        return answer

    def error(self) -> BaseException | None:
        error = self._future.exception(LONG)
        self._thread.join(LONG)
        return error


def our_children() -> set[int]:
    """Children of every thread of ours."""
    return {int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


def run_true(spec: Spec = TRUE) -> int | None:
    with launch(spec) as child:
        ended = child.wait()
        return None if ended is None else ended.code


# python/cpython#104372: the GIL held across vfork froze every thread while FUSE thought about an execve
@pytest.mark.parametrize("call", EVERY_CALL)
def test_other_threads_run_on_while_a_child_hangs_in_execve(
    call: Mechanism, slow: SlowProgram, nothing_left: Census
) -> None:
    launching = Launching(replace(TRUE, args=(slow.path,), via=call))
    slow.wait_for_somebody()
    assert not launching.over
    slow.let_go()
    with launching.result() as child:
        ended = child.wait()
        assert ended is not None
        assert ended.code == 0


_SLOW = [
    *(replace(TRUE, via=call) for call in EVERY_CALL),
    *(replace(TRUE, via=call, namespaces=frozenset({"time"})) for call in PLANNING),
]


# the same for launches: what hangs must not keep a lock that others want
@pytest.mark.needs("root")
@pytest.mark.parametrize("spec", _SLOW, ids=lambda spec: f"{spec.via}{'-time' if spec.namespaces else ''}")
def test_other_launches_and_forks_go_on_while_a_child_hangs_in_execve(
    spec: Spec, slow: SlowProgram, nothing_left: Census
) -> None:
    launching = Launching(replace(spec, args=(slow.path,)))
    slow.wait_for_somebody()
    for call in EVERY_CALL:
        assert run_true(replace(TRUE, via=call)) == 0
    assert run_true(replace(TRUE, namespaces=frozenset({"time"}))) == 0
    with launch(TRUE, hold=0) as held:
        held.resume()
        held.wait()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert not launching.over
    slow.let_go()
    with launching.result() as child:
        child.wait()


# EOF or the end of vfork's wait says "exec'ed or dead": killed, it must not pass for launched
@pytest.mark.parametrize("call", CALLS)
def test_a_child_killed_in_execve_did_not_start_the_program(
    call: Mechanism, slow: SlowProgram, nothing_left: Census
) -> None:
    before = our_children()
    launching = Launching(replace(TRUE, args=(slow.path,), via=call))
    slow.wait_for_somebody()
    (pid,) = our_children() - before
    os.kill(pid, signal.SIGKILL)
    error = launching.error()
    if error is None:
        ended = launching.result().wait()
        launching.result().close()
        assert isinstance(ended, Exit)
        assert (ended.signal, ended.executed) == (signal.SIGKILL, False)
    else:
        assert isinstance(error, LaunchError)
        assert (error.step, error.errno) == ("execve", None)
        assert "SIGKILL" in str(error)


@pytest.mark.parametrize("call", CALLS)
def test_a_child_stopped_in_execve_is_waited_for(call: Mechanism, slow: SlowProgram, nothing_left: Census) -> None:
    before = our_children()
    launching = Launching(replace(TRUE, args=(slow.path,), via=call))
    slow.wait_for_somebody()
    (pid,) = our_children() - before
    os.kill(pid, signal.SIGSTOP)
    assert until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "T")
    slow.let_go()
    assert not launching.over
    os.kill(pid, signal.SIGCONT)
    with launching.result() as child:
        ended = child.wait()
        assert ended is not None
        assert ended.code == 0


# vfork(2): the wait is killable only, but signals to us are not lost: they come when it is over
def test_signals_to_us_meanwhile_arrive_afterwards(slow: SlowProgram, nothing_left: Census) -> None:
    reader, writer = os.pipe()
    before = signal.signal(signal.SIGUSR1, lambda *_: os.write(writer, b"x") and None)
    try:
        timer = threading.Thread(target=lambda: (slow.wait_for_somebody(), signal.raise_signal(signal.SIGUSR1)))
        timer.start()
        letting_go = threading.Thread(target=lambda: (timer.join(), slow.let_go()))
        letting_go.start()
        with launch(replace(TRUE, args=(slow.path,))) as child:
            child.wait()
        letting_go.join()
        poller = select.poll()
        poller.register(reader, select.POLLIN)
        assert poller.poll(LONG * 1000)
    finally:
        signal.signal(signal.SIGUSR1, before)
        os.close(reader)
        os.close(writer)


# prctl(2): one lasting thread serves all children with a death signal; one that hangs must not keep the others
def test_a_child_with_a_death_signal_hanging_in_execve_holds_up_no_other_thread(
    slow: SlowProgram, nothing_left: Census
) -> None:
    launching = Launching(replace(TRUE, args=(slow.path,), pdeathsig=9))
    slow.wait_for_somebody()
    other = Launching(replace(TRUE, pdeathsig=9))
    assert until(lambda: other.over), "the second launch waits for the first"
    other.result().close()
    assert not launching.over
    slow.let_go()
    launching.result().close()
