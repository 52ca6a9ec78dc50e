"""What two snapshots and the events between them mean: made-up ones, a made-up machine at random, real loads."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leftovers import until
from records import by_pid, record

from nsview.host.events.connector import Connector
from nsview.host.events.event import Event
from nsview.host.history import advance
from nsview.host.model import Interval, change
from nsview.host.snapshot import TICKS_PER_SECOND, ProcessRecord, Snapshot, take

SECOND = 1_000_000_000


def snapshot(at: float, *records: ProcessRecord, took: float = 0.0) -> Snapshot:
    """These processes, seen ``at`` so many seconds."""
    return Snapshot(int(at * SECOND), int((at + took) * SECOND), by_pid(*records), 0, ())


def event(at: float, what: str, pid: int, **facts: object) -> Event:
    """An event of a whole process, ``at`` so many seconds."""
    return Event(int(at * SECOND), what, pid, int(facts.pop("tid", pid)), **facts)  # type: ignore[arg-type]


def test_counters_become_rates_over_the_interval():
    then = record(5, 1, 50)._replace(utime=10, stime=5, minflt=100, majflt=1, voluntary=7, involuntary=3, rss=8192)
    now = then._replace(
        utime=10 + TICKS_PER_SECOND, minflt=140, majflt=3, voluntary=17, involuntary=5, rss=4096, comm="execed"
    )
    found = Interval(snapshot(1, then), snapshot(3, now)).change(5)
    assert (found.cpu, found.faults_per_second, found.switches_per_second, found.rss) == (50.0, 21.0, 6.0, -4096)


def test_a_reused_pid_gives_no_rates_but_a_death_and_a_birth():
    old, new = record(5, 1, 50), record(5, 1, 99)._replace(utime=1000)
    interval = Interval(snapshot(1, old), snapshot(2, new))
    assert interval.change(5) == change(new, None, 1.0)
    assert interval.change(5).cpu is None
    assert [*interval.births] == [(5, 99)]
    assert [*interval.deaths] == [(5, 50)]


def test_a_counter_that_went_back_is_unknown_and_not_zero():
    then = record(5, 1, 50)._replace(voluntary=1000)
    found = Interval(snapshot(1, then), snapshot(2, then._replace(voluntary=2, utime=7))).change(5)
    assert (found.switches, found.ticks) == (None, 7)


def test_an_unknown_counter_stays_unknown():
    hidden = record(5, 1, 50)._replace(voluntary=None)
    assert Interval(snapshot(1, hidden), snapshot(2, hidden)).change(5).switches is None


def test_two_looks_at_one_instant_give_counts_but_no_rates():
    one = record(5, 1, 50)
    found = Interval(snapshot(1, one), snapshot(1, one)).change(5)
    assert (found.ticks, found.cpu) == (0, None)


def test_without_events_ends_and_short_lives_are_unknown():
    interval = Interval(snapshot(1, record(5, 1, 50)), snapshot(2))
    assert interval.deaths[5, 50].exit_code is None
    assert (interval.brief, interval.lost) == (None, None)


def test_events_tell_how_it_ended_and_what_it_used():
    told = [event(1.5, "exit", 5, exit_code=256, utime_us=1200, stime_us=3, cpu_ns=1_203_000)]
    death = Interval(snapshot(1, record(5, 1, 50)), snapshot(2), told).deaths[5, 50]
    assert (death.when_ns, death.exit_code, death.cpu_ns) == (1_500_000_000, 256, 1_203_000)
    assert os.waitstatus_to_exitcode(death.exit_code or 0) == 1


def test_a_process_between_two_snapshots_is_seen_with_its_parent_name_and_end():
    told = [
        event(1.2, "fork", 7, parent=5),
        event(1.3, "comm", 7, comm="brief"),
        event(1.4, "exit", 7, exit_code=9),
    ]
    interval = Interval(snapshot(1, record(5, 1, 50)), snapshot(2, record(5, 1, 50)), reversed(told))
    assert interval.brief is not None
    (life,) = interval.brief
    assert (life.pid, life.parent, life.comm, life.exit_code) == (7, 5, "brief", 9)
    assert (life.born_ns, life.died_ns) == (1_200_000_000, 1_400_000_000)
    assert interval.births == interval.deaths == {}


def test_a_name_is_the_last_that_was_told_and_unknown_after_an_execve_that_told_none():
    def name_after(*told: Event) -> str | None:
        fork, end = event(1.1, "fork", 7, parent=5), event(1.9, "exit", 7, exit_code=0)
        brief = Interval(snapshot(1), snapshot(2), [fork, *told, end]).brief
        assert brief is not None
        return brief[0].comm

    assert name_after() is None
    assert name_after(event(1.2, "comm", 7, comm="one"), event(1.3, "exec", 7, comm="two")) == "two"
    assert name_after(event(1.2, "comm", 7, comm="one"), event(1.3, "exec", 7)) is None


def test_threads_come_and_go_without_a_birth_or_a_death():
    told = [
        event(1.2, "fork", 5, tid=6, parent=1),
        event(1.3, "exit", 5, tid=6, exit_code=0, last=False),
        event(1.4, "exit", 5, tid=5, exit_code=0, last=False),
    ]
    leader = record(5, 1, 50)._replace(state="Z", threads=2)
    interval = Interval(snapshot(1, record(5, 1, 50)), snapshot(2, leader), told)
    assert interval.brief == ()
    assert interval.deaths == {}


def test_a_zombie_is_a_death_once_and_its_status_is_kept_until_it_is_reaped():
    zombie = record(5, 1, 50)._replace(state="Z")
    told = [event(1.5, "exit", 5, exit_code=512)]
    folded = advance(advance(None, snapshot(1, record(5, 1, 50))), snapshot(2, zombie), told)
    assert folded.zombies[5, 50].exit_code == 512
    assert Interval(snapshot(2, zombie), snapshot(3), ()).deaths == {}
    folded = advance(advance(folded, snapshot(3, zombie), ()), snapshot(4), ())
    death = folded.gone[5].death
    assert death is not None
    assert death.exit_code == 512
    assert folded.zombies == {}


def test_after_lost_events_an_end_is_not_given_to_whoever_had_the_pid():
    told = [event(1.5, "lost", 0), event(1.6, "exit", 5, exit_code=9)]
    interval = Interval(snapshot(1, record(5, 1, 50)), snapshot(2), told)
    assert interval.deaths[5, 50].exit_code is None
    assert interval.lost == 1
    assert Interval(snapshot(1), snapshot(2), [event(1.5, "lost", 0, count=40)]).lost == 40


def test_a_mark_is_compared_with_now_as_any_two_snapshots():
    then = record(5, 1, 50)
    now = then._replace(utime=600 * TICKS_PER_SECOND)
    since = Interval(snapshot(0, then), snapshot(3600, now)).change(5)
    assert (since.seconds, since.ticks, since.cpu) == (3600.0, 600 * TICKS_PER_SECOND, pytest.approx(100 / 6))


class Machine:
    """A machine of few pids, so that they are used again at once; it keeps the truth."""

    def __init__(self, chance: random.Random, loses: bool) -> None:
        self.chance, self.loses = chance, loses
        self.now = 0
        self.alive: dict[int, int] = {1: 0}
        self.zombies: dict[int, int] = {}
        self.parents: dict[tuple[int, int], int] = {}
        self.codes: dict[tuple[int, int], int] = {}
        self.ended: dict[tuple[int, int], int] = {}
        self.events: list[Event] = []
        self.lost = 0

    def step(self) -> None:
        """Let one thing happen."""
        self.now += 1
        free = [pid for pid in range(2, 7) if pid not in self.alive and pid not in self.zombies]
        mortal = [pid for pid in self.alive if pid != 1]
        what = self.chance.choice(("fork", "fork", "exit", "exit", "reap", "rest"))
        if what == "fork" and free:
            pid, parent = self.chance.choice(free), self.chance.choice([*self.alive])
            self.alive[pid] = self.now
            self.parents[pid, self.now] = parent
            self.tell(Event(self.now, "fork", pid, pid, parent=parent))
        elif what == "exit" and mortal:
            pid = self.chance.choice(mortal)
            start = self.alive.pop(pid)
            self.zombies[pid] = start
            self.codes[pid, start] = self.now << 8
            self.ended[pid, start] = self.now
            self.tell(Event(self.now, "exit", pid, pid, exit_code=self.now << 8))
        elif what == "reap" and self.zombies:
            del self.zombies[self.chance.choice([*self.zombies])]

    def tell(self, told: Event) -> None:
        """Deliver an event, or lose it and say so with the next."""
        if self.loses and self.chance.random() < 0.1:
            self.lost += 1
            return
        if self.lost:
            self.events.append(Event(told.when_ns, "lost", 0, 0, count=self.lost))
            self.lost = 0
        self.events.append(told)

    def is_shared(self, pid: int, *shots: Snapshot) -> bool:
        """Tell whether two processes may have been seen under a pid: no event tells when a zombie is reaped."""
        births = [start for own, start in self.parents if own == pid]
        return any(shot.when_ns <= start <= shot.ended_ns for shot in shots for start in births[1:])

    def look(self) -> Snapshot:
        """Read one process after another while things go on."""
        began, records = self.now, {}
        for pid in range(1, 7):
            while self.chance.random() < 0.3:
                self.step()
            if pid in self.alive or pid in self.zombies:
                start = self.alive.get(pid, self.zombies.get(pid, 0))
                state = "S" if pid in self.alive else "Z"
                records[pid] = record(pid, self.parents.get((pid, start), 0), start)._replace(state=state)
        if self.lost:  # what was lost is told in the end, and then everything is read again
            self.events.append(Event(self.now, "lost", 0, 0, count=self.lost))
            self.lost = 0
        return Snapshot(began, self.now, records, 0, ())


@settings(max_examples=400, deadline=None)
@given(seed=st.integers(0, 2**32), loses=st.booleans())
def test_on_a_machine_of_few_pids_nothing_is_told_of_the_wrong_process_or_twice(seed: int, loses: bool):
    machine = Machine(random.Random(seed), loses)
    shots = [machine.look()]
    brief: list[tuple[int, int]] = []
    deaths: list[tuple[int, int]] = []
    unsettled: list[Event] = []
    lossy = False
    for _ in range(8):
        for _ in range(machine.chance.randrange(20)):
            machine.step()
        shots.append(machine.look())
        told = [*unsettled, *machine.events]
        interval = Interval(shots[-2], shots[-1], told)
        unsettled, machine.events = interval.unsettled, []
        lossy |= any(one.what == "lost" for one in told)
        for identity, birth in interval.births.items():
            assert birth.parent in (None, machine.parents[identity])
            assert birth.when_ns in (None, identity[1])
            assert birth.parent is not None or lossy or machine.is_shared(identity[0], *shots[-2:])
        for identity, death in interval.deaths.items():
            deaths.append(identity)
            assert death.exit_code in (None, machine.codes[identity])
            assert death.exit_code is not None or lossy or machine.is_shared(identity[0], *shots[-2:])
        assert interval.brief is not None
        for life in interval.brief:
            assert life.born_ns is not None
            brief.append((life.pid, life.born_ns))
            assert life.parent == machine.parents[brief[-1]]
            assert life.exit_code == machine.codes[brief[-1]]
    seen = {one.identity for shot in shots for one in shot.records.values()}
    first, last = shots[0].when_ns, shots[-1].when_ns
    unseen = {one for one, end in machine.ended.items() if one not in seen and first < one[1] and end <= last}
    assert len({*brief}) == len(brief)
    assert len({*deaths}) == len(deaths)
    assert {*brief} <= unseen
    doubtful = {one for one in unseen if machine.is_shared(one[0], *shots)}
    assert unseen - doubtful <= {*brief} or lossy


LOADS = """
import os, resource, sys, time
def spin(seconds):
    while time.process_time() < seconds: pass
