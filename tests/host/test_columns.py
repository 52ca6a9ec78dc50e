"""The columns of processes: each says what the kernel says, is shown in one line, and has a value for JSON."""

from __future__ import annotations

import json
import os
import pwd
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
from children import rename

from nsview.host.columns import DEAR, Column, by_name
from nsview.host.columns.kinds import BYTES, CAPABILITIES, COUNT, DURATION, MOMENT, PERCENT, STATE
from nsview.host.columns.process_row import ProcessRow, Scene, refer
from nsview.host.columns.processes import NEEDS_TWO_LOOKS, PROCESS_COLUMNS
from nsview.host.columns.terminals import terminal_name
from nsview.host.filter import parse
from nsview.host.snapshot import take
from spawner.namespaces import KINDS

NAMED = by_name(PROCESS_COLUMNS)


def row_of(pid: int, **options) -> ProcessRow:
    scene = Scene(take(), **options)
    return scene.row(scene.records[pid])


def value(name: str, pid: int | None = None) -> object:
    return NAMED[name].value(row_of(os.getpid() if pid is None else pid))


def test_names_and_aliases_are_all_different_and_every_column_is_explained():
    names = [name for column in PROCESS_COLUMNS for name in (column.name, *column.aliases)]
    assert len(names) == len(set(names))
    assert len({column.title for column in PROCESS_COLUMNS}) == len(PROCESS_COLUMNS)
    assert all(column.help and column.title and column.kind.takes for column in PROCESS_COLUMNS)
    assert set(NAMED) >= NEEDS_TWO_LOOKS


def test_every_column_of_a_process_is_one_printable_line_and_a_json_value():
    scene = Scene(take(), take())
    rows = scene.rows()
    for row in (*rows[:100], *rows[-100:], scene.row(scene.records[os.getpid()])):
        for column in PROCESS_COLUMNS:
            if column.cost == DEAR and row.record.pid != os.getpid():
                continue
            assert column.text(row).isprintable(), column.name
            json.dumps(column.json(row), allow_nan=False)


def test_what_the_record_has_is_not_read_again(monkeypatch):
    row = row_of(os.getpid())
    monkeypatch.setattr(Scene, "answer", lambda *_: pytest.fail("a file was read"))
    for column in PROCESS_COLUMNS:
        if not column.cost:
            column.value(row)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pid", os.getpid),
        ("ppid", os.getppid),
        ("uid", os.geteuid),
        ("gid", os.getegid),
        ("pgrp", os.getpgrp),
        ("session", lambda: os.getsid(0)),
        ("nice", lambda: os.getpriority(os.PRIO_PROCESS, 0)),
        ("exe", lambda: os.readlink("/proc/self/exe")),
        ("cwd", os.getcwd),
        ("root", lambda: os.readlink("/proc/self/root")),
        ("command", lambda: Path("/proc/self/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()),
        ("comm", lambda: Path("/proc/self/comm").read_text().removesuffix("\n")),
        ("oom", lambda: int(Path("/proc/self/oom_score").read_text())),
        ("kernel", lambda: False),
        *((f"ns.{kind.proc}", lambda kind=kind: os.stat(f"/proc/self/ns/{kind.proc}").st_ino) for kind in KINDS),
    ],
)
def test_a_column_says_what_the_kernel_says(name, expected):
    assert value(name) == expected()


def test_user_is_compared_by_name_and_by_number_and_sorted_by_name():
    row = row_of(os.getpid())
    name = pwd.getpwuid(os.geteuid()).pw_name
    assert NAMED["user"].text(row) == name
    for word in (name, str(os.geteuid())):
        assert parse(f"user={word}", PROCESS_COLUMNS, refer).matches(row)


def test_capabilities_are_found_by_name():
    row = row_of(os.getpid())
    mask = NAMED["caps"].value(row)
    status = Path("/proc/self/status").read_text()
    assert mask == int(status.partition("CapEff:")[2].split(maxsplit=1)[0], 16)
    has = bool(mask >> 21 & 1)
    assert parse("caps:SYS_ADMIN", PROCESS_COLUMNS).matches(row) is has
    assert parse("caps:cap_sys_admin", PROCESS_COLUMNS).matches(row) is has
    assert parse("caps=none", PROCESS_COLUMNS).matches(row) is (mask == 0)


