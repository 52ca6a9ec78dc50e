"""Sharing is told by the kernel, and two empty pointers are no sharing."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import threading

import pytest
from children import call, libc

from nsview.host import _kcmp
from nsview.host.kcmp import RESOURCES, compare
from nsview.host.process import ProcessGoneError
from nsview.host.snapshot import take

pytestmark = pytest.mark.needs("kcmp")

CLONE = {"VM": 0x100, "FS": 0x200, "FILES": 0x400, "SIGHAND": 0x800, "SYSVSEM": 0x40000, "IO": 0x80000000}
IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
BEST_EFFORT = 2 << 13 | 4


def clone(*names: str) -> int:
    """Clone a child that only sleeps, with the flags of these names, on a stack of its own when it shares
    memory.
    """
    flags = signal.SIGCHLD
    for name in names:
        flags |= CLONE[name]
    stack = ctypes.create_string_buffer(65536)
    clone.stacks.append(stack)  # type: ignore[attr-defined]
    pause = ctypes.cast(libc.pause, ctypes.c_void_p)
    top = ctypes.c_void_p(ctypes.addressof(stack) + 65536 - 64)
    libc.clone.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    return call("clone", pause, top, ctypes.c_int(flags - (1 << 32) if flags >> 31 else flags), None)


clone.stacks = []  # type: ignore[attr-defined]


@pytest.fixture
def cloned():
    pids = []

    def start(*names: str) -> int:
        pids.append(clone(*names))
        return pids[-1]

    yield start
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_forked_child_shares_nothing(forked):
    pid, _ = forked()
    answers = compare(os.getpid(), pid)
    assert list(answers) == list(RESOURCES)
    assert not any(answers.values())
    assert answers["VM"] is answers["FILES"] is answers["FS"] is answers["SIGHAND"] is False


@pytest.mark.parametrize("names", [("FILES",), ("FS",), ("VM",), ("VM", "SIGHAND"), ("FILES", "FS")])
def test_child_shares_what_clone_was_told_to_share(cloned, names):
    answers = compare(os.getpid(), cloned(*names))
    assert {name for name, same in answers.items() if same} == set(names)


def test_semaphore_adjustments_are_shared_by_flag(cloned):
    assert compare(os.getpid(), cloned("SYSVSEM"))["SYSVSEM"] is True


def test_two_processes_without_io_context_are_no_evidence_of_sharing(forked):
    first, _ = forked()
    second, _ = forked()
    assert _kcmp.kcmp(first, second, RESOURCES["IO"]) == 0, "the kernel says equal: both pointers are NULL"
    assert compare(first, second)["IO"] is None
    assert compare(first, second)["SYSVSEM"] is None


def test_io_context_shared_by_flag_is_told_from_two_empty_ones(forked):
    """A process with an I/O priority has an I/O context; its child of CLONE_IO shares that."""

    def share_io() -> int:
        call("syscall", IOPRIO_SET[platform.machine()], 1, 0, BEST_EFFORT)
        child = clone("IO")
        libc.prctl(1, 9, 0, 0, 0)
        return child

    pid, child = forked(share_io)
    answers = compare(pid, child)
    os.kill(child, signal.SIGKILL)
    assert answers["IO"] is True


def test_fresh_processes_tell_what_a_process_does_not_have(forked):
    pid, _ = forked()
    assert _kcmp.has_none(pid) == (True, True)
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    assert _kcmp.has_none(os.getpid())[1] is False, "a thread is cloned with CLONE_SYSVSEM, which makes the list"


def children_of_this_thread() -> str:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return file.read()


def test_fresh_processes_are_reaped_and_block_no_signal():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ()), children_of_this_thread()
    _kcmp.has_none(os.getpid())
    assert (signal.pthread_sigmask(signal.SIG_BLOCK, ()), children_of_this_thread()) == before


def test_zombie_and_kernel_thread_are_told_of_with_care(forked):
    pid, _ = forked()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    answers = compare(os.getpid(), pid)
    assert answers["VM"] is answers["FILES"] is answers["FS"] is None


@pytest.mark.needs("root")
def test_kernel_threads_share_no_memory_because_they_have_none():
    kthreads = [record.pid for record in take().records.values() if record.is_kernel_thread][:2]
    if len(kthreads) < 2:
        pytest.skip("no kernel threads in this pid namespace")
    assert compare(*kthreads)["VM"] is None


@pytest.mark.needs("root")
def test_without_permission_everything_is_unknown(as_nobody, forked):
    pid, _ = forked()
    assert set(as_nobody(lambda: compare(pid, os.getppid())).values()) == {None}


def test_reused_pid_is_not_compared():
    record = take((os.getpid(),)).records[os.getpid()]
    with pytest.raises(ProcessGoneError) as gone:
        compare(record.pid, record.pid, record.start_time, record.start_time + 1)
    assert (gone.value.pid, gone.value.start_time) == (record.pid, record.start_time + 1)