def fork_some():
    for _ in range(10):
        if not os.fork():
            spin(0.1)
            os._exit(3)
        os.wait()
print("ready", flush=True)
sys.stdin.readline()
{"spin": lambda: spin(0.6), "sleep": lambda: time.sleep(0.3), "fork": fork_some}[sys.argv[1]]()
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, flush=True)
sys.stdin.readline()
"""


@contextmanager
def load(name: str) -> Iterator[tuple[int, Callable[[], float]]]:
    """A process that is ready for a load: its pid, and what lets it do it and tells its children's rusage."""
    command = [sys.executable, "-c", LOADS, name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        done = process.stdout.readline

        def work() -> float:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
            return float(done())

        yield process.pid, work
        process.stdin.close()


@pytest.mark.parametrize("name", ["spin", "sleep"])
def test_the_cpu_time_of_a_load_is_what_the_kernel_charged(name: str):
    """Ticks between two snapshots against the process's CPU clock: 2 %, and the ticks that each is cut to."""
    with load(name) as (pid, work):
        before, charged = take((pid,)), time.clock_gettime_ns(~pid << 3 | 2)
        work()
        after, now = take((pid,)), time.clock_gettime_ns(~pid << 3 | 2)
    found = Interval(before, after).change(pid)
    assert found.ticks is not None
    seconds = (now - charged) / 1e9
    assert (seconds >= 0.5) == (name == "spin")
    assert abs(found.ticks / TICKS_PER_SECOND - seconds) <= 2 / TICKS_PER_SECOND + 0.02 * seconds
    assert found.cpu == pytest.approx(found.ticks * 100 / TICKS_PER_SECOND / found.seconds)


@pytest.mark.needs("root", "proc_connector", "taskstats")
def test_the_cpu_time_of_children_that_no_snapshot_saw_is_what_their_parent_was_charged_for_them():
    told: list[Event] = []
    with load("fork") as (pid, work), Connector() as source:
        reading = threading.Thread(target=lambda: told.extend(source))
        reading.start()
        before = take()
        charged = work()
        after = take()
        ended = until(lambda: sum(one.what == "exit" and one.parent == pid for one in [*told]) == 10)
        source.stop()
        reading.join()
    assert ended
    interval = Interval(before, after, told)
    assert interval.lost == 0
    assert interval.brief is not None
    children = [life for life in interval.brief if life.parent == pid]
    assert [life.exit_code for life in children] == [3 << 8] * 10
    assert sum(life.cpu_ns or 0 for life in children) / 1e9 == pytest.approx(charged, rel=0.02)
    assert all(life.cpu_ns is not None for life in children)
