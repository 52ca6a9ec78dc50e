"""A Python callable in place of the program: in every namespace, as after os.fork, and no second copy of its parent."""

from __future__ import annotations

import atexit
import errno
import os
import signal
import sys
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from apart import keep_threads
from leftovers import Census, until
from running import EVERYTHING, ended, read_all

from spawner import Exit, IDMapping, LaunchError, Mechanism, Spec, SpecError, Stdio, compile_spec, launch
from spawner.flags import bits
from spawner.plan import Bearing

MAKING = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK_UNSHARE)
EVERY_WAY = (*MAKING, Mechanism.FORK)
ALL_BUT_TIME = EVERYTHING.namespaces - {"time"}
PLAIN = Spec(args=(), stdio=Stdio.PIPE)
WHOLE = replace(EVERYTHING, args=(), namespaces=ALL_BUT_TIME, time_offsets=(), stdio=Stdio.PIPE)


@pytest.fixture(autouse=True)
def _lasting_thread() -> None:
    keep_threads(1)


def speaking(entry: Callable[[], object]) -> Callable[[], object]:
    """The same with Python's streams on the child's descriptors: pytest has put others in their place."""

    def run_so() -> object:
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        return entry()

    return run_so


def run(entry: Callable[[], object], spec: Spec = PLAIN) -> tuple[Exit, str, str]:
    """How it ended, and what it wrote to its standard output and error."""
    with launch(spec, entry=speaking(entry)) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.close_stream("stdin")
        out, err = read_all(child.stdout), read_all(child.stderr)
        found = child.wait()
    assert found is not None
    return found, out, err


@pytest.mark.needs_root
@pytest.mark.parametrize("via", MAKING)
def test_it_is_process_1_in_all_its_namespaces(via: Mechanism, nothing_left: Census) -> None:
    def entry() -> None:
        print(os.getpid(), os.getuid(), os.uname().nodename, os.getcwd(), os.readlink("/proc/self"))
        for name in ("mnt", "net", "pid", "user", "uts", "ipc", "cgroup"):
            print(os.readlink(f"/proc/self/ns/{name}"))

    with launch(replace(WHOLE, via=via), entry=speaking(entry)) as child:
        assert child.stdout is not None
        first, *links = read_all(child.stdout).splitlines()
        found = child.wait()
        seen = child.namespaces
    assert found is not None
    assert found.code == 0
    assert first == "1 0 demo / 1"
    read = [seen[name] for name in ("mount", "network", "pid", "user", "uts", "ipc", "cgroup")]
    assert links == [f"{link.split(':')[0]}:[{number}]" for link, number in zip(links, read, strict=True)]


@pytest.mark.parametrize("via", EVERY_WAY)
@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (7, 7), (255, 255), (256, 0), (True, 1)], ids=str)
def test_its_status_is_what_it_returns(answer: object, code: int, via: Mechanism, nothing_left: Census) -> None:
    found, _, err = run(lambda: answer, replace(PLAIN, via=via))
    assert (found.code, found.signal, err) == (code, None, "")


@pytest.mark.parametrize(
    ("argument", "code", "told"), [(None, 0, ""), (3, 3, ""), ("too bad", 1, "too bad\n")], ids=str
)
def test_system_exit_ends_it_as_it_ends_python(argument: object, code: int, told: str, nothing_left: Census) -> None:
    found, _, err = run(lambda: sys.exit(argument))  # type: ignore[arg-type]
    assert (found.code, err) == (code, told)


def test_what_it_raises_is_a_traceback_and_status_1(nothing_left: Census) -> None:
    found, _, err = run(lambda: 1 / 0)
    assert found.code == 1
    assert err.startswith("Traceback")
    assert "ZeroDivisionError" in err


def test_an_answer_that_is_no_status_is_told(nothing_left: Census) -> None:
    found, _, err = run(lambda: "done")
    assert found.code == 1
    assert "'done'" in err


def test_killed_it_is_told_as_executed_and_killed(nothing_left: Census) -> None:
    found, _, _ = run(lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert (found.code, found.signal, found.executed) == (None, signal.SIGKILL, True)


@pytest.mark.parametrize("via", EVERY_WAY)
def test_its_memory_is_its_own(via: Mechanism, nothing_left: Census) -> None:
    words = ["before"]
    found, out, _ = run(lambda: words.append("inside") or print(words), replace(PLAIN, via=via))  # type: ignore[func-returns-value]
    assert (found.code, out) == (0, "['before', 'inside']\n")
    assert words == ["before"]


def test_buffers_are_written_once_and_atexit_stays_the_parents(tmp_path: Path, nothing_left: Census) -> None:
    note = tmp_path / "note"
    log = tmp_path / "log"
    script = (
        "import atexit, os, sys\n"
        "from spawner import Spec, launch\n"
        f"atexit.register(lambda: open({str(note)!r}, 'a').write('x'))\n"
        "sys.stdout.write('parent ')\n"
        "with launch(Spec(args=()), entry=lambda: sys.stdout.write('child ') and None) as child:\n"
        "    assert child.wait().code == 0\n"
    )
    with log.open("wb") as file:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-c", script],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), 1)],
        )
        assert os.waitpid(pid, 0)[1] == 0
    assert log.read_text() == "parent child "
    assert note.read_text() == "x"
    assert atexit is not None


