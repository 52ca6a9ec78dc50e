"""The kernel's events, heard by the real connector: what happened, to whom, how it ended, what it cost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Sequence

import pytest
from leftovers import until
from listening import Listener, listening, what

from nsview.host.events import proc_events
from nsview.host.events.connector import Connector
from nsview.host.events.event import LOST, Event
from nsview.host.events.polling import Polling
from nsview.host.events.source import open_events
from nsview.host.snapshot import take

listens = pytest.mark.needs("root", "proc_connector")
accounts = pytest.mark.needs("root", "proc_connector", "taskstats")


def ran(*words: str, **options: object) -> subprocess.Popen[bytes]:
    """A program that has ended."""
    process = subprocess.Popen(words, **options)  # type: ignore[call-overload]
    process.wait()
    return process


def python(text: str, *words: str) -> subprocess.Popen[bytes]:
    return ran(sys.executable, "-c", textwrap.dedent(text), *words)


@listens
def test_a_program_is_told_as_fork_exec_and_exit(nothing_left):
    with listening() as listener:
        process = ran("sh", "-c", "exit 3")
        end = listener.end_of(process.pid)
        told = listener.of(process.pid)
    assert what(told) == ["fork", "exec", "exit"]
    assert (told[0].parent, told[0].tid) == (os.getpid(), process.pid)
    assert (end.exit_code, end.exit_signal) == (3 << 8, signal.SIGCHLD)
    assert [event.when_ns for event in told] == sorted(event.when_ns for event in told)


@listens
def test_an_end_by_a_signal_is_told_as_such():
    with listening() as listener:
        process = ran("sh", "-c", "kill -KILL $$")
        assert listener.end_of(process.pid).exit_code == signal.SIGKILL


@listens
def test_the_new_name_is_read_after_an_exec_while_the_process_is_there():
    with listening() as listener, subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        event = listener.waits_for(lambda event: event.what == "exec" and event.pid == process.pid)
        assert event.comm == "cat"


@accounts
def test_the_last_name_of_a_process_too_short_to_be_read_comes_with_its_end():
    with listening() as listener:
        process = ran("true")
        assert listener.end_of(process.pid).comm == "true"


@listens
def test_threads_are_told_apart_from_processes():
    with listening() as listener:
        process = python("import threading; thread = threading.Thread(target=int); thread.start(); thread.join()")
        listener.end_of(process.pid)
        told = listener.of(process.pid)
    threads = [event for event in told if event.is_of_thread]
    assert what(threads) == ["fork", "exit"]
    assert threads[0].tid == threads[1].tid
    assert threads[1].exit_signal == -1
    assert what(event for event in told if not event.is_of_thread) == ["fork", "exec", "exit"]


# The first thread waits until the kernel shows it as ended; only then the second one ends the process.
_FIRST_THREAD_ENDS_FIRST = """
    import ctypes, os, threading
    def rest():
        while "State:\\tZ" not in open(f"/proc/self/task/{os.getpid()}/status").read():
            pass
        os._exit(7)
    threading.Thread(target=rest).start()
    ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
