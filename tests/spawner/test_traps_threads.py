"""Launches from many threads at once neither mix nor wait for one another."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from apart import NEWUTS, apart, call, keep_threads
from leftovers import Census
from running import EVERY_KIND, PLANNING, output, read_all, shell

from spawner import LaunchError, Mechanism, Spec, Stdio, compile_spec, launch

T = TypeVar("T")

CALLS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE)
EVERY_CALL = (*CALLS, Mechanism.POSIX_SPAWN)
HOLDING = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.FORK_UNSHARE)
TRUE = Spec(args=("/bin/true",), stdio=Stdio.NULL)
THREADS, EACH = 16, 20
LONG = 60.0
"""Seconds after which something that should come at once is taken to hang."""


def in_a_thread(action: Callable[[], T]) -> T:
    """Run ``action`` in a thread of its own; TimeoutError if it hangs."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(action())
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(LONG)


@pytest.fixture(autouse=True)
def _lasting_threads() -> None:
    keep_threads(THREADS + 1)


# golang/go#22315, subprocess's own history: descriptors, errors and pids of concurrent launches must not mix
@pytest.mark.needs("root")
def test_sixteen_threads_launch_at_once_and_each_gets_its_own(nothing_left: Census) -> None:
    ways = [replace(shell(""), via=call) for call in EVERY_CALL]
    ways += [replace(shell(""), via=call, namespaces=frozenset({"uts", "pid"})) for call in PLANNING]
    ways += [replace(shell(""), pdeathsig=9), replace(shell(""), via=Mechanism.FORK, pdeathsig=9)]

    def converse(number: int) -> list[str]:
        wrong = []
        for turn in range(EACH):
            word = f"{number}-{turn}"
            base = ways[(number + turn) % len(ways)]
            if turn % 7 == 6:
                try:
                    launch(replace(base, args=(f"/no/such/{word}",))).close()
                    wrong.append(f"{word} was launched")
                except LaunchError as error:
                    if error.path != f"/no/such/{word}":
                        wrong.append(f"{word} got the error of {error.path}")
                continue
            spec = replace(base, args=("/bin/sh", "-c", f"read x; echo {word} $x; echo {word} >&2; exit {turn}"))
            with launch(spec) as child:
                assert child.stdin is not None
                assert child.stdout is not None
                assert child.stderr is not None
                os.write(child.stdin, f"{word}\n".encode())
                said = read_all(child.stdout), read_all(child.stderr)
                ended = child.wait()
            if said != (f"{word} {word}\n", f"{word}\n") or ended is None or ended.code != turn:
                wrong.append(f"{word} via {base.via}: {said}, {ended}")
        return wrong

    with ThreadPoolExecutor(THREADS) as pool:
        assert [wrong for part in pool.map(converse, range(THREADS)) for wrong in part] == []


# "no write to caller-owned config": go-sandbox mutates its Runner in the child, so a second start fails
@pytest.mark.needs("root")
@pytest.mark.parametrize("call", [*PLANNING, Mechanism.VFORK])
def test_one_plan_serves_many_threads(call: Mechanism, nothing_left: Census) -> None:
    namespaces = frozenset() if call is Mechanism.VFORK else frozenset({"uts", "ipc"})
    plan = compile_spec(shell("echo $$; readlink /proc/self/ns/uts", via=call, namespaces=namespaces))

    def converse(_: int) -> tuple[bool, str]:
        with launch(plan) as child:
            assert child.stdout is not None
            pid, uts = read_all(child.stdout).split()
            child.wait()
            return int(pid) == child.pid and uts == f"uts:[{child.namespaces['uts']}]", uts

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(converse, range(8 * THREADS)))
    assert all(right for right, _ in answers)


@contextmanager
def forking_all_the_time() -> Iterator[None]:
    """Another thread forks children that never execute anything and live until the end."""
    pids: list[int] = []
    enough, some = threading.Event(), threading.Event()

    def fork() -> None:
        while not enough.is_set() and len(pids) < 200:
            if (pid := os.fork()) == 0:
                signal.pause()
                os._exit(0)
            pids.append(pid)
            some.set()

    forking = threading.Thread(target=fork)
    forking.start()
    try:
        assert some.wait(LONG)
        yield
    finally:
        enough.set()
        forking.join()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


# "EOF on the CLOEXEC pipe means exec or death or, when another thread forked without exec, never"
@pytest.mark.parametrize("call", EVERY_CALL)
def test_launch_returns_while_another_thread_forks_children_that_never_exec(
    call: Mechanism, nothing_left: Census
) -> None:
    def several() -> None:
        for _ in range(20):
            with launch(replace(TRUE, via=call)) as child:
                child.wait()

    with forking_all_the_time():
        in_a_thread(several)


@pytest.mark.needs("root")
def test_a_launch_that_waits_for_execve_returns_while_another_thread_forks(nothing_left: Census) -> None:
    def several() -> None:
        for _ in range(20):
            with launch(replace(TRUE, namespaces=frozenset({"time"}))) as child:
                child.wait()
            with launch(TRUE, hold="execve") as child:
                child.resume()
                child.wait()

    with forking_all_the_time():
        in_a_thread(several)