def test_an_output_that_nobody_reads_is_told_by_the_status(nothing_left: Census) -> None:
    def entry() -> None:
        os.read(0, 1)
        print("late")

    with launch(PLAIN, entry=speaking(entry)) as child:
        assert child.stdin is not None
        child.close_stream("stdout")
        os.write(child.stdin, b"x")
        found = child.wait()
    assert found is not None
    assert found.code == 120


# fork(2): only the calling thread lives on
def test_the_parents_other_threads_are_not_there(nothing_left: Census) -> None:
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    try:
        found, out, _ = run(
            lambda: print(threading.active_count(), len(os.listdir("/proc/self/task")), threading.current_thread().name)
        )
    finally:
        stop.set()
        other.join()
    assert (found.code, out) == (0, "1 1 MainThread\n")


# libc's fork() takes its locks for the child; a bare clone(2) beside a thread in malloc would leave them taken
@pytest.mark.parametrize("via", [Mechanism.CLONE3, Mechanism.FORK])
def test_it_can_allocate_while_the_parents_threads_do(via: Mechanism, nothing_left: Census) -> None:
    stop = threading.Event()

    def busy() -> None:
        data = os.urandom(1 << 16)
        while not stop.is_set():
            zlib.decompress(zlib.compress(data, 1))  # both allocate without the GIL

    others = [threading.Thread(target=busy) for _ in range(3)]
    for other in others:
        other.start()
    try:
        codes = [run(lambda: len(bytearray(1 << 22)) >> 20, replace(PLAIN, via=via))[0].code for _ in range(40)]
    finally:
        stop.set()
        for other in others:
            other.join()
    assert codes == [4] * 40


def test_handlers_and_mask_are_as_after_a_fork(nothing_left: Census) -> None:
    def entry() -> None:
        print(signal.getsignal(signal.SIGUSR1) is handler, signal.pthread_sigmask(signal.SIG_BLOCK, []))
        os.kill(os.getpid(), signal.SIGUSR1)

    def handler(number: int, frame: object) -> None:
        print("handled")

    before = signal.signal(signal.SIGUSR1, handler)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        found, out, _ = run(entry)
        ours = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGUSR1, before)
    assert found.code == 0
    assert out == f"True {ours}\nhandled\n"


def test_its_signals_do_not_wake_the_parents_loop(nothing_left: Census) -> None:
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    old = signal.set_wakeup_fd(writing)
    try:
        found, _, _ = run(lambda: os.kill(os.getpid(), signal.SIGUSR1))
        with pytest.raises(BlockingIOError):
            os.read(reading, 1)
    finally:
        signal.set_wakeup_fd(old)
        signal.signal(signal.SIGUSR1, before)
        os.close(reading)
        os.close(writing)
    assert found.code == 0


@pytest.mark.parametrize("via", EVERY_WAY)
def test_it_is_held_before_it_begins(via: Mechanism, tmp_path: Path, nothing_left: Census) -> None:
    note = tmp_path / "note"
    with launch(replace(PLAIN, via=via), entry=lambda: note.write_text("x") and None, hold="entry") as child:
        assert child.held == len(child.plan.steps) - 1
        assert not ended(child.pidfd)
        assert not note.exists()
        child.resume()
        found = child.wait()
    assert found is not None
    assert found.code == 0
    assert note.read_text() == "x"


@pytest.mark.parametrize("via", EVERY_WAY)
def test_it_goes_step_by_step(via: Mechanism, nothing_left: Census) -> None:
    with launch(replace(PLAIN, via=via), entry=lambda: 5, hold=0) as child:
        while child.held is not None:
            child.step()
        found = child.wait()
        assert child.timeline[-1].label == "entry"
        assert all(event.end_ns is not None for event in child.timeline)
    assert found is not None
    assert found.code == 5


@pytest.mark.needs_root
@pytest.mark.parametrize("via", MAKING)
def test_a_fault_at_any_step_is_named_and_leaves_nothing(via: Mechanism, tmp_path: Path, nothing_left: Census) -> None:
    note = tmp_path / "note"
    plan = compile_spec(replace(WHOLE, via=via), entry=True)
    for index, step in enumerate(plan.steps):
        if step.bearing & Bearing.TOLERATE_ALL:
            continue
        with pytest.raises(LaunchError) as caught:
            launch(plan, entry=lambda: note.write_text("x") and None, inject=(index, errno.EDQUOT))
        assert (caught.value.index, caught.value.step, caught.value.errno) == (index, step.label, errno.EDQUOT)
    assert not note.exists()


