"""A snapshot says what the kernel says: compared with readlink(1)'s view, ps, and processes made to
deceive.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from children import NOBODY, call, end, fork_and, rename
from leftovers import until

from nsview.host import _scan
from nsview.host.layout import RECORD
from nsview.host.snapshot import decode, take
from spawner.namespaces import BY_NAME, KINDS


def namespace_inodes(pid: int | str) -> tuple[int, ...]:
    return tuple(int(os.readlink(f"/proc/{pid}/ns/{kind.proc}").split("[")[1][:-1]) for kind in KINDS)


def test_own_namespaces_are_those_of_the_links_in_proc():
    record = take((os.getpid(),)).records[os.getpid()]
    assert record.ns == namespace_inodes("self")
    assert record.pid_for_children == record.namespace("pid")
    assert record.time_for_children == record.namespace("time")


@pytest.mark.needs("ps")
def test_record_agrees_with_ps(forked):
    pid, _ = forked()
    words = ["ppid", "pgid", "sid", "euid", "nlwp", "comm"]
    told = subprocess.check_output(["ps", "-o", ",".join(f"{word}=" for word in words), "-p", str(pid)], text=True)
    record = take((pid,)).records[pid]
    mine = (record.ppid, record.pgrp, record.session, record.uid, record.threads, record.comm)
    assert told.split() == [str(value) for value in mine]


@pytest.mark.needs("ps")
def test_every_process_ps_lists_before_and_after_is_in_the_snapshot_between():
    def listed() -> set[int]:
        return {int(pid) for pid in subprocess.check_output(["ps", "-e", "-o", "pid="], text=True).split()}

    before = listed()
    seen = set(take().records)
    after = listed()
    assert before & after <= seen


def counters(pid: int) -> tuple[int, ...]:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    switches = (status["voluntary_ctxt_switches"], status["nonvoluntary_ctxt_switches"])
    return tuple(map(int, (stat[7], stat[9], *switches)))


def test_faults_and_switches_lie_between_two_looks_at_proc(forked):
    pid, _ = forked()
    before = counters(pid)
    record = take((pid,)).records[pid]
    mine = (record.minflt, record.majflt, record.voluntary, record.involuntary)
    assert all(low <= own <= high for low, own, high in zip(before, mine, counters(pid), strict=True))


def test_memory_in_ram_is_bytes():
    with open("/proc/self/stat") as file:
        pages = int(file.read().rpartition(")")[2].split()[21])
    assert take((os.getpid(),)).records[os.getpid()].rss == pytest.approx(pages * resource.getpagesize(), rel=0.05)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"a b) S 1 (c", "a b) S 1 (c"),
        (b"x\n1 (y) Z\n", r"x\n1 (y) Z\n"),
        (b"\x1b[31mred\x07", r"\x1b[31mred\x07"),
        (b"\xff\xfe", r"\xff\xfe"),
        (b"()", "()"),
        (b"", ""),
        ("\u202eabc".encode(), r"\u202eabc"),
    ],
)
def test_hostile_name_is_shown_escaped_and_forges_no_field(forked, raw, shown):
    pid, _ = forked(lambda: rename(raw))
    record = take((pid,)).records[pid]
    assert record.comm == shown
    assert record.state in "RS"
    assert (record.ppid, record.ns) == (os.getpid(), namespace_inodes(pid))


@pytest.mark.needs("unshare", "user_namespace")
def test_child_of_pid_namespace_shows_its_inner_pid(unshared):
    pid = unshared("--user", "--map-root-user", "--pid", "--fork")
    record = take((pid,)).records[pid]
    assert (record.inner_pid, record.depth) == (1, 1)
    assert record.namespace("pid") != take((os.getpid(),)).records[os.getpid()].namespace("pid")


@pytest.mark.needs("unshare", "user_namespace")
def test_unshared_pid_namespace_shows_only_for_children(forked):
    def unshare_pids() -> None:
        call("unshare", BY_NAME["user"].flag | BY_NAME["pid"].flag)

    pid, _ = forked(unshare_pids)
    record = take((pid,)).records[pid]
    assert record.namespace("pid") == namespace_inodes("self")[2]
    assert record.pid_for_children is None, "the namespace is not there before its first process"


def test_zombie_has_no_mount_namespace_and_says_unknown():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    record = take((pid,)).records[pid]
    os.waitpid(pid, 0)
    assert record.is_zombie
    assert record.is_exiting
    assert record.namespace("mount") is None
    assert record.namespace("network") is None
    assert take((pid,)).records == {}


def test_absent_and_impossible_pids_are_left_out():
    assert take((0, -1, 1 << 40, 4194305)).records == {}


def test_proc_that_cannot_be_read_is_an_error():
    with pytest.raises(NotADirectoryError):
        take(proc="/etc/passwd")
    with pytest.raises(TypeError):
        _scan.scan("/proc", ("one",))  # type: ignore[arg-type]


def test_bytes_that_are_no_snapshot_are_refused():
    with pytest.raises(ValueError, match="not a packed snapshot"):
        decode(b"nonsense")
    with pytest.raises(ValueError, match="does not fit"):
        decode(_scan.scan("/proc", (os.getpid(),))[: -RECORD.size])


@pytest.mark.needs("root")
def test_other_users_namespaces_are_unknown_without_privilege(as_nobody, forked):
    pid, _ = forked()
    theirs, own = as_nobody(lambda: [take((asked,)).records[asked] for asked in (pid, os.getpid())])
    assert theirs.ns == (None,) * 8
    assert (theirs.pid_for_children, theirs.uid, theirs.ppid) == (None, os.geteuid(), os.getpid())
    assert own.uid == NOBODY
    assert own.ns == namespace_inodes("self")


def test_scan_with_no_descriptor_left_raises_and_leaks_none():
    def scan_without_descriptors() -> tuple[list[int], int]:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        before = len(os.listdir("/proc/self/fd"))
        lowest, errors = _lowest_free(), []
        for spare in range(4):
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, hard))
            try:
                errors += [found.errno for found in take().errors]
            except OSError as error:
                errors.append(error.errno)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        take()
        return errors, len(os.listdir("/proc/self/fd")) - before

    pid, (errors, leaked) = fork_and(scan_without_descriptors)
    end(pid)
    assert set(errors) == {24}
    assert leaked == 0


def _lowest_free() -> int:
    fd = os.dup(0)
    os.close(fd)
    return fd


def test_scans_leak_no_descriptor_nor_memory():
    take()
    before = len(os.listdir("/proc/self/fd"))
    high = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(300):
        _scan.scan()
    assert len(os.listdir("/proc/self/fd")) == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - high < 20_000


BY_EACH = pytest.mark.parametrize("by", ["proc", pytest.param("bpf", marks=pytest.mark.needs("root", "bpf"))])


@BY_EACH
def test_an_unchanged_process_is_the_same_object_in_the_next_snapshot(forked, by):
    pid, _ = forked()
    assert until(lambda: take((pid,)).records[pid].state == "S")
    first, second = take(by=by).records[pid], take(by=by).records[pid]
    assert second is first
    os.kill(pid, signal.SIGSTOP)
    assert until(lambda: take((pid,)).records[pid].state == "T")
    third = take(by=by).records[pid]
    assert (first.state, third.state) == ("S", "T")
    assert (third.identity, third.uid, third.ns, third.comm) == (first.identity, first.uid, first.ns, first.comm)


def test_other_threads_run_during_a_scan():
    """The GIL is free: a scan in each of several threads gives each its own whole answer."""
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(take().records))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert min(found) > 1


@pytest.fixture
def churn():
    """A shell whose children are born and die all the time."""
    process = subprocess.Popen(["sh", "-c", "while :; do for i in 1 2 3 4 5 6 7 8; do (exec true) & done; wait; done"])
    yield process.pid
    process.kill()
    process.wait()


@BY_EACH
def test_processes_that_die_while_they_are_read_are_told_whole_or_not(churn, by):
    own, seen = namespace_inodes("self"), 0
    for _ in range(150):
        snapshot = take(by=by)
        assert (snapshot.producer, snapshot.errors) == (by, ())
        for record in snapshot.records.values():
            if churn not in (record.pid, record.ppid):
                continue
            seen += 1
            if not record.is_exiting:
                assert record.ns == own, record
                assert record.uid == os.geteuid()
    assert seen


@pytest.mark.needs("root")
def test_reused_pid_never_mixes_two_processes():
    """Inside a pid namespace one pid is given again and again, to processes named after their uts
    namespace.
    """
    script = Path(__file__).with_name("pid_reuse.py")
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    looks, outsiders, insiders = map(int, done.stdout.split())
    assert looks == 3000
    assert outsiders
    assert insiders