# the same, by children of the engine itself that are held for long
@pytest.mark.needs("root")
@pytest.mark.parametrize("held", HOLDING)
@pytest.mark.parametrize("call", EVERY_CALL)
def test_a_held_child_holds_no_other_launch_up(call: Mechanism, held: Mechanism, nothing_left: Census) -> None:
    def other() -> int | None:
        namespaces = frozenset({"time"}) if call in PLANNING else frozenset()
        with launch(replace(TRUE, via=call, namespaces=namespaces)) as child:
            ended = child.wait()
            return None if ended is None else ended.code

    with launch(replace(TRUE, via=held), hold=0) as waiting:
        assert in_a_thread(other) == 0
        assert waiting.held == 0
        waiting.resume()


@pytest.mark.parametrize("first", [True, False])
def test_held_children_of_two_threads_with_death_signals_do_not_wait_for_each_other(
    first: bool, nothing_left: Census
) -> None:
    spec = replace(TRUE, pdeathsig=9)
    one = in_a_thread(lambda: launch(spec, hold=0))
    two = in_a_thread(lambda: launch(spec, hold=0))
    with one, two:
        for child in (one, two) if first else (two, one):
            in_a_thread(child.resume)
            ended = child.wait()
            assert ended is not None
            assert ended.code == 0


def test_a_child_held_by_one_thread_goes_on_by_another(nothing_left: Census) -> None:
    with in_a_thread(lambda: launch(shell("echo said"), hold=0)) as child:
        in_a_thread(child.step)
        in_a_thread(child.resume)
        assert child.stdout is not None
        assert read_all(child.stdout) == "said\n"


# unshare(2): namespaces belong to the thread, so the child is born into those of the thread that launches it
@pytest.mark.needs_root
@pytest.mark.parametrize("call", [*CALLS, Mechanism.POSIX_SPAWN])
def test_the_child_belongs_to_the_namespaces_of_the_thread_that_launched_it(call: Mechanism) -> None:
    def leave() -> tuple[str, str, str]:
        call_unshare()
        ours = os.readlink("/proc/thread-self/ns/uts")
        return os.readlink("/proc/self/ns/uts"), ours, output(shell("readlink /proc/self/ns/uts", via=call))

    process, ours, inside = in_a_thread(leave)
    assert process != ours
    assert inside == f"{ours}\n"


def call_unshare() -> None:
    call("unshare", NEWUTS)


# unshare(2): EINVAL for CLONE_NEWUSER in a threaded process; the forked child is not threaded
@pytest.mark.parametrize("call", PLANNING)
def test_a_threaded_process_launches_into_a_user_namespace(call: Mechanism, nothing_left: Census) -> None:
    assert threading.active_count() > 1
    inside = output(shell("readlink /proc/self/ns/user", namespaces=EVERY_KIND, via=call))
    assert inside.strip() != os.readlink("/proc/self/ns/user")


# fork(2): of all threads only the caller is in the child; a lasting thread of ours would be waited for in vain
def test_a_forked_process_launches_from_its_threads_too() -> None:
    def launch_there() -> int | None:
        def run() -> int | None:
            with launch(replace(TRUE, pdeathsig=9)) as child:
                ended = child.wait()
                return None if ended is None else ended.code

        return in_a_thread(run)

    in_a_thread(lambda: launch(replace(TRUE, pdeathsig=9)).close())
    assert apart(launch_there) == 0


# fork(2): memory shared with the child stays so; what the engine keeps for its next launch must not be among it
@pytest.mark.parametrize("hold", [None, 0])
def test_a_forked_process_and_we_launch_at_once_without_mixing(hold: int | None, nothing_left: Census) -> None:
    def several(word: str) -> list[str]:
        said = []
        for turn in range(50):
            with launch(shell(f"echo {word}-{turn}"), hold=hold) as child:
                if hold is not None:
                    child.resume()
                assert child.stdout is not None
                said.append(read_all(child.stdout))
        return said

    several("before")  # so that there is something to keep
    reader, writer = os.pipe()

    def there() -> list[str]:
        os.write(writer, b"forked")
        return several("theirs")

    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(lambda: apart(there))
        os.read(reader, 6)  # forked while we launch nothing: what we keep, they have too
        ours = several("ours")
    os.close(reader)
    os.close(writer)
    assert ours == [f"ours-{turn}\n" for turn in range(50)]
    assert theirs.result() == [f"theirs-{turn}\n" for turn in range(50)]


def test_errors_of_the_lasting_thread_reach_the_caller(nothing_left: Census) -> None:
    with pytest.raises(LaunchError) as caught:
        in_a_thread(lambda: launch(Spec(args=("/no/such",), pdeathsig=9)))
    assert caught.value.path == "/no/such"


def test_threads_leave_no_memory_mapped(nothing_left: Census) -> None:
    """Stacks and images of a thousand children must not pile up."""

    def count() -> int:
        return len(Path("/proc/self/maps").read_text().splitlines())

    plan = compile_spec(TRUE, hold=True)
    before = count()
    for _ in range(100):
        with launch(plan) as child:
            child.wait()
        with launch(plan, hold=0) as child:
            pass
    assert count() < before + 50
