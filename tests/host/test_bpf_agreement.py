"""Two producers, one truth: what BPF says of a process is what /proc said just before and says just after."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from agreement import QUIET, of_record, of_snapshots, rounds
from busy_crowd import FOR_ROOT, SORTS, Sort, crowd
from leftovers import Census, until

from nsview.host.snapshot import ProcessRecord, Snapshot, take

pytestmark = pytest.mark.needs("root", "bpf")

ROUNDS = int(os.environ.get("NSVIEW_AGREEMENT_ROUNDS", "40"))
"""More of them find what is rarer: docs/development.md."""


def settled(snapshot: Snapshot, children: dict[int, Sort]) -> bool:
    """Whether every child has become what it is to be."""
    quiet = [snapshot.records[pid] for pid, sort in children.items() if sort.standing == QUIET]
    names = {sort.does.__name__: snapshot.records[pid] for pid, sort in children.items()}
    below = {record.ppid: record for record in snapshot.records.values()}
    zombie = below.get(names["leave_a_zombie"].pid)
    deep = max((record.depth or 0 for record in snapshot.records.values()), default=0)
    return (
        all(record.state in "STtZ" for record in quiet)
        and names["be_traced"].state == "t"
        and names["end_the_leader"].state == "Z"
        and names["spin_in_threads"].threads == 4
        and zombie is not None
        and zombie.state == "Z"
        and deep >= 2
    )


def test_both_say_the_same_of_a_busy_machine(nothing_left: Census) -> None:
    with crowd(SORTS + FOR_ROOT) as children:
        assert until(lambda: settled(take(by="proc"), children), deadline=60)
        wrong: list[str] = []
        first: dict[int, ProcessRecord] = {}
        for number, (before, now, after) in enumerate(rounds(ROUNDS * 10)):
            assert children.keys() <= now.records.keys()
            wrong += of_snapshots(before, now, after)
            for pid, sort in children.items():
                last = before.records[pid], now.records[pid], after.records[pid]
                wrong += of_record(*last, standing=sort.standing)
                first.setdefault(pid, now.records[pid])
            if number >= ROUNDS and not (idle := unmoved(children, first, now.records)):
                break
        assert not wrong, "\n".join(sorted(set(wrong))[:30])
        assert not idle, "what grows was not seen growing, so that nothing was compared"


MOVES = (
    ("spin", "utime"),
    ("spin_in_threads", "utime"),
    ("end_the_leader", "utime"),
    ("start_and_end_threads", "utime"),
    ("call_the_kernel", "stime"),
    ("touch_memory", "minflt"),
    ("fork_and_reap", "voluntary"),
)


def unmoved(
    children: Mapping[int, Sort], first: Mapping[int, ProcessRecord], now: Mapping[int, ProcessRecord]
) -> list[tuple[str, str]]:
    """Tell which counters of the busy have not grown since the first look."""
    pids = {sort.does.__name__: pid for pid, sort in children.items()}
    return [
        (name, counter)
        for name, counter in MOVES
        if getattr(now[pids[name]], counter) == getattr(first[pids[name]], counter)
    ]


def line_of(pid: int, records: Mapping[int, ProcessRecord]) -> list[ProcessRecord]:
    """A process, its only child, that one's child, and so on."""
    line = [records[pid]]
    while below := [record for record in records.values() if record.ppid == line[-1].pid]:
        line += below
    return line


def test_every_namespace_of_a_child_is_the_one_in_proc(nothing_left: Census) -> None:
    def places(record: ProcessRecord) -> tuple[object, ...]:
        return (
            record.identity,
            record.ns,
            record.pid_for_children,
            record.time_for_children,
            record.inner_pid,
            record.depth,
        )

    with crowd(FOR_ROOT) as children:
        of = {sort.does.__name__: pid for pid, sort in children.items()}
        apart, deep = of["live_apart"], of["live_deep"]
        own = take((os.getpid(),)).records[os.getpid()]
        assert until(lambda: take((apart,)).records[apart].time_for_children != own.time_for_children)
        assert until(lambda: len(line_of(deep, take(by="proc").records)) == 3)
        by_bpf, by_proc = take(by="bpf").records, take(by="proc").records
        for pid in of.values():
            line = line_of(pid, by_bpf)
            assert [places(record) for record in line] == [places(record) for record in line_of(pid, by_proc)]
        assert [(record.inner_pid, record.depth) for record in line_of(deep, by_bpf)] == [(deep, 0), (1, 1), (1, 2)]


def test_no_counter_of_anybody_runs_backwards(nothing_left: Census) -> None:
    """The kernel remembers what it told of CPU time to readers of /proc alone; we remember what we told."""
    counters = ("utime", "stime", "minflt", "majflt", "voluntary", "involuntary")
    with crowd(SORTS):
        last = take(by="bpf").records
        for _ in range(ROUNDS * 3):
            now = take(by="bpf").records
            for pid, record in now.items():
                before = last.get(pid)
                if before is not None and before.identity == record.identity:
                    for counter in counters:
                        assert getattr(before, counter) <= getattr(record, counter), (counter, before, record)
            last = now


def test_kernel_threads_have_their_long_names() -> None:
    kthreadd = take((2,)).records.get(2)
    in_sight = kthreadd is not None and kthreadd.is_kernel_thread  # not from a child pid namespace
    for before, now, after in rounds(5):
        threads = [record for record in now.records.values() if record.is_kernel_thread]
        assert bool(threads) == in_sight
        for record in threads:
            names = [look.records[record.pid].comm for look in (before, after) if record.pid in look.records]
            assert record.comm in names or record.comm.startswith("kworker/"), names
    assert any(len(record.comm) > 15 for record in threads) == in_sight, "a worker's name has its queue in it"


def inside(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the comparison below unshare(1)."""
    script = Path(__file__).with_name("agreement.py")
    command = ["unshare", *options, sys.executable, str(script), "20"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


@pytest.mark.needs("unshare", "pid_namespace", "time_namespace")
@pytest.mark.parametrize(
    "options",
    [
        ("--pid", "--fork", "--mount-proc", "--kill-child"),
        ("--time", "--boottime", "1000000", "--fork"),
        ("--net", "--ipc", "--uts", "--cgroup", "--mount"),
    ],
    ids=["pid", "time", "others"],
)
def test_both_say_the_same_to_a_reader_in_other_namespaces(options: tuple[str, ...], nothing_left: Census) -> None:
    done = inside(*options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("compared "), done.stdout


@pytest.mark.needs("unshare", "pid_namespace")
def test_a_reader_in_a_child_pid_namespace_sees_only_what_is_in_it(nothing_left: Census) -> None:
    done = inside("--pid", "--fork", "--mount-proc", "--kill-child")
    assert done.stdout == "compared 20\n", "itself, once in each round"
