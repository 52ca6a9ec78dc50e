"""Our CPU numbers of real loads are the kernel's own: those of a cgroup, and of wait4(2)."""

from __future__ import annotations

import errno
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from leftovers import until

from nsview.host.sampling import sample
from nsview.host.taskstats import TaskStats
from nsview.host.usage import Usage, rates

WITHIN = 0.02
"""The part by which two accounts of the same life may differ."""


def spin() -> None:
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass


def sleep_and_wake() -> None:
    never = threading.Event()
    for _ in range(400):
        never.wait(0.0005)


def fork_and_wait() -> None:
    """Children of 10 ms each, in all more than a second: what children took is told in hundredths of one."""
    for _ in range(130):
        pid = os.fork()
        if pid == 0:
            while time.process_time() < 0.01:
                pass
            os._exit(0)
        os.waitpid(pid, 0)


def spin_in_threads() -> None:
    """Threads that have ended when we look."""

    def some() -> None:
        end = time.thread_time() + 0.06
        while time.thread_time() < end:
            pass

    for _ in range(3):
        threads = [threading.Thread(target=some) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


LOADS = (spin, sleep_and_wake, fork_and_wait, spin_in_threads)


class Loaded:
    """A child that does its load when told and is blocked before and after, so that all of it is accounted."""

    def __init__(self, load: Callable[[], None], group: Path | None = None) -> None:
        self._told, telling = os.pipe()
        waiting, self._tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._tell)
                if group is not None:
                    (group / "cgroup.procs").write_text("0")
                os.write(telling, b"r")
                while os.read(waiting, 1):
                    load()
                    usage = resource.getrusage(resource.RUSAGE_SELF)
                    os.write(telling, f"{usage.ru_nvcsw} {usage.ru_nivcsw}".encode())
            finally:
                os._exit(0)
        os.close(waiting)
        os.close(telling)
        assert os.read(self._told, 1) == b"r"
        self.until_blocked()

    def until_blocked(self) -> None:
        """Wait until it waits for us: it sleeps in a read, and what it ran is in every account."""
        assert until(lambda: Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S")

    def start(self) -> None:
        os.write(self._tell, b"x")

    def finish(self) -> tuple[int, int]:
        """Wait for the end of the load; return its own count of its context switches, ended threads' too."""
        voluntary, involuntary = os.read(self._told, 100).split()
        self.until_blocked()
        return int(voluntary), int(involuntary)

    def work(self) -> tuple[int, int]:
        self.start()
        return self.finish()

    def close(self) -> None:
        os.close(self._tell)  # it reads the end and leaves
        os.close(self._told)


@pytest.fixture
def loaded() -> Iterator[Callable[..., Loaded]]:
    with ExitStack() as stack:

        def start(load: Callable[[], None], group: Path | None = None) -> Loaded:
            child = Loaded(load, group)
            stack.callback(os.waitpid, child.pid, 0)
            stack.callback(child.close)
            return child

        yield start


@pytest.fixture
def group() -> Iterator[Path]:
    """A cgroup of version 2: each has cpu.stat, whatever the controllers."""
    lines = (line.split(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines())
    root = next(own.split()[4] for own, rest in lines if rest.startswith("cgroup2 "))
    path = Path(root) / f"nsview-accounting-{os.getpid()}"
    path.mkdir()

    def removed() -> bool:
        try:
            path.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:  # what was in it is reaped, but not yet out of it
                raise
            return False
        return True

    yield path
    assert until(removed)


def spent_in(group: Path) -> int:
    """Nanoseconds of CPU by the kernel's account of the group."""
    fields = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    return int(fields["usage_usec"]) * 1000


def ours(pid: int) -> Usage:
    usage = sample(pid)
    assert usage is not None
    assert usage.cpu_ns is not None
    return usage


@pytest.mark.needs("root", "cgroup2")
@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.__name__)
def test_what_a_load_took_is_what_its_cgroup_says(group, loaded, load):
    child = loaded(load, group)
    before, earlier = spent_in(group), ours(child.pid)
    child.work()
    after, later = spent_in(group), ours(child.pid)
    taken = {rate.measure.field: rate.change for rate in rates(earlier, later)}
    found = taken["cpu_ns"] + (taken["children_ns"] if load is fork_and_wait else 0)
    assert found == pytest.approx(after - before, rel=WITHIN)


@pytest.mark.needs("root", "cgroup2")
def test_a_load_that_runs_is_read_between_two_looks_of_the_kernel(group, loaded):
    child = loaded(spin, group)
    child.start()
    assert until(lambda: spent_in(group) > 300_000_000, deadline=60)
    before, usage, after = spent_in(group), ours(child.pid), spent_in(group)
    child.finish()
    assert before * (1 - WITHIN) <= usage.cpu_ns <= after * (1 + WITHIN)


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.__name__)
def test_what_a_life_took_is_what_wait4_says(load):
    child = Loaded(load)
    child.work()
    child.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    usage = ours(child.pid)
    _, status, rusage = os.wait4(child.pid, 0)
    assert status == 0
    found = usage.cpu_ns + usage.children_ns  # wait4's are with those of the children it had waited for
    assert found == pytest.approx((rusage.ru_utime + rusage.ru_stime) * 1e9, rel=WITHIN)


@pytest.mark.needs("root", "taskstats")
def test_switches_count_ended_threads_where_taskstats_may_be_asked(loaded):
    child = loaded(spin_in_threads)
    voluntary, involuntary = child.work()
    with TaskStats() as stats:
        usage = sample(child.pid, stats=stats)
    assert usage is not None
    assert voluntary <= usage.voluntary <= voluntary + 2, "it told, and waits since"
    assert involuntary <= usage.involuntary
    living = sample(child.pid)
    assert living is not None
    assert living.voluntary < usage.voluntary, "without taskstats only the living are summed"


@pytest.mark.needs("root", "taskstats")
def test_a_zombie_is_not_told_to_have_switched_never():
    """Taskstats passes over what has exited and answers zeros for it."""
    child = Loaded(sleep_and_wake)
    child.work()
    child.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with TaskStats() as stats:
        usage = sample(child.pid, stats=stats)
    os.waitpid(child.pid, 0)
    assert usage is not None
    assert usage.voluntary != 0
    assert usage.cpu_ns > 0


@pytest.mark.needs("root", "taskstats")
def test_waiting_for_a_cpu_is_told_of_two_that_share_one(loaded):
    def on_one_cpu() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        spin()

    first, second = loaded(on_one_cpu), loaded(on_one_cpu)
    first.start()
    second.start()
    first.finish()
    second.finish()
    with TaskStats() as stats:
        usages = [sample(child.pid, stats=stats) for child in (first, second)]
    for usage, other in zip(usages, reversed(usages), strict=True):
        assert usage.wait_ns >= 0.5 * min(usage.cpu_ns, other.cpu_ns), "while one ran the other waited"
