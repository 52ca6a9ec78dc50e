"""The comparison shows what a child has of its own, and that its parent's is unchanged."""

from __future__ import annotations

import ctypes
import os

import pytest
from children import call

from nsview.host.capabilities import NAMES, change, names_of
from nsview.host.difference import SECTIONS, DiffRow, compare_processes
from nsview.host.facts import CAPABILITY_SETS
from nsview.host.process import ProcessGoneError
from nsview.host.reasons import NAMESPACES, SHARING
from nsview.host.snapshot import take

PR_SET_NO_NEW_PRIVS = 38
PR_CAPBSET_DROP = 24

pytestmark = pytest.mark.needs("unshare", "user_namespace")


def compared(child: int) -> dict[str, DiffRow]:
    rows = compare_processes(os.getpid(), child)
    assert len({(row.section, row.attribute) for row in rows}) == len(rows), "an attribute stands twice"
    return {row.attribute: row for row in rows}


@pytest.mark.needs("root")
def test_host_name_of_the_child_is_shown_beside_the_unchanged_one_of_the_machine(unshared):
    machine = os.uname().nodename
    row = compared(unshared("--uts", script="hostname demo"))["host name"]
    assert (row.parent, row.child, row.same) == (machine, "demo", False)
    assert os.uname().nodename == machine


@pytest.mark.needs("root")
def test_hostile_host_name_is_escaped(forked):
    def name_itself() -> None:
        call("unshare", 0x04000000)
        call("sethostname", b"x\x1b[31m\ny", 8)

    pid, _ = forked(name_itself)
    assert compared(pid)["host name"].child == r"x\x1b[31m\ny"


def test_own_namespaces_differ_and_the_others_are_the_same(unshared):
    rows = compared(unshared("--user", "--map-root-user", "--uts", "--ipc"))
    names = {row.attribute: row.same for row in rows.values() if row.section == "namespaces"}
    assert {name for name, same in names.items() if same is False} == {"user", "uts", "ipc"}
    assert None not in names.values()


def test_id_maps_and_capabilities_of_a_user_namespace_are_told(unshared):
    rows = compared(unshared("--user", "--map-root-user"))
    assert rows["uid map"].child == f"0→{os.geteuid()} ×1"
    assert rows["setgroups"].child == "deny"
    assert rows["caps effective"].child == f"{(1 << last_capability()) - 1:016x} ({last_capability()})"
    assert "only inside its own user namespace" in rows["caps effective"].why


def last_capability() -> int:
    with open("/proc/sys/kernel/cap_last_cap") as file:
        return int(file.read()) + 1


def test_time_offset_is_shown_in_seconds(unshared):
    rows = compared(
        unshared("--user", "--map-root-user", "--time", "--boottime", "86400", "--monotonic", "-5", "--fork")
    )
    assert (rows["boot-time offset"].parent, rows["boot-time offset"].child) == ("0 s", "86400 s")
    assert rows["monotonic offset"].child == "−5 s"


@pytest.mark.needs("root")
def test_dropped_capability_and_no_new_privs_are_named(forked):
    def restrict() -> None:
        call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        call("prctl", PR_CAPBSET_DROP, NAMES.index("SYS_BOOT"), 0, 0, 0)

    pid, _ = forked(restrict)
    rows = compared(pid)
    assert rows["caps bounding"].delta == "−SYS_BOOT"
    assert (rows["no new privileges"].parent, rows["no new privileges"].child) == ("no", "yes")


@pytest.mark.needs("root")
def test_mounts_made_by_the_child_are_counted_apart(unshared, tmp_path):
    row = compared(unshared("--mount", script=f"mount -t tmpfs none {tmp_path}"))["mounts"]
    assert row.delta == "+1 −0"
    assert int(row.child) == int(row.parent) + 1


@pytest.mark.needs("root")
def test_chroot_is_another_root(forked, tmp_path):
    pid, _ = forked(lambda: os.chroot(tmp_path))
    row = compared(pid)["root"]
    assert (row.parent, row.child, row.same) == ("/", str(tmp_path), False)


@pytest.mark.needs("kcmp")
def test_sharing_is_part_of_the_comparison(forked):
    pid, _ = forked()
    rows = compared(pid)
    assert (rows["VM"].child, rows["VM"].same) == ("its own", False)
    assert rows["IO"].same is None
    assert "empty" in rows["IO"].why


def test_process_compared_with_itself_differs_in_nothing_but_what_moves():
    rows = compare_processes(os.getpid(), os.getpid())
    assert not [row for row in rows if row.same is False and row.section != "usage"]


def test_rows_come_by_section_each_with_a_reason_and_a_source(forked):
    pid, _ = forked()
    rows = compare_processes(os.getpid(), pid)
    sections = list(dict.fromkeys(row.section for row in rows))
    assert sections == list(SECTIONS)
    assert all(row.why and row.source for row in rows)
    for row in rows:
        for text in (row.parent, row.child, row.delta, row.why):
            assert text is None or text.isprintable()


@pytest.mark.needs("root")
def test_without_permission_the_unknown_is_said_not_guessed(as_nobody, forked):
    pid, _ = forked()
    rows = {row.attribute: row for row in as_nobody(lambda: compare_processes(os.getpid(), pid))}
    for name in ("net", "VM", "root", "host name", "rss"):
        assert rows[name].same is None, name
        assert rows[name].child is None, name
    assert rows["uid"].same is False


def test_gone_or_replaced_processes_are_refused(forked):
    pid, _ = forked()
    started = take((pid,)).records[pid].start_time
    with pytest.raises(ProcessGoneError):
        compare_processes(os.getpid(), pid, None, started + 1)
    with pytest.raises(ProcessGoneError):
        compare_processes(os.getpid(), 4194305)


def test_zombie_is_compared_without_a_guess():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    rows = compared(pid)
    os.waitpid(pid, 0)
    assert rows["mnt"].child is None
    assert rows["VM"].same is None
    assert rows["open files"].same is not True


def test_comparing_leaves_no_descriptor_and_no_thread(nothing_left, unshared):
    pid = unshared("--user", "--map-root-user", "--uts")
    for _ in range(5):
        compare_processes(os.getpid(), pid)


def test_capability_names_are_those_of_the_kernel():
    assert len(NAMES) >= last_capability()
    assert NAMES[21] == "SYS_ADMIN"
    assert names_of(1 << 0 | 1 << 40 | 1 << 50) == ("CHOWN", "CHECKPOINT_RESTORE", "CAP_50")
    assert change(0b11, 0b110) == "+FOWNER −CHOWN".replace("FOWNER", "DAC_READ_SEARCH")
    assert change((1 << 41) - 1, 0) == "−all"
    assert change(5, 5) == ""


def test_every_namespace_and_kcmp_type_has_its_two_reasons():
    assert len(NAMESPACES) == 10
    assert set(SHARING) == {"VM", "FILES", "FS", "SIGHAND", "IO", "SYSVSEM"}
    assert set(CAPABILITY_SETS.values()) == {"permitted", "effective", "inheritable", "bounding", "ambient"}
    assert ctypes.sizeof(ctypes.c_void_p) == 8
