"""What else is told of a process: environment, signals, scheduling, memory, security."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from children import call
from leftovers import until

from nsview.host import environment, sections, security, signals
from nsview.host.cgroups.hierarchies import hierarchies
from nsview.host.description import describe
from nsview.host.difference import ALL, DiffRow, compare_processes
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.scheduling import scheduling_of

PR_SET_TIMERSLACK = 29


def compared(pid: int, *wanted: str) -> dict[str, DiffRow]:
    return {row.attribute: row for row in compare_processes(os.getpid(), pid, wanted=wanted)}


def test_an_environment_is_compared_variable_by_variable(forked):
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; print('r', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"ONLY_CHILD": "=x=", "LANG": "other"},
    ) as process:
        assert process.stdout
        process.stdout.readline()
        rows = compared(process.pid, "environment")
        assert process.stdin
        process.stdin.close()
    with PinnedProcess(os.getpid()) as own:
        here = environment.environment_of(own)
    assert here is not None
    assert rows["ONLY_CHILD"].child == "=x="
    assert (rows["ONLY_CHILD"].parent, rows["ONLY_CHILD"].delta) == ("(not set)", "+")
    assert rows["PATH"].delta == "−"
    gone = len(here.keys() - {"LANG"})
    expected = f"+1 −{gone} ~1" if "LANG" in here else f"+2 −{gone}"
    assert rows["variables"].delta == expected


def test_an_environment_may_hold_anything():
    found = environment.parse(b"A=1\0A=2\0\xff\n=\x1b[m\0lone\0\0B=\0")
    assert found == {"A": "1", r"\xff\n": r"\x1b[m", "lone": "", "B": ""}


def test_a_kernel_thread_or_an_empty_one_has_no_variables():
    assert environment.parse(b"") == {}


def test_signals_are_named_as_the_process_set_them(forked):
    def act() -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH, signal.SIGRTMIN + 2})
        os.kill(os.getpid(), signal.SIGWINCH)

    pid, _ = forked(act)
    rows = compared(pid, "signals")
    assert rows["ignored"].delta == "+USR1"
    assert "USR2" in rows["caught"].delta
    assert rows["blocked"].delta == "+WINCH +RTMIN+2"
    assert rows["pending for the process"].child == "WINCH"


def test_masks_are_worded_shortly():
    assert signals.words(0) == "none"
    assert signals.words((1 << 64) - 1) == "all"
    assert signals.words((1 << 64) - 1 - (1 << 8)) == "all but KILL"
    assert signals.words(None) is None
    assert signals.change(0b1, 0b10) == "+INT −HUP"


def test_how_it_is_scheduled_is_what_it_asked_for(forked):
    cpu = min(os.sched_getaffinity(0))

    def act() -> None:
        os.sched_setaffinity(0, {cpu})
        os.nice(3)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        call("prctl", PR_SET_TIMERSLACK, ctypes.c_ulong(123_000), 0, 0, 0)

    pid, _ = forked(act)
    rows = compared(pid, "scheduling")
    assert rows["cpus allowed"].child == str(cpu)
    assert rows["nice"].child == str(os.getpriority(os.PRIO_PROCESS, 0) + 3)
    assert rows["policy"].child == "batch"
    if os.geteuid() == 0:
        assert rows["timer slack"].child == "123 000 ns"


@pytest.mark.parametrize("pid", [1, 2, os.getpid()])
def test_an_autogroup_is_none_where_the_kernel_names_none(pid):
    """Kernel threads are in none, and whatever has had no setsid(2) since boot: that is known, not unknown."""
    named = Path(f"/proc/{pid}/autogroup").read_text().strip()
    with PinnedProcess(pid) as process:
        scheduling = scheduling_of(process)
    assert scheduling is not None
    assert scheduling.autogroup == (named or "none")


@pytest.mark.needs("ionice")
def test_io_priority_is_that_of_ionice():
    with subprocess.Popen(
        ["ionice", "-c", "2", "-n", "6", "sh", "-c", "echo r; read x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert compared(process.pid, "scheduling")["I/O priority"].child == "best-effort 6"
        assert process.stdin
        process.stdin.close()


def test_memory_taken_shows_where_it_belongs(forked):
    size = 32 << 20

    def act() -> None:
        act.kept = bytearray(b"x" * size)  # type: ignore[attr-defined]

    pid, _ = forked(act)
    with PinnedProcess(pid) as process:
        memory = sections.memory.memory_of(process)
    with open(f"/proc/{pid}/oom_score_adj") as file:
        assert memory.oom_score_adj == int(file.read())
    assert memory.sizes["RssAnon"] >= size
    assert memory.sizes["VmHWM"] >= size
    assert memory.sizes["VmPeak"] >= memory.sizes["VmSize"]


@pytest.mark.needs("root")
def test_the_oom_killers_order_can_be_changed_and_is_told(forked):
    pid, _ = forked()
    with open(f"/proc/{pid}/oom_score_adj", "w") as file:
        file.write("321")
    assert compared(pid, "memory")["oom score adj"].child == "321"


@pytest.mark.needs("root", "unshare", "mount_namespace")
def test_mounts_that_differ_are_told_one_by_one(unshared, tmp_path):
    (tmp_path / "a\nb").mkdir()
    script = f"cd {tmp_path}; mount -t tmpfs one a*; mount -t tmpfs two a*; mount -o remount,bind,nosuid /dev/shm"
    rows = compared(unshared("--mount", "--propagation", "unchanged", script=script), "mounts")
    point = f"{tmp_path}/a\\nb"
    assert (rows[point].parent, rows[point].delta) == ("not mounted", "+")
    assert rows[point].child.startswith("tmpfs one ")
    assert rows[f"{point} (2)"].child.startswith("tmpfs two ")
    assert "options" in rows["/dev/shm"].delta
    assert "nosuid" in rows["/dev/shm"].child


def test_equal_mounts_are_one_row_that_says_so(forked):
    pid, _ = forked()
    (row,) = compared(pid, "mounts").values()
    assert (row.attribute, row.same) == ("mounts", True)


def test_a_tracer_and_a_personality_are_told(forked):
    def act() -> None:
        call("personality", ctypes.c_ulong(0x0040000))

    pid, _ = forked(act)
    rows = compared(pid, "security")
    assert rows["personality"].child == "linux ADDR_NO_RANDOMIZE"
    assert rows["traced by"].child == "nobody"
    assert security.personality_words(0x0040008) == "linux32 ADDR_NO_RANDOMIZE"


@pytest.mark.parametrize("section", [section.name for section in sections.MORE])
def test_a_zombie_and_who_may_not_be_looked_at_are_told_without_a_crash(section, forked):
    pid, _ = forked()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    for row in compare_processes(os.getpid(), pid, wanted=[section]):
        assert all(text is None or text.isprintable() for text in (row.parent, row.child, row.delta, row.why))


@pytest.mark.needs("root")
def test_nobody_is_told_what_everybody_may_know_and_the_rest_is_unknown(as_nobody, forked):
    pid, _ = forked()
    rows = as_nobody(lambda: compare_processes(pid, os.getpid(), wanted=ALL))
    known = {(row.section, row.attribute): row.parent for row in rows}
    assert known["limits", "nofile"] is not None
    assert known["signals", "ignored"] is not None
    for hidden in (("environment", "variables"), ("scheduling", "timer slack"), ("capabilities", "in its mnt")):
        assert known[hidden] is None, hidden


def test_comparing_everything_leaves_no_descriptor_and_no_thread(nothing_left, forked):
    pid, _ = forked()
    for _ in range(3):
        compare_processes(os.getpid(), pid, wanted=ALL)


WITHOUT_MAIN_THREAD = """
import ctypes, os, sys, threading
kept = open("/dev/zero")
def wait_for_main():
    while open(f"/proc/self/task/{os.getpid()}/stat").read().rpartition(")")[2].split()[0] != "Z":
        threading.Event().wait(0.005)
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=wait_for_main).start()
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.fixture
def without_main_thread():
    """A process whose main thread has ended, and another lives."""
    with subprocess.Popen(
        [sys.executable, "-c", WITHOUT_MAIN_THREAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        assert process.stdin
        process.stdin.close()


def test_what_its_main_thread_has_given_back_is_read_of_a_thread_that_lives(without_main_thread):
    with PinnedProcess(without_main_thread) as process:
        assert process.status()["State"].startswith("Z")
        assert process.leader != process.pid
        assert process.namespace("net") == os.stat("/proc/self/ns/net").st_ino
        assert "/dev/zero" in {process.link(f"fd/{name}") for name in process.names("fd")}
        assert process.status()["Umask"]
    rows = {(row.section, row.attribute): row for row in compare_processes(os.getpid(), without_main_thread)}
    assert rows["namespaces", "mnt"].same is True
    assert rows["files", "cwd"].child == os.getcwd()
    assert rows["usage", "rss"].child is not None
    assert rows["usage", "open files"].child != "0"
    assert rows["identity", "pid inside"].child == str(without_main_thread)


@pytest.mark.needs("kcmp")
def test_sharing_with_a_process_without_main_thread_is_told_of_its_living_one(without_main_thread):
    rows = {row.attribute: row for row in compare_processes(os.getpid(), without_main_thread, wanted=["sharing"])}
    assert rows["VM"].same is rows["FILES"].same is rows["FS"].same is False
    itself = compare_processes(without_main_thread, without_main_thread, wanted=["sharing"])
    assert {row.attribute for row in itself if row.same} >= {"VM", "FILES", "FS", "SIGHAND"}


CHURN = """
import ctypes, os, random, threading
libc = ctypes.CDLL(None)
while True:
    pids = []
    for number in range(20):
        pid = os.fork()
        if pid == 0:
            if number % 5 == 0:
                libc.unshare(0x10000000 | 0x04000000 | 0x20000)
            if number % 4 == 0:
                for _ in range(2):
                    threading.Thread(target=lambda: None).start()
            if number % 3 == 0:
                os.execv("/bin/true", ["true", str(number)])
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
"""
LOOKS = int(os.environ.get("NSVIEW_CHURN_LOOKS", "120"))


def test_processes_that_end_while_they_are_looked_at_are_gone_or_told_without_a_crash():
    """Children that exec, change namespaces, start threads and end within milliseconds, all read in full."""
    with subprocess.Popen([sys.executable, "-c", CHURN]) as churn:
        try:
            looks = told = 0
            while looks < LOOKS:
                with open(f"/proc/{churn.pid}/task/{churn.pid}/children") as file:
                    pids = [int(word) for word in file.read().split()]
                for pid in pids:
                    looks += 1
                    try:
                        told += look(pid, churn.pid, both=bool(looks % 2))
                    except ProcessGoneError:
                        continue
            assert told
        finally:
            churn.kill()


def look(pid: int, parent: int, both: bool) -> bool:
    """Read all of one process; what is told must be of this one."""
    if both:
        rows = {(row.section, row.attribute): row.child for row in compare_processes(os.getpid(), pid, wanted=ALL)}
    else:
        with PinnedProcess(pid) as process:
            rows = {(row.section, row.attribute): row.value for row in describe(process).rows()}
    assert rows["identity", "pid"] == str(pid)
    assert rows["identity", "parent"] == str(parent)
    return rows["usage", "cpu"] is not None


@pytest.mark.needs("unshare", "user_namespace", "network_namespace")
def test_a_network_of_its_own_has_a_link_no_route_and_all_ports_free(unshared):
    with socket.create_server(("127.0.0.1", 0)) as server:
        rows = compared(unshared("--user", "--map-root-user", "--net"), "network")
        ours = f"tcp 127.0.0.1:{server.getsockname()[1]}"
    with PinnedProcess(os.getpid()) as process:
        content = sections.networked.network_of(process)
    assert "lo" in {link.name for link in content.links}
    assert (rows["links"].child, rows["routes"].child, rows["listening"].child) == ("lo", "none", "none")
    assert rows["listening"].same is False
    assert ours in rows["listening"].parent or " more" in rows["listening"].parent


@pytest.mark.needs("root", "pids_controller")
def test_the_lowest_limit_of_the_groups_on_the_way_up_is_told_with_its_group(forked):
    with ExitStack() as stack:
        pid, _ = forked()
        hierarchy = next(it for it in hierarchies() if "pids" in (it.controllers or ()))
        if hierarchy.version == 2:
            enable_pids(Path(hierarchy.directory("/")))
        above = Path(hierarchy.directory("/")) / f"nsview-limits-{os.getpid()}"
        inner = above / "inner"
        for group in (above, inner):
            group.mkdir()
            stack.callback(remove, group)
        stack.callback((Path(hierarchy.directory("/")) / "cgroup.procs").write_text, str(pid))
        if hierarchy.version == 2:
            enable_pids(above)
        (above / "pids.max").write_text("77")
        (inner / "pids.max").write_text("1000")
        (inner / "cgroup.procs").write_text(str(pid))
        rows = compared(pid, "cgroups")
        assert rows["pids max"].child == f"77 by /{above.name}"
        assert rows["pids max"].same is False
        (inner / "pids.max").write_text("5")
        assert compared(pid, "cgroups")["pids max"].child == f"5 by /{above.name}/inner"


def enable_pids(group: Path) -> None:
    (group / "cgroup.subtree_control").write_text("+pids")


def remove(group: Path) -> None:
    def removed() -> bool:
        try:
            group.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True

    assert until(removed)