def test_cpu_needs_an_earlier_look_and_then_counts_the_time_between(forked):
    pid, _ = forked()
    assert NAMED["cpu"].value(row_of(pid)) is None
    before = take()
    spent = resource.getrusage(resource.RUSAGE_SELF)
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    scene = Scene(take(), before)
    now = resource.getrusage(resource.RUSAGE_SELF)
    used = now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime
    cpu = NAMED["cpu"].value(scene.row(scene.records[os.getpid()]))
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert abs(cpu * scene.seconds / 100 - used) <= 4 * tick  # both ends are rounded, of user and system time
    assert NAMED["cpu"].value(scene.row(scene.records[pid])) == 0


def test_start_and_age_agree_with_the_clock(forked):
    before = time.time_ns()
    pid, _ = forked()
    after = time.time_ns()
    row = row_of(pid)
    tick = 10**9 // os.sysconf("SC_CLK_TCK")
    assert before - 2 * tick <= NAMED["start"].value(row) <= after + 2 * tick
    assert 0 <= NAMED["age"].value(row) <= time.time_ns() - before + 2 * tick


def test_a_process_that_ended_after_the_snapshot_is_unknown_and_never_a_successor():
    with subprocess.Popen(["sleep", "60"]) as process:
        row = row_of(process.pid)
        process.kill()
        process.wait()
    for name in ("exe", "command", "fds", "caps", "cgroup", "pss"):
        assert NAMED[name].value(row) is None
        assert NAMED[name].text(row) == "?"


def test_a_zombie_has_the_name_it_had_and_no_program(forked):
    pid, _ = forked(lambda: rename(b"shade"))
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    row = row_of(pid)
    assert NAMED["state"].value(row) == "Z"
    assert NAMED["command"].value(row) == "[shade]"
    assert NAMED["exe"].value(row) is None
    assert parse("state=zombie", PROCESS_COLUMNS).matches(row)


@pytest.mark.needs("unshare", "user_namespace")
def test_namespaces_compare_with_the_parents_the_first_ones_and_any_process(unshared):
    pid = unshared("--user", "--map-root-user", "--uts")
    row, own = row_of(pid), row_of(os.getpid())
    inode = os.stat(f"/proc/{pid}/ns/uts").st_ino
    for text, answer in [
        ("ns.uts!=parent", True),
        ("u≠parent", True),
        ("ns.uts=self", False),
        ("ns.net=self", True),
        (f"ns.uts={inode}", True),
        (f"ns={inode}", True),
        (f"ns.uts={os.getpid()}", False),
        (f"ns.net=={os.getpid()}.net", True),
        (f"ns.pid=={os.getpid()}.pid", True),
        (f"ns.user!={os.getpid()}.user", True),
        (f"ppid=@{os.getpid()}.pid", True),
        ("ns!=parent", True),
        ("ns=parent", False),
        (f"ns={pid}", True),
        ("ns:u", True),
        ("ns:n", False),
        ("pid_for_children=@self.ns.pid", True),
        ("user=@parent", True),
    ]:
        assert parse(text, PROCESS_COLUMNS, refer).matches(row) is answer, text
    assert parse("ns=self", PROCESS_COLUMNS, refer).matches(own) is True
    assert parse("ns=4194305", PROCESS_COLUMNS, refer).matches(own) is None  # no such process


@pytest.mark.needs("unshare", "user_namespace")
def test_the_letters_of_namespaces_are_told_apart_by_case(unshared):
    row = row_of(unshared("--user", "--map-root-user"))
    assert NAMED["ns"].text(row) == "···U····"
    assert parse("ns:U", PROCESS_COLUMNS).matches(row) is True
    assert parse("ns:u", PROCESS_COLUMNS).matches(row) is False


