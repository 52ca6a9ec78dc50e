"""The threads of a process: their names, CPU, numbers inside, and namespaces of their own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest
from children import call, rename

from nsview.host.process import PinnedProcess
from nsview.host.threads import Thread, Threads, threads_of, words

NEWUTS = 0x04000000


def with_thread(action: Callable[[], None]) -> Callable[[], int]:
    """Start a thread that acts and stays; return its tid."""

    def start() -> int:
        ready = threading.Event()

        def stay() -> None:
            action()
            ready.set()
            threading.Event().wait()

        thread = threading.Thread(target=stay, daemon=True)
        thread.start()
        ready.wait()
        return thread.native_id or 0

    return start


def read(pid: int) -> Threads:
    with PinnedProcess(pid) as process:
        threads = threads_of(process)
    assert threads is not None
    return threads


def test_hostile_names_of_threads_are_escaped_and_read_to_their_end(forked):
    pid, tid = forked(with_thread(lambda: rename(b") S 1 (\n\x1b[m")))
    threads = read(pid)
    assert list(threads) == [pid, tid]
    assert threads[tid].comm == r") S 1 (\n\x1b[m"
    assert threads[tid].state == "S"
    assert words(threads[tid]).isprintable()


def test_cpu_of_each_thread_is_its_own(forked):
    def burn() -> None:
        while time.thread_time() < 0.1:
            pass

    pid, tid = forked(with_thread(burn))
    threads = read(pid)
    assert threads[tid].cpu_ns >= 100_000_000
    assert threads[pid].cpu_ns < threads[tid].cpu_ns
    assert threads[tid].wait_ns is not None
    assert threads[tid].last_cpu in range(os.cpu_count() or 1)


@pytest.mark.needs("root", "uts_namespace")
def test_a_thread_that_left_for_a_namespace_of_its_own_is_told_apart(forked):
    pid, tid = forked(with_thread(lambda: call("unshare", NEWUTS)))
    threads = read(pid)
    inode = os.stat(f"/proc/{pid}/task/{tid}/ns/uts").st_ino
    assert threads[tid].namespaces == {"uts": inode}
    assert threads[pid].namespaces == {}
    assert f"uts:[{inode}]" in words(threads[tid])


@pytest.mark.needs("unshare", "user_namespace")
def test_a_thread_has_a_number_in_every_pid_namespace(unshared):
    pid = unshared("--user", "--map-root-user", "--pid", "--fork")
    (thread,) = read(pid).values()
    assert thread.inner_tids == (pid, 1)
    assert "tid " in words(thread)


@pytest.mark.needs("root")
def test_what_may_not_be_seen_of_namespaces_is_not_guessed(as_nobody, forked):
    pid, tid = forked(with_thread(lambda: call("unshare", NEWUTS)))
    threads = as_nobody(lambda: read(pid))
    assert threads[tid].namespaces == {}
    assert threads[tid].comm == threads[pid].comm


def test_a_process_that_is_gone_has_no_threads():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    with PinnedProcess(pid) as process:
        os.waitpid(pid, 0)
        assert threads_of(process) is None


def test_unknown_cpu_is_left_out_of_the_words():
    assert words(Thread(5, "x", "S", None, None, None, 0, {})) == "S x on 0"