@pytest.mark.parametrize("via", EVERY_WAY)
def test_death_before_it_began_is_told(via: Mechanism, nothing_left: Census) -> None:
    with launch(replace(PLAIN, via=via), entry=lambda: None, hold="entry") as child:
        child.signal(signal.SIGKILL)
        with pytest.raises(LaunchError) as caught:
            child.resume()
    assert caught.value.step == "entry"
    assert "SIGKILL" in caught.value.cause


@pytest.mark.parametrize("via", EVERY_WAY)
def test_closed_it_is_ended(via: Mechanism, nothing_left: Census) -> None:
    with launch(replace(PLAIN, via=via), entry=signal.pause) as child:
        pidfd = os.dup(child.pidfd)
    try:
        assert ended(pidfd)
    finally:
        os.close(pidfd)


def test_its_standard_input_ends_with_ours(nothing_left: Census) -> None:
    def entry() -> None:
        print(sys.stdin.read())

    with launch(PLAIN, entry=speaking(entry)) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        os.write(child.stdin, b"all of it")
        child.close_stream("stdin")
        assert read_all(child.stdout) == "all of it\n"
        child.wait()


def test_made_by_a_passing_thread_it_lives_on_and_dies_with_the_process(nothing_left: Census) -> None:
    made: list[object] = []
    spec = replace(PLAIN, pdeathsig=signal.SIGKILL)
    asking = threading.Thread(target=lambda: made.append(launch(spec, entry=signal.pause)))
    asking.start()
    asking.join()
    (child,) = made
    with child:  # type: ignore[attr-defined]
        status = Path(f"/proc/{child.pid}/status").read_text()  # type: ignore[attr-defined]
        assert "Threads:\t1\n" in status
        assert child.poll() is None  # type: ignore[attr-defined]


@pytest.mark.needs_root
def test_a_birth_that_is_refused_is_told_and_leaves_nothing(nothing_left: Census) -> None:
    spec = replace(PLAIN, namespaces=frozenset({"user"}), via=Mechanism.CLONE3, uid_mappings=(IDMapping(0, 0),))
    limit = Path("/proc/sys/user/max_user_namespaces")
    nested: list[tuple[str, int | None]] = []

    def deeper() -> int:
        limit.write_text("0")  # of the new user namespace only: user_namespaces(7)
        try:
            launch(replace(spec, uid_mappings=()), entry=lambda: None)
        except LaunchError as error:
            nested.append((error.step, error.errno))
        return nested != [("clone3", errno.ENOSPC)]

    both = {"uid_mappings": (IDMapping(0, 0),), "gid_mappings": (IDMapping(0, 0),)}
    found, _, err = run(deeper, replace(PLAIN, namespaces=frozenset({"user"}), **both))  # type: ignore[arg-type]
    assert (found.code, err) == (0, "")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"via": Mechanism.VFORK}, "memory"),
        ({"via": Mechanism.POSIX_SPAWN}, "memory"),
        ({"clone_flags": bits("VM")}, "CLONE_VM"),
        ({"clone_flags": bits("VM", "SIGHAND", "THREAD")}, "CLONE_THREAD"),
        ({"clone_flags": bits("FILES")}, "CLONE_FILES"),
        ({"clone_flags": bits("FS", "PARENT")}, "CLONE_PARENT"),
        ({"exit_signal": signal.SIGUSR1}, "SIGCHLD"),
        ({"namespaces": frozenset({"time"})}, "time"),
        ({"init": True}, "init"),
    ],
    ids=lambda value: str(value),
)
def test_what_it_cannot_have_is_refused_with_a_reason(
    fields: dict[str, object], told: str, nothing_left: Census
) -> None:
    with pytest.raises(SpecError) as caught:
        launch(replace(PLAIN, **fields), entry=lambda: None)  # type: ignore[arg-type]
    assert told in str(caught.value)


def test_a_plan_for_a_program_takes_no_callable_and_the_other_way_round() -> None:
    with pytest.raises(ValueError, match="entry=True"):
        launch(compile_spec(Spec(args=("/bin/true",))), entry=lambda: None)
    with pytest.raises(ValueError, match="entry=True"):
        launch(compile_spec(PLAIN, entry=True))


def test_with_sigchld_ignored_it_runs_all_the_same(nothing_left: Census) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        reading, writing = os.pipe()
        with launch(replace(PLAIN, via=Mechanism.CLONE3), entry=lambda: os.read(reading, 1) and None) as child:
            os.write(writing, b"x")
            assert until(lambda: ended(child.pidfd))
            found = child.wait()
        os.close(reading)
        os.close(writing)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert found is not None
    assert found.code in (0, None)