@pytest.mark.needs("root", "unshare")
def test_pids_are_those_of_every_nested_pid_namespace(unshared):
    pid = unshared("--pid", "--fork", script="unshare --pid --fork sleep 60 &")
    status = {}
    for record in take().records.values():
        if record.depth == 2 and record.comm == "sleep":
            text = Path(f"/proc/{record.pid}/status").read_text()
            status[record.pid] = tuple(map(int, text.partition("NSpid:")[2].splitlines()[0].split()))
    outer = row_of(pid)
    assert NAMED["pids"].value(outer) == (pid, 1)
    assert NAMED["pids"].text(outer) == f"{pid}/1"
    for inner, pids in status.items():
        assert NAMED["pids"].value(row_of(inner)) == pids
        assert parse(f"pids={pids[1]}", PROCESS_COLUMNS).matches(row_of(inner))
    os.kill(pid, signal.SIGKILL)


def test_a_reference_is_looked_up_once_for_each_snapshot():
    asked = []
    whose = refer("self")
    column = Column("x", "X", COUNT, lambda row: asked.append(row) or 1)
    filter = parse("x=@self", (column,), lambda who: whose)
    scene = Scene(take())
    filter.select(scene.rows())
    assert len({id(row) for row in asked if row.record.pid == os.getpid()}) == 2  # itself, and as the reference


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (BYTES, 1234567, "1.2M"),
        (DURATION, 0, "0.00s"),
        (DURATION, 9_994_000_000, "9.99s"),
        (DURATION, 12_340_000_000, "12.3s"),
        (DURATION, 59_949_000_000, "59.9s"),
        (DURATION, 245 * 10**9, "4m05s"),
        (DURATION, (3 * 3600 + 7 * 60) * 10**9, "3h07m"),
        (DURATION, (12 * 86400 + 3 * 3600) * 10**9, "12d03h"),
        (PERCENT, 2.345, "2.3"),
        (COUNT, 12345, "12345"),
        (CAPABILITIES, 0, "none"),
        (CAPABILITIES, 1 << 12 | 1 << 21, "NET_ADMIN SYS_ADMIN"),
    ],
)
def test_values_are_worded_for_people(kind, value, text):
    assert kind.text(value) == text


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (BYTES, "4096", 4096),
        (BYTES, "10M", 10 << 20),
        (BYTES, "1.5GiB", 3 << 29),
        (BYTES, "2kB", 2048),
        (DURATION, "2", 2 * 10**9),
        (DURATION, "1h30m", 5400 * 10**9),
        (DURATION, "250us", 250_000),
        (DURATION, "1-02:03:04", 93784 * 10**9),
        (DURATION, "00:01.5", 1_500_000_000),
        (PERCENT, "2.5%", 2.5),
        (COUNT, "3k", 3000),
        (CAPABILITIES, "net_admin,CAP_SYS_ADMIN", 1 << 12 | 1 << 21),
        (STATE, "disk", "D"),
    ],
)
def test_values_are_read_from_people(kind, text, value):
    assert kind.read(text) == value


def test_a_moment_is_read_as_local_time():
    noon = time.mktime(time.strptime("2026-01-02 12:00", "%Y-%m-%d %H:%M")) * 1e9
    assert MOMENT.read("2026-01-02 12:00") == noon == MOMENT.read("2026-01-02T12:00:00")
    today = time.strftime("%Y-%m-%d ")
    assert MOMENT.read("13:30") == MOMENT.read(f"{today}13:30")
    assert MOMENT.text(MOMENT.read("2026-01-02 12:00")).endswith("12:00:00")


def test_terminals_have_the_names_that_files_have():
    master, slave = os.openpty()
    try:
        number = os.fstat(slave).st_rdev
        assert f"/dev/{terminal_name(number)}" == os.ttyname(slave)
    finally:
        os.close(master)
        os.close(slave)
    assert terminal_name(0) == "-"
    assert terminal_name(136 << 8 | 3) == "pts/3"
    assert terminal_name(137 << 8 | 3) == "pts/259"
    assert terminal_name(4095 << 8 | 7) == "4095:7"
