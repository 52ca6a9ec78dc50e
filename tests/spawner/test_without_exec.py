"""A child that only makes the calls it is given: what it shares with us is seen here, what it does not is not."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from apart import apart
from leftovers import Census, until

from nsview.host import _kcmp
from spawner import LaunchError, SpecError
from spawner import _native as native
from spawner.calls import Run, call, compile_calls, run, start
from spawner.flags import bits
from spawner.plan import Out, Packed, Result

PAGE = os.sysconf("SC_PAGESIZE")
WHO = (call("getpid"), call("gettid"))
ALL = ("VM", "FS", "FILES", "SIGHAND", "SYSVSEM", "IO")
THREAD = (*ALL, "THREAD")
KCMP_FILE, KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_IO, KCMP_SYSVSEM = range(7)


def flags(*names: str) -> int:
    return bits(*names) if names else 0


def results(child: Run) -> list[int | None]:
    return [answer.result for answer in child.answers]


SHARINGS = [(), ("VM",), ("FS",), ("FILES",), ("VM", "SIGHAND"), ("IO",), ("SYSVSEM",), ALL, THREAD, ("VM", "VFORK")]


@pytest.mark.parametrize("names", SHARINGS, ids="+".join)
def test_every_call_has_its_result_and_its_time(names: tuple[str, ...], nothing_left: Census) -> None:
    with run((*WHO, call("close", 12345), call("getcwd", Out(4096), 4096)), flags=flags(*names)) as child:
        pid, tid, closed, length = child.answers
    assert tid.result == child.pid
    assert pid.result == (os.getpid() if "THREAD" in names else child.pid)
    assert closed.result == -errno.EBADF  # and the next call was made all the same
    assert length.out.partition(b"\0")[0] == os.fsencode(os.getcwd())
    times = [time for answer in child.answers for time in (answer.start_ns, answer.end_ns)]
    assert times == sorted(times)
    assert times[0] > 0
    assert child.over
    if "THREAD" in names:
        assert child.exit is None
    else:
        assert child.exit is not None
        assert child.exit.code == 0


def test_a_result_feeds_a_later_call(nothing_left: Census) -> None:
    made = run([call("openat", -100, "/proc/self/comm", os.O_RDONLY, 0), call("read", Result(0), Out(64), 64)])
    assert made.answers[1].out.partition(b"\0")[0] == Path("/proc/self/comm").read_bytes()


# clone(2) CLONE_VM
@pytest.mark.parametrize(("names", "seen"), [((), 5), (("VM",), 9), (THREAD, 9), (("FS", "FILES"), 5)], ids=str)
def test_a_word_of_memory_is_ours_only_with_clone_vm(names: tuple[str, ...], seen: int, nothing_left: Census) -> None:
    word = ctypes.c_uint64(5)
    child = run([call("store", ctypes.addressof(word), 9)], flags=flags(*names))
    assert results(child) == [0]
    assert word.value == seen


# clone(2) CLONE_FS: root, working directory, umask
@pytest.mark.parametrize("names", [(), ("FS",), ("VM", "FS")], ids="+".join)
def test_directory_and_umask_are_ours_only_with_clone_fs(names: tuple[str, ...]) -> None:
    def look() -> tuple[str, int]:
        os.chdir("/tmp")
        os.umask(0o022)
        child = run([call("chdir", "/usr"), call("umask", 0o077)], flags=flags(*names))
        assert results(child) == [0, 0o022]
        return os.getcwd(), os.umask(0)

    assert apart(look) == (("/usr", 0o077) if "FS" in names else ("/tmp", 0o022))


# clone(2) CLONE_FILES
@pytest.mark.parametrize("names", [(), ("FILES",), ALL, THREAD], ids="+".join)
def test_a_descriptor_is_ours_only_with_clone_files(names: tuple[str, ...]) -> None:
    def look() -> tuple[bool, bool]:
        reading, writing = os.pipe()
        child = run([call("dup3", reading, 200, os.O_CLOEXEC), call("close", writing)], flags=flags(*names))
        assert results(child) == [200, 0]
        there = [os.path.exists(f"/proc/self/fd/{fd}") for fd in (200, writing)]
        return there[0], there[1]

    assert apart(look) == ((True, False) if "FILES" in names else (False, True))


# clone(2) CLONE_SIGHAND
@pytest.mark.parametrize("names", [("VM",), ("VM", "SIGHAND"), THREAD], ids="+".join)
def test_a_disposition_is_ours_only_with_clone_sighand(names: tuple[str, ...]) -> None:
    def look() -> tuple[bool, bool]:
        signal.signal(signal.SIGUSR1, lambda number, frame: None)
        before = native.dispositions()[0]
        action = Packed("=Q24x", (int(signal.SIG_IGN),), "{SIG_IGN}")
        child = run([call("rt_sigaction", int(signal.SIGUSR1), action, 0, 8)], flags=flags(*names))
        assert results(child) == [0]
        bit = 1 << (signal.SIGUSR1 - 1)
        return bool(before & bit), bool(native.dispositions()[0] & bit)

    assert apart(look) == (True, "SIGHAND" not in names)


# kernel selftests clone3/clone3_clear_sighand.c: handlers become SIG_DFL; not together with CLONE_SIGHAND
@pytest.mark.parametrize("names", [(), ("CLEAR_SIGHAND",)], ids="+".join)
def test_clear_sighand_gives_handlers_their_default(names: tuple[str, ...]) -> None:
    def look() -> int:
        signal.signal(signal.SIGUSR1, lambda number, frame: None)
        child = run([call("rt_sigaction", int(signal.SIGUSR1), 0, Out(32), 8)], flags=flags(*names))
        return int(struct.unpack_from("=Q", child.answers[0].out)[0])

    handler = apart(look)
    assert (handler == int(signal.SIG_DFL)) == ("CLEAR_SIGHAND" in names)


def test_clear_sighand_does_not_go_with_clone_sighand(nothing_left: Census) -> None:
    with pytest.raises(SpecError) as caught:
        compile_calls(WHO, flags=flags("VM", "SIGHAND", "CLEAR_SIGHAND"))
    assert "SIGHAND" in str(caught.value)
    with pytest.raises(LaunchError) as refused:
        run(WHO, flags=flags("VM", "SIGHAND", "CLEAR_SIGHAND"), check=False)
    assert (refused.value.step, refused.value.errno) == ("clone3", errno.EINVAL)


@pytest.fixture
def undo() -> Iterator[list[int]]:
    sets: list[int] = []
    yield sets
    for number in sets:
        native.call(native.SYSCALLS["semctl"], number, 0, 0, 0)  # IPC_RMID


# semop(2): SEM_UNDO is done when the last sharer of the undo list ends
@pytest.mark.parametrize("names", [("VM",), ("VM", "SYSVSEM")], ids="+".join)
def test_semaphore_undo_waits_for_us_only_with_clone_sysvsem(names: tuple[str, ...], undo: list[int]) -> None:
    number = native.call(native.SYSCALLS["semget"], 0, 1, 0o600)
    undo.append(number)
    give_with_undo = Packed("=Hhh", (0, 1, 0x1000), "{0, +1, SEM_UNDO}")

    def look() -> int:
        child = run([call("semop", number, give_with_undo, 1)], flags=flags(*names))
        assert results(child) == [0]
        return native.call(native.SYSCALLS["semctl"], number, 0, 12, 0)  # GETVAL

    assert apart(look) == (1 if "SYSVSEM" in names else 0)


# kcmp(2), while both live
@pytest.mark.parametrize("names", [(), ("VM",), ("FS", "FILES"), ALL], ids="+".join)
def test_while_it_is_held_kcmp_says_what_is_shared(names: tuple[str, ...], nothing_left: Census) -> None:
    kinds = {"VM": KCMP_VM, "FILES": KCMP_FILES, "FS": KCMP_FS, "SIGHAND": KCMP_SIGHAND}
    with start(WHO, flags=flags(*names), hold=1) as child:
        assert child.held == 1
        assert child.answers[0].result == child.pid
        assert child.answers[1].result is None
        for name, kind in kinds.items():
            same = _kcmp.kcmp(os.getpid(), child.pid, kind) == 0
            assert same == (name in names), name
        child.resume()
    assert child.exit is not None
    assert child.exit.code == 0


# clone(2) CLONE_THREAD: in our thread group, and nothing to wait for
def test_a_thread_is_one_of_ours_while_it_lives(nothing_left: Census) -> None:
    with start(WHO, flags=flags(*THREAD), hold=1) as child:
        assert str(child.pid) in os.listdir("/proc/self/task")
        with pytest.raises(ChildProcessError):
            os.waitpid(child.pid, 0x40000000)
        child.resume()
        assert results(child) == [os.getpid(), child.pid]
    assert str(child.pid) not in os.listdir("/proc/self/task")


# clone(2) CLONE_PARENT
def test_with_clone_parent_it_is_our_sibling(nothing_left: Census) -> None:
    def look() -> tuple[int, int]:
        child = run([call("getppid")], flags=flags("PARENT"))
        assert child.answers[0].result is not None
        return child.answers[0].result, os.getppid()

    def keeps() -> tuple[int, int]:
        return apart(look)  # whose parent, this process, does not wait for the sibling and is gone soon

    seen, ours = apart(keeps)
    assert seen == ours


@pytest.mark.needs_root
@pytest.mark.parametrize("names", [("NEWPID",), ("NEWPID", "VM", "NEWUTS")], ids="+".join)
def test_in_a_new_pid_namespace_it_is_process_1(names: tuple[str, ...], nothing_left: Census) -> None:
    assert results(run(WHO, flags=flags(*names))) == [1, 1]


@pytest.mark.needs_root
def test_a_name_set_in_a_new_uts_namespace_is_not_ours(nothing_left: Census) -> None:
    child = run([call("sethostname", b"other", 5), call("uname", Out(390))], flags=flags("VM", "NEWUTS"))
    assert results(child) == [0, 0]
    assert child.answers[1].out[65:130].rstrip(b"\0") == b"other"
    assert os.uname().nodename != "other"


# ---- the stack ----


@pytest.mark.parametrize("size", [8 * 1024, 64 * 1024, 64 * 1024 + 1, 1 << 20, 64 << 20])
@pytest.mark.parametrize("names", [(), ("VM",), THREAD], ids="+".join)
def test_a_stack_of_any_size_can_be_used(size: int, names: tuple[str, ...], nothing_left: Census) -> None:
    child = run([call("dig", size - 4096), call("getpid")], flags=flags(*names), stack_size=size)
    assert child.answers[0].result == size - 4096
    assert child.answers[1].result is not None


@pytest.mark.parametrize("size", [8 * 1024, 64 * 1024, 64 * 1024 + 1, 1 << 20])
@pytest.mark.parametrize("names", [(), ("VM",), ("VM", "FS", "FILES")], ids="+".join)
def test_the_page_below_it_ends_the_child_and_not_us(size: int, names: tuple[str, ...], nothing_left: Census) -> None:
    rounded = -(-size // PAGE) * PAGE
    child = run([call("getpid"), call("dig", rounded + 2048), call("getpid")], flags=flags(*names), stack_size=size)
    assert child.exit is not None
    assert (child.exit.code, child.exit.signal) == (None, signal.SIGSEGV)
    assert child.died_in == 1
    assert results(child)[1:] == [None, None]


def test_nothing_beyond_that_page_was_touched(nothing_left: Census) -> None:
    with start([call("getpid"), call("dig", (64 << 10) + 2048)], flags=flags("VM"), hold=0) as child:
        maps = Path("/proc/self/maps").read_text().splitlines()
        sizes = [[int(end, 16) for end in line.split()[0].split("-")] for line in maps]
        modes = [line.split()[1] for line in maps]
        stacks = [
            (one, two)
            for one, two, guard, stack in zip(sizes, sizes[1:], modes, modes[1:], strict=False)
            if one[1] == two[0] and one[1] - one[0] == PAGE and guard == "---p" and stack == "rw-p"
        ]
        assert any(two[1] - two[0] >= 64 << 10 for _, two in stacks)
        child.resume()
    assert child.exit is not None
    assert child.exit.signal == signal.SIGSEGV


# kernel/signal.c force_sig_info_to_task(): the action becomes the default, in the table that is shared
def test_a_crash_with_shared_handlers_takes_our_handler(nothing_left: Census) -> None:
    def look() -> tuple[bool, bool]:
        signal.signal(signal.SIGSEGV, lambda number, frame: None)
        bit = 1 << (signal.SIGSEGV - 1)
        before = native.dispositions()[0] & bit
        child = run([call("dig", 80 << 10)], flags=flags("VM", "SIGHAND"))
        assert child.exit is not None
        assert child.exit.signal == signal.SIGSEGV
        return bool(before), bool(native.dispositions()[0] & bit)

    assert apart(look) == (True, False)


# ---- held, ended ----


@pytest.mark.parametrize("names", [(), ("VM",), ("FILES",), ALL, THREAD], ids="+".join)
def test_it_goes_step_by_step(names: tuple[str, ...], nothing_left: Census) -> None:
    with start([call("getpid")] * 4, flags=flags(*names), hold=0) as child:
        for index in range(4):
            assert child.held == index
            assert [answer.result is not None for answer in child.answers] == [i < index for i in range(4)]
            child.step()
        assert child.held is None
        assert child.over


@pytest.mark.parametrize("names", [(), ("VM",), ("FILES",), ALL, THREAD], ids="+".join)
@pytest.mark.parametrize("index", [0, 2])
def test_closed_while_held_it_makes_no_further_call(names: tuple[str, ...], index: int, nothing_left: Census) -> None:
    word = (ctypes.c_uint64 * 4)()
    calls = [call("store", ctypes.addressof(word) + 8 * i, 1) for i in range(4)]
    with start(calls, flags=flags(*names), hold=index) as child:
        pass
    assert child.over
    assert [result is not None for result in results(child)] == [i < index for i in range(4)]
    assert sum(word) == (index if "VM" in names else 0)


@pytest.mark.parametrize("names", [(), ("VM",)], ids="+".join)
def test_killed_while_held_it_is_told_so(names: tuple[str, ...], nothing_left: Census) -> None:
    with start(WHO, flags=flags(*names), hold=1) as child:
        os.kill(child.pid, signal.SIGKILL)
        child.resume()
    assert child.exit is not None
    assert child.exit.signal == signal.SIGKILL
    assert results(child) == [child.pid, None]


@pytest.mark.parametrize("names", [(), ("VM",), ALL], ids="+".join)
def test_interrupted_while_a_call_blocks_the_child_is_ended(names: tuple[str, ...], nothing_left: Census) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    def once_it_reads(pid: int) -> None:
        until(lambda: Path(f"/proc/{pid}/syscall").read_text().split()[0] == str(native.SYSCALLS["read"]))
        os.kill(os.getpid(), signal.SIGUSR1)

    reading, writing = os.pipe()
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with start([call("getpid"), call("read", reading, Out(1), 1)], flags=flags(*names), hold=1) as child:
            other = threading.Thread(target=once_it_reads, args=(child.pid,))
            other.start()
            with pytest.raises(KeyboardInterrupt):
                child.resume()
        other.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
        os.close(reading)
        os.close(writing)
    assert child.exit is not None
    assert child.exit.signal == signal.SIGKILL
    assert child.died_in == 1


def test_every_signal_is_blocked_in_it(nothing_left: Census) -> None:
    child = run([call("rt_sigprocmask", 0, 0, Out(8), 8)], flags=flags("VM"))
    blocked = int.from_bytes(child.answers[0].out, sys.byteorder)
    never = 1 << (signal.SIGKILL - 1) | 1 << (signal.SIGSTOP - 1)
    assert blocked | never == (1 << 64) - 1
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


def test_many_threads_of_ours_may_do_it_at_once(nothing_left: Census) -> None:
    wrong: list[object] = []

    def work() -> None:
        for names in (("VM",), ALL, THREAD, ()):
            child = run([*WHO, call("dig", 30 << 10)], flags=flags(*names))
            if results(child)[1:] != [child.pid, 30 << 10]:
                wrong.append(results(child))

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


# ---- refused ----


@pytest.mark.parametrize(
    ("calls", "fields", "told"),
    [
        (WHO, {"flags": flags("THREAD")}, "CLONE_SIGHAND"),
        (WHO, {"flags": flags("SIGHAND")}, "CLONE_VM"),
        (WHO, {"flags": flags("FS", "NEWNS")}, "FS"),
        (WHO, {"flags": flags("VM", "VFORK"), "hold": True}, "VFORK"),
        (WHO, {"stack_size": 0}, "stack"),
        (WHO, {"stack_size": -1}, "stack"),
        (WHO, {"stack_size": 1 << 40}, "stack"),
        ([call("no_such_call")], {}, "native table"),
        ([call("clone", 17, 0, 0, 0, 0)], {}, "twice"),
        ([call("exit_group", 0)], {"flags": flags(*THREAD)}, "CLONE_THREAD"),
        ([call("execve", "/bin/true", 0, 0)], {"flags": flags(*THREAD)}, "CLONE_THREAD"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_is_told_with_a_remedy(calls: object, fields: dict[str, object], told: str) -> None:
    with pytest.raises(SpecError) as caught:
        compile_calls(calls, **fields)  # type: ignore[arg-type]
    assert told in str(caught.value)
    assert all(problem.remedy for problem in caught.value.problems)


def test_a_plan_of_calls_prints_as_any_other() -> None:
    plan = compile_calls([call("chdir", "/"), call("umask", 0o77)], flags=flags("VM", "FS"))
    assert "CLONE_VM|CLONE_FS" in str(plan)
    assert 'chdir("/")' in str(plan)


def test_descriptors_that_run_out_are_told(nothing_left: Census) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    try:
        with pytest.raises(OSError, match="open files"):
            run(WHO)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