"""


@accounts
def test_the_end_of_the_first_thread_is_not_that_of_its_process():
    with listening() as listener:
        process = python(_FIRST_THREAD_ENDS_FIRST)
        listener.end_of(process.pid)
        first, last = [event for event in listener.of(process.pid) if event.what == "exit"]
        (life,) = [life for life in listener.ended if life.pid == process.pid]
    assert process.returncode == 7
    assert (first.tid, first.last) == (process.pid, False)
    assert (last.tid != process.pid, last.last, last.exit_code) == (True, True, 7 << 8)
    assert (life.exit_code, life.died_ns) == (7 << 8, last.when_ns)


@accounts
@pytest.mark.parametrize("threads", [0, 3])
def test_cpu_of_a_process_agrees_with_what_its_parent_is_told(threads):
    text = """
        import sys, threading, time
        def spin():
            while time.thread_time() < 0.3: pass
        threads = [threading.Thread(target=spin) for _ in range(int(sys.argv[1]))]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        spin()
    """
    with listening() as listener:
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(text), str(threads)])
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        end = listener.end_of(process.pid)
    assert end.cpu_ns is not None
    assert end.cpu_ns / 1e9 == pytest.approx(usage.ru_utime + usage.ru_stime, rel=0.05)


@listens
def test_changes_of_names_ids_and_sessions_are_told():
    text = """
        import os
        open("/proc/self/comm", "w").write("other")
        os.setsid()
        os.setresgid(1, 2, 2)
        os.setresuid(3, 4, 4)
    """
    with listening() as listener:
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)])
        process.wait()
        listener.end_of(process.pid)
        told = {event.what: event for event in listener.of(process.pid)}
    assert told["comm"].comm == "other"
    assert "sid" in told
    assert (told["gid"].rgid, told["gid"].egid) == (1, 2)
    assert (told["uid"].ruid, told["uid"].euid) == (3, 4)


@listens
def test_only_what_is_asked_for_comes():
    with listening(what={"exit"}) as listener:
        process = ran("true")
        listener.end_of(process.pid)
        assert {event.what for event in listener.events} == {"exit"}


def test_an_unknown_kind_of_event_is_refused():
    with pytest.raises(ValueError, match="no events birth"):
        Connector({"birth"})


@listens
def test_what_others_send_to_our_socket_is_not_believed():
    forged = proc_events.request(proc_events.LISTEN, 0)[:36] + (1).to_bytes(4, sys.byteorder) + bytes(36)
    with listening() as listener:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 11) as stranger:
            port, _ = listener.source._events.getsockname()
            assert proc_events.message(forged) is not None
            assert stranger.sendto(forged, (port, 0)) == len(forged)
        process = ran("true")
        listener.end_of(process.pid)
        assert not [event for event in listener.events if event.pid == 0]


@listens
def test_another_listener_that_goes_takes_no_event_from_us():
    with listening() as listener:
        with listening():
            pass
        process = ran("true")
        listener.end_of(process.pid)
        assert listener.source.lost == 0


@listens
def test_a_full_queue_is_told_and_a_look_makes_it_right():
    """Nobody reads while more happens than a small queue holds: a process lost at its birth, one at its end."""
    with Connector(buffer=4096) as source, subprocess.Popen(["cat"], stdin=subprocess.PIPE) as before:
        listener = Listener(source)
        listener.lives.rescan(take())
        assert until(lambda: ends_again(listener))
        for _ in range(200):
            ran("true")
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as after:
            before.communicate()
            while LOST not in what(listener.events):
                folded(listener, source.read(1))
            assert before.pid in listener.lives.going
            assert after.pid not in listener.lives.going
            appeared = listener.lives.rescan(take())
            assert after.pid in {life.pid for life in appeared}
            assert after.pid in listener.lives.going
            (ended,) = [life for life in listener.lives.settle(sys.maxsize) if life.pid == before.pid]
            assert (ended.ended, ended.exit_code) == (True, None)
        assert until(lambda: ends_again(listener))
        assert until(lambda: ends_again(listener) and source.lost >= 400), source.lost
        assert sum(event.count or 0 for event in listener.events if event.what == LOST) == source.lost


def ends_again(listener: Listener) -> bool:
    """Whether an end on each CPU is told; on a busy machine the small queue may be full again.

    What is missing of a CPU's numbers is known between two events that it tells.
    """
    pids = []
    for cpu in os.sched_getaffinity(0):
        pids.append(ran("taskset", "--cpu-list", str(cpu), "true").pid)
        folded(listener, listener.source.read(1))
    return all("exit" in what(listener.of(pid)) for pid in pids)


def folded(listener: Listener, batch: Sequence[Event]) -> None:
    listener.events += batch
    for event in batch:
        listener.ended += listener.lives.fold(event)


_ASK = """
    from nsview.host.events.source import open_events
    source, why = open_events()
    print(type(source).__name__, why, "|", why.remedy if why else "")
    source.close()
"""


def asked(*before: str) -> str:
    words = [*before, sys.executable, "-c", textwrap.dedent(_ASK)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@listens
def test_where_the_kernel_tells_it_is_the_source():
    assert asked().startswith("Connector None")


@pytest.mark.needs("root", "unshare")
@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--net",), "child network namespace"),
        (("--pid", "--fork"), "child user or pid namespace"),
        (("--user", "--map-root-user"), "user "),  # before Linux 6.6 it is the privilege of the first that is missing
    ],
)
def test_in_a_child_namespace_one_looks_instead_and_says_why(flags, says):
    answer = asked("unshare", *flags)
    assert answer.startswith("Polling ")
    assert says in answer
    assert "first user, pid and network namespaces" in answer


_TIMES = """
    import subprocess, time
    from nsview.host.events.connector import Connector
    with Connector() as source:
        before = time.monotonic_ns()
        process = subprocess.Popen(["true"])
        process.wait()
        after = time.monotonic_ns()
        while not (found := [event for event in source.read() if (event.pid, event.what) == (process.pid, "fork")]):
            pass
        # Our distance from the kernel's clock is known as well as a request and its answer are near each other.
        print(before - 10**9 <= found[0].when_ns <= after + 10**9)
"""


@listens
@pytest.mark.needs("unshare", "time_namespace")
def test_times_are_those_of_our_own_clock_in_a_time_namespace_too():
    words = ["unshare", "--time", "--monotonic", "100000", "--fork", sys.executable, "-c", textwrap.dedent(_TIMES)]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip() == "True"


def test_looking_finds_births_and_ends_too():
    with Polling(0.01) as source, subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        told = seen(source, process.pid, "fork")
        assert (told.parent, told.last) == (os.getpid(), None)
        process.communicate()
        assert seen(source, process.pid, "exit").exit_code is None


def seen(source: Polling, pid: int, kind: str) -> Event:
    while True:
        for event in source.read():
            if (event.pid, event.what) == (pid, kind):
                return event


@pytest.mark.needs("root")
def test_both_sources_stop_when_told(nothing_left):
    for source in (Polling(3600), open_events(3600)[0]):
        source.stop()
        assert list(source) == []
        assert source.read() == []
        source.close()
